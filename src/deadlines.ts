// This file is the timer wheel of both ends: every deadline on a peer hangs here, in steps of 250 ms (http.md §14).

/** One pending deadline. `cancel` after it fired is harmless. */
export interface Deadline {
  cancel(): void;
}

/** Width of one step. Deadlines fire at the first step at or after their time, never early. */
export const STEP_MS = 250;

const SLOTS = 256;

interface Entry extends Deadline {
  rounds: number;
  slot: number;
  run: () => void;
}

/**
 * A hashed timer wheel on one interval timer.
 *
 * Scheduling and cancelling are O(1); the interval runs only while something is pending and does not keep the
 * process alive. A callback that throws is reported to `onError` and costs nobody else their deadline.
 */
export class Deadlines {
  readonly #slots: Set<Entry>[] = Array.from({ length: SLOTS }, () => new Set<Entry>());
  readonly #onError: (error: unknown) => void;
  #position = 0;
  #pending = 0;
  #timer: Timer | undefined;
  #last = 0;

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  /** Number of deadlines that have neither fired nor been cancelled. */
  get pending(): number {
    return this.#pending;
  }

  /** Calls `run` once, `afterMs` from now rounded up to a step (plus up to one step). */
  schedule(afterMs: number, run: () => void): Deadline {
    if (this.#timer === undefined) {
      this.#last = performance.now();
      this.#timer = setInterval(() => this.#tick(), STEP_MS);
      this.#timer.unref();
    }
    const steps = Math.max(1, Math.ceil(afterMs / STEP_MS) + 1);
    const slot = (this.#position + steps) % SLOTS;
    const entry: Entry = {
      rounds: Math.floor((steps - 1) / SLOTS),
      slot,
      run,
      cancel: () => this.#remove(entry),
    };
    this.#slotAt(slot).add(entry);
    this.#pending += 1;
    return entry;
  }

  /** Drops everything pending and stops the timer. */
  [Symbol.dispose](): void {
    for (const slot of this.#slots) slot.clear();
    this.#pending = 0;
    this.#stop();
  }

  #slotAt(index: number): Set<Entry> {
    return this.#slots[index] as Set<Entry>;
  }

  #remove(entry: Entry): void {
    if (!this.#slotAt(entry.slot).delete(entry)) return;
    this.#pending -= 1;
    if (this.#pending === 0) this.#stop();
  }

  #stop(): void {
    if (this.#timer !== undefined) clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tick(): void {
    // After a stall the wheel catches up at most one round, so that a suspended laptop does not spin through hours.
    const now = performance.now();
    const due = Math.max(1, Math.floor((now - this.#last) / STEP_MS));
    // What is left of a step counts for the next one, so deadlines do not drift.
    this.#last = due > SLOTS ? now : Math.min(now, this.#last + due * STEP_MS);
    for (let step = 0; step < Math.min(due, SLOTS); step++) this.#advance();
  }

  #advance(): void {
    this.#position = (this.#position + 1) % SLOTS;
    const slot = this.#slotAt(this.#position);
    for (const entry of [...slot]) {
      // A callback of this very step may have cancelled it.
      if (!slot.has(entry)) continue;
      if (entry.rounds > 0) {
        entry.rounds -= 1;
        continue;
      }
      this.#remove(entry);
      try {
        entry.run();
      } catch (error) {
        this.#onError(error);
      }
    }
  }
}
