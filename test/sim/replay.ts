// This file is a failed seed made small: the shortest plan that fails the same way, as lines to read.
import { describeEvent, planOf, type PlannedEvent } from "./plan.ts";
import { scenarioOf } from "./scenario.ts";
import type { Mutant } from "./shell.ts";
import { shrink } from "./shrink.ts";
import { type Outcome, simulate } from "./world.ts";

/** Runs a seed. @throws Error with what broke, when, and the shortest plan under which it does. */
export function replayable(seed: number, makeMutant?: () => Mutant): Outcome {
  const verdict = failureOf(seed, makeMutant, planOf(scenarioOf(seed)));
  if (typeof verdict !== "string") return verdict;
  const plan = shortestPlan(seed, verdict, makeMutant);
  const lines = plan.map((event) => `  ${describeEvent(event)}`);
  throw new Error(`${verdict}\n${lines.length} events are enough for it:\n${lines.join("\n")}`);
}

/** The shortest plan found under which the seed fails in the way `verdict` says. */
export function shortestPlan(
  seed: number,
  verdict: string,
  makeMutant?: () => Mutant,
): readonly PlannedEvent[] {
  return shrink(planOf(scenarioOf(seed)), (plan) =>
    isSameFailure(failureOf(seed, makeMutant, plan), verdict),
  );
}

/** Two failures of one kind differ in their numbers only. */
export function isSameFailure(found: string | Outcome, verdict: string): boolean {
  const kindOf = (text: string): string => text.replace(/ \(at .*$/s, "").replace(/\d+/g, "#");
  return typeof found === "string" && kindOf(found) === kindOf(verdict);
}

/** What broke; the outcome where nothing did. */
export function failureOf(
  seed: number,
  makeMutant: (() => Mutant) | undefined,
  plan: readonly PlannedEvent[],
): string | Outcome {
  try {
    return simulate(seed, makeMutant, plan);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
