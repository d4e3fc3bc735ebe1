// This file is the one timer of a visitor connection: moving a deadline later costs a comparison, not a wheel entry. http.md §14.
import type { Deadline, Deadlines } from "../../deadlines.ts";

/**
 * Wakes its owner no later than the earliest time it was armed for.
 *
 * It may wake too early, because a deadline that moved on leaves its entry where it was: the owner looks at its
 * own times, acts on those that passed and arms again. A connection under load so schedules once per deadline span
 * instead of twice per request.
 */
export class LazyDeadline {
  readonly #deadlines: Deadlines;
  readonly #wake: (now: number) => void;
  #entry: Deadline | undefined;
  #entryAt = Number.POSITIVE_INFINITY;

  /** @param wake Called with the time (`performance.now()`); nothing is armed then. */
  constructor(deadlines: Deadlines, wake: (now: number) => void) {
    this.#deadlines = deadlines;
    this.#wake = wake;
  }

  /** Makes sure of a wake-up at `at`; nothing to do when one at or before `at` is pending. Infinity is never. */
  arm(at: number, now: number): void {
    if (at >= this.#entryAt) return;
    this.#entry?.cancel();
    this.#entryAt = at;
    this.#entry = this.#deadlines.schedule(Math.max(0, at - now), this.#fire);
  }

  cancel(): void {
    this.#entry?.cancel();
    this.#entry = undefined;
    this.#entryAt = Number.POSITIVE_INFINITY;
  }

  readonly #fire = (): void => {
    this.#entry = undefined;
    this.#entryAt = Number.POSITIVE_INFINITY;
    this.#wake(performance.now());
  };
}
