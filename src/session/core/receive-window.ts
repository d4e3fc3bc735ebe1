// This file is the credit granted to the peer, for each stream and for the session. PROTOCOL §5.1, §5.2.
import {
  PRESSURE_HIGH,
  PRESSURE_SEVERE,
  SLOW_MS,
  S_WIN_MIN,
  W_FLOOR,
  W_INIT,
  W_MAX,
  W_MIN,
} from "../../wire/index.ts";

/** A consumer counts for the session window while it consumed within this time. */
const ACTIVE_MS = 1_000;
/** A sender that stands at its limit gets news after so many consumed bytes. */
const SMALL_STEP = 16 * 1024;

/** A stream's even share of the budget is this many times its window: readers that stand still fill half of it, no more. */
const SHARES = 16;

/** First limit of a stream that we open while `open` receiving halves are open: a lone download gets 4 MiB, a thousand 32 KiB each. */
export function firstWindow(receiveBudget: number, open: number, pressure: number): number {
  const most = pressure >= PRESSURE_SEVERE ? W_FLOOR : pressure >= PRESSURE_HIGH ? W_MIN : W_INIT;
  return shareOf(receiveBudget, open + 1, most);
}

/** What one of `open` streams may count on, between `W_FLOOR` and `most`. */
function shareOf(receiveBudget: number, open: number, most: number): number {
  return Math.max(W_FLOOR, Math.min(most, Math.floor(receiveBudget / (SHARES * open))));
}

/** What a stream's window must know of its session when it decides to grow. */
export interface GrowthConditions {
  readonly rttMinMs: number;
  readonly pressure: number;
  /** Bytes received and not consumed of the whole session, and its bound. */
  readonly sessionHeld: number;
  readonly receiveBudget: number;
  /** Streams of the session. */
  readonly open: number;
}

/**
 * The window of one receiving half: how far its limit runs ahead of consumption. All offsets in bytes.
 *
 * It doubles while it is the brake: a quarter of it was consumed within a round trip and next to nothing waits. It is
 * halved while the consumer is: when more than half of it has been waiting for a while, the other half keeps the
 * consumer busy. So it settles where between an eighth and a half waits, and a slow reader holds little.
 */
export class ReceiveWindow {
  window: number;
  limit: number;
  consumed = 0;
  lastConsumed = Number.NEGATIVE_INFINITY;
  /** Since when held bytes wait for the consumer: the last consumption, or the arrival of the first of them. */
  waitingSince = Number.POSITIVE_INFINITY;
  /** Since when more than half of the window waits. */
  #slowSince: number | undefined;
  #mark = 0;
  #markTime = 0;
  #hasStarted = false;

  constructor(first: number) {
    this.window = first;
    this.limit = first;
  }

  /** `bytes` arrived in order: `received` is now the offset behind them. */
  arrived(bytes: number, received: number, now: number): void {
    const held = received - this.consumed;
    if (held === bytes) this.waitingSince = now;
    if (2 * held > this.window) this.#slowSince ??= now;
    if (this.#hasStarted) return;
    this.#hasStarted = true;
    this.#markTime = now; // growth is measured from here
  }

  /**
   * Credit returns: `bytes` were taken by the local consumer.
   * @returns True when `limit` rose and must be announced.
   */
  consume(bytes: number, received: number, now: number, conditions: GrowthConditions): boolean {
    this.#shrink(now, conditions);
    this.consumed += bytes;
    this.lastConsumed = now;
    this.waitingSince = now;
    const held = received - this.consumed;
    if (2 * held <= this.window) this.#slowSince = undefined;
    const step = this.consumed - this.#mark;
    const isStarved = received === this.limit && step >= Math.min(SMALL_STEP, this.window / 4);
    if (step < this.window / 4 && !isStarved) return false;
    // The next consumption asks again, the last one at the latest: then nothing is held.
    if (held > W_FLOOR && conditions.pressure >= PRESSURE_SEVERE) return false;
    // A quarter of the window went in less than one round trip: the window, not the consumer, is the brake.
    const isFast = now - this.#markTime < 4 * (step / this.window) * conditions.rttMinMs;
    if (isFast && this.#hasRoom(conditions) && held < this.window / 8) {
      this.window = Math.min(2 * this.window, W_MAX);
    }
    this.#mark = this.consumed;
    this.#markTime = now;
    return this.#raise(this.consumed + this.window);
  }

  /** Where much is held already, a window grows only as far as all of them could: a crowd of slow readers looks fast while kernels fill. */
  #hasRoom({ pressure, sessionHeld, receiveBudget, open }: GrowthConditions): boolean {
    if (pressure >= PRESSURE_HIGH || sessionHeld >= receiveBudget / 2) return false;
    const quarter = receiveBudget / 4;
    return sessionHeld < quarter || 2 * this.window * open <= quarter;
  }

  #shrink(now: number, conditions: GrowthConditions): void {
    if (this.#slowSince === undefined || now < this.#slowSince + SLOW_MS) return;
    if (now < this.#slowSince + 2 * conditions.rttMinMs) return;
    this.#slowSince = now;
    const least = shareOf(conditions.receiveBudget, conditions.open, W_MIN);
    if (this.window > least) this.window = Math.max(least, Math.floor(this.window / 2));
  }

  #raise(limit: number): boolean {
    if (limit <= this.limit) return false;
    this.limit = limit;
    return true;
  }
}

/**
 * The limit of a session over all its streams: it follows receipt while there is room and consumption only where the
 * budget binds, so stalled readers eat spare budget before they touch the window of others.
 */
export class SessionWindow {
  received = 0;
  consumed = 0;
  limit: number;
  readonly #budget: number;
  /** Windows of streams that consumed lately; recomputed at most every quarter of `ACTIVE_MS`. */
  #activeWindows = 0;
  #activeAt = Number.NEGATIVE_INFINITY;

  readonly #sumActive: (since: number) => number;

  /** @param sumActive Sum of the windows of the streams that consumed at or after `since`. */
  constructor(limit: number, budget: number, sumActive: (since: number) => number) {
    this.limit = limit;
    this.#budget = budget;
    this.#sumActive = sumActive;
  }

  get held(): number {
    return this.received - this.consumed;
  }

  get budget(): number {
    return this.#budget;
  }

  /** Is called after receipt and after consumption. Returns true when `limit` rose and must be announced. */
  raise(now: number): boolean {
    const inFlight = this.#inFlightWindow(now);
    const most = Math.min(this.received + inFlight, this.consumed + this.#budget);
    const isWorthwhile = most - this.limit >= inFlight / 4;
    const isStarved = this.received === this.limit && this.limit < most;
    if (!isWorthwhile && !isStarved) return false;
    this.limit = most;
    return true;
  }

  #inFlightWindow(now: number): number {
    if (now - this.#activeAt >= ACTIVE_MS / 4) {
      this.#activeAt = now;
      this.#activeWindows = this.#sumActive(now - ACTIVE_MS);
    }
    // Limits travel as integers: half of an odd window is rounded.
    return Math.floor(Math.min(Math.max(1.5 * this.#activeWindows, S_WIN_MIN), this.#budget / 2));
  }
}
