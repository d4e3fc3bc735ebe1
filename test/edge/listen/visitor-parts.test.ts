import { describe, expect, test } from "bun:test";
import { BodyLedger } from "../../../src/edge/listen/body-ledger.ts";
import { BodyPace } from "../../../src/edge/listen/body-pace.ts";
import { seed, seededRandom } from "./rig.ts";
import { VISITOR_LIMITS, VISITOR_TIMEOUTS } from "../../../src/edge/listen/visitor-options.ts";

describe("body ledger", () => {
  test("counts only body bytes, in the order they were written", () => {
    const ledger = new BodyLedger();
    ledger.overhead(100);
    ledger.body(50);
    ledger.body(0);
    ledger.overhead(5);
    ledger.body(10);
    expect([
      ledger.take(60),
      ledger.take(60),
      ledger.take(35),
      ledger.take(10),
      ledger.take(10),
    ]).toEqual([0, 20, 30, 10, 0]);
  });

  test("agrees with a list of bytes for any cut", () => {
    const draw = seededRandom();
    const ledger = new BodyLedger();
    let waiting: boolean[] = [];
    let compared = 0;
    for (let round = 0; round < 3_000; round++) {
      const bytes = Math.floor(draw() * 20);
      if (draw() < 0.5) {
        const isBody = draw() < 0.5;
        if (isBody) ledger.body(bytes);
        else ledger.overhead(bytes);
        waiting.push(...Array.from({ length: bytes }, () => isBody));
      } else {
        const taken = waiting.slice(0, bytes);
        waiting = waiting.slice(bytes);
        const body = taken.filter((isBody) => isBody).length;
        if (ledger.take(taken.length) !== body)
          throw new Error(`TUNL_SEED=${seed} differs in round ${round}`);
        compared += body;
      }
    }
    expect(compared).toBeGreaterThan(1_000);
  });
});

describe("body pace", () => {
  const pace = (): BodyPace => new BodyPace(VISITOR_TIMEOUTS, VISITOR_LIMITS);
  /** Sends `bytes` every `everyMs`, from `begin` on; the time at which it was judged too slow, or undefined. */
  function judge(bytes: number, everyMs: number, untilMs: number): number | undefined {
    const judged = pace();
    judged.begin(1_000);
    for (let at = 1_000; at < untilMs; at += 100) {
      if ((at - 1_000) % everyMs === 0 && at > 1_000) judged.got(bytes, at);
      if (at >= judged.dueAt && judged.broken(at) !== undefined) return at - 1_000;
    }
    return undefined;
  }

  test.each([
    ["240 bytes a second", 240, 1_000, undefined],
    ["200 bytes a second after the free span", 200, 1_000, 20_000],
    ["a byte every 50 s after the free span", 1, 50_000, 60_000],
    ["a large chunk every 50 s", 20_000, 50_000, undefined],
    ["silence", 0, 1_000_000, 60_000],
  ])("%s", (_, bytes, everyMs, expected) => {
    expect(judge(bytes, everyMs, 300_000)).toBe(expected);
  });

  test("time it was held back is not measured", () => {
    const held = pace();
    held.begin(0);
    held.got(1, 15_000);
    held.resume(70_000);
    expect(held.broken(80_000)).toBeUndefined();
    expect(held.dueAt).toBe(130_000);
  });
});
