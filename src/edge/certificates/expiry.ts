// This file is when somebody should know that a certificate ends soon: 14, 7, 3 and 1 days before. product.md §7; R-18; pure.

const DAY_MS = 86_400_000;
const WARN_DAYS = [14, 7, 3, 1] as const;

/** What was said of one certificate already. */
export class ExpiryWarnings {
  /** The smallest number of days that was spoken of. */
  #said = Number.POSITIVE_INFINITY;

  /**
   * Asks whether it is time to say something; each of the four times once.
   *
   * @param ordinaryMs So long before its end a certificate may come without a reason to worry; times before that are
   *   passed over.
   * @returns Whole days that are left; undefined: nothing to say.
   */
  due(notAfter: number, now: number, ordinaryMs = Number.POSITIVE_INFINITY): number | undefined {
    const left = notAfter - now;
    const reached = WARN_DAYS.filter((days) => left <= days * DAY_MS && days * DAY_MS < ordinaryMs);
    const days = reached.at(-1);
    if (days === undefined || days >= this.#said) return undefined;
    this.#said = days;
    return Math.max(0, Math.floor(left / DAY_MS));
  }
}
