// This file is the round-trip estimator of one link, fed by PING samples. PROTOCOL §5.1, §7.1.

/** Time over which the minimum is kept. */
const WINDOW_MS = 60_000;
/** Rules never calculate with less than this. */
const FLOOR_MS = 1;

export class Rtt {
  /** Latest smoothed value, ms; undefined before the first sample. */
  smoothed: number | undefined;
  #minimum = Number.POSITIVE_INFINITY;
  #minimumAt = 0;
  #next = Number.POSITIVE_INFINITY;
  #nextAt = 0;

  sample(ms: number, now: number): void {
    this.smoothed = this.smoothed === undefined ? ms : this.smoothed + (ms - this.smoothed) / 8;
    if (ms <= this.#minimum || now - this.#minimumAt > WINDOW_MS) {
      const isNewest = ms < this.#next || now - this.#nextAt > WINDOW_MS;
      this.#minimum = isNewest ? ms : this.#next;
      this.#minimumAt = isNewest ? now : this.#nextAt;
      this.#next = Number.POSITIVE_INFINITY;
    } else if (ms < this.#next || now - this.#nextAt > WINDOW_MS / 2) {
      this.#next = ms;
      this.#nextAt = now;
    }
  }

  /** Minimum over the last minute, at least 1 ms; 1 before any sample. */
  get minimum(): number {
    return Number.isFinite(this.#minimum) ? Math.max(FLOOR_MS, this.#minimum) : FLOOR_MS;
  }

  /** The value for time-outs: the smoothed one, 100 ms before any sample. */
  get estimate(): number {
    return this.smoothed ?? 100;
  }
}
