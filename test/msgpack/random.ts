// This file is seeded randomness for the tests of `msgpack` and `wire`: TUNL_SEED replays a run.

/** A small generator (mulberry32); the same seed gives the same numbers. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** An integer from 0 to `below` - 1. */
  below(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let value = this.#state;
    value = Math.imul(value ^ (value >>> 15), value | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return Math.floor((((value ^ (value >>> 14)) >>> 0) / 2 ** 32) * below);
  }

  /** A safe integer of any size, small ones as likely as large ones. */
  integer(): number {
    const value = this.below(2 ** 32) * 2 ** 21 + this.below(2 ** 21);
    return Math.floor(value / 2 ** this.below(54));
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }
}

/** The seed of this run, printed so that a failure can be replayed. */
export function seedOf(test: string): number {
  const given = process.env.TUNL_SEED;
  const seed = given === undefined ? (Math.random() * 2 ** 32) >>> 0 : Number(given);
  console.log(`${test}: TUNL_SEED=${seed}`);
  return seed;
}
