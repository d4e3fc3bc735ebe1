import { describe, expect, test } from "bun:test";
import { Deadlines } from "../../../src/deadlines.ts";
import { RefusalLog } from "../../../src/edge/listen/refusal-log.ts";
import { memoryLog } from "../certificates/temporary.ts";

/** A wheel that the test turns. */
class Turned extends Deadlines {
  readonly waits: number[] = [];
  readonly #runs: (() => void)[] = [];

  constructor() {
    super(() => undefined);
  }

  override schedule(afterMs: number, run: () => void): { cancel(): void } {
    this.waits.push(afterMs);
    this.#runs.push(run);
    return { cancel: () => undefined };
  }

  turn(): void {
    this.#runs.shift()?.();
  }
}

describe("refusal log", () => {
  test("tells the first refusal at once, the rest of a flood once in ten seconds (S-43)", () => {
    const { log, records } = memoryLog();
    const wheel = new Turned();
    const refusals = new RefusalLog(wheel, log);
    const told = (): unknown[] => records.map(({ fields }) => fields);
    refusals.note("connections");
    expect(told()).toEqual([{ connections: 1 }]);
    for (let index = 0; index < 5_000; index++) refusals.note("connections");
    refusals.note("acceptRate");
    expect(told()).toHaveLength(1);
    wheel.turn();
    expect(told().slice(1)).toEqual([{ connections: 5_000, acceptRate: 1 }]);
    // Nothing more to tell: the next one is told at once again.
    wheel.turn();
    expect(told()).toHaveLength(2);
    refusals.note("penalty");
    expect(told().slice(2)).toEqual([{ penalty: 1 }]);
    expect(wheel.waits).toEqual([10_000, 10_000, 10_000]);
  });
});
