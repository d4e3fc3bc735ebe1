// This file is join and login lines, `tunl://HOST[:PORT]/FINGERPRINT/CODE`, and the one-time code in them.
// product.md §1.1; PROTOCOL §3.1.
import { createHash, randomBytes } from "node:crypto";
import { canonicalHost, canonicalName } from "../address/index.ts";
import { TunlError } from "../errors.ts";
import { decodeBase32, encodeBase32 } from "./base32.ts";

export const CODE_BYTES = 16;
const SCHEME = "tunl://";
const DEFAULT_PORT = 443;
/** Scheme, host, port, fingerprint and code at their longest, and room for what was pasted around it. */
const MAX_LINE = 400;

/** Everything a connector needs to meet an edge it never met; a login line has the same form. */
export type JoinLine = {
  /** The edge's own name, canonical. */
  readonly host: string;
  readonly port: number;
  /** Of the edge's key, 26 characters. */
  readonly fingerprint: string;
  /** 16 bytes; a secret until it was used. */
  readonly code: Uint8Array;
};

/** Makes a code: 128 random bits. */
export function makeCode(): Uint8Array {
  return Uint8Array.from(randomBytes(CODE_BYTES));
}

/** SHA-256 of a code: the only form of it that is ever stored. */
export function hashCode(code: Uint8Array): Uint8Array {
  return Uint8Array.from(createHash("sha256").update(code).digest());
}

/** Writes a line; the port only where it is not 443. */
export function formatJoinLine(line: JoinLine): string {
  const port = line.port === DEFAULT_PORT ? "" : `:${line.port}`;
  return `${SCHEME}${line.host}${port}/${line.fingerprint}/${encodeBase32(line.code)}`;
}

/**
 * Reads a line as it was typed, pasted or scanned; case does not matter.
 *
 * @throws TunlError `BAD_JOIN_LINE` naming the part that is wrong; it never quotes the code.
 */
export function parseJoinLine(text: string): JoinLine {
  const typed = text.trim();
  if (typed.length > MAX_LINE)
    throw refuse(`has ${typed.length} characters`, `at most ${MAX_LINE}`);
  // Before the case is folded: lower-casing turns some foreign letters into ASCII ones (the Kelvin sign into k).
  if (!/^[\x21-\x7e]*$/.test(typed)) throw refuse("has blanks or characters outside ASCII", "none");
  const line = typed.toLowerCase();
  if (!line.startsWith(SCHEME)) throw refuse("has no scheme", `it to begin with ${SCHEME}`);
  const parts = line.slice(SCHEME.length).split("/");
  if (parts.length !== 3)
    throw refuse(`has ${parts.length} parts`, "3: HOST[:PORT]/FINGERPRINT/CODE");
  const [authority, fingerprint, codeText] = parts as [string, string, string];
  const { host, port } = parseAuthority(authority);
  if (!/^[a-z2-7]{26}$/.test(fingerprint)) {
    throw refuse(
      `has the fingerprint ${JSON.stringify(fingerprint)}`,
      "26 characters out of a-z and 2-7",
    );
  }
  const code = codeText.length === 26 ? decodeBase32(codeText) : undefined;
  if (code === undefined || code.length !== CODE_BYTES) {
    // 26 characters hold two bits more than a code: whoever mistypes the last one mostly ends here.
    const what = /^[a-z2-7]{26}$/.test(codeText)
      ? "has a code that was mistyped or cut"
      : `has a code of ${codeText.length} characters`;
    throw refuse(what, "the one that was printed, 26 characters out of a-z and 2-7");
  }
  return { host, port, fingerprint, code };
}

function parseAuthority(text: string): { host: string; port: number } {
  const authority = canonicalHost(Buffer.from(text));
  if (authority !== undefined)
    return { host: authority.host, port: authority.port ?? DEFAULT_PORT };
  const colon = text.lastIndexOf(":");
  if (colon !== -1 && canonicalName(text.slice(0, colon)) !== undefined) {
    throw refuse(`has the port ${JSON.stringify(text.slice(colon + 1))}`, "1 to 65535");
  }
  throw refuse(`has the host ${JSON.stringify(text)}`, "the edge's own name, not an address");
}

function refuse(actual: string, expected: string): TunlError {
  return new TunlError("BAD_JOIN_LINE", `Line ${actual}, expected ${expected}`, {
    hint: "Copy the whole line that tunl edge or tunl edge invite printed",
  });
}
