// This file is which paths are not read alike by everybody, so that nothing may be decided by them. http.md §8; S-37.
import { CLASS, HEX, HEX_VALUE } from "../headers/index.ts";

const SLASH = 0x2f;
const BACKSLASH = 0x5c;
const DOT = 0x2e;
const SEMICOLON = 0x3b;
const PERCENT = 0x25;
const QUESTION = 0x3f;
const ASTERISK = 0x2a;

/**
 * Why two readers of a path may see two paths.
 *
 * - `separator`: an encoded slash, backslash or NUL, which some decode into a separator or an end;
 * - `dots`: a segment of dots alone, in whatever spelling, which some resolve and some do not;
 * - `parameter`: dots or nothing in front of `;`, which is such a segment for those who take parameters off;
 * - `empty`: two slashes in a row, which some merge, or none at the start;
 * - `escape`: an escape within an escape (`%252f`), which is another path for those who decode twice, or a broken one;
 * - `overlong`: bytes that are no UTF-8 but a slash, a dot or a NUL for those who decode carelessly.
 */
export type PathAmbiguity = "separator" | "dots" | "parameter" | "empty" | "escape" | "overlong";

/**
 * Looks at the path of a target.
 *
 * @param target Any bytes; of a target that `requestReader` took, a broken escape and a raw backslash are no part.
 * @returns undefined when everybody reads the same path, once decoded; `*` has none.
 */
export function pathAmbiguity(target: Uint8Array): PathAmbiguity | undefined {
  if (target.length === 1 && target[0] === ASTERISK) return undefined;
  if (target[0] !== SLASH) return "empty";
  const question = target.indexOf(QUESTION);
  const end = question < 0 ? target.length : question;
  let isEmpty = true;
  let isDots = true;
  /** Decoded bytes since a decoded `%`, if they could be its two digits. */
  let sincePercent = -1;
  /** 0xE0 or 0xF0 if that was the byte before. */
  let lead = 0;
  for (let at = 1; at < end; at++) {
    let byte = target[at]!;
    if (byte === SLASH) {
      if (isEmpty) return "empty";
      if (isDots) return "dots";
      isEmpty = isDots = true;
      sincePercent = -1;
      lead = 0;
      continue;
    }
    if (byte === PERCENT) {
      if (!isEscape(target, at, end)) return "escape";
      byte = HEX_VALUE[target[at + 1]!]! * 16 + HEX_VALUE[target[at + 2]!]!;
      at += 2;
    }
    if (byte === SLASH || byte === BACKSLASH || byte === 0) return "separator";
    if (isOverlong(lead, byte)) return "overlong";
    lead = byte === 0xe0 || byte === 0xf0 ? byte : 0;
    if (sincePercent >= 0 && (CLASS[byte]! & HEX) !== 0) {
      if (++sincePercent === 2) return "escape";
    } else sincePercent = byte === PERCENT ? 0 : -1;
    if (byte === SEMICOLON && isDots) return "parameter";
    isEmpty = false;
    if (byte !== DOT) isDots = false;
  }
  return isDots && !isEmpty ? "dots" : undefined;
}

function isEscape(target: Uint8Array, at: number, end: number): boolean {
  return at + 2 < end && (CLASS[target[at + 1]!]! & CLASS[target[at + 2]!]! & HEX) !== 0;
}

/** True for a byte that only a needlessly long spelling of a character has. */
function isOverlong(lead: number, byte: number): boolean {
  if (byte === 0xc0 || byte === 0xc1) return true;
  return byte >= 0x80 && ((lead === 0xe0 && byte < 0xa0) || (lead === 0xf0 && byte < 0x90));
}

const utf8 = new TextDecoder();

/** The path of a target, percent-decoded once and read as UTF-8; what is none becomes U+FFFD. */
export function decodedPath(target: Uint8Array): string {
  const question = target.indexOf(QUESTION);
  const end = question < 0 ? target.length : question;
  const bytes = new Uint8Array(end);
  let length = 0;
  for (let at = 0; at < end; at++) {
    let byte = target[at]!;
    if (byte === PERCENT && isEscape(target, at, end)) {
      byte = HEX_VALUE[target[at + 1]!]! * 16 + HEX_VALUE[target[at + 2]!]!;
      at += 2;
    }
    bytes[length++] = byte;
  }
  return utf8.decode(bytes.subarray(0, length));
}
