// This file is seeded randomness: one seed gives one run, on every machine.

/** mulberry32; small, fast and good enough to choose faults. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
    // Neighbouring seeds would begin alike.
    for (let round = 0; round < 4; round++) this.next();
  }

  /** 0 up to, but not including, 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** An integer from `min` to `max`, both included. */
  integer(min: number, max: number): number {
    return min + Math.floor(this.next() * (max - min + 1));
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.integer(0, choices.length - 1)] as T;
  }

  /** Chance of its own, decided by this one. */
  fork(): Random {
    return new Random(this.integer(0, 2 ** 31));
  }

  /** An integer from 1 to `max`, each order of magnitude as likely as the next. */
  size(max: number): number {
    return Math.max(1, Math.floor(max ** this.next()));
  }
}

/** The seeds of a run: `TUNL_SEED` alone, else 1 to `count`. */
export function seedsOf(count: number): readonly number[] {
  const fixed = process.env["TUNL_SEED"];
  if (fixed !== undefined && fixed !== "") return [Number(fixed)];
  return Array.from({ length: count }, (_, index) => index + 1);
}
