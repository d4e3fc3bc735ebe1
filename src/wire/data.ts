// This file is the frames that carry bytes, DATA, DATA_FIN and DATAGRAM: a fixed binary header, written and read by hand. PROTOCOL §2.1.
import { writeExt32Head, writeExtHead, writeU64 } from "../msgpack/index.ts";
import type { Direction } from "./frames.ts";
import { DATA_BYTES, DATA_FIELDS_BYTES, DATAGRAM_BYTES, DATAGRAM_FIELDS_BYTES } from "./limits.ts";

/** One frame whose payload is binary: fixed fields, then bytes. */
export interface DataFrameRow {
  readonly type: number;
  /** Smallest and largest payload in bytes, fixed fields included. */
  readonly min: number;
  readonly max: number;
  readonly direction: Direction;
}

/** DATA carries at least one byte; DATA_FIN may carry none, its last byte ends the direction. */
export const DATA_FRAMES = {
  data: {
    type: 0x20,
    min: DATA_FIELDS_BYTES + 1,
    max: DATA_FIELDS_BYTES + DATA_BYTES,
    direction: "both",
  },
  dataFin: {
    type: 0x21,
    min: DATA_FIELDS_BYTES,
    max: DATA_FIELDS_BYTES + DATA_BYTES,
    direction: "both",
  },
  datagram: {
    type: 0x27,
    min: DATAGRAM_FIELDS_BYTES,
    max: DATAGRAM_FIELDS_BYTES + DATAGRAM_BYTES,
    direction: "both",
  },
} as const satisfies Record<string, DataFrameRow>;

export type DataFrameName = keyof typeof DATA_FRAMES;

/**
 * Writes the 22 bytes before the stream bytes of DATA or, with `fin`, DATA_FIN. Always ext 32, so that the header has one size.
 *
 * @param length Stream bytes that follow: 1 (0 with `fin`) to 16,362.
 * @returns The offset after it, where the bytes belong.
 */
export function writeDataHeader(
  into: Uint8Array,
  at: number,
  fin: boolean,
  stream: number,
  offset: number,
  length: number,
): number {
  const type = fin ? DATA_FRAMES.dataFin.type : DATA_FRAMES.data.type;
  const next = writeExt32Head(into, at, type, DATA_FIELDS_BYTES + length);
  return writeU64(into, writeU64(into, next, stream), offset);
}

/** Writes what stands before the bytes of a DATAGRAM, in the smallest form. @returns The offset after it. */
export function writeDatagramHeader(
  into: Uint8Array,
  at: number,
  stream: number,
  length: number,
): number {
  const next = writeExtHead(into, at, DATA_FRAMES.datagram.type, DATAGRAM_FIELDS_BYTES + length);
  return writeU64(into, next, stream);
}

/** Reads 8 bytes big endian. @returns -1 for 2^53 and above. */
export function readOffset(bytes: Uint8Array, at: number): number {
  const high = readU32(bytes, at);
  return high < 0x20_0000 ? high * 0x1_0000_0000 + readU32(bytes, at + 4) : -1;
}

function readU32(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)) >>>
    0
  );
}
