import { describe, expect, test } from "bun:test";
import { InFlight } from "../../../src/session/core/in-flight.ts";
import { fill } from "./bottleneck.ts";

const KIB = 1_024;

/** ACKs of a path of `bytesPerMs`, one each `stepMs`, for `ms`. Returns when it ended. */
function run(
  inFlight: InFlight,
  from: number,
  ms: number,
  bytesPerMs: number,
  rttMs: number,
  isBacklogged = true,
  stepMs = 5,
): number {
  let now = from;
  for (; now < from + ms; now += stepMs)
    inFlight.acknowledged(bytesPerMs * stepMs, now, rttMs, isBacklogged, false);
  return now;
}

describe("in flight", () => {
  test("is 256 KiB before anything is known", () => {
    const inFlight = new InFlight();
    expect([inFlight.bound, inFlight.rate]).toEqual([256 * KIB, 0]);
    // The first ACK only begins an interval; the time before it is not known.
    inFlight.acknowledged(1_000_000, 0, 50, true, false);
    inFlight.acknowledged(1_000, 49, 50, true, false);
    expect(inFlight.bound).toBe(256 * KIB);
  });

  test("fills a far path with little queue, at every rate", () => {
    for (const bytesPerMs of [1_250, 12_500, 125_000]) {
      const inFlight = new InFlight();
      run(inFlight, 0, 2_000, bytesPerMs, 100);
      const product = bytesPerMs * 100;
      expect(inFlight.rate).toBeCloseTo(bytesPerMs, 0);
      expect(inFlight.bound).toBeGreaterThanOrEqual(1.25 * product);
      expect(inFlight.bound).toBeLessThanOrEqual(2 * product + 256 * KIB);
      // 60 ms of queue at most, where the slack of 48 KiB is not more.
      expect(inFlight.bound - product).toBeLessThanOrEqual(
        Math.max(0.25 * product + 48 * KIB, 60 * bytesPerMs),
      );
    }
  });

  test("doubles while the rate rises, so that it finds a fast path in a few round trips", () => {
    const inFlight = new InFlight();
    let now = 0;
    let rounds = 0;
    for (; inFlight.bound < 10_000 * KIB && rounds < 20; rounds++) {
      // All that was in flight comes back within a round trip.
      const { bound } = inFlight;
      for (let part = 0; part < 10; part++) {
        inFlight.acknowledged(bound / 10, now, 100, true, false);
        now += 10;
      }
    }
    // What was raised is seen at work one round trip later.
    expect(rounds).toBeLessThan(12);
  });

  test("keeps the best rate of 3 s of busy time, and forgets an older one", () => {
    const inFlight = new InFlight();
    let now = run(inFlight, 0, 500, 10_000, 20);
    now = run(inFlight, now, 1_500, 1_000, 20);
    expect(inFlight.rate).toBeCloseTo(10_000, 0);
    run(inFlight, now, 3_000, 1_000, 20);
    expect(inFlight.rate).toBeCloseTo(1_000, 0);
  });

  test("learns nothing but more from a link that has nothing waiting", () => {
    const inFlight = new InFlight();
    let now = run(inFlight, 0, 500, 10_000, 20);
    now = run(inFlight, now, 60_000, 10, 20, false);
    expect(inFlight.rate).toBeCloseTo(10_000, 0);
    run(inFlight, now, 600, 20_000, 20, false);
    expect(inFlight.rate).toBeCloseTo(20_000, 0);
  });

  test("does not count the time in which nothing was in flight", () => {
    const inFlight = new InFlight();
    const now = run(inFlight, 0, 200, 10_000, 20);
    inFlight.acknowledged(1_000, now, 20, true, true);
    // Idle for a second, then the first ACK of the next burst.
    inFlight.acknowledged(1_000, now + 1_000, 20, true, false);
    inFlight.acknowledged(200_000, now + 1_020, 20, true, false);
    expect(inFlight.rate).toBeCloseTo(10_000, 0);
  });

  test("does not take answers that come late and all at once for speed", () => {
    const inFlight = new InFlight();
    let now = run(inFlight, 0, 2_000, 12_500, 100);
    // A peer that stands still for 150 ms of every 200, and then acknowledges what came meanwhile.
    for (let round = 0; round < 100; round++) {
      now += 200;
      for (let part = 0; part < 10; part++)
        inFlight.acknowledged(250_000, now + part, 100, true, false);
    }
    expect(inFlight.rate).toBeLessThan(1.5 * 12_500);
  });

  test("small messages say nothing of the path: it starts with 256 KiB all the same", () => {
    const inFlight = new InFlight();
    run(inFlight, 0, 1_000, 0.5, 100, false, 50);
    expect(inFlight.rate).toBeCloseTo(0.5, 1);
    expect(inFlight.bound).toBe(256 * KIB);
  });

  // Mbit/s and ms of round trip; 64 KiB and an ACK that waits are more than a slow path needs.
  test.each([
    [10, 100, 120],
    [100, 100, 60],
    [100, 20, 60],
    [1_000, 100, 60],
  ])("a path of %d Mbit/s and %d ms is used, with at most %d ms of queue", (mbit, rttMs, most) => {
    const bytesPerMs = mbit * 125;
    const course = fill(new InFlight(), { bytesPerMs, rttMs, durationMs: 6_000 }, 2_000);
    expect(course.used).toBeGreaterThan(0.97);
    expect(course.queueMs).toBeLessThanOrEqual(most);
  });

  test("a receiver that stands still for 50 of 500 ms costs little", () => {
    const isStalled = (now: number): boolean => now % 500 < 50;
    const path = { bytesPerMs: 12_500, rttMs: 100, durationMs: 8_000, isStalled };
    const course = fill(new InFlight(), path, 2_000);
    expect(course.used).toBeGreaterThan(0.9);
    expect(course.queueMs).toBeLessThanOrEqual(110);
  });

  test("never falls below 64 KiB", () => {
    const inFlight = new InFlight();
    run(inFlight, 0, 5_000, 1, 10);
    expect(inFlight.bound).toBe(64 * KIB);
  });
});
