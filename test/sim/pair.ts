// This file is one simulated session: two ends, the two directions of their link, and what made it end. PROTOCOL §10.
import type { LinkLoss, SessionTrace, Side } from "../../src/session/index.ts";
import { Application, type Experience } from "./application.ts";
import type { Clock } from "./clock.ts";
import { checkStep, type End } from "./invariants.ts";
import { Pipe } from "./pipe.ts";
import type { Process } from "./process.ts";
import type { Random } from "./random.ts";
import { KINDS, type SessionScenario, SIDES } from "./scenario.ts";
import { type Mutant, Shell } from "./shell.ts";
import { Tap, WireRecord } from "./tap.ts";
import { fail, other, Truth } from "./truth.ts";

/** What made the session end before its time. */
export interface Reasons {
  /** Said CLOSE. */
  closer: Side | undefined;
  /** Its process is gone. */
  gone: Side | undefined;
  /** The link was cut or went dark. */
  isCut: boolean;
}

export class Pair {
  readonly truth = new Truth();
  readonly ends: Readonly<Record<Side, End>>;
  /** By the side that reads from it. */
  readonly pipes: Readonly<Record<Side, Pipe>>;
  readonly reasons: Reasons = { closer: undefined, gone: undefined, isCut: false };
  /** How a link that was cut looks to its reader. */
  cutCause: LinkLoss = "rst";
  readonly #clock: Clock;
  readonly #scenario: SessionScenario;

  /** @param makeMutant Breaks a rule, at each side by itself. */
  constructor(
    clock: Clock,
    random: Random,
    scenario: SessionScenario,
    processes: Readonly<Record<Side, Process>>,
    makeMutant: (() => Mutant) | undefined,
  ) {
    this.#clock = clock;
    this.#scenario = scenario;
    const { edge, connector } = scenario.sides;
    const record = new WireRecord({ edge: edge.parameters, connector: connector.parameters });
    const end = (side: Side): End =>
      this.#end(processes[side], record, random.integer(0, 2 ** 31), makeMutant?.());
    this.ends = { edge: end("edge"), connector: end("connector") };
    const pipe = (reader: Side): Pipe =>
      new Pipe(clock, random.fork(), scenario.pipes[reader], {
        bytes: (bytes) => this.ends[reader].shell.bytes(bytes),
        over: (isClean) => {
          this.ends[reader].shell.lost(isClean ? "fin" : this.cutCause);
          // The other direction of a link that was cut goes with it.
          if (!isClean) this.pipes[other(reader)].abort();
        },
      });
    this.pipes = { edge: pipe("edge"), connector: pipe("connector") };
    for (const side of SIDES)
      this.ends[side].shell.attach(this.pipes[other(side)], this.pipes[side]);
  }

  #end(process: Process, record: WireRecord, seed: number, mutant: Mutant | undefined): End {
    const { side } = process;
    const scenario = this.#scenario.sides[side];
    const tap = new Tap(side, record);
    const traced = new Map<string, number>();
    const part = process.budget.forSession(side);
    const shell: Shell = new Shell(
      this.#clock,
      process,
      {
        side,
        local: scenario.parameters,
        remote: this.#scenario.sides[other(side)].parameters,
        trace: traceTo(side, traced),
        budget: {
          receive: scenario.receive,
          retain: scenario.retain,
          unsent: scenario.unsent,
          pressure: () => (mutant?.isUnpressed ? 0 : part.pressure()),
          hold: (bytes: number) => {
            this.ends[side].held += bytes;
            part.hold(bytes);
          },
        },
      },
      tap,
      {
        stream: (output) => application.stream(output),
        status: (status) => {
          if (status.name === "closed") {
            this.ends[side].closedAt = this.#clock.now;
            part.end();
          }
          application.status(status);
        },
      },
      mutant,
    );
    // As session/driver.ts does: the tick lets the core look at the pressure again.
    part.whenFull = () => void shell.touch();
    const application = new Application(
      { ...scenario, side, process, seed, truth: this.truth, kind: KINDS[side] },
      shell,
      mutant?.hasCreditOnReceipt !== true,
    );
    return {
      process,
      shell,
      application,
      tap,
      held: 0,
      mostStreams: 0,
      last: undefined,
      overSince: undefined,
      fullSince: undefined,
      traced,
      closedAt: undefined,
    };
  }

  /** What must hold after every step. */
  check(): void {
    for (const side of SIDES) {
      const end = this.ends[side];
      if (!end.process.isDead) checkStep(end, this.#scenario.sides[side]);
    }
  }

  // At the end

  /** Both applications write and read everything that is left. */
  quiet(): void {
    for (const side of SIDES) this.ends[side].application.quiet();
  }

  get isSettled(): boolean {
    // A dark link is noticed even if nothing is left to be lost on it.
    const isEnding = this.isEnding || this.reasons.isCut;
    return SIDES.every((side) => {
      const { application, last, process, shell } = this.ends[side];
      if (process.isDead) return true;
      const isEmpty = application.isIdle && last?.streams === 0 && last.owing === 0;
      return isEmpty && (!isEnding || shell.isClosed);
    });
  }

  /** One side ended the session or is gone, so the other will end it. */
  get isEnding(): boolean {
    return SIDES.some((side) => this.ends[side].shell.isClosed || this.ends[side].process.isDead);
  }

  /** Sums over both ends. */
  sum(of: (end: End) => number): number {
    return SIDES.reduce((total, side) => total + of(this.ends[side]), 0);
  }

  experienced(what: keyof Experience): number {
    return this.sum(({ application }) => application.experience[what]);
  }

  traced(what: string): number {
    return this.sum(({ traced }) => traced.get(what) ?? 0);
  }
}

function traceTo(side: Side, traced: Map<string, number>): SessionTrace {
  const count = (what: string, by = 1): void => void traced.set(what, (traced.get(what) ?? 0) + by);
  return {
    link: (event) => count(`link ${event}`),
    stream: (event) => count(`stream ${event}`),
    dropped: (what, by) => count(what, by),
    violation: (code, frameType, message) =>
      fail(`the ${side} found a violation ${code} in frame ${frameType}: ${message}`),
  };
}
