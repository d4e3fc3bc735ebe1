// This file is one simulated run: two processes, the sessions between them, and a plan of what happens, checked after every step.
import type { Side } from "../../src/session/index.ts";
import { SESSION_CODES } from "../../src/wire/index.ts";
import { checkSettled } from "./aftermath.ts";
import { Clock } from "./clock.ts";
import { Pair } from "./pair.ts";
import { planOf, type PlannedEvent } from "./plan.ts";
import { Process } from "./process.ts";
import { Random } from "./random.ts";
import { type Scenario, scenarioOf, SIDES } from "./scenario.ts";
import type { Mutant } from "./shell.ts";
import { fail, other } from "./truth.ts";

/** After the faults everything must be over within this time. */
const SETTLE_MS = 60_000;
/** ... and the last word has arrived within this. */
const LAST_FRAMES_MS = 2_000;
/** A link that goes dark is lost at both ends within this. */
const DARK_MS = 16_000;

/** What a run was made of: shows that it tested something. */
export type Outcome = Readonly<Record<(typeof COUNTED)[number], number>>;

export const COUNTED = [
  "steps",
  "streams",
  "bytes",
  "frames",
  "refused",
  "resets",
  "stops",
  "pauses",
  "streamLimits",
  /** Streams given up because nobody read them, and links not read because too much was held. */
  "evicted",
  "valves",
  "lags",
  "jumps",
  "freezes",
  "pressed",
  "crashes",
  "dark",
  "killed",
  "drained",
  /** Sessions that ended before everything was over, and those of them by CLOSE of the other side. */
  "cutShort",
  "closedByPeer",
] as const;

export class World {
  readonly #scenario: Scenario;
  readonly #plan: readonly PlannedEvent[];
  readonly #clock = new Clock();
  readonly #processes: Readonly<Record<Side, Process>>;
  readonly #pairs: readonly Pair[];
  readonly #done = new Map<string, number>();
  /** When a link went dark, and whether both ends must see it in time: nothing of ours was in the way. */
  #dark: { readonly at: number; readonly pair: Pair } | undefined;
  #lastStall = 0;
  #steps = 0;

  constructor(scenario: Scenario, plan: readonly PlannedEvent[], makeMutant?: () => Mutant) {
    this.#scenario = scenario;
    this.#plan = plan;
    const { memory, sessions } = scenario;
    this.#processes = {
      edge: new Process("edge", this.#clock, memory.edge),
      connector: new Process("connector", this.#clock, memory.connector),
    };
    const random = new Random(scenario.seed ^ 0x5eed);
    this.#pairs = sessions.map(
      (session) => new Pair(this.#clock, random.fork(), session, this.#processes, makeMutant),
    );
  }

  /** Runs to the end. @throws SimulationError */
  run(): Outcome {
    const { activeMs } = this.#scenario;
    for (const event of this.#plan)
      this.#clock.at(event.atMs, () => {
        if (!this.#processes[event.side].isDead) this.#happen(event);
      });
    this.#advance(activeMs);
    for (const side of SIDES) this.#processes[side].press(0);
    for (const pair of this.#pairs) pair.quiet();
    this.#advance(activeMs + SETTLE_MS, () => this.#pairs.every(({ isSettled }) => isSettled));
    // What the last frames give back is still under way.
    this.#advance(this.#clock.now + LAST_FRAMES_MS);
    for (const pair of this.#pairs) checkSettled(pair, SETTLE_MS);
    this.#checkDark();
    return this.#outcome();
  }

  /** Where a failure happened. */
  get now(): number {
    return this.#clock.now;
  }

  // What happens

  #happen({ side, session, what }: PlannedEvent): void {
    const process = this.#processes[side];
    const pair = this.#pairs[session] ?? fail(`there is no session ${session}`);
    this.#count(what.kind);
    switch (what.kind) {
      case "lag":
        process.block(what.ms);
        this.#lastStall = Math.max(this.#lastStall, this.#clock.now + what.ms);
        break;
      case "jump":
        process.jump(what.ms);
        this.#lastStall = Math.max(this.#lastStall, this.#clock.now);
        break;
      case "press":
        process.press(what.share);
        break;
      case "vanish":
        for (const each of this.#pairs)
          for (const reader of SIDES) each.pipes[reader].isDark = true;
        this.#crash(side);
        break;
      case "crash":
        this.#crash(side);
        break;
      case "kill":
        pair.reasons.isCut = true;
        pair.cutCause = what.cause;
        pair.pipes[side].killAt = pair.pipes[side].delivered + what.bytes;
        break;
      case "dark":
      case "darkBoth":
        pair.reasons.isCut = true;
        this.#dark = { at: this.#clock.now, pair };
        pair.pipes[side].isDark = true;
        if (what.kind === "darkBoth") pair.pipes[other(side)].isDark = true;
        break;
      default:
        // An application runs when its loop does.
        process.when(() => this.#act(pair, side, what));
    }
  }

  #act(
    pair: Pair,
    side: Side,
    what: Extract<
      PlannedEvent["what"],
      { kind: "open" | "giveUp" | "nudge" | "freeze" | "goAway" | "close" }
    >,
  ): void {
    const { application, shell } = pair.ends[side];
    switch (what.kind) {
      case "open":
        application.open(what.seed);
        break;
      case "giveUp":
        application.giveUp(what.seed);
        break;
      case "nudge":
        application.nudge(what.seed);
        break;
      case "freeze":
        application.freeze(what.ms);
        break;
      case "goAway":
        pair.truth.draining.add(side);
        shell.core.goAway(SESSION_CODES.SHUTDOWN.code, 0, "going", shell.touch());
        break;
      case "close":
        pair.reasons.closer = side;
        shell.core.close(SESSION_CODES.SHUTDOWN.code, "closing", shell.touch());
        break;
      default:
        what satisfies never;
    }
  }

  #crash(side: Side): void {
    for (const { reasons } of this.#pairs) reasons.gone = side;
    this.#processes[side].crash();
  }

  #count(kind: PlannedEvent["what"]["kind"]): void {
    this.#done.set(kind, (this.#done.get(kind) ?? 0) + 1);
  }

  #advance(until: number, isDone: () => boolean = () => false): void {
    while (!isDone() && this.#clock.step(until)) {
      this.#steps += 1;
      for (const pair of this.#pairs) pair.check();
    }
  }

  // What must hold at the end

  #checkDark(): void {
    if (this.#dark === undefined || this.#lastStall > this.#dark.at) return;
    const { at, pair } = this.#dark;
    for (const side of SIDES) {
      const { closedAt, process } = pair.ends[side];
      if (process.isDead) continue;
      if (closedAt === undefined || closedAt - at > DARK_MS)
        fail(`the ${side} saw the link dark at ${at} ms and gave it up at ${closedAt}`);
    }
  }

  #outcome(): Outcome {
    const sum = (of: (pair: Pair) => number): number =>
      this.#pairs.reduce((total, pair) => total + of(pair), 0);
    const done = (...kinds: readonly PlannedEvent["what"]["kind"][]): number =>
      kinds.reduce((total, kind) => total + (this.#done.get(kind) ?? 0), 0);
    return {
      steps: this.#steps,
      streams: sum(({ truth }) => truth.streams.size),
      bytes: sum((pair) => pair.experienced("bytesRead")),
      frames: sum((pair) => pair.sum(({ tap }) => tap.frames)),
      refused: sum((pair) => pair.experienced("refused")),
      resets: sum((pair) => pair.experienced("resets")),
      stops: sum((pair) => pair.experienced("stops")),
      pauses: sum((pair) => pair.experienced("pauses")),
      streamLimits: sum((pair) => pair.experienced("streamLimits")),
      evicted: sum((pair) => pair.experienced("evicted")),
      valves: sum((pair) => pair.sum(({ shell }) => shell.pauses)),
      lags: done("lag"),
      jumps: done("jump"),
      freezes: done("freeze"),
      pressed: done("press"),
      crashes: done("crash", "vanish"),
      dark: done("dark", "darkBoth"),
      killed: done("kill"),
      drained: done("goAway"),
      cutShort: sum(({ isEnding }) => (isEnding ? 1 : 0)),
      closedByPeer: sum((pair) =>
        SIDES.every(
          (side) => pair.ends[side].application.closedCode === SESSION_CODES.SHUTDOWN.code,
        )
          ? 1
          : 0,
      ),
    };
  }
}

/** Runs a seed, or only `plan` of what happens under it. @throws Error with the time and the seed. */
export function simulate(
  seed: number,
  makeMutant?: () => Mutant,
  plan: readonly PlannedEvent[] = planOf(scenarioOf(seed)),
): Outcome {
  const world = new World(scenarioOf(seed), plan, makeMutant);
  const undo = makeMutant?.().patch?.();
  try {
    return world.run();
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    throw new Error(`${text} (at ${world.now.toFixed(1)} ms; TUNL_SEED=${seed} replays it)`, {
      cause: error,
    });
  } finally {
    undo?.();
  }
}
