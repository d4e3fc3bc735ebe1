// This file is what both head parsers share: bytes to head, strict, bounded and resumable at any byte. http.md §3.1; RFC 9112 §2.
import { LF } from "../headers/index.ts";
import { type FaultCode, Http1Error } from "./faults.ts";
import type { Head } from "./head.ts";

/** Reads one head from bytes that begin at offset 0 and stay where they are from call to call. */
export interface HeadParser<H extends Head> {
  start(): void;
  /** True when the head is complete, `position` is then its length. @throws Http1Error */
  parse(bytes: Uint8Array, end: number): boolean;
  readonly position: number;
  /** True once a byte of the message itself was read, which an empty line before it is not. */
  readonly hasBegun: boolean;
  /** What the complete head means. @throws Http1Error */
  head(bytes: Uint8Array): H;
}

const VERSION = "HTTP/1.1\r\n";
export const ZERO = 0x30;

/**
 * Compares `bytes[at..stop)` with `HTTP/x.y`, `from` bytes of which were seen before.
 *
 * @returns How many bytes of it fit, up to 8.
 */
export function matchVersion(bytes: Uint8Array, start: number, at: number, stop: number): number {
  let matched = at - start;
  while (matched < 8 && start + matched < stop) {
    const byte = bytes[start + matched]!;
    const isDigitPlace = matched === 5 || matched === 7;
    if (isDigitPlace ? byte < ZERO || byte > 0x39 : byte !== VERSION.charCodeAt(matched))
      return matched;
    matched++;
  }
  return matched;
}

/** What an unexpected byte of a start line is: a line end in the wrong form, else `code`. */
export function lineFault(byte: number, code: FaultCode): FaultCode {
  return byte === LF ? "BARE_LINE_FEED" : code;
}

/** The version in `bytes[start..start+8)`, which fit `HTTP/x.y`. @throws Http1Error `VERSION_REFUSED` */
export function readVersion(bytes: Uint8Array, start: number): "1.0" | "1.1" {
  if (bytes[start + 5] !== ZERO + 1) throw new Http1Error("VERSION_REFUSED", start);
  if (bytes[start + 7] === ZERO + 1) return "1.1";
  if (bytes[start + 7] === ZERO) return "1.0";
  throw new Http1Error("VERSION_REFUSED", start);
}
