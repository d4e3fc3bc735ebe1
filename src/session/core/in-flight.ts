// This file is how much may be under way on one link: what fills its path, and little more. PROTOCOL §6.4.
import { IN_FLIGHT_FIRST, IN_FLIGHT_MIN } from "../../wire/index.ts";

/** Shortest time over which a delivery rate is measured while it rises, at least a round trip. */
const SHORT_MS = 10;
/** ... and once it does not: a busy peer answers late and then all at once, which short intervals take for speed. */
const LONG_MS = 250;
const LONG_ROUND_TRIPS = 4;
/** The rate is the best of this much busy time and of the two stretches of it before. */
const PEAK_MS = 1_000;
const PEAKS = 3;
/** A path this short has no queue worth avoiding. */
const NEAR_MS = 5;
/** The rate rises: by this much within so many intervals. */
const RISE = 1.25;
const RISE_INTERVALS = 3;
const GAIN_RISING = 2;
const GAIN = 1.25;
/** On top of what the path holds: what the rate delivers while an ACK waits, within bounds. */
const SLACK_MS = 30;
const SLACK_LEAST = 48 * 1_024;
const SLACK_MOST = 256 * 1_024;

/**
 * The bound on bytes sent and not acknowledged, from the rate at which ACKs come. Bytes, ms.
 *
 * Stream bytes wait in the session above it, where a small stream overtakes them, instead of in the socket, where none
 * can. Never above twice the bandwidth-delay product and 256 KiB.
 */
export class InFlight {
  /** Best rates in bytes per ms, this stretch of busy time first. */
  #peaks: number[] = Array.from({ length: PEAKS }, () => 0);
  #busyMs = 0;
  /** The interval that is measured: its start, and what was acknowledged in it. */
  #since: number | undefined;
  #acknowledged = 0;
  /** The rate is still being found: busy intervals since it last rose, and what was delivered in them. */
  #risenAgo: number | undefined = 0;
  #calmBytes = 0;
  #calmMs = 0;
  /** Something waited for room on the path: only then its rate is known, and not just ours. */
  #isKnown = false;
  #bound = IN_FLIGHT_FIRST;

  get bound(): number {
    return this.#bound;
  }

  /** Bytes per ms; 0 before the first sample. */
  get rate(): number {
    return Math.max(...this.#peaks);
  }

  /**
   * ACKs freed `bytes`.
   * @param isBacklogged True where more waited to be sent: without that the sample says nothing about the path, except that it can do as much.
   * @param isEmpty True where nothing is in flight any more: the time until the next bytes is no part of an interval.
   */
  acknowledged(
    bytes: number,
    now: number,
    rttMinMs: number,
    isBacklogged: boolean,
    isEmpty: boolean,
  ): void {
    if (this.#since === undefined) {
      // These bytes were delivered before the interval began.
      if (!isEmpty) this.#since = now;
      return;
    }
    this.#acknowledged += bytes;
    const elapsed = now - this.#since;
    if (elapsed >= this.#intervalMs(rttMinMs)) {
      this.#sample(this.#acknowledged / elapsed, elapsed, isBacklogged);
      this.#bound = this.#boundFor(rttMinMs);
      this.#since = now;
      this.#acknowledged = 0;
    }
    if (isEmpty) {
      this.#since = undefined;
      this.#acknowledged = 0;
    }
  }

  get #isRising(): boolean {
    return this.#risenAgo !== undefined;
  }

  #intervalMs(rttMinMs: number): number {
    return this.#isRising
      ? Math.max(rttMinMs, SHORT_MS)
      : Math.max(LONG_ROUND_TRIPS * rttMinMs, LONG_MS);
  }

  #sample(rate: number, elapsedMs: number, isBacklogged: boolean): void {
    const before = this.rate;
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
    this.#peaks.fill(0);
    this.#peaks[0] = this.#calmBytes / this.#calmMs;
    this.#busyMs = 0;
  }

  #boundFor(rttMinMs: number): number {
    const { rate } = this;
    const gain = this.#isRising || rttMinMs < NEAR_MS ? GAIN_RISING : GAIN;
    const slack = Math.min(Math.max(SLACK_MS * rate, SLACK_LEAST), SLACK_MOST);
    const least = this.#isKnown ? IN_FLIGHT_MIN : IN_FLIGHT_FIRST;
    return Math.max(least, gain * rate * rttMinMs + slack);
  }
}
