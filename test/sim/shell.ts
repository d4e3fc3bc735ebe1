// This file is the shell of one simulated core: one link, one timer, one tick, as session/driver.ts has them, on virtual time.
import { SessionCore } from "../../src/session/core/session.ts";
import type {
  SessionOptions,
  SessionOutput,
  SessionStatus,
} from "../../src/session/core/events.ts";
import type { LinkLoss } from "../../src/session/index.ts";
import { BATCH_BYTES, DATA_BYTES } from "../../src/wire/index.ts";
import type { Clock } from "./clock.ts";
import type { Pipe } from "./pipe.ts";
import type { Inhabitant, Process } from "./process.ts";
import type { Tap, TappedFrame } from "./tap.ts";
import { fail } from "./truth.ts";

export type StreamOutput = Extract<SessionOutput, { stream: number }>;

/** How a simulation is made wrong on purpose; each must be noticed. */
export interface Mutant {
  /** The bytes that stand for a frame on the wire; undefined drops it. */
  readonly frame?: (frame: TappedFrame) => Uint8Array | undefined;
  /** False hides an output from the application or the link. */
  readonly output?: (output: SessionOutput) => boolean;
  /** Credit goes back when bytes arrive, not when they are read. */
  readonly hasCreditOnReceipt?: boolean;
  /** The session never sees its process full. */
  readonly isUnpressed?: boolean;
  /** Changes the core for the time of the run; returns how to undo it. */
  readonly patch?: () => () => void;
}

export interface ShellEvents {
  stream(output: StreamOutput): void;
  status(status: SessionStatus): void;
}

const NUMBER = 0;
const buffer = new Uint8Array(BATCH_BYTES);

export class Shell implements Inhabitant {
  readonly core: SessionCore;
  isClosed = false;
  /** How often the link was not read, by order of the core. */
  pauses = 0;
  /** Since when its link is not read; own time of the process. */
  pausedSince = Number.POSITIVE_INFINITY;
  readonly #clock: Clock;
  readonly #process: Process;
  readonly #events: ShellEvents;
  readonly #tap: Tap;
  readonly #mutant: Mutant | undefined;
  /** Where our batches go, and whence the peer's come. */
  #out: Pipe | undefined;
  #in: Pipe | undefined;
  #isWriting = false;
  #wantsWrite = false;
  #isTickScheduled = false;
  #timerAt = Number.POSITIVE_INFINITY;
  #timerTurn = 0;
  /** Consecutive ticks that wrote nothing: a loop that spins. */
  #idleTicks = 0;

  constructor(
    clock: Clock,
    process: Process,
    options: SessionOptions,
    tap: Tap,
    events: ShellEvents,
    mutant: Mutant | undefined,
  ) {
    this.core = new SessionCore(options);
    this.#clock = clock;
    this.#process = process;
    this.#events = events;
    this.#tap = tap;
    this.#mutant = mutant;
    process.enter(this);
  }

  attach(out: Pipe, into: Pipe): void {
    this.#out = out;
    this.#in = into;
    this.#handle({ kind: "linkAttached", link: NUMBER });
  }

  bytes(bytes: Uint8Array): void {
    if (this.#out !== undefined && !this.core.stats().isReading)
      fail(`the ${this.#process.side} is given bytes, though its session reads none`);
    this.#process.when(() => {
      if (this.#out === undefined) return;
      this.#tap.hear(bytes);
      this.#handle({ kind: "linkBytes", link: NUMBER, bytes });
    });
  }

  lost(cause: LinkLoss): void {
    this.#process.when(() => {
      if (this.#out === undefined) return;
      this.#out = undefined;
      this.#handle({ kind: "linkLost", link: NUMBER, cause });
    });
  }

  moved(): void {
    this.#schedule();
  }

  /** The kernel resets the connections of a process that is gone. */
  died(): void {
    this.#out?.abort();
    this.#out = undefined;
  }

  /** The core has outputs that the application has not seen yet. */
  get isTickScheduled(): boolean {
    return this.#isTickScheduled;
  }

  /** A method of the core is about to be called. Returns the time for it. */
  touch(): number {
    this.#scheduleTick();
    return this.#process.now;
  }

  #scheduleTick(): void {
    if (this.#isTickScheduled) return;
    this.#isTickScheduled = true;
    this.#process.at(this.#process.now, () => this.#tick());
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
    const out = this.#out;
    this.#wantsWrite = false;
    if (out === undefined) return;
    const before = this.core.stats().retained;
    const length = this.core.fill(NUMBER, buffer, this.#process.now);
    if (length === 0) return;
    const { inFlightBound, retained } = this.core.stats();
    // The last frame may pass the bound.
    if (retained > before && retained > inFlightBound + DATA_BYTES)
      fail(`the ${this.#process.side} has ${retained} bytes in flight, allowed ${inFlightBound}`);
    this.#idleTicks = 0;
    this.#isWriting = true;
    out.write(this.#tapped(buffer.slice(0, length)), () => {
      this.#process.when(() => {
        this.#isWriting = false;
        if (this.#out !== undefined) this.#handle({ kind: "linkWritable", link: NUMBER });
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

  #handle(input: Parameters<SessionCore["handle"]>[0], now = this.#process.now): void {
    for (const output of this.core.handle(input, now)) {
      if (this.#mutant?.output?.(output) !== false) this.#perform(output);
    }
    this.#arm();
  }

  #perform(output: SessionOutput): void {
    if ("stream" in output) {
      if (this.isClosed)
        fail(`${output.kind} of stream ${output.stream} after the session was closed`);
      if (this.#mutant?.hasCreditOnReceipt && output.kind === "streamBytes") {
        this.core.consumed(output.stream, output.bytes.length, this.touch());
      }
      this.#events.stream(output);
      return;
    }
    switch (output.kind) {
      case "wantWrite":
        this.#wantsWrite = true;
        this.#scheduleTick();
        break;
      case "pauseLink":
        this.pauses += 1;
        this.pausedSince = this.#process.now;
        this.#in?.pause();
        break;
      case "resumeLink":
        this.pausedSince = Number.POSITIVE_INFINITY;
        this.#in?.resume();
        break;
      case "closeLink": {
        const out = this.#out;
        this.#out = undefined;
        if (this.#isWriting) out?.abort();
        else out?.end();
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

  // The timer

  #arm(): void {
    const deadline = this.core.deadline();
    if (deadline >= this.#timerAt) return;
    this.#timerAt = deadline;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#timerAt === Number.POSITIVE_INFINITY) return;
    this.#timerTurn += 1;
    const turn = this.#timerTurn;
    this.#process.at(this.#timerAt, () => this.#fire(turn));
  }

  #fire(turn: number): void {
    if (turn !== this.#timerTurn) return;
    // Two sums of the same times may differ by a rounding.
    const now = Math.max(this.#process.now, this.#timerAt);
    const lagMs = now - this.#timerAt;
    this.#timerAt = Number.POSITIVE_INFINITY;
    this.#handle({ kind: "timer", lagMs }, now);
    if (this.core.deadline() <= now) fail(`the timer that fired at ${now} ms is due again at once`);
  }
}
