// What one owner's sessions may ask at a time and in a while, and that nothing is remembered of those who ask nothing.
import { describe, expect, test } from "bun:test";
import {
  CALLS_IN_PROGRESS,
  CallTraffic,
  CHANGES_AT_ONCE,
  CHANGES_PER_SECOND,
} from "../../src/edge/admin/call-traffic.ts";

describe("traffic of calls", () => {
  test("so many calls of an owner at a time, whatever sessions they come by; another one asks on", () => {
    const traffic = new CallTraffic(() => 0);
    const leave = Array.from({ length: CALLS_IN_PROGRESS }, () => traffic.enter("you", false));
    expect(leave.every((one) => one !== undefined)).toBe(true);
    expect(traffic.enter("you", false)).toBeUndefined();
    expect(traffic.enter("she", false)).toBeDefined();
    leave[0]?.();
    expect(traffic.enter("you", false)).toBeDefined();
    expect(traffic.enter("you", false)).toBeUndefined();
  });

  test("so many changes at once, then so many a second; questions are not counted", () => {
    let now = 0;
    const traffic = new CallTraffic(() => now);
    const change = (): boolean => {
      const leave = traffic.enter("you", true);
      leave?.();
      return leave !== undefined;
    };
    for (let count = 0; count < CHANGES_AT_ONCE; count++) expect(change()).toBe(true);
    expect(change()).toBe(false);
    traffic.enter("you", false)?.();
    now += 1_000;
    for (let count = 0; count < CHANGES_PER_SECOND; count++) expect(change()).toBe(true);
    expect(change()).toBe(false);
    now += 1_000_000;
    for (let count = 0; count < CHANGES_AT_ONCE; count++) expect(change()).toBe(true);
    expect(change()).toBe(false);
  });

  test("who asks nothing and owes nothing is forgotten", () => {
    let now = 0;
    const traffic = new CallTraffic(() => now);
    for (let index = 0; index < 100; index++) traffic.enter(`account ${index}`, true)?.();
    expect(traffic.size).toBe(100);
    now += (CHANGES_AT_ONCE / CHANGES_PER_SECOND) * 1_000;
    const leave = traffic.enter("you", false);
    expect(traffic.size).toBe(101);
    leave?.();
    expect(traffic.size).toBe(0);
  });
});
