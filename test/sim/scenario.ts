// This file is what a seed stands for: sizes, network, faults and habits of one simulated session.
import type { Side, TransportParameters } from "../../src/session/index.ts";
import { DEFAULT_PARAMETERS } from "../../src/session/index.ts";
import type { PipeShape } from "./pipe.ts";
import { Random } from "./random.ts";

const KIB = 1_024;

/** What ends the session before its time, if anything. */
export type Fault =
  | { readonly kind: "none" | "goAway" | "close"; readonly side: Side; readonly atMs: number }
  /** The link dies when so many bytes were delivered to the side. */
  | {
      readonly kind: "kill";
      readonly side: Side;
      readonly afterBytes: number;
      readonly cause: "rst" | "fin";
    }
  /** Both directions go dark. */
  | { readonly kind: "dark"; readonly side: Side; readonly atMs: number };

export interface SideScenario {
  readonly parameters: TransportParameters;
  readonly receive: number;
  readonly retain: number;
  readonly unsent: number;
  readonly opens: number;
  readonly volume: number;
  readonly readPauseMs: number;
  /** Mean time between actions, ms. */
  readonly actionMs: number;
  /** Probability of a stall of the loop after an action, and its longest time. */
  readonly lagChance: number;
  readonly lagMs: number;
}

export interface Scenario {
  readonly seed: number;
  readonly sides: Readonly<Record<Side, SideScenario>>;
  readonly pipes: Readonly<Record<Side, PipeShape>>;
  readonly fault: Fault;
  /** When faults and actions end, ms. */
  readonly activeMs: number;
  /** Pressure of the process changes to one of these now and then. */
  readonly pressures: readonly number[];
}

export const KINDS: Readonly<Record<Side, number>> = { edge: 1, connector: 0 };

/** Makes the scenario of a seed. */
export function scenarioOf(seed: number): Scenario {
  const random = new Random(seed);
  const activeMs = random.integer(1_500, 6_000);
  return {
    seed,
    sides: { edge: side(random, "edge"), connector: side(random, "connector") },
    pipes: { edge: pipe(random), connector: pipe(random) },
    fault: fault(random, activeMs),
    activeMs,
    pressures: random.chance(0.3) ? [0, 0.85, 0.97, 1] : [0],
  };
}

function side(random: Random, name: Side): SideScenario {
  const receive = random.pick([64, 128, 512, 4_096]) * KIB;
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
    readPauseMs: random.pick([30, 600]),
    actionMs: random.pick([15, 80]),
    lagChance: random.pick([0, 0.01, 0.03]),
    lagMs: random.pick([100, 1_000, 3_000]),
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

function fault(random: Random, activeMs: number): Fault {
  const name = random.pick<Side>(["edge", "connector"]);
  const choice = random.next();
  const atMs = random.integer(0, activeMs);
  if (choice < 0.5) return { kind: "none", side: name, atMs };
  if (choice < 0.6) return { kind: "goAway", side: name, atMs };
  if (choice < 0.7) return { kind: "close", side: name, atMs };
  if (choice < 0.75) return { kind: "dark", side: name, atMs };
  return {
    kind: "kill",
    side: name,
    afterBytes: random.size(400 * KIB),
    cause: random.pick(["rst", "fin"]),
  };
}
