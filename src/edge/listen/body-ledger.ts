// This file is the account of which bytes on a visitor's socket are body: credit is returned for those only. http.md §10.

/** Spent places at the front before the account is moved down. */
const SPENT_MAX = 64;

/**
 * Translates "the kernel took n bytes" into "of which m are body".
 *
 * Bytes are entered in the order they are written. Neighbours of one kind share an entry, so a response with a length
 * needs two, however long it is.
 */
export class BodyLedger {
  /** Positive: body bytes. Negative: heads and chunk framing. */
  readonly #runs: number[] = [];
  #first = 0;
  #owed = 0;

  /** Body bytes entered and not taken. */
  get owed(): number {
    return this.#owed;
  }

  /** Bytes written that are not body: heads, chunk sizes, trailers. */
  overhead(bytes: number): void {
    this.#enter(-bytes);
  }

  /** Body bytes written. */
  body(bytes: number): void {
    this.#owed += bytes;
    this.#enter(bytes);
  }

  /** @returns How many of the next `bytes` taken are body. */
  take(bytes: number): number {
    let left = bytes;
    let body = 0;
    while (left > 0 && this.#first < this.#runs.length) {
      const run = this.#runs[this.#first] ?? 0;
      const part = Math.min(left, Math.abs(run));
      left -= part;
      if (run > 0) body += part;
      if (part === Math.abs(run)) this.#first += 1;
      else this.#runs[this.#first] = run > 0 ? run - part : run + part;
    }
    this.#owed -= body;
    if (this.#first === this.#runs.length) this.clear();
    else if (this.#first >= SPENT_MAX) {
      this.#runs.splice(0, this.#first);
      this.#first = 0;
    }
    return body;
  }

  clear(): void {
    this.#runs.length = 0;
    this.#first = 0;
    this.#owed = 0;
  }

  #enter(run: number): void {
    if (run === 0) return;
    const last = this.#runs.length - 1;
    const before = last >= this.#first ? (this.#runs[last] ?? 0) : 0;
    if (before !== 0 && before > 0 === run > 0) this.#runs[last] = before + run;
    else this.#runs.push(run);
  }
}
