// This file is the buffers in which a socket write is put together, shared by all sockets of the process.
//
// A socket keeps what it was given until the callback of the write, so a buffer comes back there. Fresh memory for each
// write would be mapped, zeroed and unmapped again for every 128 KiB.

import { bug } from "./errors.ts";

/** The most that one write of a link or of an outlet takes. */
export const STAGING_BYTES = 128 * 1024;

/**
 * Sizes of buffers, and how many of each are kept for later; more are freed. A write to a peer that does
 * not read keeps its buffer as long as the peer likes, so it should not be much larger than what is in it. The smallest
 * are the queues of visitors who read slowly, of whom there are many.
 */
const CLASSES: readonly { readonly bytes: number; readonly spare: number }[] = [
  { bytes: 4 * 1024, spare: 1_024 },
  { bytes: 16 * 1024, spare: 64 },
  { bytes: 64 * 1024, spare: 32 },
  { bytes: STAGING_BYTES, spare: 16 },
];

/** Sizes of buffers, ascending. */
export const STAGING_SIZES: readonly number[] = CLASSES.map(({ bytes }) => bytes);

const spares: readonly Buffer[][] = CLASSES.map(() => []);

function classOf(length: number): number {
  let index = 0;
  while (length > (CLASSES[index] as { bytes: number }).bytes) index += 1;
  return index;
}

/** A buffer with any content, of at least `length` bytes up to `STAGING_BYTES`; `giveStaging` brings it back. */
export function takeStaging(length: number = STAGING_BYTES): Buffer {
  const index = classOf(length);
  const { bytes } = CLASSES[index] as { bytes: number };
  return spares[index]?.pop() ?? Buffer.allocUnsafeSlow(bytes);
}

/** Nobody reads the buffer any more; to be said once. */
export function giveStaging(buffer: Buffer): void {
  if (buffer.length === 0) bug("a buffer is given back that was freed");
  const index = classOf(buffer.length);
  const spare = spares[index] as Buffer[];
  if (spare.length < (CLASSES[index] as { spare: number }).spare) spare.push(buffer);
  // A burst is over: what it took is not left to the collector, which may wait for long.
  else (buffer.buffer as ArrayBuffer).transfer(0);
}
