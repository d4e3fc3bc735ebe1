// This file is the buffers in which a socket write is put together, shared by all sockets of the process.
//
// A socket keeps what it was given until the callback of the write, so a buffer comes back there. Fresh memory for each
// write would be mapped, zeroed and unmapped again for every 128 KiB.

/** Size of a buffer: the most that one write of a link or of an outlet takes. */
export const STAGING_BYTES = 128 * 1024;
/** Size of a buffer for the many writes that are one small response or request. */
const SMALL_BYTES = 4 * 1024;
/** Buffers of each size kept for later; more are left to the collector. */
const SPARE_MOST = 16;
const SPARE_SMALL_MOST = 256;

const spare: Buffer[] = [];
const spareSmall: Buffer[] = [];

/** A buffer with any content, of at least `length` bytes up to `STAGING_BYTES`; `giveStaging` brings it back. */
export function takeStaging(length: number = STAGING_BYTES): Buffer {
  const isSmall = length <= SMALL_BYTES;
  return (
    (isSmall ? spareSmall : spare).pop() ??
    Buffer.allocUnsafeSlow(isSmall ? SMALL_BYTES : STAGING_BYTES)
  );
}

/** Nobody reads the buffer any more. */
export function giveStaging(buffer: Buffer): void {
  if (buffer.length === SMALL_BYTES) {
    if (spareSmall.length < SPARE_SMALL_MOST) spareSmall.push(buffer);
  } else if (spare.length < SPARE_MOST) {
    spare.push(buffer);
  }
}
