import { describe, expect, test } from "bun:test";
import { type Sample, trendOf } from "../../scripts/soak/trend.ts";

/** A sample a second for ten minutes. */
function samples(valueAt: (second: number) => number): Sample[] {
  return Array.from({ length: 600 }, (_, second) => ({
    at: second * 1_000,
    value: valueAt(second),
  }));
}

describe("trend", () => {
  test("finds a slope per hour", () => {
    const { slope, error } = trendOf(samples((second) => 50e6 + second * 1_000));
    expect(slope).toBeCloseTo(3.6e6, 0);
    expect(error).toBeLessThan(1);
  });

  test("finds none in a saw, and says how sure it is", () => {
    const { slope, error } = trendOf(samples((second) => 50e6 + (second % 7) * 1e6));
    expect(Math.abs(slope)).toBeLessThan(2 * error + 1e6);
  });

  test("a leak shows through noise that is larger than it", () => {
    const noise = (second: number): number => ((second * 7_919) % 101) * 1e5;
    const { slope, error } = trendOf(samples((second) => second * 10_000 + noise(second)));
    expect(slope).toBeGreaterThan(2 * error);
    expect(slope).toBeGreaterThan(30e6);
  });

  test("refuses what has no trend", () => {
    expect(() => trendOf(samples(() => 1).slice(0, 2))).toThrow("no trend");
  });
});
