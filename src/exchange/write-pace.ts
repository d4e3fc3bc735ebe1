// This file is how much is given to a socket at a time: as much as its peer takes in a moment (S-42).
import { STAGING_BYTES, STAGING_SIZES } from "../staging.ts";

/** Largest single write. TLS sends up to 128 KiB at once; Windows loses bytes beyond 64 KiB (platform.md §3). */
export const MAX_WRITE = process.platform === "win32" ? 65_536 : STAGING_BYTES;

const SIZES = STAGING_SIZES.filter((bytes) => bytes <= MAX_WRITE);
/** Index of what is written to a peer of whom nothing is known: one frame of a link. */
const FIRST = 1;
/** What a write should last, ms. */
const MOMENT_MS = 250;
/** A write that took so long waited for the peer, ms. */
const LATE_MS = 20;
/** Where none does, the pace is looked at after this time, ms. */
const STEADY_MS = 500;

/**
 * The size of writes to one socket.
 *
 * What the kernel does not take is there twice until it does, here and in the runtime, with the record that TLS made of
 * it besides. So a peer that reads slowly gets little at a time, which costs it nothing: the kernel's own buffer is what
 * keeps it busy. One that is not known yet gets more with each write that it takes at once.
 */
export class WritePace {
  #size = FIRST;
  #isKnown = false;
  #since = 0;
  #bytes = 0;
  #sentAt = 0;

  /** Bytes of the next write, at most. */
  get most(): number {
    return SIZES[this.#size] as number;
  }

  get isSlow(): boolean {
    return this.#isKnown && this.#size < SIZES.length - 1;
  }

  /** When the last write began. */
  get sentAt(): number {
    return this.#sentAt;
  }

  /** A write begins. @param isFirst True: the peer had taken everything before. */
  sent(now: number, isFirst: boolean): void {
    this.#sentAt = now;
    if (isFirst) this.#begin(now);
  }

  /**
   * The kernel took a write of `bytes`. It wakes a writer by large steps, with much room at a time: the pace of a slow
   * peer is what goes from one write that had to wait to the next.
   */
  taken(bytes: number, now: number): void {
    this.#bytes += bytes;
    const isLate = now - this.#sentAt >= LATE_MS;
    const ms = now - this.#since;
    if (!isLate && ms < STEADY_MS) {
      if (!this.#isKnown && 2 * bytes > this.most && this.#size < SIZES.length - 1) this.#size += 1;
      return;
    }
    const momentary = (this.#bytes / ms) * MOMENT_MS;
    let size = SIZES.length - 1;
    while (size > 0 && (SIZES[size] as number) > momentary) size -= 1;
    this.#size = size;
    this.#isKnown = true;
    this.#begin(now);
  }

  #begin(now: number): void {
    this.#since = now;
    this.#bytes = 0;
  }
}
