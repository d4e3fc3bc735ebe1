// This file is what may be in a log line: fields by name, texts without secrets and without characters a terminal acts on. S-66.
import type { LogFields } from "../log.ts";

/** Names of fields that are written; every other field is hidden. From the vocabulary, product.md §8 and style.md §6. */
const ALLOWED = new Set(
  [
    "address admin at attempt bytesIn bytesOut certificate code column commit connections connector count dropped edge error",
    "expiresAt file fingerprint graceMs hint host hosts http inMs inProgress key keyId kind label level limit line link links listen local",
    "method mode ms name origin path peer phase pid platform port protocol public reason remote requestId requests rttMs retryable",
    // Reasons of reset connections with their counts (listen/peer-limits.ts), and what a fault of a session names.
    "penalty connectionsPerSource acceptRate connections pendingHandshakes cause frameType",
    "seconds service session severity signal size source stack state status store stream streams tunnel url version visitor",
  ].flatMap((line) => line.split(" ")),
);

export const HIDDEN = "[hidden]";

/** Fields as they may be written: unknown names hidden, texts cleaned, a path without its query. */
export function redactFields(fields: LogFields): LogFields {
  const safe: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    if (!ALLOWED.has(name)) safe[name] = HIDDEN;
    else if (typeof value !== "string") safe[name] = value;
    else
      safe[name] = redactText(
        name === "path" || name === "url" ? (value.split("?")[0] as string) : value,
      );
  }
  return safe;
}

/**
 * Masks join and login lines and issued tokens wherever they stand, and takes user name and password out of URLs. The
 * fingerprint is public, the code is not.
 */
export function redactText(text: string): string {
  const bare = text.includes("@")
    ? text.replace(/(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/?#"'@]*@/gi, "$1")
    : text;
  if (!/tunl/i.test(bare)) return bare;
  return (
    bare
      // The word CODE is the form of a line in an advice, and no code: those have 26 characters.
      .replace(/(tunl:\/\/[^\s/"']+\/[^\s/"']+\/)(?!CODE(?![^\s"']))[^\s"']+/gi, `$1${HIDDEN}`)
      .replace(/tunl_[a-z]\d+_[A-Za-z0-9_-]+/gi, `tunl_${HIDDEN}`)
  );
}

/**
 * Makes a text fit for one line of a terminal: control characters and those that turn the writing direction
 * become `\xNN` or `\u{NNNN}`, so that a request's path can neither move the cursor nor forge a line.
 */
export function printable(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => {
      const code = character.charCodeAt(0).toString(16);
      return code.length <= 2 ? `\\x${code.padStart(2, "0")}` : `\\u{${code}}`;
    },
  );
}
