// This file is which body follows a head, and what else its fields say about the connection. RFC 9112 §6.3, §9.3; S-01, S-08.
import {
  equalsFolded,
  type HeaderBlock,
  ListCursor,
  looksLikeFraming,
  nameId,
} from "../headers/index.ts";
import { type FaultCode, Http1Error } from "./faults.ts";
import { CHUNKED, type Framing, NO_BODY, UNTIL_CLOSE } from "./head.ts";
import { MAX_LENGTH_DIGITS } from "./limits.ts";

const HOST = nameId("host");
const CONTENT_LENGTH = nameId("content-length");
const TRANSFER_ENCODING = nameId("transfer-encoding");
const CONNECTION = nameId("connection");
const UPGRADE = nameId("upgrade");
const EXPECT = nameId("expect");

/** Shortest name that can look like a framing field: `ContentLength`. */
const SHORTEST_ALIAS = 13;

/** Options of `Connection`, as a bit set. */
export const CLOSE = 1;
export const KEEP_ALIVE = 2;
export const UPGRADING = 4;

/** The fields that decide about the message, found in one pass. Indices are -1 when absent. */
export interface Control {
  readonly host: number;
  readonly contentLength: number;
  readonly transferEncoding: number;
  readonly expect: number;
  /** -2: more than one. */
  readonly upgrade: number;
  readonly connection: number;
}

/**
 * Finds the control fields of a head.
 *
 * @throws Http1Error `REPEATED_HOST`, `REPEATED_LENGTH`, `BAD_CODING` (more than one line), `FRAMING_ALIAS`,
 * `EXPECTATION_REFUSED` (more than one)
 */
export function findControl(fields: HeaderBlock): Control {
  let host = -1;
  let contentLength = -1;
  let transferEncoding = -1;
  let expect = -1;
  let upgrade = -1;
  let connection = 0;
  for (let index = 0; index < fields.count; index++) {
    switch (fields.nameId(index)) {
      case HOST:
        if (host >= 0) refuse("REPEATED_HOST", fields, index);
        host = index;
        break;
      case CONTENT_LENGTH:
        if (contentLength >= 0) refuse("REPEATED_LENGTH", fields, index);
        contentLength = index;
        break;
      case TRANSFER_ENCODING:
        if (transferEncoding >= 0) refuse("BAD_CODING", fields, index);
        transferEncoding = index;
        break;
      case EXPECT:
        if (expect >= 0) refuse("EXPECTATION_REFUSED", fields, index);
        expect = index;
        break;
      case UPGRADE:
        upgrade = upgrade === -1 ? index : -2;
        break;
      case CONNECTION:
        connection |= connectionOptions(
          fields.bytes,
          fields.valueStart(index),
          fields.valueEnd(index),
        );
        break;
      case 0: {
        const start = fields.lineStart(index);
        const end = fields.nameEnd(index);
        if (end - start >= SHORTEST_ALIAS && looksLikeFraming(fields.bytes, start, end)) {
          refuse("FRAMING_ALIAS", fields, index);
        }
      }
    }
  }
  return { host, contentLength, transferEncoding, expect, upgrade, connection };
}

/** Throws the fault at the line of field `index`; heads begin at offset 0 of the buffer they are parsed in. */
export function refuse(code: FaultCode, fields: HeaderBlock, index: number): never {
  throw new Http1Error(code, fields.lineStart(index));
}

/**
 * The value of Content-Length, -1 without one.
 *
 * @throws Http1Error `BAD_LENGTH`
 */
export function readContentLength(fields: HeaderBlock, index: number): number {
  if (index < 0) return -1;
  const start = fields.valueStart(index);
  const end = fields.valueEnd(index);
  if (end === start || end - start > MAX_LENGTH_DIGITS) refuse("BAD_LENGTH", fields, index);
  let length = 0;
  for (let at = start; at < end; at++) {
    const digit = fields.bytes[at]! - 0x30;
    if (digit < 0 || digit > 9) refuse("BAD_LENGTH", fields, index);
    length = length * 10 + digit;
  }
  return length;
}

/** Checks Transfer-Encoding; true when the body is chunked. @throws Http1Error `FRAMING_CONFLICT`, `CODING_IN_1_0`, `BAD_CODING` */
function readCoding(fields: HeaderBlock, control: Control, version: "1.0" | "1.1"): boolean {
  const index = control.transferEncoding;
  if (index < 0) return false;
  if (control.contentLength >= 0) refuse("FRAMING_CONFLICT", fields, index);
  if (version === "1.0") refuse("CODING_IN_1_0", fields, index);
  if (!fields.valueIs(index, "chunked")) refuse("BAD_CODING", fields, index);
  return true;
}

/**
 * The body of a request.
 *
 * @param length From `readContentLength`.
 * @throws Http1Error `FRAMING_CONFLICT`, `CODING_IN_1_0`, `BAD_CODING`
 * @see RFC 9112 §6.3
 */
export function requestFraming(
  fields: HeaderBlock,
  control: Control,
  version: "1.0" | "1.1",
  length: number,
): Framing {
  if (readCoding(fields, control, version)) return CHUNKED;
  return length < 0 ? NO_BODY : { kind: "length", length };
}

/**
 * The body of a response to `method`: none for 1xx, 204, 304 and HEAD, whatever the fields say; without framing fields it
 * lasts until the connection closes.
 *
 * @param length From `readContentLength`.
 * @throws Http1Error `FRAMING_CONFLICT`, `CODING_IN_1_0`, `BAD_CODING`
 * @see RFC 9112 §6.3
 */
export function responseFraming(
  fields: HeaderBlock,
  control: Control,
  version: "1.0" | "1.1",
  length: number,
  status: number,
  method: string,
): Framing {
  const isChunked = readCoding(fields, control, version);
  if (status < 200 || status === 204 || status === 304 || method === "HEAD") return NO_BODY;
  if (isChunked) return CHUNKED;
  return length < 0 ? UNTIL_CLOSE : { kind: "length", length };
}

/** True when the peer keeps the connection: `close` always wins, 1.0 has to ask for it. RFC 9112 §9.3. */
export function isPersistent(version: "1.0" | "1.1", connection: number): boolean {
  if ((connection & CLOSE) !== 0) return false;
  return version === "1.1" || (connection & KEEP_ALIVE) !== 0;
}

const options = new ListCursor();

/** The known options in a `Connection` value, as a bit set. */
function connectionOptions(bytes: Uint8Array, start: number, end: number): number {
  let found = 0;
  options.open(bytes, start, end);
  while (options.next()) {
    if (equalsFolded(bytes, options.start, options.end, "keep-alive")) found |= KEEP_ALIVE;
    else if (equalsFolded(bytes, options.start, options.end, "close")) found |= CLOSE;
    else if (equalsFolded(bytes, options.start, options.end, "upgrade")) found |= UPGRADING;
  }
  return found;
}
