// This file is rules broken on purpose: the simulator must notice each within few seeds, for the reason it was broken. PROTOCOL §10.
import { describe, expect, test } from "bun:test";
import { BROKEN_RULES, type BrokenRule } from "./mutants.ts";
import { planOf } from "./plan.ts";
import { failureOf, isSameFailure, shortestPlan } from "./replay.ts";
import { scenarioOf } from "./scenario.ts";
import { simulate } from "./world.ts";

/** Most seeds within which a mutant must be caught. */
const SEEDS = 2_000;

/** The first seed whose failure is the one expected, and what it said. */
function caught({ finding, mutant }: BrokenRule): { seed: number; text: string } | undefined {
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      simulate(seed, mutant);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      if (finding.test(text)) return { seed, text };
    }
  }
  return undefined;
}

describe("simulator", () => {
  for (const [rule, broken] of Object.entries(BROKEN_RULES)) {
    test(`notices when it is not true that ${rule}`, () => {
      const found = caught(broken);
      expect(found?.text).toMatch(broken.finding);
      console.log(`${rule}: seed ${found?.seed}`);
    });
  }

  test("finds the few events that a failure needs", () => {
    const broken = BROKEN_RULES["FIN arrives"] as BrokenRule;
    const found = caught(broken);
    if (found === undefined) throw new Error("The mutant was not caught");
    const whole = planOf(scenarioOf(found.seed));
    const few = shortestPlan(found.seed, found.text, broken.mutant);
    expect(whole.length).toBeGreaterThan(20);
    expect(few.length).toBeGreaterThan(0);
    expect(few.length).toBeLessThan(whole.length / 5);
    // Without any one of them it does not happen.
    for (const event of few) {
      const without = few.filter((each) => each !== event);
      const verdict = failureOf(found.seed, broken.mutant, without);
      expect(isSameFailure(verdict, found.text)).toBe(false);
    }
    expect(() => simulate(found.seed, broken.mutant, few)).toThrow(broken.finding);
    expect(() => simulate(found.seed, broken.mutant, [])).not.toThrow();
    expect(() => simulate(found.seed, undefined, few)).not.toThrow();
  });
});
