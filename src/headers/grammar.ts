// This file is the byte classes of HTTP fields and targets: one table look-up per byte. RFC 9110 §5.6, RFC 9112 §3; http.md §3.1, §8.

/** tchar: field names, methods, tokens. */
export const TOKEN = 1;
/** Field values: SP to ~, 0x80 and above, HTAB. No CR, LF, NUL or other control. */
export const VALUE = 2;
/** Request targets: visible ASCII except `#`. */
export const TARGET = 4;
/** Bytes of a target that need a second look in its path: `%` and the backslash. */
export const PATH_CHECK = 8;
/** Hexadecimal digit. */
export const HEX = 16;
/** A token byte that is neither letter, digit nor `-`: such a name may be an alias of another one. */
export const ODD = 32;
/** qdtext of a quoted string (RFC 9110 §5.6.4). */
export const QUOTED_TEXT = 64;

export const HTAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const COLON = 0x3a;

/** Classes of each byte as a bit set. */
export const CLASS = new Uint8Array(256);
/** ASCII lower case; every other byte is itself. */
export const LOWER = new Uint8Array(256);
/** What CGI, WSGI and PHP make of a name: letters in lower case, digits, and `-` for everything else (S-30). */
export const ALIAS = new Uint8Array(256);
/** Value of a hexadecimal digit, 255 for every other byte. */
export const HEX_VALUE = new Uint8Array(256);

const TOKEN_MARKS = "!#$%&'*+-.^_`|~";

for (let byte = 0; byte < 256; byte++) {
  const isDigit = byte >= 0x30 && byte <= 0x39;
  const isUpper = byte >= 0x41 && byte <= 0x5a;
  const isLetter = isUpper || (byte >= 0x61 && byte <= 0x7a);
  const isVisible = byte > SP && byte < 0x7f;
  const isMark = isVisible && TOKEN_MARKS.includes(String.fromCharCode(byte));
  const digit = isVisible ? Number.parseInt(String.fromCharCode(byte), 16) : Number.NaN;
  let bits = 0;
  if (isDigit || isLetter || isMark) bits |= TOKEN;
  if (isMark && byte !== 0x2d) bits |= ODD;
  if (isVisible || byte === SP || byte === HTAB || byte >= 0x80) {
    bits |= VALUE;
    if (byte !== 0x22 && byte !== 0x5c) bits |= QUOTED_TEXT;
  }
  if (isVisible && byte !== 0x23) bits |= TARGET;
  if (byte === 0x25 || byte === 0x5c) bits |= PATH_CHECK;
  if (!Number.isNaN(digit)) bits |= HEX;
  CLASS[byte] = bits;
  LOWER[byte] = isUpper ? byte + 0x20 : byte;
  ALIAS[byte] = isUpper ? byte + 0x20 : isDigit || isLetter ? byte : 0x2d;
  HEX_VALUE[byte] = Number.isNaN(digit) ? 255 : digit;
}

/** True when `bytes[start..end)` is one token of at least one byte. */
export function isToken(bytes: Uint8Array, start: number, end: number): boolean {
  if (start >= end) return false;
  for (let at = start; at < end; at++) if ((CLASS[bytes[at]!]! & TOKEN) === 0) return false;
  return true;
}

/** True when `bytes[start..end)` is `text` (lower-case ASCII), ASCII letters in any case. */
export function equalsFolded(bytes: Uint8Array, start: number, end: number, text: string): boolean {
  if (end - start !== text.length) return false;
  for (let at = 0; at < text.length; at++) {
    if (LOWER[bytes[start + at]!] !== text.charCodeAt(at)) return false;
  }
  return true;
}

/** First offset in `bytes[from..end)` that is neither SP nor HTAB, else `end`. */
export function skipBlanks(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && (bytes[at] === SP || bytes[at] === HTAB)) at++;
  return at;
}

/** The end of `bytes[from..end)` without the SP and HTAB it ends with. */
export function trimBlanks(bytes: Uint8Array, from: number, end: number): number {
  let at = end;
  while (at > from && (bytes[at - 1] === SP || bytes[at - 1] === HTAB)) at--;
  return at;
}
