// This file is the buffers in which a socket write is put together, shared by all sockets of the process.
//
// A socket keeps what it was given until the callback of the write, so a buffer comes back there. Fresh memory for each
// write would be mapped, zeroed and unmapped again for every 128 KiB.

/** Size of a buffer: the most that one write of a link or of an outlet takes. */
export const STAGING_BYTES = 128 * 1024;
/** Buffers kept for later; more are left to the collector. */
const SPARE_MOST = 16;

const spare: Buffer[] = [];

/** A buffer of `STAGING_BYTES` with any content; `giveStaging` brings it back. */
export function takeStaging(): Buffer {
  return spare.pop() ?? Buffer.allocUnsafeSlow(STAGING_BYTES);
}

/** Nobody reads the buffer any more. */
export function giveStaging(buffer: Buffer): void {
  if (spare.length < SPARE_MOST) spare.push(buffer);
}
