// This file is the search for the shortest failing list, on lists whose answer is known.
import { describe, expect, test } from "bun:test";
import { shrink } from "./shrink.ts";

const HUNDRED = Array.from({ length: 100 }, (_, index) => index);

describe("shrink", () => {
  for (const needed of [[0], [99], [3, 50], [0, 49, 50, 99], [10, 11, 12, 13]]) {
    test(`keeps ${needed.join(", ")} of a hundred, in order, and nothing else`, () => {
      const fails = (events: readonly number[]): boolean =>
        needed.every((event) => events.includes(event));
      expect(shrink(HUNDRED, fails)).toEqual(needed);
    });
  }

  test("keeps everything where everything is needed", () => {
    expect(shrink(HUNDRED, (events) => events.length === 100)).toEqual(HUNDRED);
  });

  test("keeps nothing where it fails anyway", () => {
    expect(shrink(HUNDRED, () => true)).toEqual([]);
  });

  test("finds one of several reasons", () => {
    const fails = (events: readonly number[]): boolean =>
      events.includes(7) || (events.includes(20) && events.includes(21));
    expect(shrink(HUNDRED, fails)).toEqual([20, 21]);
  });

  test("stops after a bounded number of runs", () => {
    let runs = 0;
    const many = Array.from({ length: 5_000 }, (_, index) => index);
    const shortest = shrink(many, (events) => {
      runs += 1;
      return events.filter((event) => event % 2 === 0).length === 2_500;
    });
    expect(runs).toBeLessThanOrEqual(600);
    expect(shortest.length).toBeLessThanOrEqual(5_000);
  });
});
