// This file is how often a CA is asked: as fast as it answers while it does well, ten times a minute once it does not. reliability.md R-18; pure, time is an argument.

/** A minute of a failing CA holds so many requests at most, all names together. */
export const FAILING_REQUESTS = 10;
/** A minute as the CA counts it: some requests are longer on their way than others. */
export const WINDOW_MS = 65_000;
/** So many failures within a window make a CA a failing one, even where it succeeds in between: a rejected nonce now and then is ordinary. */
const FAILURES = 3;
/** So many good answers in a row, and several requests may be under way at a time. */
const STREAK = 5;

/** How a request ended. A rejected `nonce` is worth another try at once; `failed` is everything else that is no good answer. */
export type Outcome = "good" | "nonce" | "failed";

/**
 * The requests to one CA within the last minute.
 *
 * A CA is asked by one request at a time until it has answered some in a row well, and again after a minute without an
 * answer: it would be unkind to learn from thirty orders at once that it is down.
 */
export class CaBudget {
  /** When requests began, and when some ended badly; oldest first, not older than a window, never more than that many. */
  #begun: number[] = [];
  #bad: number[] = [];
  #outstanding = 0;
  /** When it last answered well, and how often in a row. */
  #provenAt = Number.NEGATIVE_INFINITY;
  #streak = 0;

  /** Requests that have no answer yet. */
  get outstanding(): number {
    return this.#outstanding;
  }

  /** True while requests are held to ten a minute. */
  isFailing(now: number): boolean {
    this.#forget(now);
    const isProven = this.#provenAt <= now && now - this.#provenAt < WINDOW_MS;
    if (!isProven) this.#streak = 0;
    return !isProven || this.#bad.length >= FAILURES;
  }

  /** Milliseconds until the next request may begin; 0: now. Infinity: when one that is under way has ended. */
  delay(now: number): number {
    const isFailing = this.isFailing(now);
    if (!isFailing && this.#streak >= STREAK) return 0;
    if (this.#outstanding > 0) return Number.POSITIVE_INFINITY;
    if (!isFailing) return 0;
    const tenth = this.#begun.at(-FAILING_REQUESTS);
    return tenth === undefined ? 0 : Math.max(0, tenth + WINDOW_MS - now);
  }

  begin(now: number): void {
    this.#forget(now);
    this.#outstanding += 1;
    this.#begun.push(now);
    // Only the last ten are ever asked for.
    if (this.#begun.length > FAILING_REQUESTS) this.#begun.shift();
  }

  /** @param outcome Undefined where we stopped waiting ourselves. */
  end(outcome: Outcome | undefined, now: number): void {
    this.#outstanding -= 1;
    if (outcome !== undefined) this.note(outcome, now);
  }

  /** An answer that came, but not the one that was waited for: an order that stays pending. */
  note(outcome: Outcome, now: number): void {
    this.#forget(now);
    if (outcome === "good") {
      this.#provenAt = now;
      this.#streak += 1;
    } else {
      this.#streak = 0;
      if (outcome === "failed") this.#provenAt = Number.NEGATIVE_INFINITY;
      this.#bad.push(now);
      if (this.#bad.length > FAILURES) this.#bad.shift();
    }
  }

  #forget(now: number): void {
    // A clock that was set back would hold everything up for as long: what lies ahead is forgotten too.
    const isFresh = (at: number): boolean => at <= now && now - at < WINDOW_MS;
    this.#begun = this.#begun.filter(isFresh);
    this.#bad = this.#bad.filter(isFresh);
  }
}
