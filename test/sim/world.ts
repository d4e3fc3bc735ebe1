// This file is one simulated session from its first byte to its last, checked after every step. PROTOCOL §10 item 3.
import type { LinkLoss, SessionTrace, Side } from "../../src/session/index.ts";
import type { SessionStats } from "../../src/session/core/events.ts";
import { SESSION_CODES } from "../../src/wire/index.ts";
import { Application } from "./application.ts";
import { Clock } from "./clock.ts";
import { Pipe } from "./pipe.ts";
import { Random } from "./random.ts";
import { KINDS, type Scenario } from "./scenario.ts";
import { type Mutant, Shell } from "./shell.ts";
import { Tap, WireRecord } from "./tap.ts";
import { fail, other, Truth } from "./truth.ts";

/** After the faults everything must be over within this time. */
const SETTLE_MS = 60_000;
/** ... and the last word has arrived within this. */
const LAST_FRAMES_MS = 2_000;
const SIDES: readonly Side[] = ["edge", "connector"];

/** What a run was made of: shows that it tested something. */
export interface Outcome {
  readonly steps: number;
  readonly streams: number;
  readonly bytes: number;
  readonly frames: number;
  readonly refusals: number;
  readonly evictions: number;
  /** How often a core stopped reading its link. */
  readonly pauses: number;
  /** The session ended before everything was over. */
  readonly isCutShort: boolean;
  /** CLOSE reached the other side. */
  readonly isClosedByPeer: boolean;
}

interface End {
  readonly shell: Shell;
  readonly application: Application;
  readonly tap: Tap;
  /** Sum of what the core told its budget. */
  held: number;
  /** Most streams present at once so far. */
  mostStreams: number;
  last: SessionStats | undefined;
}

export class World {
  readonly #scenario: Scenario;
  readonly #clock = new Clock();
  readonly #random: Random;
  readonly #truth = new Truth();
  readonly #ends: Readonly<Record<Side, End>>;
  /** By the side that reads from it. */
  readonly #pipes: Readonly<Record<Side, Pipe>>;
  #pressure = 0;
  #steps = 0;

  /** @param makeMutant Breaks a rule, at each side by itself. */
  constructor(scenario: Scenario, makeMutant?: () => Mutant) {
    this.#scenario = scenario;
    this.#random = new Random(scenario.seed ^ 0x5eed);
    const { edge, connector } = scenario.sides;
    const record = new WireRecord({ edge: edge.parameters, connector: connector.parameters });
    this.#ends = {
      edge: this.#end("edge", record, makeMutant?.()),
      connector: this.#end("connector", record, makeMutant?.()),
    };
    this.#pipes = { edge: this.#pipe("edge"), connector: this.#pipe("connector") };
  }

  /** Runs to the end. @throws SimulationError with the seed. */
  run(): Outcome {
    try {
      return this.#run();
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      throw new Error(
        `${text} (at ${this.#clock.now.toFixed(1)} ms; TUNL_SEED=${this.#scenario.seed} replays it)`,
        { cause: error },
      );
    }
  }

  #run(): Outcome {
    const { activeMs } = this.#scenario;
    for (const side of SIDES) this.#ends[side].shell.attach(this.#pipes[other(side)]);
    for (const side of SIDES) this.#plan(side);
    this.#planFault();
    this.#advance(activeMs);
    this.#pressure = 0;
    for (const side of SIDES) {
      this.#ends[side].shell.blockedUntil = 0;
      this.#ends[side].application.quiet();
    }
    this.#advance(activeMs + SETTLE_MS, () => this.#isSettled);
    // What the last frames give back is still under way.
    this.#advance(this.#clock.now + LAST_FRAMES_MS);
    this.#checkSettled();
    return this.#outcome();
  }

  #end(side: Side, record: WireRecord, mutant: Mutant | undefined): End {
    const { parameters, receive, retain, unsent, opens, volume, readPauseMs } =
      this.#scenario.sides[side];
    const tap = new Tap(side, record);
    const random = new Random(this.#random.integer(0, 2 ** 31));
    const application = new Application({
      side,
      clock: this.#clock,
      random,
      truth: this.#truth,
      kind: KINDS[side],
      opens,
      volume,
      readPauseMs,
    });
    const options = {
      side,
      local: parameters,
      remote: this.#scenario.sides[other(side)].parameters,
      trace: this.#trace(side),
      budget: {
        receive,
        retain,
        unsent,
        pressure: () => this.#pressure,
        hold: (bytes: number) => {
          this.#ends[side].held += bytes;
        },
      },
    };
    const shell = new Shell(
      this.#clock,
      options,
      tap,
      {
        stream: (output) => application.stream(output),
        status: (status) => application.status(status),
      },
      mutant,
    );
    application.start(shell, mutant?.hasCreditOnReceipt !== true);
    return { shell, application, tap, held: 0, mostStreams: 0, last: undefined };
  }

  #trace(side: Side): SessionTrace {
    return {
      link: () => undefined,
      stream: () => undefined,
      dropped: () => undefined,
      violation: (code, frameType, message) =>
        fail(`the ${side} found a violation ${code} in frame ${frameType}: ${message}`),
    };
  }

  #pipe(reader: Side): Pipe {
    const random = new Random(this.#random.integer(0, 2 ** 31));
    const { fault, pipes } = this.#scenario;
    const cause: LinkLoss = fault.kind === "kill" ? fault.cause : "rst";
    const pipe = new Pipe(this.#clock, random, pipes[reader], {
      bytes: (bytes) => this.#ends[reader].shell.bytes(bytes),
      over: (isClean) => {
        this.#ends[reader].shell.lost(isClean ? "fin" : cause);
        if (isClean) return;
        // The other direction of a link that was cut goes with it.
        this.#pipes[other(reader)].abort();
      },
    });
    if (fault.kind === "kill" && fault.side === reader) pipe.killAt = fault.afterBytes;
    return pipe;
  }

  // What happens

  #plan(side: Side): void {
    const { activeMs, pressures, sides } = this.#scenario;
    const { actionMs, lagChance, lagMs } = sides[side];
    const random = this.#random;
    const { application, shell } = this.#ends[side];
    const again = (): void => {
      if (this.#clock.now >= activeMs) return;
      if (this.#clock.now >= shell.blockedUntil) application.act();
      if (random.chance(lagChance)) shell.blockedUntil = this.#clock.now + random.size(lagMs);
      if (random.chance(0.05)) this.#pressure = random.pick(pressures);
      this.#clock.at(this.#clock.now + random.next() * 2 * actionMs, again);
    };
    this.#clock.at(0, again);
  }

  #planFault(): void {
    const { fault } = this.#scenario;
    if (fault.kind === "none" || fault.kind === "kill") return;
    const { shell } = this.#ends[fault.side];
    this.#clock.at(fault.atMs, () => {
      switch (fault.kind) {
        case "goAway":
          this.#truth.draining.add(fault.side);
          shell.core.goAway(SESSION_CODES.SHUTDOWN.code, 0, "going", shell.touch());
          break;
        case "close":
          shell.core.close(SESSION_CODES.SHUTDOWN.code, "closing", shell.touch());
          break;
        default:
          for (const side of SIDES) this.#pipes[side].isDark = true;
      }
    });
  }

  #advance(until: number, isDone: () => boolean = () => false): void {
    while (!isDone() && this.#clock.step(until)) {
      this.#steps += 1;
      for (const side of SIDES) this.#check(side);
    }
  }

  // What must hold

  #check(side: Side): void {
    const end = this.#ends[side];
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

  get #isSettled(): boolean {
    // A dark link is noticed even if nothing is left to be lost on it.
    const isEnding = this.#isEnding || this.#scenario.fault.kind === "dark";
    return SIDES.every((side) => {
      const { application, last, shell } = this.#ends[side];
      return (
        application.isIdle &&
        last?.streams === 0 &&
        last.owing === 0 &&
        (!isEnding || shell.isClosed)
      );
    });
  }

  /** One side ended the session, so the other will. */
  get #isEnding(): boolean {
    return SIDES.some((side) => this.#ends[side].shell.isClosed);
  }

  #checkSettled(): void {
    for (const side of SIDES) {
      const { application, held, shell } = this.#ends[side];
      const stats = shell.core.stats();
      for (const [id, { isClosed, outcome }] of application.streams) {
        if (!isClosed)
          fail(
            `stream ${id} is not over at the ${side} after ${SETTLE_MS} ms, its reader saw "${outcome}"`,
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
      this.#ends.edge.shell.core.stats(),
      this.#ends.connector.shell.core.stats(),
    ];
    for (const side of SIDES) this.#checkStreamCredit(side);
    if (edge.sent !== connector.received || connector.sent !== edge.received)
      fail("bytes sent and bytes received differ");
    for (const { id, opener, halves, isRefused, timesOpened } of this.#truth.streams.values()) {
      // Who gave up before is not told that it was refused.
      const isLate =
        timesOpened === 0 &&
        this.#truth.draining.has(other(opener)) &&
        halves[opener].resetCode !== undefined;
      if (isRefused || isLate) continue;
      if (timesOpened === 0) fail(`stream ${id} never reached the ${other(opener)}`);
      for (const writer of SIDES) {
        const { isFinished, resetCode, stopCode } = halves[writer];
        const seen = this.#ends[other(writer)].application.streams.get(id)?.outcome;
        if (isFinished && resetCode === undefined && stopCode === undefined && seen !== "ended") {
          fail(`stream ${id} was finished by the ${writer}, its reader saw "${seen}"`);
        }
      }
    }
  }

  /** With no stream left, one more can be opened. */
  #checkStreamCredit(side: Side): void {
    const { shell } = this.#ends[side];
    const opened = shell.core.open(KINDS[side], new Uint8Array(0), true, shell.touch());
    if (opened === "streamLimit") fail(`the ${side} may open no stream, though none is left`);
  }

  /** The session ended early: only where something made it end. */
  #checkEnd(): void {
    const { fault } = this.#scenario;
    if (fault.kind === "none" || fault.kind === "goAway")
      fail("the session ended without a reason");
    if (fault.kind !== "close") return;
    const { closedCode } = this.#ends[fault.side].application;
    if (closedCode !== SESSION_CODES.SHUTDOWN.code)
      fail(`the ${fault.side} closed and saw ${closedCode}`);
    // The peer sees the same code, or a loss where CLOSE found no way out within its 250 ms.
    const seen = this.#ends[other(fault.side)].application.closedCode;
    if (seen !== SESSION_CODES.SHUTDOWN.code && seen !== SESSION_CODES.NO_ERROR.code)
      fail(`the peer saw CLOSE with ${seen}`);
  }

  #outcome(): Outcome {
    const ends = SIDES.map((side) => this.#ends[side]);
    const sum = (of: (end: End) => number): number =>
      ends.reduce((total, end) => total + of(end), 0);
    return {
      steps: this.#steps,
      streams: this.#truth.streams.size,
      bytes: sum(({ application }) => application.bytesRead),
      frames: sum(({ tap }) => tap.frames),
      refusals: sum(({ application }) => application.refusals),
      evictions: sum(({ application }) => application.evictions),
      pauses: sum(({ shell }) => shell.pauses),
      isCutShort: this.#isEnding,
      isClosedByPeer: SIDES.every(
        (side) => this.#ends[side].application.closedCode === SESSION_CODES.SHUTDOWN.code,
      ),
    };
  }
}
