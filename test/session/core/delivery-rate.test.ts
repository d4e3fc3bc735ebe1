import { describe, expect, test } from "bun:test";
import { DeliveryRate } from "../../../src/session/core/delivery-rate.ts";

/** ACKs of a path of `bytesPerMs`, one each `stepMs`, for `ms`. Returns when it ended. */
function run(
  delivery: DeliveryRate,
  from: number,
  ms: number,
  bytesPerMs: number,
  rttMs: number,
  isBacklogged = true,
  stepMs = 5,
): number {
  let now = from;
  for (; now < from + ms; now += stepMs)
    delivery.acknowledged(bytesPerMs * stepMs, now, rttMs, isBacklogged);
  return now;
}

describe("delivery rate", () => {
  test("is that of whole intervals: the first ACK only begins one", () => {
    const delivery = new DeliveryRate();
    expect(delivery.acknowledged(1_000_000, 0, 50, true)).toBeUndefined();
    expect(delivery.acknowledged(1_000, 49, 50, true)).toBeUndefined();
    expect(delivery.best).toBe(0);
    expect(delivery.acknowledged(1_000, 50, 50, true)).toBe(40);
    expect(delivery.best).toBe(40);
  });

  test("is the best of 3 s of busy time, and forgets an older one", () => {
    const delivery = new DeliveryRate();
    let now = run(delivery, 0, 500, 10_000, 20);
    now = run(delivery, now, 1_500, 1_000, 20);
    expect(delivery.best).toBeCloseTo(10_000, 0);
    run(delivery, now, 3_000, 1_000, 20);
    expect(delivery.best).toBeCloseTo(1_000, 0);
  });

  test("learns nothing but more from a link that has nothing waiting", () => {
    const delivery = new DeliveryRate();
    let now = run(delivery, 0, 500, 10_000, 20);
    now = run(delivery, now, 60_000, 10, 20, false);
    expect(delivery.best).toBeCloseTo(10_000, 0);
    run(delivery, now, 600, 20_000, 20, false);
    expect(delivery.best).toBeCloseTo(20_000, 0);
  });

  test("does not count the time in which nothing was in flight", () => {
    const delivery = new DeliveryRate();
    const now = run(delivery, 0, 2_000, 10_000, 20);
    delivery.interrupt();
    delivery.acknowledged(1_000, now + 10_000, 20, true);
    delivery.acknowledged(2_500_000, now + 10_250, 20, true);
    expect(delivery.best).toBeCloseTo(10_000, 0);
  });

  test("does not take answers that come late and all at once for speed", () => {
    const delivery = new DeliveryRate();
    let now = run(delivery, 0, 2_000, 12_500, 100);
    // A peer that stands still for 190 of every 200 ms, and then acknowledges what came meanwhile.
    for (let round = 0; round < 100; round++) {
      now += 200;
      for (let part = 0; part < 10; part++) delivery.acknowledged(250_000, now + part, 100, true);
    }
    expect(delivery.best).toBeLessThan(1.5 * 12_500);
  });

  test("rises until three intervals in a row bring nothing more", () => {
    const delivery = new DeliveryRate();
    let now = 0;
    for (const rate of [1_000, 2_000, 4_000]) now = run(delivery, now, 45, rate, 20);
    expect(delivery.isRising).toBe(true);
    now = run(delivery, now, 100, 4_000, 20);
    expect(delivery.isRising).toBe(false);
    run(delivery, now, 2_000, 8_000, 20);
    expect(delivery.best).toBeCloseTo(8_000, 0);
  });
});
