// This file is head to bytes, and the only writer of framing fields. http.md §3.2; RFC 9112 §3 to §6; S-05.
import { cloneBytes } from "../bytes.ts";
import { bug } from "../errors.ts";
import { encodeAscii } from "../headers/index.ts";
import type { Framing } from "./head.ts";

/**
 * What to announce about the body. `announced`: answers to HEAD and 304, which name the length of the representation
 * (-1 unknown: nothing) and have no body.
 */
export type FramingToWrite = Framing | { readonly kind: "announced"; readonly length: number };

export interface RequestLine {
  readonly method: string;
  readonly target: Uint8Array;
}

export interface StatusLine {
  readonly status: number;
  readonly reason: Uint8Array;
}

export interface HeadToWrite {
  readonly line: RequestLine | StatusLine;
  /** Requests: written first. */
  readonly host?: string;
  /** Validated lines without any framing field, without Connection and Upgrade. */
  readonly fields: Uint8Array;
  /** The only source of Content-Length and Transfer-Encoding. */
  readonly framing: FramingToWrite;
  readonly connection: "keep-alive" | "close" | "upgrade";
  /** The protocol, with `connection: "upgrade"`. */
  readonly upgrade?: string;
}

const bytesOf = (text: string): Uint8Array => {
  const bytes = new Uint8Array(text.length);

  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
};

const HTTP = bytesOf("HTTP/1.1 ");
const HTTP_END = bytesOf(" HTTP/1.1\r\n");
const HOST = bytesOf("Host: ");
const CONTENT_LENGTH = bytesOf("Content-Length: ");
const CHUNKED = bytesOf("Transfer-Encoding: chunked\r\n");
const CRLF = bytesOf("\r\n");
const CONNECTION = {
  "keep-alive": bytesOf("Connection: keep-alive\r\n"),
  close: bytesOf("Connection: close\r\n"),
  upgrade: bytesOf("Connection: upgrade\r\nUpgrade: "),
} as const;

/** The answer that lets a waiting visitor send its body (S-07). */
export const CONTINUE = bytesOf("HTTP/1.1 100 Continue\r\n\r\n");

/** Everything of a head but method, target, reason, host, fields and protocol: start line 22, framing 34, connection 36, ends. */
const FIXED_BYTES = 128;

/** Capacity that `writeHead` needs behind its offset; a little more than it writes. */
export function headCapacity(head: HeadToWrite): number {
  const { line } = head;
  const start = "method" in line ? line.method.length + line.target.length : line.reason.length;
  return (
    start +
    (head.host?.length ?? 0) +
    (head.upgrade?.length ?? 0) +
    head.fields.length +
    FIXED_BYTES
  );
}

/**
 * Writes a head with its blank line into `target`, which has `headCapacity` bytes behind `offset`.
 *
 * @returns The offset behind it.
 * @throws TunlError `BAD_FIELD_TEXT` when method, host or protocol is not printable ASCII; BUG for a head that cannot be
 * framed (a request until close, a request without host, a status that is not three digits).
 */
export function writeHead(head: HeadToWrite, target: Uint8Array, offset: number): number {
  const { line } = head;
  const isRequest = "method" in line;
  let at = isRequest
    ? writeRequestLine(line, head.host, target, offset)
    : writeStatusLine(line, target, offset);
  target.set(head.fields, at);
  at += head.fields.length;
  at = writeFraming(head.framing, isRequest ? line.method : undefined, target, at);
  at = copy(CONNECTION[head.connection], target, at);
  if (head.connection === "upgrade") {
    at = encodeAscii(head.upgrade ?? bug("an upgrade is written without a protocol"), target, at);
    at = copy(CRLF, target, at);
  }
  return copy(CRLF, target, at);
}

/** A response before the final one, 102 to 199 without 101, ready to be written. */
export function interimHead(status: number, fields: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(FIXED_BYTES + fields.length);
  let at = writeStatusLine({ status, reason: new Uint8Array(0) }, bytes, 0);
  bytes.set(fields, at);
  at = copy(CRLF, bytes, at + fields.length);
  return cloneBytes(bytes, 0, at);
}

function writeRequestLine(
  line: RequestLine,
  host: string | undefined,
  target: Uint8Array,
  offset: number,
): number {
  if (host === undefined) bug("a request is written without host");
  let at = encodeAscii(line.method, target, offset);
  target[at++] = 0x20;
  at = copy(line.target, target, at);
  at = copy(HTTP_END, target, at);
  at = copy(HOST, target, at);
  at = encodeAscii(host, target, at);
  return copy(CRLF, target, at);
}

function writeStatusLine(line: StatusLine, target: Uint8Array, offset: number): number {
  if (line.status < 100 || line.status > 999)
    bug(`a response is written with status ${line.status}`);
  let at = copy(HTTP, target, offset);
  at = writeNumber(line.status, 10, target, at);
  target[at++] = 0x20;
  at = copy(line.reason, target, at);
  return copy(CRLF, target, at);
}

/** Methods whose requests say that they have no body (RFC 9110 §8.6); others with none say nothing. */
const hasMeaningfulBody = (method: string): boolean =>
  method === "POST" || method === "PUT" || method === "PATCH";

/** @param method Of a request; undefined for a response. */
function writeFraming(
  framing: FramingToWrite,
  method: string | undefined,
  target: Uint8Array,
  offset: number,
): number {
  switch (framing.kind) {
    case "none":
      return method !== undefined && hasMeaningfulBody(method)
        ? writeLength(0, target, offset)
        : offset;
    case "length":
      if (method !== undefined && framing.length === 0 && !hasMeaningfulBody(method)) return offset;
      return writeLength(framing.length, target, offset);
    case "announced":
      return framing.length < 0 ? offset : writeLength(framing.length, target, offset);
    case "chunked":
      return copy(CHUNKED, target, offset);
    case "untilClose":
      return method === undefined
        ? offset
        : bug("a request is framed by the end of its connection");
  }
}

function writeLength(length: number, target: Uint8Array, offset: number): number {
  if (!Number.isSafeInteger(length) || length < 0) bug(`a body has length ${length}`);
  const at = writeNumber(length, 10, target, copy(CONTENT_LENGTH, target, offset));
  return copy(CRLF, target, at);
}

/** Writes a whole number without a string on the way. */
export function writeNumber(
  value: number,
  radix: 10 | 16,
  target: Uint8Array,
  offset: number,
): number {
  let digits = 1;
  for (let rest = value; rest >= radix; rest = Math.floor(rest / radix)) digits++;
  let rest = value;
  for (let at = offset + digits - 1; at >= offset; at--) {
    const digit = rest % radix;
    target[at] = digit < 10 ? 0x30 + digit : 0x57 + digit;
    rest = Math.floor(rest / radix);
  }
  return offset + digits;
}

/** For short pieces a loop is cheaper than `set`. */
function copy(source: Uint8Array, target: Uint8Array, offset: number): number {
  for (let at = 0; at < source.length; at++) target[offset + at] = source[at]!;
  return offset + source.length;
}
