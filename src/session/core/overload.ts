// This file is what a session does when too much is held: its links are not read, and streams that nobody reads are given up. PROTOCOL §5.3.
import { reached } from "../../limits.ts";
import {
  EVICTION_INTERVAL_MS,
  EVICTION_SHARE,
  EVICTION_STALL_MS,
  PRESSURE_FULL,
  PRESSURE_RELIEVED,
  TIMER_LAG_MS,
  WAITING_MS,
  VALVE_MOST_MS,
} from "../../wire/index.ts";
import type { Ledger } from "./ledger.ts";
import type { StreamState } from "./streams.ts";

export interface OverloadEvents {
  /** The read valve: links are read, or not. */
  valve(isReading: boolean, now: number): void;
  /** The stream is to end on both sides with OVERLOADED. */
  evict(stream: StreamState, now: number): void;
}

export class Overload {
  readonly #ledger: Ledger;
  readonly #events: OverloadEvents;
  #isReading = true;
  /** Since when the session holds more than its share. */
  #overSince: number | undefined;
  #isFull = false;
  #nextEvictionAt = Number.NEGATIVE_INFINITY;
  #forgivenAt = Number.NEGATIVE_INFINITY;
  #lookAt = Number.POSITIVE_INFINITY;
  /** Since when links are not read. */
  #closedSince = Number.POSITIVE_INFINITY;

  constructor(ledger: Ledger, events: OverloadEvents) {
    this.#ledger = ledger;
    this.#events = events;
  }

  get isReading(): boolean {
    return this.#isReading;
  }

  /** Is called after every input; costs two comparisons while all is well. */
  look(now: number): void {
    const { window, options } = this.#ledger;
    const pressure = options.budget.pressure();
    const isFull = pressure >= PRESSURE_FULL;
    const isOver = window.held > EVICTION_SHARE * window.budget;
    if (!isFull && !isOver && this.#isReading) {
      this.#overSince = undefined;
      this.#isFull = false;
      this.#lookAt = Number.POSITIVE_INFINITY;
      return;
    }
    if (!isOver) this.#overSince = undefined;
    else this.#overSince ??= now;
    this.#forgive(isFull && !this.#isFull, now);
    this.#isFull = isFull;
    this.#turnValve(pressure, now);
    const isLong = this.#overSince !== undefined && now >= this.#overSince + EVICTION_STALL_MS;
    // Behind a closed valve nothing else may happen: eviction goes on until it opens, not only while the process is full.
    const isEvicting = isFull || isLong || !this.#isReading;
    if (isEvicting && now >= this.#nextEvictionAt) this.#evict(now, isFull);
    this.#lookAt = isEvicting ? this.#nextEvictionAt : now + EVICTION_INTERVAL_MS;
  }

  /** Whoever reads gets a turn of the loop before anything is given up, and the time while the loop stood still is nobody's fault. */
  #forgive(isNew: boolean, now: number): void {
    const lateMs = now - this.#lookAt;
    const isLate = lateMs > TIMER_LAG_MS;
    if (isLate && this.#overSince !== undefined) this.#overSince += lateMs;
    // Once a second at most: what comes and goes, or a loop that always stumbles, must not put evictions off for ever.
    if (!(isLate || isNew) || now < this.#forgivenAt + EVICTION_STALL_MS) return;
    this.#forgivenAt = now;
    this.#nextEvictionAt = Math.max(this.#nextEvictionAt, now + EVICTION_INTERVAL_MS);
  }

  /** When to look again though nothing came in, absolute ms. */
  deadline(): number {
    return this.#lookAt;
  }

  /**
   * ACKs and credit of the peer wait behind a closed valve, too. So it closes only where most of what the session holds
   * was received: that is emptied by who reads it or by eviction, and what waits for the peer's word, such as an echo, is
   * evicted in the end. Retained bytes would wait for ever.
   */
  #turnValve(pressure: number, now: number): void {
    const { retained, unsent, window } = this.#ledger;
    const { held } = window;
    const total = held + retained + unsent;
    const isReading =
      held === 0 ||
      (this.#isReading
        ? pressure < PRESSURE_FULL || 2 * held < total
        : pressure < PRESSURE_RELIEVED || 4 * held < total);
    if (isReading === this.#isReading) return;
    this.#isReading = isReading;
    this.#closedSince = isReading ? Number.POSITIVE_INFINITY : now;
    if (!isReading) reached("processHeld");
    this.#events.valve(isReading, now);
  }

  #evict(now: number, isFull: boolean): void {
    this.#nextEvictionAt = now + EVICTION_INTERVAL_MS;
    const victim = this.#largestHolder(now) ?? (isFull ? this.#largestWaiting(now) : undefined);
    if (victim === undefined) return;
    reached("sessionHeld");
    this.#events.evict(victim, now);
  }

  /** Who holds most of what is not consumed. A few bytes now and then do not keep everybody else waiting for ever. */
  #largestHolder(now: number): StreamState | undefined {
    const isSparing = now < this.#closedSince + VALVE_MOST_MS;
    let most: StreamState | undefined;
    for (const stream of this.#ledger.streams.values) {
      const { held, window } = stream.receive;
      if (held <= (most?.receive.held ?? 0)) continue;
      if (isSparing && now < window.waitingSince + EVICTION_STALL_MS) continue;
      most = stream;
    }
    return most;
  }

  /** A peer that acknowledges nothing of what it took, or gives no credit for what waits, holds our memory as well. */
  #largestWaiting(now: number): StreamState | undefined {
    let most: StreamState | undefined;
    let bytes = 0;
    for (const stream of this.#ledger.streams.values) {
      const { retained, unsent } = stream.send.bytes;
      if (retained + unsent <= bytes) continue;
      if (now < stream.send.waitingSince + WAITING_MS) continue;
      most = stream;
      bytes = retained + unsent;
    }
    return most;
  }
}
