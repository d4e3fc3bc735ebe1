// This file is one simulated session: two ends, two directions, and what must hold of them after every step and at the end. PROTOCOL §10.
import type { LinkLoss, SessionTrace, Side } from "../../src/session/index.ts";
import type { SessionStats } from "../../src/session/core/events.ts";
import { SESSION_CODES } from "../../src/wire/index.ts";
import { Application, type Experience } from "./application.ts";
import type { Clock } from "./clock.ts";
import { Pipe } from "./pipe.ts";
import type { Process } from "./process.ts";
import type { Random } from "./random.ts";
import { KINDS, type SessionScenario, SIDES } from "./scenario.ts";
import { type Mutant, Shell } from "./shell.ts";
import { Tap, WireRecord } from "./tap.ts";
import { fail, other, Truth } from "./truth.ts";

export interface End {
  readonly process: Process;
  readonly shell: Shell;
  readonly application: Application;
  readonly tap: Tap;
  /** Sum of what the core told its budget. */
  held: number;
  /** Most streams present at once so far. */
  mostStreams: number;
  last: SessionStats | undefined;
  /** Traced events, by name. */
  readonly traced: Map<string, number>;
  /** When the session was over here, in the time of the world. */
  closedAt: number | undefined;
}

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
          pressure: () => part.pressure(),
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
      traced,
      closedAt: undefined,
    };
  }

  // After every step

  check(): void {
    for (const side of SIDES) if (!this.ends[side].process.isDead) this.#check(side);
  }

  #check(side: Side): void {
    const end = this.ends[side];
    const { application, last, shell } = end;
    const { receive, retain } = this.#scenario.sides[side];
    const stats = shell.core.stats();
    const held = stats.received - stats.consumed;
    if (held < 0) fail(`the ${side} consumed more than it received`);
    if (stats.received > stats.receiveLimit)
      fail(`the ${side} received ${stats.received} bytes, its limit is ${stats.receiveLimit}`);
    if (stats.sent > stats.sendLimit)
      fail(`the ${side} sent ${stats.sent} bytes, its limit is ${stats.sendLimit}`);
    if (stats.receiveLimit > stats.consumed + receive)
      fail(`the ${side} granted more than its budget of ${receive} bytes`);
    if (held > receive) fail(`the ${side} holds ${held} bytes, allowed ${receive}`);
    if (!shell.isTickScheduled && application.held !== held)
      fail(`the ${side} counts ${held} bytes as held, its application has ${application.held}`);
    if (stats.retained < 0 || stats.retained > retain)
      fail(`the ${side} retains ${stats.retained} bytes, allowed ${retain}`);
    if (stats.unsent < 0) fail(`the ${side} has ${stats.unsent} unsent bytes`);
    if (end.held !== held + stats.retained + stats.unsent) {
      fail(
        `the ${side} told its budget ${end.held} bytes, it has ${held} + ${stats.retained} + ${stats.unsent}`,
      );
    }
    end.mostStreams = Math.max(end.mostStreams, stats.streams);
    // Those present when the last batch was filled, and those that came since.
    if (stats.owing > 2 * end.mostStreams)
      fail(`${stats.owing} streams of at most ${end.mostStreams} owe control at the ${side}`);
    if (last !== undefined) {
      if (stats.receiveLimit < last.receiveLimit) fail(`the session limit of the ${side} fell`);
      if (stats.received < last.received || stats.consumed < last.consumed)
        fail(`the ${side} counted backwards`);
    }
    end.last = stats;
  }

  // At the end

  /** Both applications write and read everything that is left. */
  quiet(): void {
    for (const side of SIDES) this.ends[side].application.quiet();
  }

  get isSettled(): boolean {
    // A dark link is noticed even if nothing is left to be lost on it.
    const isEnding = this.#isEnding || this.reasons.isCut;
    return SIDES.every((side) => {
      const { application, last, process, shell } = this.ends[side];
      if (process.isDead) return true;
      const isEmpty = application.isIdle && last?.streams === 0 && last.owing === 0;
      return isEmpty && (!isEnding || shell.isClosed);
    });
  }

  /** One side ended the session or is gone, so the other will end it. */
  get #isEnding(): boolean {
    return SIDES.some((side) => this.ends[side].shell.isClosed || this.ends[side].process.isDead);
  }

  get isCutShort(): boolean {
    return this.#isEnding;
  }

  checkSettled(waitedMs: number): void {
    for (const side of SIDES) {
      const { application, held, process, shell } = this.ends[side];
      if (process.isDead) continue;
      const stats = shell.core.stats();
      for (const [id, { isClosed, outcome }] of application.streams) {
        if (!isClosed)
          fail(
            `stream ${id} is not over at the ${side} after ${waitedMs} ms, its reader saw "${outcome}"`,
          );
      }
      const { streams, received, consumed, retained, unsent, owing } = stats;
      const rest = { streams, unread: received - consumed, retained, unsent, owing, held };
      for (const [what, value] of Object.entries(rest)) {
        if (value !== 0) fail(`the ${side} is left with ${value} (${what})`);
      }
      if (this.#isEnding && !shell.isClosed)
        fail(`the session of the ${side} outlived that of the ${other(side)}`);
    }
    if (this.#isEnding) this.#checkEnd();
    else this.#checkWhole();
  }

  /** Nothing was cut short: every byte and every end arrived. */
  #checkWhole(): void {
    const [edge, connector] = [
      this.ends.edge.shell.core.stats(),
      this.ends.connector.shell.core.stats(),
    ];
    for (const side of SIDES) this.#checkStreamCredit(side);
    if (edge.sent !== connector.received || connector.sent !== edge.received)
      fail("bytes sent and bytes received differ");
    for (const { id, opener, halves, isRefused, timesOpened } of this.truth.streams.values()) {
      // Who gave up before is not told that it was refused.
      const isLate =
        timesOpened === 0 &&
        this.truth.draining.has(other(opener)) &&
        halves[opener].resetCode !== undefined;
      if (isRefused || isLate) continue;
      if (timesOpened === 0) fail(`stream ${id} never reached the ${other(opener)}`);
      for (const writer of SIDES) {
        const { isFinished, resetCode, stopCode } = halves[writer];
        const seen = this.ends[other(writer)].application.streams.get(id)?.outcome;
        if (isFinished && resetCode === undefined && stopCode === undefined && seen !== "ended") {
          fail(`stream ${id} was finished by the ${writer}, its reader saw "${seen}"`);
        }
      }
    }
  }

  /** With no stream left, one more can be opened. */
  #checkStreamCredit(side: Side): void {
    const { shell } = this.ends[side];
    const opened = shell.core.open(KINDS[side], new Uint8Array(0), true, shell.touch());
    if (opened === "streamLimit") fail(`the ${side} may open no stream, though none is left`);
  }

  /** The session ended early: only where something made it end. */
  #checkEnd(): void {
    const { closer, gone, isCut } = this.reasons;
    if (closer === undefined && gone === undefined && !isCut)
      fail("the session ended without a reason");
    if (closer === undefined || gone !== undefined || isCut) return;
    const { closedCode } = this.ends[closer].application;
    if (closedCode !== SESSION_CODES.SHUTDOWN.code)
      fail(`the ${closer} closed and saw ${closedCode}`);
    // The peer sees the same code, or a loss where CLOSE found no way out within its 250 ms.
    const seen = this.ends[other(closer)].application.closedCode;
    if (seen !== SESSION_CODES.SHUTDOWN.code && seen !== SESSION_CODES.NO_ERROR.code)
      fail(`the peer saw CLOSE with ${seen}`);
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
