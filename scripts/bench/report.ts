// This file is from measurements to the report: medians, spans, ratios within a round, a table and a JSON document. benchmarks.md §7, §8, §10.
import { DIRECT, DIRECT_APART } from "./candidates.ts";

import type { Sample } from "./measure.ts";
import type { MemoryFigures } from "./memory-watch.ts";
import type { Scenario } from "./options.ts";

/** One measurement with whom it is of, and what it cost. */
export interface Measurement {
  readonly scenario: Scenario;
  readonly candidate: string;
  readonly round: number;
  readonly sample: Sample;
  /** CPU-seconds of each process that counts. */
  readonly cpu: Readonly<Record<string, number>>;
}

/** A row of the report. */
export interface Result {
  readonly id: string;
  readonly variant: string;
  readonly net: "loopback";
  readonly candidate: string;
  readonly unit: string;
  readonly better: "higher";
  readonly runs: readonly number[];
  /** Which round each of `runs` and `cpuRuns` is of: one that broke is left out. */
  readonly rounds: readonly number[];
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly p50: number | undefined;
  readonly p99: number | undefined;
  readonly errors: number;
  readonly cpuUnit: "CPU-ms/1000" | "CPU-s/GB";
  /** All processes together in each round; the median of the rounds, and each process alone. */
  readonly cpuRuns: readonly number[];
  readonly cpu: number;
  readonly cpuOf: Readonly<Record<string, number>>;
  /** CPU-seconds per second, all processes: well below the processors they have, something else was the limit. */
  readonly busy: number;
  /** Median of the ratios within each round; undefined for the limit itself, or without it. */
  readonly ofDirect: number | undefined;
  readonly ofDirectApart: number | undefined;
}

/** What did not come to a result. */
export interface Skip {
  readonly id: string;
  readonly candidate: string;
  readonly reason: string;
}

/** Everything the report says. */
export interface Report {
  readonly version: 1;
  readonly startedAt: string;
  readonly mode: "small";
  readonly machine: Readonly<Record<string, string | number>>;
  readonly candidates: readonly Readonly<Record<string, string>>[];
  readonly results: readonly Result[];
  /** This build by the other one, a line per scenario. */
  readonly comparison: readonly string[];
  readonly memory: Readonly<Record<string, Readonly<Record<string, MemoryFigures>>>>;
  readonly skipped: readonly Skip[];
  readonly failed: readonly Skip[];
  /** What made the run less than quiet. */
  readonly noisy: readonly string[];
  readonly warmUpSeconds: number;
  readonly rounds: number;
  readonly secondsEach: number;
  readonly seconds: number;
}

/** The middle one, or the mean of the two in the middle. `values` must not be empty. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  const half = sorted.length >> 1;
  const upper = sorted[half];
  const lower = sorted[sorted.length % 2 === 0 ? half - 1 : half];
  if (upper === undefined || lower === undefined) throw new Error("BUG: a median of nothing");
  return (lower + upper) / 2;
}

/** One row for each scenario and candidate, in the order they were first measured. */
export function summarise(measurements: readonly Measurement[]): Result[] {
  const groups = Map.groupBy(
    measurements,
    ({ scenario, candidate }) => `${scenario.id} ${scenario.variant} ${candidate}`,
  );
  return [...groups.values()].map((group) => {
    const { scenario, candidate } = group[0] as Measurement;
    const isBulk = scenario.unit === "Gbit/s";
    const scale = isBulk ? 1e9 : 1;
    const runs = group.map(({ sample }) => sample.rate / scale);
    const costs = group.map(({ cpu, sample }) => costOf(cpu, sample, isBulk));
    const names = Object.keys(costs[0] as Readonly<Record<string, number>>);
    const times = (field: "p50" | "p99"): number | undefined => {
      const known = group.map(({ sample }) => sample[field]).filter((value) => value !== undefined);
      return known.length === 0 ? undefined : median(known);
    };
    return {
      id: scenario.id,
      variant: scenario.variant,
      net: "loopback",
      candidate,
      unit: scenario.unit,
      better: "higher",
      runs,
      rounds: group.map(({ round }) => round),
      median: median(runs),
      min: Math.min(...runs),
      max: Math.max(...runs),
      p50: times("p50"),
      p99: times("p99"),
      errors: group.reduce((sum, { sample }) => sum + sample.errors, 0),
      cpuUnit: isBulk ? "CPU-s/GB" : "CPU-ms/1000",
      cpuRuns: costs.map(total),
      cpu: median(costs.map(total)),
      cpuOf: Object.fromEntries(
        names.map((name) => [name, median(costs.map((cost) => cost[name] as number))]),
      ),
      busy: median(group.map(({ cpu, sample }) => total(cpu) / sample.seconds)),
      ofDirect: ratio(measurements, group, DIRECT),
      ofDirectApart: ratio(measurements, group, DIRECT_APART),
    };
  });
}

/** CPU-seconds per GB, or CPU-milliseconds per 1,000 requests. */
function costOf(
  cpu: Readonly<Record<string, number>>,
  { amount }: Sample,
  isBulk: boolean,
): Readonly<Record<string, number>> {
  const units = isBulk ? amount / 1e9 : amount / 1e6;
  return Object.fromEntries(Object.entries(cpu).map(([name, seconds]) => [name, seconds / units]));
}

function total(parts: Readonly<Record<string, number>>): number {
  return Object.values(parts).reduce((sum, part) => sum + part, 0);
}

function ratio(
  all: readonly Measurement[],
  group: readonly Measurement[],
  limit: string,
): number | undefined {
  const ratios: number[] = [];
  for (const { scenario, candidate, round, sample } of group) {
    const other = all.find(
      (one) => one.scenario === scenario && one.candidate === limit && one.round === round,
    );
    if (other !== undefined && candidate !== limit) ratios.push(sample.rate / other.sample.rate);
  }
  return ratios.length === 0 ? undefined : median(ratios);
}

/** Three digits are more than most spans support. */
export function short(value: number): string {
  if (value >= 1_000) return `${(value / 1_000).toPrecision(3)}k`;
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

const HEADER = [
  "scenario",
  "candidate",
  "median (span)",
  "of D",
  "of D apart",
  "p50, p99 ms",
  "CPU",
  "busy",
  "errors",
];

/** Cells of the table, header first. */
export function cells(results: readonly Result[]): string[][] {
  return [
    HEADER,
    ...results.map((result) => [
      `${result.id} ${result.variant}`,
      result.candidate,
      `${short(result.median)} ${result.unit} (${short(result.min)}–${short(result.max)})`,
      result.ofDirect?.toFixed(2) ?? "–",
      result.ofDirectApart?.toFixed(2) ?? "–",
      result.p50 === undefined || result.p99 === undefined
        ? "–"
        : `${short(result.p50)}, ${short(result.p99)}`,
      costText(result),
      result.busy.toFixed(2),
      String(result.errors),
    ]),
  ];
}

function costText({ cpu, cpuOf, cpuUnit }: Result): string {
  const parts = Object.entries(cpuOf);
  const split =
    parts.length === 1
      ? (parts[0]?.[0] ?? "")
      : parts.map(([name, part]) => `${name} ${short(part)}`).join(", ");
  return `${short(cpu)} ${cpuUnit} (${split})`;
}

/**
 * One candidate by another: median and span of the ratios within each round, in which the machine was the same for both.
 * They differ only where the spans of their figures do not meet. benchmarks.md §8.
 */
export function comparison(results: readonly Result[], one: string, other: string): string[] {
  return results
    .filter(({ candidate }) => candidate === one)
    .flatMap((mine) => {
      const theirs = results.find(
        ({ variant, candidate }) => variant === mine.variant && candidate === other,
      );
      if (theirs === undefined) return [];
      const isEqual = mine.min <= theirs.max && theirs.min <= mine.max;
      const ratios = (figures: (result: Result) => readonly number[]): number[] =>
        mine.rounds.flatMap((round, index) => {
          const other = figures(theirs)[theirs.rounds.indexOf(round)];
          return other === undefined ? [] : [(figures(mine)[index] as number) / other];
        });
      const speed = spanOf(ratios(({ runs }) => runs));
      const cost = spanOf(ratios(({ cpuRuns }) => cpuRuns));
      return `${mine.id} ${mine.variant}: ${speed} of its speed, ${cost} of its CPU${isEqual ? ", spans meet: equal" : ""}`;
    });
}

/** `0.98 (0.91–1.04)`. */
function spanOf(ratios: readonly number[]): string {
  if (ratios.length === 0) return "–";
  const [low, high] = [Math.min(...ratios), Math.max(...ratios)];
  return `${median(ratios).toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`;
}

/** Columns as wide as their widest cell. */
export function align(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** Lines about memory, in MB: before, peak, 10 s after. */
export function memoryLines(memory: Report["memory"]): string[] {
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(0);
  return Object.entries(memory).flatMap(([candidate, processes]) =>
    Object.entries(processes).map(([name, { rss, anonymous }]) => {
      const of = ({ before, peak, after }: MemoryFigures["rss"]): string =>
        [before, peak, after].map(megabytes).join(" / ");
      return `${candidate} ${name}: RSS ${of(rss)} MB, anonymous ${of(anonymous)} MB (before / peak / 10 s after)`;
    }),
  );
}

/** What a reader has to know beside the numbers. benchmarks.md §12. */
export const NOTES = [
  "Loopback: the numbers show what the programs cost, not what a user gets over a distance.",
  "Load and servers share this machine's processors, which are the limit; so CPU stands beside each rate. It is that of the processes named, the origin behind a tunnel not included.",
  "busy is CPU-seconds per second of those processes: where it is well below the processors they have, the load, the origin or other work on the machine was the limit.",
  "D is nginx over https beside the load, as the origin is; D apart is nginx over https alone on the processor that edge and connector share.",
  "Links between connector and edge are encrypted (TLS 1.3). Visitors speak TLS 1.3 to tunl and to nginx over https, 1,024-byte answers.",
];

/** The report for people. */
export function markdown(report: Report): string {
  const [header = [], ...rows] = cells(report.results);
  const row = (texts: readonly string[]): string => `| ${texts.join(" | ")} |`;
  const facts = (record: Readonly<Record<string, string | number>>): string =>
    Object.entries(record)
      .map(([name, value]) => `${name} ${value}`)
      .join(", ");
  return [
    `# tunl against nginx on loopback, ${report.startedAt}`,
    "",
    `Machine: ${facts(report.machine)}`,
    "",
    ...report.candidates.map((candidate) => `- ${facts(candidate)}`),
    "",
    `${report.rounds} interleaved rounds of ${report.secondsEach} s each after at least ${report.warmUpSeconds} s of load on each tunl; median and span of the rounds.`,
    "",
    ...report.noisy.map((text) => `- Noisy: ${text}`),
    ...[...report.skipped, ...report.failed].map(
      ({ id, candidate, reason }) => `- ${id} ${candidate}: ${reason}`,
    ),
    "",
    row(header),
    row(header.map(() => "---")),
    ...rows.map(row),
    "",
    ...report.comparison.map((line) => `- this build by the compared one: ${line}`),
    ...memoryLines(report.memory).map((line) => `- ${line}`),
    "",
    ...NOTES.map((note) => `- ${note}`),
    "",
  ].join("\n");
}
