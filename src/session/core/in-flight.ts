// This file is how much may be under way on one link: what fills its path, and little more. PROTOCOL §6.4.
import { IN_FLIGHT_FIRST, IN_FLIGHT_MIN } from "../../wire/index.ts";
import { DeliveryRate } from "./delivery-rate.ts";
import type { Side } from "./events.ts";

/** A path this short has no queue worth avoiding. */
const NEAR_MS = 5;
const GAIN_RISING = 2;
const GAIN = 1.25;
/** On top of what the path holds: what the rate delivers while an ACK waits, within bounds. */
const SLACK_MS = 30;
const SLACK_LEAST = 48 * 1_024;
const SLACK_MOST = 256 * 1_024;
/** The same on a near path, where the loops of both ends are what takes time. */
const SLACK_LEAST_NEAR = 256 * 1_024;
const SLACK_MOST_NEAR = 1_024 * 1_024;
/**
 * The round trip of the path is asked for anew after so much time, with next to nothing of ours under way. Not by both
 * ends at a time: what each should see is the path with the bytes of the other on it.
 */
const PROBE_MS = { edge: 10_000, connector: 11_700 } as const;
const PROBE_BYTES = 16 * 1_024;
/** A rate that fell below this share of the best, though the bound was used, asks for it at once ... */
const FALLEN = 0.75;
const USED = 0.75;
/** ... but not more often than this, nor than once in so many round trips. */
const PROBE_LEAST_MS = 2_000;
const PROBE_ROUND_TRIPS = 8;
/** Reckoned with before the first PONG. */
const UNKNOWN_MS = 1;

/**
 * The bound on bytes sent and not acknowledged, from the rate at which ACKs come and the round trip of the path. Bytes, ms.
 *
 * Stream bytes wait in the session above it, where a small stream overtakes them, instead of in the socket, where none
 * can. A round trip that was measured behind bytes of ours contains the queue they make, and a bound made of it would
 * make a longer one; and a path that became longer looks like one that became slower. Both are told apart by a probe:
 *
 * filling ──10 s, or the rate fell──▶ draining ──at most 16 KiB left, PING──▶ asked ──PONG──▶ filling
 */
export class InFlight {
  readonly #delivery = new DeliveryRate();
  #state: "filling" | "draining" | "asked" = "filling";
  #roundTripMs = UNKNOWN_MS;
  #probedAt: number | undefined;
  /** The sample that made us ask. */
  #fallenTo: number | undefined;
  #bound = IN_FLIGHT_FIRST;
  readonly #probeMs: number;

  constructor(side: Side) {
    this.#probeMs = PROBE_MS[side];
  }

  get bound(): number {
    return this.#state === "filling" ? this.#bound : PROBE_BYTES;
  }

  /** Bytes per ms; 0 before the first sample. */
  get rate(): number {
    return this.#delivery.best;
  }

  /** Nothing is in flight: the time until the next bytes is no part of an interval. */
  idle(): void {
    this.#delivery.interrupt();
  }

  /**
   * ACKs freed `bytes`, `left` are still in flight.
   *
   * @param isBacklogged True where more waited to be sent: without that the rate is ours, not that of the path.
   * @returns True when a PING is to leave now: its answer goes to `sampled`.
   */
  acknowledged(bytes: number, left: number, now: number, isBacklogged: boolean): boolean {
    if (this.#state === "asked") return false;
    if (this.#state === "filling") {
      this.#measure(bytes, left, now, isBacklogged);
      if (!this.#isProbeDue(now, isBacklogged)) return false;
      this.#state = "draining";
      this.#delivery.interrupt();
    }
    if (left > PROBE_BYTES) return false;
    this.#state = "asked";
    return true;
  }

  /**
   * A PONG came, `ms` after its PING. Of those that we did not wait for, one that met bytes of ours is of no use: even
   * a shorter time may only mean that the other direction, behind whose bytes answers come, rested for a moment.
   *
   * @param inFlight Bytes in flight.
   */
  sampled(ms: number, inFlight: number, now: number): void {
    if (this.#state === "draining") return;
    const isFirst = this.#probedAt === undefined;
    if (this.#state === "filling" && inFlight > PROBE_BYTES && !isFirst) return;
    const before = this.#roundTripMs;
    this.#roundTripMs = Math.max(ms, UNKNOWN_MS);
    this.#probedAt = now;
    if (this.#state === "filling") return;
    this.#state = "filling";
    // The path is no longer than it was, so it did become slower.
    if (this.#fallenTo !== undefined && ms <= before * GAIN) this.#delivery.accept(this.#fallenTo);
    this.#fallenTo = undefined;
    this.#bound = this.#boundNow();
  }

  #measure(bytes: number, left: number, now: number, isBacklogged: boolean): void {
    const best = this.#delivery.best;
    const rate = this.#delivery.acknowledged(bytes, now, this.#roundTripMs, isBacklogged);
    if (rate === undefined) return;
    const isUsed = isBacklogged && bytes + left >= USED * this.#bound;
    if (isUsed && !this.#delivery.isRising && rate < FALLEN * best && this.#mayProbe(now))
      this.#fallenTo = rate;
    else this.#bound = this.#boundNow();
  }

  #isProbeDue(now: number, isBacklogged: boolean): boolean {
    if (this.#fallenTo !== undefined) return true;
    return isBacklogged && this.#probedAt !== undefined && now >= this.#probedAt + this.#probeMs;
  }

  #mayProbe(now: number): boolean {
    if (this.#probedAt === undefined) return false;
    return now >= this.#probedAt + Math.max(PROBE_LEAST_MS, PROBE_ROUND_TRIPS * this.#roundTripMs);
  }

  #boundNow(): number {
    const { best, isRising, isKnown } = this.#delivery;
    const isNear = this.#roundTripMs < NEAR_MS;
    const gain = isRising || isNear ? GAIN_RISING : GAIN;
    const slack = Math.min(
      Math.max(SLACK_MS * best, isNear ? SLACK_LEAST_NEAR : SLACK_LEAST),
      isNear ? SLACK_MOST_NEAR : SLACK_MOST,
    );
    const least = isKnown ? IN_FLIGHT_MIN : IN_FLIGHT_FIRST;
    return Math.max(least, gain * best * this.#roundTripMs + slack);
  }
}
