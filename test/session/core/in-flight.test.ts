import { describe, expect, test } from "bun:test";
import { InFlight } from "../../../src/session/core/in-flight.ts";

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
    run(inFlight, now, 100, 20_000, 20, false);
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

  test("never falls below 64 KiB", () => {
    const inFlight = new InFlight();
    run(inFlight, 0, 5_000, 1, 10);
    expect(inFlight.bound).toBe(64 * KIB);
  });
});
