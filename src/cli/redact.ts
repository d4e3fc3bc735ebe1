// This file is what may be in a log line: fields by name, texts without secrets and without characters a terminal acts on. S-66.
import { EVENTS, SCOPE_FIELDS } from "../log-events.ts";
import type { EventName } from "../log-events.ts";
import type { LogFields } from "../log.ts";

export const HIDDEN = "[hidden]";

const ALLOWED = new Map<string, ReadonlySet<string>>(
  Object.entries(EVENTS).map(([event, { fields }]) => [
    event,
    new Set([...fields, ...SCOPE_FIELDS]),
  ]),
);

/** Fields as they may be written: those of the event's row, the others hidden; texts cleaned, a path without its query. */
export function redactFields(event: EventName, fields: LogFields): LogFields {
  const allowed = ALLOWED.get(event);
  const safe: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    if (allowed?.has(name) !== true) safe[name] = HIDDEN;
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
