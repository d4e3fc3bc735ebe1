// This file is the bytes on their way to visitors behind which no stream stands any more: the stream was cut, or its session is gone. http.md §10; S-46.
import { reached } from "../../limits.ts";

/** More than this is not delivered to visitors who are slow to take it: their connections are reset. */
export const ORPHANED_BYTES = 16 * 1024 * 1024;

/**
 * Counts, over all visitors, what no session counts: a stream that ended gave its credit back, and what was received of it
 * waits on in the queue of a visitor's socket.
 */
export class Orphans {
  readonly #most: number;
  #held = 0;

  constructor(most: number = ORPHANED_BYTES) {
    this.#most = most;
  }

  get held(): number {
    return this.#held;
  }

  /** @returns False where there is no room for so many more. */
  take(bytes: number): boolean {
    if (this.#held + bytes > this.#most) {
      reached("orphanedBytes");
      return false;
    }
    this.#held += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#held -= bytes;
  }
}
