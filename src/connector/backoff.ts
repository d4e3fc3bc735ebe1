// This file is when an uplink dials next, as a pure machine: time and randomness are arguments. PROTOCOL §7.6.

import { FAST_PHASE_MS, RETRY_AFTER_MAX_MS } from "../session/index.ts";

export { FAST_PHASE_MS };

/** One dial to make. Asking for a plan commits to it. */
export interface DialPlan {
  readonly phase: "fast" | "slow";
  /** Milliseconds from the `now` the plan was asked for. */
  readonly delayMs: number;
  /** How long the TCP connect may take. */
  readonly connectTimeoutMs: number;
  /** Dials that may be under way at once, this one included. */
  readonly parallel: number;
}

export const FAST_CONNECT_TIMEOUT_MS = 3_000;
export const FAST_PARALLEL = 3;
export const SLOW_CONNECT_TIMEOUT_MS = 10_000;
export const SLOW_FIRST_MS = 1_000;
export const SLOW_LONGEST_MS = 30_000;
/** A link that lived this long ends a series of failures. */
export const STEADY_LINK_MS = 30_000;
/** After so many short links in a row the edge is not expected back at once any more. */
export const SHORT_LINKS_MOST = 3;
/** In all phases at most one dial per connector in this time. */
export const DIAL_INTERVAL_MS = 500;

const FAST_SHORTEST_MS = 500;
const FAST_LONGEST_MS = 1_000;

/**
 * The dials of one uplink while it has no link.
 *
 * ```
 * start → slow ⇄ (linkUp, linkLost) fast → after 15 s → slow
 * ```
 *
 * In the fast phase ask for the next plan when a dial starts (up to `parallel` are under way), in the slow phase when
 * it failed. The first dial of all is immediate.
 */
export class Backoff {
  readonly #random: () => number;
  #failures = 0;
  #isFirst = true;
  #lastDialAt = Number.NEGATIVE_INFINITY;
  #fastUntil = Number.NEGATIVE_INFINITY;
  #linkUpAt: number | undefined;
  #shortLinks = 0;
  #toldToWaitMs: number | undefined;

  /** @param random Uniform in [0, 1). */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** A link is live. Further links change nothing. */
  linkUp(now: number): void {
    this.#linkUpAt ??= now;
    this.#toldToWaitMs = undefined;
  }

  /**
   * The last live link was lost.
   * @param isFault The other end closed it for a broken rule: coming back at once would only repeat it.
   */
  linkLost(now: number, isFault = false): void {
    if (this.#linkUpAt === undefined) return;
    const isSteady = now - this.#linkUpAt >= STEADY_LINK_MS;
    this.#linkUpAt = undefined;
    if (isSteady) {
      this.#failures = 0;
      this.#shortLinks = 0;
    } else {
      this.#shortLinks += 1;
    }
    // Links that end as soon as they are up are failures, not outages.
    if (!isFault && this.#shortLinks <= SHORT_LINKS_MOST) this.#fastUntil = now + FAST_PHASE_MS;
    else this.#fastUntil = Number.NEGATIVE_INFINITY;
  }

  /**
   * The edge asked for a pause (`retryAfterMs`): it replaces the next wait, whatever the phase. Spread by U(1, 2), so that
   * all who were told the same do not return at once, and bounded: a peer cannot send us to sleep for ever.
   */
  toldToWait(retryAfterMs: number): void {
    const spread = retryAfterMs * (1 + this.#random());
    this.#toldToWaitMs = Math.min(RETRY_AFTER_MAX_MS, Math.max(0, spread));
  }

  /** The next dial is for another way in, not a repetition: it does not wait longer than between any two dials. */
  goOnAtOnce(): void {
    this.#toldToWaitMs = 0;
  }

  next(now: number): DialPlan {
    const told = this.#toldToWaitMs;
    this.#toldToWaitMs = undefined;
    const isFast = now < this.#fastUntil;
    const wait = told ?? (isFast ? this.#fastWait() : this.#slowWait());
    this.#isFirst = false;
    const at = Math.max(now + wait, this.#lastDialAt + DIAL_INTERVAL_MS);
    this.#lastDialAt = at;
    // A long wait can lead out of the fast phase: what counts is when the dial happens.
    return at < this.#fastUntil
      ? {
          phase: "fast",
          delayMs: at - now,
          connectTimeoutMs: FAST_CONNECT_TIMEOUT_MS,
          parallel: FAST_PARALLEL,
        }
      : {
          phase: "slow",
          delayMs: at - now,
          connectTimeoutMs: SLOW_CONNECT_TIMEOUT_MS,
          parallel: 1,
        };
  }

  #fastWait(): number {
    return FAST_SHORTEST_MS + this.#random() * (FAST_LONGEST_MS - FAST_SHORTEST_MS);
  }

  /** Full jitter: anything between nothing and the doubled bound. */
  #slowWait(): number {
    if (this.#isFirst) return 0;
    const bound = Math.min(SLOW_LONGEST_MS, SLOW_FIRST_MS * 2 ** this.#failures);
    // Beyond 2^5 the bound stands still; counting on would only overflow.
    if (bound < SLOW_LONGEST_MS) this.#failures += 1;
    return this.#random() * bound;
  }
}
