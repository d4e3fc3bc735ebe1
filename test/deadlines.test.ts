import { afterEach, beforeEach, describe, expect, jest, test } from "bun:test";
import { Deadlines, STEP_MS } from "../src/deadlines.ts";
import { filesIn, textOf } from "./docs/text.ts";

describe("deadlines", () => {
  let errors: unknown[];
  let deadlines: Deadlines;

  beforeEach(() => {
    jest.useFakeTimers();
    errors = [];
    deadlines = new Deadlines((error) => errors.push(error));
  });

  afterEach(() => {
    deadlines[Symbol.dispose]();
    jest.useRealTimers();
  });

  test("fire never early and at most two steps late, for any time of scheduling", () => {
    const times = [0, 1, 249, 250, 251, 5_000, 10_000, 63_999, 64_000, 64_001, 200_000];
    const late = new Map<number, number>();
    // Keeps the wheel turning, so that scheduling happens between its steps.
    deadlines.schedule(1_000_000, () => undefined);
    jest.advanceTimersByTime(3 * STEP_MS + 117);
    for (const time of times) {
      const start = performance.now();
      deadlines.schedule(time, () => late.set(time, performance.now() - start - time));
    }
    for (let step = 0; step < 201_000 / STEP_MS; step++) jest.advanceTimersByTime(STEP_MS);
    expect([...late.keys()].sort((a, b) => a - b)).toEqual(times);
    for (const [time, by] of late) {
      expect({ time, isEarly: by < 0, isLate: by > 2 * STEP_MS }).toEqual({
        time,
        isEarly: false,
        isLate: false,
      });
    }
  });

  test("do nothing after cancel, before and after they fired", () => {
    let fired = 0;
    const cancelled = deadlines.schedule(1_000, () => (fired += 1));
    const kept = deadlines.schedule(1_000, () => (fired += 1));
    expect(deadlines.pending).toBe(2);
    cancelled.cancel();
    cancelled.cancel();
    expect(deadlines.pending).toBe(1);
    jest.advanceTimersByTime(2_000);
    expect(fired).toBe(1);
    kept.cancel();
    expect(deadlines.pending).toBe(0);
  });

  test("survive a callback that throws, and report it", () => {
    let fired = 0;
    deadlines.schedule(500, () => {
      throw new Error("broken");
    });
    deadlines.schedule(500, () => (fired += 1));
    jest.advanceTimersByTime(1_500);
    expect(fired).toBe(1);
    expect(errors).toEqual([new Error("broken")]);
  });

  test("may be scheduled and cancelled inside a callback of the same step", () => {
    const order: string[] = [];
    const later = { cancel: (): void => undefined };
    deadlines.schedule(500, () => {
      order.push("first");
      later.cancel();
      deadlines.schedule(0, () => order.push("next"));
    });
    later.cancel = deadlines.schedule(500, () => order.push("cancelled")).cancel;
    jest.advanceTimersByTime(500 + 4 * STEP_MS);
    expect(order).toEqual(["first", "next"]);
  });

  test("run their timer only while something is pending", () => {
    const before = jest.getTimerCount();
    const deadline = deadlines.schedule(1_000, () => undefined);
    expect(jest.getTimerCount()).toBe(before + 1);
    deadline.cancel();
    expect(jest.getTimerCount()).toBe(before);
    deadlines.schedule(250, () => undefined);
    jest.advanceTimersByTime(1_000);
    expect(jest.getTimerCount()).toBe(before);
  });

  test("drop everything when disposed", () => {
    let fired = 0;
    deadlines.schedule(250, () => (fired += 1));
    deadlines[Symbol.dispose]();
    jest.advanceTimersByTime(1_000);
    expect(fired).toBe(0);
    expect(deadlines.pending).toBe(0);
  });
});

/** Timers of their own: none of them is a deadline on somebody else. */
const OTHER_TIMERS: Readonly<Record<string, string>> = {
  "connector/claims.ts": "names that are asked for again",
  "connector/connector.ts": "pauses of a drain",
  "connector/edge-link.ts": "the next dial",
  "connector/origin/dial-origin.ts": "the next try of an origin that refuses, after 100 ms",
  "connector/race.ts": "the head start of an address, 250 ms (RFC 8305), or its share of the time",
  "connector/uplink.ts": "the next dial",
  "edge/certificates/acme/start-acme.ts": "what is due next",
  "edge/certificates/authority.ts": "renewal",
  "edge/certificates/file-source.ts": "another look at the files",
  "edge/dispatch.ts": "another look for stream credit, after 20 ms",
  "edge/dns/exchange.ts": "the reply of a name server, which is asked again",
  "edge/sessions.ts": "sessions are noted as seen",
  "edge/store/backups.ts": "the next backup",
  "edge/store/last-seen.ts": "what was seen goes to the disk",
  "edge/store/worker-line.ts": "our own worker at the start and the end",
};

describe("the wheel", () => {
  test("has every deadline of both ends on a peer (http.md §14)", () => {
    const sources = [...filesIn("src/edge", ".ts"), ...filesIn("src/connector", ".ts")];
    expect(sources.length).toBeGreaterThan(50);
    const own = sources.filter((path) => /\bset(?:Timeout|Interval)\(/.test(textOf(path)));
    expect(own.map((path) => path.replace("src/", "")).sort()).toEqual(Object.keys(OTHER_TIMERS));
  });
});
