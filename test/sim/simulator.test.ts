// This file is the simulator over many seeds. TUNL_SIM_SEEDS sets how many, TUNL_SEED replays one. PROTOCOL §10 item 3.
import { describe, expect, test } from "bun:test";
import { BROKEN_RULES } from "./mutants.ts";
import { seedsOf } from "./random.ts";
import { scenarioOf } from "./scenario.ts";
import type { Mutant } from "./shell.ts";
import { type Outcome, World } from "./world.ts";

const SEEDS = seedsOf(Number(process.env["TUNL_SIM_SEEDS"] ?? "300"));
/** Within so many seeds each mutant must be caught. */
const MUTANT_SEEDS = 12;
const TIMEOUT_MS = 600_000;

describe("simulator", () => {
  test(
    `keeps every promise of one link over ${SEEDS.length} seeds`,
    () => {
      const outcomes = SEEDS.map((seed) => new World(scenarioOf(seed)).run());
      expect(outcomes).toHaveLength(SEEDS.length);
      // One seed may happen to do little; many may not.
      if (SEEDS.length >= 100) expectWork(outcomes);
    },
    TIMEOUT_MS,
  );

  test("does the same for the same seed", () => {
    for (const seed of SEEDS.slice(0, 5)) {
      expect(new World(scenarioOf(seed)).run()).toEqual(new World(scenarioOf(seed)).run());
    }
  });

  for (const [rule, { finding, mutant }] of Object.entries(BROKEN_RULES)) {
    test(`notices when it is not true that ${rule}`, () => {
      expect(findingsOf(mutant)).toContainEqual(expect.stringMatching(finding));
    });
  }
});

/** What the simulator says to a broken rule, over several seeds. */
function findingsOf(mutant: () => Mutant): readonly string[] {
  const findings: string[] = [];
  for (let seed = 1; seed <= MUTANT_SEEDS; seed++) {
    try {
      new World(scenarioOf(seed), mutant).run();
    } catch (error) {
      findings.push(error instanceof Error ? error.message : String(error));
    }
  }
  return findings;
}

/** The seeds together reached what they are for. */
function expectWork(outcomes: readonly Outcome[]): void {
  const sum = (of: (outcome: Outcome) => number): number =>
    outcomes.reduce((total, outcome) => total + of(outcome), 0);
  const count = outcomes.length;
  expect(sum(({ streams }) => streams)).toBeGreaterThan(20 * count);
  expect(sum(({ bytes }) => bytes)).toBeGreaterThan(100_000 * count);
  expect(sum(({ frames }) => frames)).toBeGreaterThan(100 * count);
  expect(sum(({ refusals }) => refusals)).toBeGreaterThan(count);
  expect(sum(({ evictions }) => evictions)).toBeGreaterThan(count / 10);
  expect(sum(({ pauses }) => pauses)).toBeGreaterThan(count / 10);
  expect(sum(({ isCutShort }) => (isCutShort ? 1 : 0))).toBeGreaterThan(count / 5);
  expect(sum(({ isClosedByPeer }) => (isClosedByPeer ? 1 : 0))).toBeGreaterThan(count / 50);
}
