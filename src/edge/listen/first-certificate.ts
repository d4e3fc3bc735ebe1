// This file is the visitors who came while the first certificate of their name is being ordered: they wait, a little and not too many. http.md §2; product.md §7.
import type { Deadlines } from "../../deadlines.ts";
import { reached } from "../../limits.ts";

/** Handshakes that wait at a time: a quarter of all that may be pending, so that a slow CA keeps nobody else out. */
export const MAX_WAITING = 128;
/** So long at most; the deadline of the whole handshake is mostly sooner. */
export const WAIT_MS = 10_000;

/** The visitors of one edge that wait for a first certificate. */
export class FirstCertificates {
  readonly #arriving: (name: string) => Promise<void> | undefined;
  readonly #deadlines: Deadlines;
  #waiting = 0;

  /** @param arriving Settles when the first order of a name has ended; undefined where none is under way. */
  constructor(arriving: (name: string) => Promise<void> | undefined, deadlines: Deadlines) {
    this.#arriving = arriving;
    this.#deadlines = deadlines;
  }

  /** Handshakes that wait now. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Calls `then` once: when the order has ended, when the time is over, or at once where there is nothing to wait for. */
  wait(name: string, then: () => void): void {
    const arriving = this.#arriving(name);
    if (arriving === undefined) return then();
    if (this.#waiting >= MAX_WAITING) {
      reached("firstCertificateWaiters");
      return then();
    }
    this.#waiting += 1;
    let isOver = false;
    const end = (): void => {
      if (isOver) return;
      isOver = true;
      this.#waiting -= 1;
      deadline.cancel();
      then();
    };
    const deadline = this.#deadlines.schedule(WAIT_MS, () => {
      reached("firstCertificateTime");
      end();
    });
    // What ended may have been a step towards the order: then the next one is waited for, within the same time.
    const follow = (last: Promise<void>): void => {
      const next = isOver ? undefined : this.#arriving(name);
      if (next === undefined || next === last) end();
      else void next.then(() => follow(next));
    };
    void arriving.then(() => follow(arriving));
  }
}
