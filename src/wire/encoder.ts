// This file is frames into the caller's buffer: any array frame from its table, and by hand those that a batch is full of. PROTOCOL §2.1.
import { bug } from "../errors.ts";
import {
  arrayHeadSize,
  binHeadSize,
  extHeadSize,
  MsgpackError,
  textSize,
  uintSize,
  writeArrayHead,
  writeBinHead,
  writeBool,
  writeExtHead,
  writeUint,
} from "../msgpack/index.ts";
import { WireError } from "./error-codes.ts";
import type { FrameRecord } from "./decoder.ts";
import { CONTROL_FRAMES } from "./frames.ts";
import {
  type BodyRecord,
  HANDSHAKE_BODIES,
  HANDSHAKE_FRAMES,
  type SignedFrameName,
} from "./handshake.ts";
import { ENTRIES_PER_FRAME, MESSAGE_BYTES } from "./limits.ts";
import { ARRAY_FRAMES, type ArrayFrameName, labelOf } from "./table.ts";

/** Most bytes of an ACK entry, of a MAX_STREAM_DATA entry, and of the head before either. For filling a batch without counting. */
export const ACK_ENTRY_MAX = 19;
export const MAX_STREAM_DATA_ENTRY_MAX = 18;
export const ENTRIES_HEAD_MAX = 7;
/** Most bytes of an OPEN before its data: head of the frame, array, id, kind, fin, limit, head of the data. */
export const OPEN_HEADER_MAX = 4 + 1 + 9 + 1 + 1 + 9 + 3;

/** Bytes of a frame with its head. A value its table does not allow is a fault of ours: `BUG`. */
export function frameSize<N extends ArrayFrameName>(name: N, record: FrameRecord<N>): number {
  const length = payloadSize(name, record);
  return extHeadSize(length) + length;
}

/** Writes a frame in the smallest form. @returns The offset after it; `BUG` when it does not fit into the buffer. */
export function writeFrame<N extends ArrayFrameName>(
  name: N,
  record: FrameRecord<N>,
  into: Uint8Array,
  at: number,
): number {
  const length = payloadSize(name, record);
  requireRoom(into, at, extHeadSize(length) + length);
  const next = writeExtHead(into, at, ARRAY_FRAMES[name].type, length);
  return ARRAY_FRAMES[name].schema.write(record as never, into, next);
}

/** A frame in a buffer of its own: for the handshake, where it is also hashed. */
export function encodeFrame<N extends ArrayFrameName>(name: N, record: FrameRecord<N>): Uint8Array {
  const bytes = new Uint8Array(frameSize(name, record));
  writeFrame(name, record, bytes, 0);
  return bytes;
}

function payloadSize<N extends ArrayFrameName>(name: N, record: FrameRecord<N>): number {
  const row = ARRAY_FRAMES[name];
  // The table pairs each name with its schema; the compiler does not follow a union through the index.
  const length = row.schema.size(record as never);
  return length <= row.max
    ? length
    : bug(`${labelOf(name)} of ${length} bytes, allowed ${row.max}`);
}

/** The body of a signed frame, in a buffer of its own: exactly these bytes are signed and sent. */
export function encodeBody<N extends SignedFrameName>(name: N, record: BodyRecord<N>): Uint8Array {
  return HANDSHAKE_BODIES[name].encode(record as never);
}

/** Decodes the body of a signed frame, after its signature was verified. @throws WireError `FRAME_ENCODING`. */
export function decodeBody<N extends SignedFrameName>(name: N, body: Uint8Array): BodyRecord<N> {
  try {
    return HANDSHAKE_BODIES[name].decode(body) as BodyRecord<N>;
  } catch (error) {
    if (!(error instanceof MsgpackError)) throw error;
    const message = `Received ${labelOf(name)} with a wrong body: ${error.message}`;
    throw new WireError("FRAME_ENCODING", HANDSHAKE_FRAMES[name].type, message, error);
  }
}

/**
 * Writes an OPEN; the same bytes as `writeFrame("open", …)`, without a record. Arguments as in the table, `data` at most 16,320 bytes.
 *
 * @returns The offset after it; `BUG` when it does not fit into the buffer.
 */
export function writeOpen(
  into: Uint8Array,
  at: number,
  id: number,
  kind: number,
  fin: boolean,
  receiveLimit: number,
  data: Uint8Array,
): number {
  const length = 3 + uintSize(id) + uintSize(receiveLimit) + binHeadSize(data.length) + data.length;
  requireRoom(into, at, extHeadSize(length) + length);
  let next = writeExtHead(into, at, CONTROL_FRAMES.open.type, length);
  next = writeArrayHead(into, next, 5);
  next = writeUint(into, next, id);
  next = writeUint(into, next, kind);
  next = writeBool(into, next, fin);
  next = writeUint(into, next, receiveLimit);
  next = writeBinHead(into, next, data.length);
  into.set(data, next);
  return next + data.length;
}

/** Bytes `writeOpen` writes. */
export function openSize(id: number, receiveLimit: number, dataLength: number): number {
  const length = 3 + uintSize(id) + uintSize(receiveLimit) + binHeadSize(dataLength) + dataLength;
  return extHeadSize(length) + length;
}

/**
 * Writes one ACK of `count` entries from flat numbers `[id, received, ended (1 or 0), …]`.
 *
 * @param flat Read from its start; longer arrays are fine, so that one can be reused.
 * @param count 1 to 128.
 * @returns The offset after it; `BUG` when it does not fit into the buffer.
 */
export function writeAck(
  into: Uint8Array,
  at: number,
  flat: ArrayLike<number>,
  count: number,
): number {
  requireEntries(count);
  const values = 3 * count;
  let length = arrayHeadSize(values) + count;
  for (let index = 0; index < values; index += 3) {
    length += uintSize(flat[index] as number) + uintSize(flat[index + 1] as number);
  }
  requireRoom(into, at, extHeadSize(length) + length);
  let next = writeExtHead(into, at, CONTROL_FRAMES.ack.type, length);
  next = writeArrayHead(into, next, values);
  for (let index = 0; index < values; index += 3) {
    next = writeUint(into, next, flat[index] as number);
    next = writeUint(into, next, flat[index + 1] as number);
    next = writeBool(into, next, flat[index + 2] === 1);
  }
  return next;
}

/** Writes one MAX_STREAM_DATA of `count` entries from flat numbers `[id, limit, …]`; otherwise as `writeAck`. */
export function writeMaxStreamData(
  into: Uint8Array,
  at: number,
  flat: ArrayLike<number>,
  count: number,
): number {
  requireEntries(count);
  const values = 2 * count;
  let length = arrayHeadSize(values);
  for (let index = 0; index < values; index++) length += uintSize(flat[index] as number);
  requireRoom(into, at, extHeadSize(length) + length);
  let next = writeExtHead(into, at, CONTROL_FRAMES.maxStreamData.type, length);
  next = writeArrayHead(into, next, values);
  for (let index = 0; index < values; index++) next = writeUint(into, next, flat[index] as number);
  return next;
}

/** A text cut to what a `message` may hold: 256 bytes of UTF-8, no character split. */
export function fitMessage(text: string): string {
  if (text.length * 3 <= MESSAGE_BYTES) return text;
  let size = 0;
  let end = 0;
  for (const character of text) {
    size += textSize(character);
    if (size > MESSAGE_BYTES) return text.slice(0, end);
    end += character.length;
  }
  return text;
}

function requireEntries(count: number): void {
  if (count < 1 || count > ENTRIES_PER_FRAME)
    bug(`${count} entries in one frame, allowed 1 to ${ENTRIES_PER_FRAME}`);
}

// Writes beyond the end of a typed array are dropped in silence: a frame cut there would only fail at the other end.
function requireRoom(into: Uint8Array, at: number, size: number): void {
  if (at + size > into.length)
    bug(`a frame of ${size} bytes does not fit into the ${into.length - at} left`);
}
