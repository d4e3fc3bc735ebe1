import { describe, expect, test } from "bun:test";
import { InFlight } from "../../../src/session/core/in-flight.ts";
import { fill, over, type Path } from "./bottleneck.ts";

const KIB = 1_024;
/** Mbit/s and ms of round trip. */
const pathOf = (mbit: number, rttMs: number): Path => ({ bytesPerMs: mbit * 125, rttMs });

describe("in flight", () => {
  test("is 256 KiB before anything is known, whatever small messages say", () => {
    const inFlight = new InFlight("edge");
    expect([inFlight.bound, inFlight.rate]).toEqual([256 * KIB, 0]);
    inFlight.sampled(100, 0, 0);
    for (let now = 0; now < 2_000; now += 50) inFlight.acknowledged(25, 0, now, false);
    expect(inFlight.bound).toBe(256 * KIB);
  });

  test("never falls below 64 KiB, but for a probe", () => {
    const inFlight = new InFlight("edge");
    inFlight.sampled(10, 0, 0);
    for (let now = 0; now < 5_000; now += 10) inFlight.acknowledged(10, 64 * KIB, now, true);
    expect(inFlight.bound).toBe(64 * KIB);
  });

  test.each([
    [10, 100, 120],
    [100, 100, 60],
    [100, 20, 60],
    [1_000, 100, 60],
  ])(
    "a path of %d Mbit/s and %d ms is used, with at most %d ms of queue, minutes on end",
    (mbit, rttMs, most) => {
      const path = pathOf(mbit, rttMs);
      const seconds = fill(new InFlight("edge"), { path: () => path, durationMs: 180_000 });
      expect(over(seconds, 2, 10).used).toBeGreaterThan(0.95);
      const late = over(seconds, 100);
      expect(late.used).toBeGreaterThan(0.95);
      expect(late.queueMs).toBeLessThanOrEqual(most);
    },
  );

  test.each([
    [100, 100, 200],
    [20, 20, 200],
    [1_000, 10, 20],
    [100, 10, 70],
    [100, 2, 30],
  ])("%d Mbit/s: a round trip that grows from %d to %d ms is noticed", (mbit, before, after) => {
    const path = (now: number): Path => pathOf(mbit, now < 10_000 ? before : after);
    const seconds = fill(new InFlight("edge"), { path, durationMs: 40_000 });
    expect(over(seconds, 2, 10).used).toBeGreaterThan(0.95);
    expect(over(seconds, 20).used).toBeGreaterThan(0.9);
    // And not by giving up on the queue.
    expect(over(seconds, 25).queueMs).toBeLessThan(after + 100);
  });

  test("a path that becomes slower is not filled as before", () => {
    const path = (now: number): Path => pathOf(now < 10_000 ? 100 : 20, 50);
    const seconds = fill(new InFlight("edge"), { path, durationMs: 30_000 });
    const late = over(seconds, 20);
    expect(late.used).toBeGreaterThan(0.93);
    expect(late.queueMs).toBeLessThanOrEqual(80);
  });

  test("a path that becomes faster is found again", () => {
    const path = (now: number): Path => pathOf(now < 10_000 ? 10 : 200, 50);
    const seconds = fill(new InFlight("edge"), { path, durationMs: 20_000 });
    expect(over(seconds, 15).used).toBeGreaterThan(0.93);
  });

  test("a receiver that stands still for 50 of 500 ms costs little", () => {
    const isStalled = (now: number): boolean => now % 500 < 50;
    const path = pathOf(100, 100);
    const seconds = fill(new InFlight("edge"), { path: () => path, durationMs: 30_000, isStalled });
    const late = over(seconds, 5);
    expect(late.used).toBeGreaterThan(0.9);
    expect(late.queueMs).toBeLessThanOrEqual(110);
  });

  test("asks for the round trip with little under way, and uses only that answer", () => {
    const inFlight = new InFlight("edge");
    inFlight.sampled(100, 0, 0);
    for (let now = 0; now < 10_000; now += 20)
      expect(inFlight.acknowledged(20 * KIB, 100 * KIB, now, true)).toBe(false);
    expect(inFlight.acknowledged(20 * KIB, 100 * KIB, 10_000, true)).toBe(false);
    expect(inFlight.bound).toBe(16 * KIB);
    // What comes back meanwhile was measured behind our own bytes.
    inFlight.sampled(400, 90 * KIB, 10_010);
    expect(inFlight.acknowledged(20 * KIB, 17 * KIB, 10_050, true)).toBe(false);
    expect(inFlight.acknowledged(2 * KIB, 15 * KIB, 10_060, true)).toBe(true);
    expect(inFlight.acknowledged(1 * KIB, 14 * KIB, 10_070, true)).toBe(false);
    inFlight.sampled(100, 14 * KIB, 10_160);
    expect(inFlight.bound).toBeGreaterThan(64 * KIB);
  });

  test("a link that has nothing waiting is not asked", () => {
    const inFlight = new InFlight("edge");
    inFlight.sampled(100, 0, 0);
    for (let now = 0; now < 60_000; now += 20)
      expect(inFlight.acknowledged(10 * KIB, 10 * KIB, now, false)).toBe(false);
  });
});
