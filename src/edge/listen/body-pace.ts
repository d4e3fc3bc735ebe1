// This file is the two speed limits of a request body: silence, and trickling. Pure; `now` is an argument. http.md §14, S-41.
import type { VisitorLimits, VisitorTimeouts } from "./visitor-options.ts";

/**
 * Judges how fast a body arrives, while tunl waits for it.
 *
 * Silence is allowed for `bodyIdleMs`. A body that moves must move at `bodyRate`, measured over spans of `bodyRateMs`
 * that begin with a byte; the first span of the body is free, and time it was held back by us is not measured.
 */
export class BodyPace {
  readonly #timeouts: VisitorTimeouts;
  readonly #rate: number;
  #silentSince = 0;
  #freeUntil = 0;
  /** Start of the span measured now; 0 while none is. */
  #spanFrom = 0;
  #spanBytes = 0;

  constructor(timeouts: VisitorTimeouts, limits: VisitorLimits) {
    this.#timeouts = timeouts;
    this.#rate = limits.bodyRate;
  }

  /** The first byte of a body is waited for. */
  begin(now: number): void {
    this.#freeUntil = now + this.#timeouts.bodyRateMs;
    this.resume(now);
  }

  /** The body is read again after it was held back. */
  resume(now: number): void {
    this.#silentSince = now;
    this.#spanFrom = 0;
  }

  got(bytes: number, now: number): void {
    this.#silentSince = now;
    if (this.#spanFrom > 0) this.#spanBytes += bytes;
    else if (now >= this.#freeUntil) {
      this.#spanFrom = now;
      this.#spanBytes = bytes;
    }
  }

  /** When `broken` has to be asked next. */
  get dueAt(): number {
    const silence = this.#silentSince + this.#timeouts.bodyIdleMs;
    return this.#spanFrom > 0
      ? Math.min(silence, this.#spanFrom + this.#timeouts.bodyRateMs)
      : silence;
  }

  /** Which of the two limits the body broke; ends the span it measured. */
  broken(now: number): "bodyIdle" | "bodyRate" | undefined {
    if (now >= this.#silentSince + this.#timeouts.bodyIdleMs) return "bodyIdle";
    if (this.#spanFrom === 0 || now < this.#spanFrom + this.#timeouts.bodyRateMs) return undefined;
    const seconds = (now - this.#spanFrom) / 1_000;
    this.#spanFrom = 0;
    return this.#spanBytes < this.#rate * seconds ? "bodyRate" : undefined;
  }
}
