import { describe, expect, test } from "bun:test";

import {
  Backoff,
  FAST_PHASE_MS,
  SHORT_LINKS_MOST,
  SLOW_LONGEST_MS,
  STEADY_LINK_MS,
} from "../../src/connector/backoff.ts";

/** The largest random number below 1, so that bounds show. */
const most = (): number => 1 - Number.EPSILON;
const least = (): number => 0;

describe("backoff", () => {
  test("dials at once at the start", () => {
    const plan = new Backoff(most).next(1_000);
    expect(plan).toEqual({ phase: "slow", delayMs: 0, connectTimeoutMs: 10_000, parallel: 1 });
  });

  test("doubles the bound of the wait up to 30 s", () => {
    const backoff = new Backoff(most);
    let now = 0;
    const waits: number[] = [];
    for (let dial = 0; dial < 9; dial++) {
      const { delayMs } = backoff.next(now);
      waits.push(Math.round(delayMs));
      now += delayMs + 10_000;
    }
    expect(waits).toEqual([0, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
  });

  test("jitters over the whole range, with 500 ms between two dials", () => {
    const backoff = new Backoff(least);
    expect(backoff.next(0).delayMs).toBe(0);
    expect(backoff.next(0).delayMs).toBe(500);
    expect(backoff.next(100).delayMs).toBe(900);
    expect(backoff.next(5_000).delayMs).toBe(0);
  });

  test("dials fast, three at a time, for 15 s after the last link was lost", () => {
    const backoff = new Backoff(most);
    backoff.next(0);
    backoff.linkUp(100);
    backoff.linkLost(50_000);
    let now = 50_000;
    let fast = 0;
    for (;;) {
      const plan = backoff.next(now);
      if (plan.phase === "slow") break;
      expect(plan.connectTimeoutMs).toBe(3_000);
      expect(plan.parallel).toBe(3);
      expect(plan.delayMs).toBeGreaterThanOrEqual(500);
      expect(plan.delayMs).toBeLessThanOrEqual(1_000);
      now += plan.delayMs;
      fast += 1;
    }
    expect(fast).toBe(14);
    expect(now).toBeLessThan(50_000 + FAST_PHASE_MS);
  });

  test("begins a new series after a link of 30 s, and only then", () => {
    for (const [livedMs, bound] of [
      [29_999, 16_000],
      [30_000, 1_000],
    ] as const) {
      const backoff = new Backoff(most);
      let now = 0;
      for (let dial = 0; dial < 5; dial++) now += backoff.next(now).delayMs + 10_000;
      backoff.linkUp(now);
      now += livedMs;
      backoff.linkLost(now);
      now += FAST_PHASE_MS;
      expect(Math.round(backoff.next(now).delayMs)).toBe(bound);
    }
  });

  test("waits as told, once, in either phase", () => {
    const backoff = new Backoff(least);
    backoff.next(0);
    backoff.toldToWait(42_000);
    expect(backoff.next(1_000).delayMs).toBe(42_000);
    expect(backoff.next(60_000)).toMatchObject({ phase: "slow", delayMs: 0 });
    backoff.linkUp(70_000);
    backoff.linkLost(80_000);
    backoff.toldToWait(5_000);
    expect(backoff.next(80_000)).toMatchObject({ phase: "fast", delayMs: 5_000 });
    backoff.toldToWait(20_000);
    expect(backoff.next(86_000)).toMatchObject({ phase: "slow", delayMs: 20_000 });
  });

  test("spreads a wait that many are told, up to twice its length", () => {
    const backoff = new Backoff(most);
    backoff.next(0);
    backoff.toldToWait(10_000);
    expect(Math.round(backoff.next(1_000).delayMs)).toBe(20_000);
  });

  test("no peer makes it wait longer than 300 s", () => {
    const backoff = new Backoff(most);
    backoff.next(0);
    backoff.toldToWait(2 ** 40);
    expect(backoff.next(1_000).delayMs).toBe(300_000);
  });

  test("going on at once still leaves 500 ms between two dials", () => {
    const backoff = new Backoff(least);
    backoff.next(0);
    backoff.goOnAtOnce();
    expect(backoff.next(100).delayMs).toBe(400);
  });

  test("losing what was never up starts no fast phase", () => {
    const backoff = new Backoff(most);
    backoff.linkLost(10);
    expect(backoff.next(20).phase).toBe("slow");
  });

  test("never waits longer than the longest wait", () => {
    let draw = 0;
    // Multiples of the golden ratio fill [0, 1) evenly.
    const backoff = new Backoff(() => (++draw * 0.618_033_988_75) % 1);
    let now = 0;
    for (let dial = 0; dial < 200; dial++) {
      const { delayMs } = backoff.next(now);
      expect(delayMs).toBeLessThanOrEqual(SLOW_LONGEST_MS);
      now += delayMs + 1;
    }
    expect(draw).toBeGreaterThan(190);
  });

  /** The phases of the dials after links that lived so long, ms, each ended by a fault or not. */
  function phasesAfter(
    backoff: Backoff,
    links: readonly (readonly [livedMs: number, isFault: boolean])[],
  ): string[] {
    let now = 0;
    return links.map(([livedMs, isFault]) => {
      now += backoff.next(now).delayMs;
      backoff.linkUp(now);
      now += livedMs;
      backoff.linkLost(now, isFault);
      return backoff.next(now).phase;
    });
  }

  test("a link that the edge ended for a fault opens no fast phase, however long it lived", () => {
    const backoff = new Backoff(least);
    expect(
      phasesAfter(backoff, [
        [100, true],
        [STEADY_LINK_MS, true],
        [STEADY_LINK_MS, false],
      ]),
    ).toEqual(["slow", "slow", "fast"]);
  });

  test("a fault ends the fast phase that an earlier loss opened", () => {
    const backoff = new Backoff(least);
    expect(
      phasesAfter(backoff, [
        [100, false],
        [100, true],
      ]),
    ).toEqual(["fast", "slow"]);
  });

  test("more than three short links in a row open none either, and their waits grow", () => {
    const backoff = new Backoff(most);
    const short = Array.from({ length: SHORT_LINKS_MOST + 4 }, () => [10, false] as const);
    expect(phasesAfter(backoff, short)).toEqual([
      ...["fast", "fast", "fast"],
      ...["slow", "slow", "slow", "slow"],
    ]);
    expect(backoff.next(1_000_000).delayMs).toBeGreaterThan(4_000);
  });

  test("a steady link ends that series: the next loss is an outage again", () => {
    const links = [
      ...Array.from({ length: SHORT_LINKS_MOST + 1 }, () => [STEADY_LINK_MS - 1, false] as const),
      [STEADY_LINK_MS, false] as const,
      ...Array.from({ length: SHORT_LINKS_MOST + 1 }, () => [10, false] as const),
    ];
    expect(phasesAfter(new Backoff(least), links)).toEqual([
      ...["fast", "fast", "fast", "slow"],
      "fast",
      ...["fast", "fast", "fast", "slow"],
    ]);
  });
});
