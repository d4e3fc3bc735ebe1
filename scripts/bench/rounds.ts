// This file is the order of a run: warm-up of each tunl, then interleaved rounds, each measurement with its processor time. benchmarks.md §8.
import { cpuSeconds } from "../rig/process-figures.ts";
import type { Candidate } from "./candidates.ts";
import { bulk, handshakes, requests, verify } from "./measure.ts";
import type { Sample, Tools } from "./measure.ts";
import type { BenchOptions, Scenario } from "./options.ts";
import type { Measurement, Skip } from "./report.ts";
import { bulkBytes, VERIFY_BYTES } from "./setup.ts";

/** One pass of the warm-up; bulk repeats its payload as often. */
const WARM_UP_SLICE_SECONDS = 2;

/** Hashes a payload there and back, then gives load of every kind for the time asked. */
export async function warmUp(
  candidate: Candidate,
  scenarios: readonly Scenario[],
  seconds: number,
  tools: Tools,
): Promise<void> {
  const ids = scenarios.map(({ id }) => id);
  if (ids.includes("B1") || ids.includes("B2"))
    await verify(tools, candidate.goal, VERIFY_BYTES, ids.includes("B2"));
  const endsAt = performance.now() + seconds * 1_000;
  while (performance.now() < endsAt) {
    for (const scenario of scenarios) {
      const sliceEndsAt = performance.now() + WARM_UP_SLICE_SECONDS * 1_000;
      while (performance.now() < sliceEndsAt)
        await load(scenario, candidate, WARM_UP_SLICE_SECONDS, VERIFY_BYTES, tools);
    }
  }
}

/** Runs every round. A measurement that breaks is told and left out; the others go on. */
export async function runRounds(
  candidates: readonly Candidate[],
  scenarios: readonly Scenario[],
  { rounds, seconds }: BenchOptions,
  tools: Tools,
): Promise<{ measurements: Measurement[]; failed: Skip[] }> {
  const measurements: Measurement[] = [];
  const failed: Skip[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const scenario of scenarios) {
      for (const candidate of rotate(candidates, round)) {
        try {
          measurements.push(await measure(scenario, candidate, round, seconds, tools));
        } catch (error) {
          const reason = error instanceof Error ? error.message : String(error);
          failed.push({
            id: `${scenario.id} ${scenario.variant}`,
            candidate: candidate.name,
            reason,
          });
          console.error(`✖ ${scenario.id} ${scenario.variant} ${candidate.name}: ${reason}`);
        }
      }
    }
  }
  return { measurements, failed };
}

async function measure(
  scenario: Scenario,
  candidate: Candidate,
  round: number,
  seconds: number,
  tools: Tools,
): Promise<Measurement> {
  const before = spent(candidate);
  const sample = await load(scenario, candidate, seconds, bulkBytes(seconds), tools);
  const after = spent(candidate);
  const cpu = Object.fromEntries(
    Object.entries(after).map(([name, total]) => [name, total - (before[name] ?? 0)]),
  );
  return { scenario, candidate: candidate.name, round, sample, cpu };
}

function load(
  { variant }: Scenario,
  { goal }: Candidate,
  seconds: number,
  bytes: number,
  tools: Tools,
): Promise<Sample> {
  switch (variant) {
    case "down":
    case "up":
      return bulk(tools, goal, variant, bytes);
    case "keep-alive":
      return requests(tools, goal, seconds, false);
    case "new, resumed":
      return requests(tools, goal, seconds, true);
    case "new, full handshake":
      return handshakes(tools, goal, seconds);
  }
}

function spent({ processes }: Candidate): Record<string, number> {
  return Object.fromEntries(
    Object.entries(processes).map(([name, pid]) => [name, cpuSeconds(pid)]),
  );
}

/** Round 1 `A B C`, round 2 `B C A`: nobody is always first. */
export function rotate<T>(items: readonly T[], by: number): T[] {
  const start = items.length === 0 ? 0 : by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}
