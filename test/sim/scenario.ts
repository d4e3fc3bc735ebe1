// This file is what a seed stands for: sizes of two processes, the sessions between them, their links and habits.
import type { Side, TransportParameters } from "../../src/session/index.ts";
import { DEFAULT_PARAMETERS } from "../../src/session/index.ts";
import type { PipeShape } from "./pipe.ts";
import { Random } from "./random.ts";

const KIB = 1_024;
const MIB = 1_024 * KIB;

export interface SideScenario {
  readonly parameters: TransportParameters;
  readonly receive: number;
  readonly retain: number;
  readonly unsent: number;
  /** Streams it opens, and bytes it writes in all, at most. */
  readonly opens: number;
  readonly volume: number;
  /** Bytes of a large stream, at most, and how many are large, of a hundred. */
  readonly largest: number;
  readonly appetite: number;
  /** Of a hundred pieces so many are as long as can be, with the next right behind. */
  readonly haste: number;
  /** Longest pause of a late reader, ms, and the most it reads behind one. */
  readonly readPauseMs: number;
  readonly sip: number;
  /** Streams that are never read, of a hundred. */
  readonly deafness: number;
  /** Mean time between actions, ms. */
  readonly actionMs: number;
}

/** One session: both ends and the two directions of its link, each by the side that reads from it. */
export interface SessionScenario {
  readonly sides: Readonly<Record<Side, SideScenario>>;
  readonly pipes: Readonly<Record<Side, PipeShape>>;
}

export interface Scenario {
  readonly seed: number;
  readonly sessions: readonly SessionScenario[];
  /** What all sessions of a process may hold together, bytes. */
  readonly memory: Readonly<Record<Side, number>>;
  /** Probability of a stall of a loop after an action, and its longest time. */
  readonly lagChance: number;
  readonly lagMs: number;
  /** Shares of the memory that sessions elsewhere may hold. */
  readonly pressures: readonly number[];
  /** When faults and actions end, ms. */
  readonly activeMs: number;
}

export const KINDS: Readonly<Record<Side, number>> = { edge: 1, connector: 0 };
export const SIDES: readonly Side[] = ["edge", "connector"];

/** Makes the scenario of a seed. */
export function scenarioOf(seed: number): Scenario {
  const random = new Random(seed);
  const sessions = random.chance(0.2) ? 2 : 1;
  const memory = (): number => random.pick([96 * KIB, 256 * KIB, MIB, 64 * MIB]);
  return {
    seed,
    sessions: Array.from({ length: sessions }, () => session(random)),
    memory: { edge: memory(), connector: memory() },
    lagChance: random.pick([0, 0.01, 0.03]),
    lagMs: random.pick([100, 1_000, 3_000]),
    pressures: random.chance(0.4) ? [0, 0.5, 0.85, 0.97] : [],
    activeMs: random.integer(1_500, 6_000),
  };
}

function session(random: Random): SessionScenario {
  const edge = side(random, "edge");
  const connector = side(random, "connector");
  // A few long transfers, so that windows grow, the path fills, and readers are slow for long.
  const isBulk = random.chance(0.06);
  return {
    sides: isBulk ? { edge: bulk(edge), connector: bulk(connector) } : { edge, connector },
    pipes: { edge: pipe(random), connector: pipe(random) },
  };
}

function side(random: Random, name: Side): SideScenario {
  const receive = random.pick([64, 64, 128, 512, 4_096]) * KIB;
  return {
    parameters: {
      ...DEFAULT_PARAMETERS[name],
      initialMaxData: Math.min(receive, random.pick([32, 64, 256]) * KIB),
      initialMaxStreams: name === "edge" ? 4 : random.pick([3, 16, 1_000]),
      initialWindow: random.pick([16, 17, 64, 256]) * KIB,
      resumeMs: 0,
    },
    receive,
    retain: random.pick([32, 128, 1_024]) * KIB,
    unsent: random.pick([64, 1_024]) * KIB,
    // A connector may open 100 streams in 10 s.
    opens: name === "edge" ? 200 : 60,
    volume: random.pick([200, 700]) * KIB,
    largest: 400_000,
    appetite: 15,
    haste: 0,
    readPauseMs: random.pick([30, 600]),
    sip: MIB,
    deafness: random.pick([0, 20, 90]),
    actionMs: random.pick([15, 80]),
  };
}

function bulk(side: SideScenario): SideScenario {
  return {
    ...side,
    parameters: { ...side.parameters, initialMaxData: 4 * MIB, initialWindow: MIB },
    receive: 16 * MIB,
    retain: 4 * MIB,
    opens: 10,
    volume: 6 * MIB,
    largest: 3 * MIB,
    appetite: 60,
    haste: 95,
    deafness: 0,
    readPauseMs: 600,
    sip: 24 * KIB,
  };
}

function pipe(random: Random): PipeShape {
  return {
    delayMs: random.pick([0.1, 5, 50, 300]),
    bytesPerMs: random.pick([300, 2_000, 50_000]),
    pieces: random.pick([1, 3, 10]),
    joinMs: random.pick([0, 2, 20]),
    bufferMs: random.pick([0, 50, 300]),
  };
}
