// This file is one soak: load for a time with disturbances, then the questions of R-13: is every table, every descriptor and the memory back, and did anybody see what he should not.
import {
  connectorFigures,
  descriptorsOf,
  edgeFigures,
  type Figures,
  until,
} from "../rig/figures.ts";
import { ScratchDirectory } from "../rig/pair.ts";
import { SoakTunnel, startSoakEdge, Visitors } from "./stage.ts";
import type { Failure } from "./stage.ts";
import { type Trend, trendOf } from "./trend.ts";
import { SoakWatch } from "./watch.ts";

/** Requests in progress when the visitors are told to stop, ms. */
const FINISH_MS = 60_000;
/** What is kept for a while: idle connections of an origin close after 2 s, a lingering visitor after 2 s. */
const BACK_MS = 20_000;
/** Until the sockets of the questions before are closed on both sides, ms. */
const SETTLE_MS = 300;
/** A response that was cut shows when its visitor has read what the kernels had of it, ms. The tunnel left alone has no such time. */
const AFTER_MS = 5_000;
/** The first part of a run does not count for the slope: code is compiled, buffers grow. */
const WARM_UP = 0.25;

export interface SoakOptions {
  readonly executable: string;
  readonly seconds: number;
  /** Between two disturbances, ms. */
  readonly disturbMs: number;
  readonly seed: number;
  readonly tell: (text: string) => void;
}

/** One thing done to the disturbed tunnel, ms since 1970. */
interface Disturbance {
  readonly what: string;
  readonly from: number;
  readonly to: number;
}

export interface SoakResult {
  readonly done: Readonly<Record<string, number>>;
  readonly resumed: number;
  readonly disturbances: Readonly<Record<string, number>>;
  /** Failures in the time of a disturbance of that tunnel, by text. */
  readonly expected: Readonly<Record<string, number>>;
  readonly unexpected: readonly Failure[];
  /** What is not back: `edge streams 3, at the start 2`. */
  readonly left: readonly string[];
  readonly marks: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly limits: Readonly<Record<string, number>>;
  /** Bytes per hour. */
  readonly memory: Readonly<Record<string, Trend>>;
}

/** Runs it. @throws Error if the load could not be made. */
export async function soak(options: SoakOptions): Promise<SoakResult> {
  const { executable, seconds, seed, tell } = options;
  await using scope = new AsyncDisposableStack();
  const home = scope.use(new ScratchDirectory("tunl-soak-")).path;
  const edge = scope.use(await startSoakEdge(executable, home));
  const steady = scope.use(await SoakTunnel.start("steady", executable, home, edge));
  const moving = scope.use(await SoakTunnel.start("moving", executable, home, edge));
  const look = async (): Promise<Record<string, number>> => ({
    ...(await lookAt("edge", edge.program.pid, () => edgeFigures(edge.home))),
    ...(await connectorLook(steady)),
    ...(await connectorLook(moving)),
  });
  // Processes that have done nothing yet; the names were announced and acknowledged.
  let start = await look();
  await until("quiet before the load", BACK_MS, async () => {
    await Bun.sleep(SETTLE_MS);
    start = await look();
    const busy = Object.entries(start).filter(
      ([name, value]) => /held|retained|unsent/.test(name) && value > 0,
    );
    return busy.length === 0 ? undefined : JSON.stringify(busy);
  });
  tell(`at the start: ${JSON.stringify(start)}`);

  const watch = new SoakWatch(edge, steady);
  const visitors = [
    scope.use(new Visitors(edge, steady, seed)),
    scope.use(new Visitors(edge, moving, seed + 1)),
  ];
  const disturbances = await disturb(moving, performance.now() + seconds * 1_000, options);
  await watch.finish();
  const [calm, disturbed] = await Promise.all(visitors.map((each) => each.finish(FINISH_MS)));
  if (calm === undefined || disturbed === undefined) throw new Error("BUG: two tunnels");

  let left: string[] = [];
  await until("the end of every table", BACK_MS, async () => {
    left = differences(start, await look());
    return left.length === 0 ? undefined : left.join("; ");
  }).catch(() => undefined); // It is a result: `left` says what there was.
  // Without connectors and visitors nothing is left at all.
  await steady.connector[Symbol.asyncDispose]();
  await moving.connector[Symbol.asyncDispose]();
  await until("an empty edge", BACK_MS, async () => {
    const { tables, bytes } = await edgeFigures(edge.home);
    const full = Object.entries({ ...tables, ...bytes }).filter(
      ([name, value]) => value !== 0 && name !== "deadlines",
    );
    return full.length === 0 ? undefined : JSON.stringify(full);
  }).catch((error: unknown) => left.push(String(error)));

  const failures = disturbed.failures;
  const isExpected = ({ at }: Failure): boolean =>
    disturbances.some(({ from, to }) => at >= from && at <= to + AFTER_MS);
  const isWrong = ({ text }: Failure): boolean => text.startsWith("WRONG BYTES");
  return {
    done: add(calm.done, disturbed.done),
    resumed: calm.resumed + disturbed.resumed,
    disturbances: countBy(disturbances.map(({ what }) => what)),
    expected: countBy(
      failures
        .filter((each) => isExpected(each) && !isWrong(each))
        .map(({ failed, text }) => `${failed}: ${text.replace(/\d{2,}/g, "N")}`),
    ),
    unexpected: [
      ...calm.failures.map((each) => ({ ...each, text: `${each.text} (the tunnel left alone)` })),
      ...failures
        .filter((each) => !isExpected(each) || isWrong(each))
        .map((each) => ({ ...each, text: `${each.text} (${lastBefore(each.at, disturbances)})` })),
    ],
    left,
    marks: {
      edge: Object.fromEntries(watch.marks.edge),
      connector: Object.fromEntries(watch.marks.connector),
    },
    limits: (await edgeFigures(edge.home)).limits ?? {},
    memory: Object.fromEntries(
      Object.entries(watch.memory).map(([name, samples]) => [
        name,
        trendOf(samples.slice(Math.floor(samples.length * WARM_UP))),
      ]),
    ),
  };
}

/** Restarts this and that until the time is over. */
async function disturb(
  tunnel: SoakTunnel,
  endsAt: number,
  { disturbMs, tell }: SoakOptions,
): Promise<Disturbance[]> {
  const turns: readonly (readonly [string, () => Promise<void>])[] = [
    ["connector SIGTERM", () => tunnel.restartConnector("SIGTERM")],
    ["connector SIGKILL", () => tunnel.restartConnector("SIGKILL")],
    ["origin SIGKILL", () => tunnel.restartOrigin()],
  ];
  const done: Disturbance[] = [];
  for (;;) {
    // Each kind comes, and the last one leaves its visitors time to go on.
    const leftMs = endsAt - performance.now();
    if (done.length >= turns.length && leftMs < 2 * disturbMs) {
      await Bun.sleep(Math.max(0, leftMs));
      return done;
    }
    await Bun.sleep(disturbMs);
    const [what, run] = turns[done.length % turns.length] as (typeof turns)[number];
    const from = Date.now();
    await run();
    done.push({ what, from, to: Date.now() });
    tell(`${new Date(from).toISOString()} ${what} took ${Date.now() - from} ms`);
  }
}

function connectorLook({ label, connector }: SoakTunnel): Promise<Record<string, number>> {
  const { home, program } = connector;
  return lookAt(label, program.pid, () => connectorFigures(home, program.pid));
}

/** Descriptors first: the question for the figures is one more. */
async function lookAt(
  end: string,
  pid: number,
  ask: () => Promise<Figures>,
): Promise<Record<string, number>> {
  const descriptors = descriptorsOf(pid);
  const { tables, bytes } = await ask();
  const all = { ...tables, ...bytes, descriptors };
  return Object.fromEntries(Object.entries(all).map(([name, value]) => [`${end} ${name}`, value]));
}

/** How long after what something was. */
function lastBefore(at: number, disturbances: readonly Disturbance[]): string {
  const last = disturbances.findLast(({ from }) => from <= at);
  return last === undefined
    ? "before the first restart"
    : `${at - last.to} ms after ${last.what}, which took ${last.to - last.from} ms`;
}

function differences(
  start: Readonly<Record<string, number>>,
  now: Readonly<Record<string, number>>,
): string[] {
  return Object.entries(now)
    .filter(([name, value]) => value !== start[name])
    .map(([name, value]) => `${name} ${value}, at the start ${start[name]}`);
}

function add(
  left: Readonly<Record<string, number>>,
  right: Readonly<Record<string, number>>,
): Record<string, number> {
  const sum = { ...left };
  for (const [name, value] of Object.entries(right)) sum[name] = (sum[name] ?? 0) + value;
  return sum;
}

function countBy(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
