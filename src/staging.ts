// This file is the buffers in which a socket write is put together, shared by all sockets of the process.
//
// A socket keeps what it was given until the callback of the write, so a buffer comes back there. Fresh memory for each
// write would be mapped, zeroed and unmapped again for every 128 KiB.

/** Size of the largest buffer: the most that one write of a link or of an outlet takes. */
export const STAGING_BYTES = 128 * 1024;

/**
 * Sizes, and how many spare ones of each are kept; more are left to the collector. The smallest is for the many writes
 * that are one small response or request, the next for visitors that read slowly: a thousand of them hold one each.
 */
const CLASSES: readonly { readonly bytes: number; readonly most: number; spare: Buffer[] }[] = [
  { bytes: 4 * 1024, most: 256, spare: [] },
  { bytes: 16 * 1024, most: 64, spare: [] },
  { bytes: 64 * 1024, most: 16, spare: [] },
  { bytes: STAGING_BYTES, most: 16, spare: [] },
];

/** A buffer with any content, of at least `length` bytes up to `STAGING_BYTES`; `giveStaging` brings it back. */
export function takeStaging(length: number = STAGING_BYTES): Buffer {
  for (const { bytes, spare } of CLASSES)
    if (length <= bytes) return spare.pop() ?? Buffer.allocUnsafeSlow(bytes);
  throw new RangeError(
    `BUG: a write of ${length} bytes, at most ${STAGING_BYTES} are put together`,
  );
}

/** Nobody reads the buffer any more. */
export function giveStaging(buffer: Buffer): void {
  for (const { bytes, most, spare } of CLASSES)
    if (buffer.length === bytes && spare.length < most) spare.push(buffer);
}
