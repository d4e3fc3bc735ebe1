// This file is the simulator over many seeds. TUNL_SIM_SEEDS sets how many, TUNL_SEED replays one. PROTOCOL §10; S-46.
import { describe, expect, test } from "bun:test";
import { ReceiveWindow } from "../../src/session/core/receive-window.ts";
import { patching } from "./mutate.ts";
import { seedsOf } from "./random.ts";
import { replayable } from "./replay.ts";
import { COUNTED, type Outcome, simulate } from "./world.ts";

const SEEDS = seedsOf(Number(process.env["TUNL_SIM_SEEDS"] ?? "300"));
const TIMEOUT_MS = 3_600_000;

/** How often each happens per 1,000 seeds, at least: one seed may do little, many may not. */
const LEAST: Outcome = {
  steps: 1_000_000,
  streams: 20_000,
  bytes: 100_000_000,
  frames: 100_000,
  refused: 1_000,
  resets: 1_000,
  stops: 1_000,
  pauses: 1_000,
  streamLimits: 1_000,
  evicted: 200,
  valves: 100,
  lags: 500,
  jumps: 50,
  freezes: 500,
  pressed: 200,
  crashes: 20,
  dark: 20,
  killed: 50,
  drained: 50,
  cutShort: 200,
  closedByPeer: 20,
};

describe("simulator", () => {
  test(
    `keeps every promise of one link over ${SEEDS.length} seeds`,
    () => {
      const { windows, stop } = watchWindows();
      let totals: Outcome;
      try {
        totals = totalsOf(SEEDS.map((seed) => replayable(seed)));
      } finally {
        stop();
      }
      console.log(`${SEEDS.length} seeds: ${JSON.stringify({ ...totals, ...windows })}`);
      if (SEEDS.length < 100) return;
      // No total tells: a slow reader's window comes down, a fast one's goes up.
      expect(Math.min(windows.grown, windows.shrunk)).toBeGreaterThan(SEEDS.length / 500);
      for (const name of COUNTED) {
        const least = (LEAST[name] * SEEDS.length) / 1_000;
        expect([name, totals[name], totals[name] >= least]).toEqual([name, totals[name], true]);
      }
    },
    TIMEOUT_MS,
  );

  test("does the same for the same seed", () => {
    for (const seed of SEEDS.slice(0, 5)) expect(simulate(seed)).toEqual(simulate(seed));
  });
});

/** Counts what the windows of all streams do, from now on. */
function watchWindows(): {
  readonly windows: { grown: number; shrunk: number };
  readonly stop: () => void;
} {
  const windows = { grown: 0, shrunk: 0 };
  const watching = patching(
    ReceiveWindow.prototype,
    "consume",
    (original) =>
      function (this: ReceiveWindow, ...given) {
        const before = this.window;
        const hasRisen = original.apply(this, given);
        if (this.window > before) windows.grown += 1;
        else if (this.window < before) windows.shrunk += 1;
        return hasRisen;
      },
  );
  return { windows, stop: watching.patch?.() ?? (() => undefined) };
}

function totalsOf(outcomes: readonly Outcome[]): Outcome {
  const totals = COUNTED.map((name) => [
    name,
    outcomes.reduce((sum, outcome) => sum + outcome[name], 0),
  ]);
  return Object.fromEntries(totals) as Outcome;
}
