// This file is the shell of one simulated core: one link, one timer, one tick, as session/driver.ts has them, on virtual time.
import { SessionCore } from "../../src/session/core/session.ts";
import type {
  SessionOptions,
  SessionOutput,
  SessionStatus,
} from "../../src/session/core/events.ts";
import type { LinkLoss } from "../../src/session/index.ts";
import { BATCH_BYTES } from "../../src/wire/index.ts";
import type { Clock } from "./clock.ts";
import type { Pipe } from "./pipe.ts";
import type { Tap, TappedFrame } from "./tap.ts";
import { fail } from "./truth.ts";

export type StreamOutput = Extract<SessionOutput, { stream: number }>;

/** How a simulation is made wrong on purpose; each must be noticed. */
export interface Mutant {
  /** The bytes that stand for a frame on the wire; undefined drops it. */
  readonly frame?: (frame: TappedFrame) => Uint8Array | undefined;
  /** False hides an output from the application. */
  readonly output?: (output: StreamOutput) => boolean;
  /** Credit goes back when bytes arrive, not when they are read. */
  readonly hasCreditOnReceipt?: boolean;
}

export interface ShellEvents {
  stream(output: StreamOutput): void;
  status(status: SessionStatus): void;
}

const NUMBER = 0;
const buffer = new Uint8Array(BATCH_BYTES);

export class Shell {
  readonly core: SessionCore;
  /** The loop is busy until then: everything waits. */
  blockedUntil = 0;
  isClosed = false;
  readonly #clock: Clock;
  readonly #events: ShellEvents;
  readonly #tap: Tap;
  readonly #mutant: Mutant | undefined;
  #pipe: Pipe | undefined;
  #isWriting = false;
  #wantsWrite = false;
  #isTickScheduled = false;
  #timerAt = Number.POSITIVE_INFINITY;
  #timerTurn = 0;
  #waiting: (() => void)[] = [];
  /** How often the core closed its read valve. */
  pauses = 0;
  #isPaused = false;
  /** What arrived on a link that is not read. */
  readonly #unread: (() => void)[] = [];
  /** Consecutive ticks that wrote nothing: a loop that spins. */
  #idleTicks = 0;

  constructor(
    clock: Clock,
    options: SessionOptions,
    tap: Tap,
    events: ShellEvents,
    mutant: Mutant | undefined,
  ) {
    this.core = new SessionCore(options);
    this.#clock = clock;
    this.#events = events;
    this.#tap = tap;
    this.#mutant = mutant;
  }

  attach(pipe: Pipe): void {
    this.#pipe = pipe;
    this.#handle({ kind: "linkAttached", link: NUMBER });
  }

  bytes(bytes: Uint8Array): void {
    this.#read(() => {
      if (this.#pipe !== undefined) this.#handle({ kind: "linkBytes", link: NUMBER, bytes });
    });
  }

  lost(cause: LinkLoss): void {
    // A socket that is not read does not notice its end either.
    this.#read(() => {
      if (this.#pipe === undefined) return;
      this.#pipe = undefined;
      this.#handle({ kind: "linkLost", link: NUMBER, cause });
    });
  }

  #read(run: () => void): void {
    if (this.#isPaused || this.#unread.length > 0) this.#unread.push(run);
    else this.#when(run);
  }

  /** The link is read again: what waited comes one by one, until it is paused anew. */
  #readOn(): void {
    const run = this.#isPaused ? undefined : this.#unread.shift();
    if (run === undefined) return;
    run();
    this.#clock.at(this.#clock.now, () => this.#when(() => this.#readOn()));
  }

  /** The core has outputs that the application has not seen yet. */
  get isTickScheduled(): boolean {
    return this.#isTickScheduled;
  }

  /** A method of the core is about to be called. Returns the time for it. */
  touch(): number {
    this.#scheduleTick();
    return this.#clock.now;
  }

  #scheduleTick(): void {
    if (this.#isTickScheduled) return;
    this.#isTickScheduled = true;
    this.#clock.at(this.#clock.now, () => this.#when(() => this.#tick()));
  }

  #tick(): void {
    this.#isTickScheduled = false;
    this.#handle({ kind: "tick" });
    if (this.#wantsWrite && !this.#isWriting) this.#fill();
    this.#idleTicks = this.#isTickScheduled ? this.#idleTicks + 1 : 0;
    if (this.#idleTicks > 1_000)
      fail(`1,000 ticks in a row at ${this.#clock.now} ms asked for another`);
  }

  #fill(): void {
    const pipe = this.#pipe;
    this.#wantsWrite = false;
    if (pipe === undefined) return;
    const length = this.core.fill(NUMBER, buffer, this.#clock.now);
    if (length === 0) return;
    this.#idleTicks = 0;
    this.#isWriting = true;
    pipe.write(this.#tapped(buffer.slice(0, length)), () => {
      this.#when(() => {
        this.#isWriting = false;
        if (this.#pipe !== undefined) this.#handle({ kind: "linkWritable", link: NUMBER });
      });
    });
  }

  #tapped(batch: Uint8Array): Uint8Array {
    const change = this.#mutant?.frame;
    if (change === undefined) {
      this.#tap.read(batch);
      return batch;
    }
    const frames: Uint8Array[] = [];
    this.#tap.read(batch, (frame) => {
      const bytes = change(frame);
      if (bytes !== undefined) frames.push(bytes);
    });
    return new Uint8Array(Buffer.concat(frames));
  }

  #handle(input: Parameters<SessionCore["handle"]>[0]): void {
    for (const output of this.core.handle(input, this.#clock.now)) this.#perform(output);
    this.#arm();
  }

  #perform(output: SessionOutput): void {
    if ("stream" in output) {
      if (this.isClosed)
        fail(`${output.kind} of stream ${output.stream} after the session was closed`);
      if (this.#mutant?.hasCreditOnReceipt && output.kind === "streamBytes") {
        this.core.consumed(output.stream, output.bytes.length, this.touch());
      }
      if (this.#mutant?.output?.(output) !== false) this.#events.stream(output);
      return;
    }
    switch (output.kind) {
      case "wantWrite":
        this.#wantsWrite = true;
        this.#scheduleTick();
        break;
      case "pauseLink":
        this.#isPaused = true;
        this.pauses += 1;
        break;
      case "resumeLink":
        this.#isPaused = false;
        this.#clock.at(this.#clock.now, () => this.#when(() => this.#readOn()));
        break;
      case "closeLink": {
        const pipe = this.#pipe;
        this.#pipe = undefined;
        if (this.#isWriting) pipe?.abort();
        else pipe?.end();
        break;
      }
      case "status":
        if (this.isClosed) fail(`status ${output.status.name} after the session was closed`);
        if (output.status.name === "closed") this.isClosed = true;
        this.#events.status(output.status);
        break;
      default:
        output satisfies never;
    }
  }

  #arm(): void {
    const deadline = this.core.deadline();
    if (deadline >= this.#timerAt) return;
    this.#timerAt = deadline;
    this.#timerTurn += 1;
    const turn = this.#timerTurn;
    this.#clock.at(deadline, () => this.#when(() => this.#fire(turn)));
  }

  #fire(turn: number): void {
    if (turn !== this.#timerTurn) return;
    const lagMs = this.#clock.now - this.#timerAt;
    this.#timerAt = Number.POSITIVE_INFINITY;
    this.#handle({ kind: "timer", lagMs });
    if (this.core.deadline() <= this.#clock.now)
      fail(`the timer that fired at ${this.#clock.now} ms is due again at once`);
  }

  /** Runs now or, in the same order, when the loop is free again. */
  #when(run: () => void): void {
    if (this.#waiting.length === 0 && this.#clock.now >= this.blockedUntil) {
      run();
      return;
    }
    this.#waiting.push(run);
    if (this.#waiting.length === 1) this.#clock.at(this.blockedUntil, () => this.#resume());
  }

  #resume(): void {
    if (this.#clock.now < this.blockedUntil) {
      this.#clock.at(this.blockedUntil, () => this.#resume());
      return;
    }
    // What comes up meanwhile is appended and runs in its turn.
    for (let index = 0; index < this.#waiting.length; index++) this.#waiting[index]?.();
    this.#waiting = [];
  }
}
