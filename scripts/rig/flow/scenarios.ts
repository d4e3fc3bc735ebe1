// This file is slow readers beside others, as figures: who still gets what, and what the edge holds meanwhile. reliability.md R-11; security.md S-42, S-46.
import { latencies } from "../latency.ts";
import { memoryOf } from "../process-figures.ts";
import { openReaders, rates, type Reader } from "../reader.ts";
import { Bench, KIB, LARGE, MIB, quantile, Watch } from "./bench.ts";

export type Figures = Readonly<Record<string, number>>;

const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);

function disposeAll(readers: readonly Reader[]): void {
  for (const reader of readers) reader[Symbol.dispose]();
}

/** Code is compiled, the buffers of the link are grown; those that are made from now on may be small. */
async function warmUp(bench: Bench, isSmall: boolean): Promise<void> {
  const readers = await openReaders(bench.goal, LARGE.path, 8, Number.POSITIVE_INFINITY);
  await Bun.sleep(1_500);
  disposeAll(readers);
  if (isSmall) bench.shrinkBuffers();
}

/** Bytes a second of readers at one pace, alone and beside readers that stopped, all on one session. */
async function paced(
  counts: { readonly fast: number; readonly stalled: number; readonly pace: number },
  seconds: number,
  isSmall: boolean,
): Promise<Figures> {
  await using bench = await Bench.start(isSmall);
  await warmUp(bench, isSmall);
  const { goal, edge } = bench;
  const fast = await openReaders(goal, LARGE.path, counts.fast, counts.pace);
  await Bun.sleep(seconds * 500);
  // One that was late catches up: more than its pace is no measure.
  const measured = async (): Promise<number[]> =>
    (await rates(fast, seconds)).map((rate) => Math.min(rate, counts.pace));
  const alone = await measured();
  const rssBefore = memoryOf(edge.program.pid).rss;
  using watch = new Watch(edge.program.pid, () => bench.figures());
  const stalled = await openReaders(goal, LARGE.path, counts.stalled);
  await Bun.sleep(seconds * 500);
  const beside = await measured();
  const shares = beside.map((rate, index) => rate / (alone[index] as number));
  disposeAll([...fast, ...stalled]);
  return {
    wanted: counts.fast * counts.pace,
    alone: sum(alone),
    beside: sum(beside),
    share: sum(beside) / sum(alone),
    worstShare: Math.min(...shares),
    tenthShare: quantile(shares, 0.1),
    heldMost: Math.max(...watch.held),
    rssBefore,
    rssMost: Math.max(...watch.rss),
  };
}

/** The same with eight readers that take all they can get. */
async function greedy(seconds: number, isSmall: boolean): Promise<Figures> {
  await using bench = await Bench.start(isSmall);
  const { goal, edge } = bench;
  const total = async (): Promise<number> => {
    const fast = await openReaders(goal, LARGE.path, 8, Number.POSITIVE_INFINITY);
    await Bun.sleep(1_000);
    const found = sum(await rates(fast, seconds));
    disposeAll(fast);
    return found;
  };
  await warmUp(bench, isSmall);
  await total();
  const before = await total();
  const rssBefore = memoryOf(edge.program.pid).rss;
  using watch = new Watch(edge.program.pid, () => bench.figures());
  const stalled = await openReaders(goal, LARGE.path, 50);
  await Bun.sleep(3_000);
  const beside = await total();
  disposeAll(stalled);
  // Other work on the machine comes and goes: alone is before and after.
  const alone = (before + (await total())) / 2;
  return {
    alone,
    beside,
    share: beside / alone,
    heldMost: Math.max(...watch.held),
    rssBefore,
    rssMost: Math.max(...watch.rss),
  };
}

/** A thousand readers of 1 GB, 16 KiB a second each: what each costs the edge, and what another session notices. */
async function slow(seconds: number, isSmall: boolean): Promise<Figures> {
  await using bench = await Bench.start(isSmall);
  const { goal, edge } = bench;
  const other = { ...goal, host: (await bench.another("other")).url.hostname };
  const { pid } = edge.program;
  await warmUp(bench, isSmall);
  await latencies(other, 200);
  const before = memoryOf(pid);
  const alone = await latencies(other, 400);
  using watch = new Watch(pid, () => bench.figures());
  const readers = await openReaders(goal, LARGE.path, 1_000, 16 * KIB);
  await Bun.sleep(seconds * 1_000);
  const beside = await latencies(other, 400);
  const after = memoryOf(pid);
  const { tables } = await bench.figures();
  const read = sum(readers.map(({ bytes }) => bytes));
  disposeAll(readers);
  return {
    readers: readers.length,
    requests: tables["requests"] as number,
    rssEach: (after.rss - before.rss) / readers.length,
    rssMostEach: (Math.max(...watch.rss) - before.rss) / readers.length,
    anonymousEach: (after.anonymous - before.anonymous) / readers.length,
    heldMost: Math.max(...watch.held),
    readEach: read / readers.length,
    p99Alone: quantile(alone, 0.99),
    p99Beside: quantile(beside, 0.99),
  };
}

/** What can be measured, by name; `seconds` is how long each of its measurements takes. */
export const SCENARIOS: Readonly<
  Record<string, (seconds: number, isSmall: boolean) => Promise<Figures>>
> = {
  stall: (seconds, isSmall) => paced({ fast: 50, stalled: 50, pace: MIB }, seconds, isSmall),
  greedy,
  slow,
  one: (seconds, isSmall) => paced({ fast: 998, stalled: 1, pace: 32 * KIB }, seconds, isSmall),
};
