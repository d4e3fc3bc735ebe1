// This file is what streams carry in the simulator: each byte follows from its stream, its direction and its offset.
import type { Side } from "../../src/session/index.ts";
import { Random } from "./random.ts";

/** A prime: no multiple of a frame, a window or a quantum looks like offset 0 again. */
const PERIOD = 65_521;
/** Longest piece in one call. */
export const PIECE_MAX = 64 * 1024;

const TABLE = new Uint8Array(PERIOD + PIECE_MAX);
{
  const random = new Random(1);
  for (let index = 0; index < PERIOD; index++) TABLE[index] = random.integer(0, 255);
  // Longer than the period: the end repeats what was just copied.
  for (let index = PERIOD; index < TABLE.length; index++)
    TABLE[index] = TABLE[index - PERIOD] as number;
}

/** Bytes `offset` to `offset + length` of the direction that `writer` sends on stream `id`; at most `PIECE_MAX`, a view. */
export function contentOf(writer: Side, id: number, offset: number, length: number): Uint8Array {
  const start = (offset + id * 7_919 + (writer === "edge" ? 0 : 31_337)) % PERIOD;
  return TABLE.subarray(start, start + length);
}

/** True when `bytes` are those at `offset`. */
export function isContent(bytes: Uint8Array, writer: Side, id: number, offset: number): boolean {
  for (let at = 0; at < bytes.length; at += PIECE_MAX) {
    const piece = bytes.subarray(at, at + PIECE_MAX);
    if (Buffer.compare(piece, contentOf(writer, id, offset + at, piece.length)) !== 0) return false;
  }
  return true;
}
