// This file is the wait for a first certificate: who waits, how many, for how long.
import { afterAll, describe, expect, jest, test } from "bun:test";
import { Deadlines, STEP_MS } from "../../../src/deadlines.ts";
import {
  FirstCertificates,
  MAX_WAITING,
  WAIT_MS,
} from "../../../src/edge/listen/first-certificate.ts";
import { reachedLimits } from "../../../src/limits.ts";

describe("first certificate", () => {
  const deadlines = new Deadlines((error) => {
    throw error;
  });
  afterAll(() => deadlines[Symbol.dispose]());

  test("nobody waits for a name that nobody ordered", () => {
    const first = new FirstCertificates(() => undefined, deadlines);
    let isDone = false;
    first.wait("a.test", () => (isDone = true));
    expect([isDone, first.waiting]).toEqual([true, 0]);
  });

  test("all who wait go on when the order ends; one more than may wait goes on at once", async () => {
    const order = Promise.withResolvers<void>();
    const first = new FirstCertificates(() => order.promise, deadlines);
    let done = 0;
    for (let count = 0; count < MAX_WAITING; count++) first.wait("a.test", () => (done += 1));
    expect([done, first.waiting]).toEqual([0, MAX_WAITING]);
    const before = reachedLimits().firstCertificateWaiters ?? 0;
    first.wait("a.test", () => (done += 1));
    expect([done, first.waiting]).toEqual([1, MAX_WAITING]);
    expect(reachedLimits().firstCertificateWaiters).toBe(before + 1);
    order.resolve();
    await order.promise;
    expect([done, first.waiting]).toEqual([MAX_WAITING + 1, 0]);
  });

  test("a step that ends is followed by the next one", async () => {
    const steps = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let step = 0;
    const first = new FirstCertificates(() => steps[step]?.promise, deadlines);
    let isDone = false;
    first.wait("a.test", () => (isDone = true));
    for (const expected of [false, true]) {
      step += 1;
      steps[step - 1]?.resolve();
      await Promise.resolve();
      await Promise.resolve();
      expect(isDone).toBe(expected);
    }
  });

  test("nobody waits longer than 10 s, and nobody is answered twice", async () => {
    jest.useFakeTimers();
    try {
      const order = Promise.withResolvers<void>();
      const first = new FirstCertificates(() => order.promise, deadlines);
      let done = 0;
      first.wait("a.test", () => (done += 1));
      jest.advanceTimersByTime(WAIT_MS - 1);
      expect(done).toBe(0);
      // The wheel turns in steps of 250 ms.
      jest.advanceTimersByTime(2 * STEP_MS);
      expect([done, first.waiting]).toEqual([1, 0]);
      order.resolve();
      await order.promise;
      expect(done).toBe(1);
    } finally {
      jest.useRealTimers();
    }
  });
});
