// This file is how often a CA is asked: never slowed down while it does well, ten times a minute once it does not. R-18.
import { describe, expect, test } from "bun:test";
import {
  CaBudget,
  FAILING_REQUESTS,
  type Outcome,
  WINDOW_MS,
} from "../../../../src/edge/certificates/acme/budget.ts";

/** Asks as fast as it may for a while; each request takes `ms` and ends as `outcome` says. */
function ask(
  budget: CaBudget,
  forMs: number,
  ms: number,
  outcome: (count: number) => Outcome,
  from = 0,
): number[] {
  const begun: number[] = [];
  for (let now = from; now < from + forMs;) {
    const delay = budget.delay(now);
    if (delay > 0) {
      now += delay;
      continue;
    }
    budget.begin(now);
    begun.push(now);
    now += ms;
    budget.end(outcome(begun.length), now);
  }
  return begun;
}

/** The most requests that any minute holds. */
function busiest(begun: readonly number[]): number {
  return Math.max(
    ...begun.map((at) => begun.filter((each) => each >= at && each < at + 60_000).length),
  );
}

describe("budget of a CA", () => {
  test("a CA that does well is asked as fast as it answers", () => {
    expect(ask(new CaBudget(), 10_000, 10, () => "good")).toHaveLength(1_000);
  });

  test("a nonce that is rejected now and then slows nothing down", () => {
    const budget = new CaBudget();
    const begun = ask(budget, 10_000, 100, (count) => (count % 60 === 0 ? "nonce" : "good"));
    expect(begun).toHaveLength(100);
    expect(budget.isFailing(10_000)).toBe(false);
  });

  test.each<[string, (count: number) => Outcome]>([
    ["down", () => "failed"],
    ["rejecting nine nonces of ten", (count) => (count % 10 === 0 ? "good" : "nonce")],
    ["failing every other time", (count) => (count % 2 === 0 ? "good" : "failed")],
  ])("a CA that is %s is asked at most ten times in any minute", (_, outcome) => {
    const begun = ask(new CaBudget(), 20 * WINDOW_MS, 50, outcome);
    expect(busiest(begun)).toBeLessThanOrEqual(FAILING_REQUESTS);
    // And it goes on being asked.
    expect(begun.length).toBeGreaterThanOrEqual(19 * FAILING_REQUESTS);
  });

  test("of a CA that nothing is known of one request asks, the others wait for its answer", () => {
    const budget = new CaBudget();
    expect(budget.delay(0)).toBe(0);
    budget.begin(0);
    expect(budget.delay(0)).toBe(Number.POSITIVE_INFINITY);
    budget.end("good", 5);
    // One at a time until five in a row were good.
    for (let count = 2; count <= 5; count += 1) {
      budget.begin(5);
      expect(budget.delay(5)).toBe(Number.POSITIVE_INFINITY);
      budget.end("good", 5);
    }
    budget.begin(5);
    budget.begin(5);
    expect([budget.delay(5), budget.outstanding]).toEqual([0, 2]);
    budget.end("failed", 6);
    expect(budget.delay(6)).toBe(Number.POSITIVE_INFINITY);
    // Our own stop is no answer, but it ends the wait for one.
    budget.end(undefined, 7);
    expect([budget.delay(7), budget.isFailing(7)]).toEqual([0, true]);
  });

  test("what was known a minute ago is not known any more", () => {
    const budget = new CaBudget();
    ask(budget, 5, 1, () => "good", -5);
    budget.begin(WINDOW_MS - 1);
    expect(budget.delay(WINDOW_MS - 1)).toBe(0);
    expect(budget.delay(WINDOW_MS)).toBe(Number.POSITIVE_INFINITY);
  });

  test("a CA that is back is asked freely once its failures are a minute old", () => {
    const budget = new CaBudget();
    ask(budget, 5 * WINDOW_MS, 50, () => "failed");
    const back = ask(budget, 4 * WINDOW_MS, 1_000, () => "good", 5 * WINDOW_MS);
    const last = back.filter((at) => at >= 8 * WINDOW_MS);
    expect(last).toHaveLength(WINDOW_MS / 1_000);
  });

  test("a clock that is set back holds nobody up", () => {
    const budget = new CaBudget();
    ask(budget, WINDOW_MS, 50, () => "failed", 1_000 * WINDOW_MS);
    expect(budget.delay(0)).toBe(0);
  });
});
