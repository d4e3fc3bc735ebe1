// This file is the grammar of request targets and their one canonical form. http.md §3.1, §8; RFC 9112 §3.2; S-36.
import { CLASS, equalsFolded, HEX, LOWER } from "../headers/index.ts";

const SLASH = 0x2f;
const QUESTION = 0x3f;
const PERCENT = 0x25;
const BACKSLASH = 0x5c;
const ASTERISK = 0x2a;

/** `invalid`, or how the target is written. */
export type TargetForm = "origin" | "absolute" | "asterisk" | "invalid";

/** The form of `bytes[start..end)`, whose bytes are all of class TARGET. */
export function targetForm(bytes: Uint8Array, start: number, end: number): TargetForm {
  if (bytes[start] === SLASH) return "origin";
  if (bytes[start] === ASTERISK && end === start + 1) return "asterisk";
  const from = authorityStart(bytes, start, end);
  return from !== 0 && authorityEnd(bytes, from, end) > from ? "absolute" : "invalid";
}

/** True when the path in `bytes[start..end)` has a backslash or `%` without two hex digits; the query may have both. */
export function hasBadPath(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const byte = bytes[at];
    if (byte === QUESTION) return false;
    if (byte === BACKSLASH) return true;
    if (byte !== PERCENT) continue;
    if (at + 2 >= end || (CLASS[bytes[at + 1]!]! & CLASS[bytes[at + 2]!]! & HEX) === 0) return true;
  }
  return false;
}

/** Offset of the authority of an absolute-form target, 0 when it has no `http://` or `https://` in front. */
function authorityStart(bytes: Uint8Array, start: number, end: number): number {
  if (end - start > 7 && equalsFolded(bytes, start, start + 7, "http://")) return start + 7;
  if (end - start > 8 && equalsFolded(bytes, start, start + 8, "https://")) return start + 8;
  return 0;
}

function authorityEnd(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && bytes[at] !== SLASH && bytes[at] !== QUESTION) at++;
  return at;
}

/** True when the authority of the absolute-form target `bytes[start..end)` is the Host `bytes[hostStart..hostEnd)`, in any case. */
export function namesHost(
  bytes: Uint8Array,
  start: number,
  end: number,
  hostStart: number,
  hostEnd: number,
): boolean {
  const from = authorityStart(bytes, start, end);
  const length = authorityEnd(bytes, from, end) - from;
  if (length !== hostEnd - hostStart) return false;
  for (let at = 0; at < length; at++) {
    if (LOWER[bytes[from + at]!] !== LOWER[bytes[hostStart + at]!]) return false;
  }
  return true;
}

/**
 * The target as it goes on: the bytes received, or path and query of an absolute form (RFC 9112 §3.2.1).
 *
 * @param target Of a parsed request head.
 * @param method Of the same head: OPTIONS of a bare authority asks about the whole server and becomes `*`.
 */
export function originForm(target: Uint8Array, method: string): Uint8Array {
  const from = authorityStart(target, 0, target.length);
  if (from === 0) return target;
  const path = authorityEnd(target, from, target.length);
  if (target[path] === SLASH) return target.subarray(path);
  if (path === target.length) return Uint8Array.of(method === "OPTIONS" ? ASTERISK : SLASH);
  const whole = new Uint8Array(target.length - path + 1);
  whole[0] = SLASH;
  whole.set(target.subarray(path), 1);
  return whole;
}
