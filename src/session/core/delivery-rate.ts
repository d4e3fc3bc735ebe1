// This file is the rate at which a link delivers, from its ACKs. PROTOCOL §6.4.

/** Shortest time over which it is measured while it rises, at least a round trip. */
const SHORT_MS = 10;
/** ... and once it does not: a busy peer answers late and then all at once, which short intervals take for speed. */
const LONG_MS = 250;
const LONG_ROUND_TRIPS = 4;
/** The best rate is that of this much busy time and of the two stretches of it before. */
const PEAK_MS = 1_000;
const PEAKS = 3;
/** The rate rises: by this much within so many intervals. */
const RISE = 1.25;
const RISE_INTERVALS = 3;

/** Bytes per ms. */
export class DeliveryRate {
  /** Best samples, this stretch of busy time first. */
  readonly #peaks: number[] = Array.from({ length: PEAKS }, () => 0);
  #busyMs = 0;
  /** The interval that is measured: its start, and what was acknowledged in it. */
  #since: number | undefined;
  #acknowledged = 0;
  /** The rate is still being found: busy intervals since it last rose, and what was delivered in them. */
  #risenAgo: number | undefined = 0;
  #calmBytes = 0;
  #calmMs = 0;
  #isKnown = false;

  /** 0 before the first sample. */
  get best(): number {
    return Math.max(...this.#peaks);
  }

  /** The path may take more than was tried so far. */
  get isRising(): boolean {
    return this.#risenAgo !== undefined;
  }

  /** True once something waited for room on the path: before that the rate is what we had to send. */
  get isKnown(): boolean {
    return this.#isKnown;
  }

  /** What comes next belongs to a new interval. */
  interrupt(): void {
    this.#since = undefined;
    this.#acknowledged = 0;
  }

  /** The path is as slow as this sample, and its better days are over. */
  accept(rate: number): void {
    this.#peaks.fill(0);
    this.#peaks[0] = rate;
    this.#busyMs = 0;
  }

  /**
   * ACKs freed `bytes`.
   *
   * @param isBacklogged False: more could have been delivered, so the sample can only raise the rate.
   * @returns The sample that this ends, where it ends an interval.
   */
  acknowledged(
    bytes: number,
    now: number,
    roundTripMs: number,
    isBacklogged: boolean,
  ): number | undefined {
    if (this.#since === undefined) {
      // These bytes were delivered before the interval began.
      this.#since = now;
      return undefined;
    }
    this.#acknowledged += bytes;
    const elapsed = now - this.#since;
    if (elapsed < this.#intervalMs(roundTripMs)) return undefined;
    const rate = this.#acknowledged / elapsed;
    this.#since = now;
    this.#acknowledged = 0;
    this.#sampled(rate, elapsed, isBacklogged);
    return rate;
  }

  #intervalMs(roundTripMs: number): number {
    return this.isRising
      ? Math.max(roundTripMs, SHORT_MS)
      : Math.max(LONG_ROUND_TRIPS * roundTripMs, LONG_MS);
  }

  #sampled(rate: number, elapsedMs: number, isBacklogged: boolean): void {
    const before = this.best;
    if (rate > (this.#peaks[0] as number) && (isBacklogged || rate > before)) this.#peaks[0] = rate;
    if (!isBacklogged) return;
    this.#isKnown = true;
    this.#find(rate, before, elapsedMs);
    this.#busyMs += elapsedMs;
    if (this.#busyMs < PEAK_MS) return;
    this.#busyMs = 0;
    this.#peaks.pop();
    this.#peaks.unshift(0);
  }

  #find(rate: number, before: number, elapsedMs: number): void {
    if (rate > RISE * before) {
      this.#risenAgo = 0;
      this.#calmBytes = 0;
      this.#calmMs = 0;
    } else if (this.#risenAgo !== undefined) {
      this.#risenAgo += 1;
      this.#calmBytes += rate * elapsedMs;
      this.#calmMs += elapsedMs;
    }
    if (this.#risenAgo !== RISE_INTERVALS) return;
    // Found: the mean of what came since. The best short interval may have been answers of two round trips.
    this.#risenAgo = undefined;
    this.accept(this.#calmBytes / this.#calmMs);
  }
}
