// This file is the application of one side: it opens, writes, reads at its own pace, gives up, and knows what it must be told.
import type { SessionStatus, Side } from "../../src/session/index.ts";
import { STREAM_CODES } from "../../src/wire/index.ts";
import type { Clock } from "./clock.ts";
import { contentOf, isContent, PIECE_MAX } from "./content.ts";
import type { Random } from "./random.ts";
import type { Shell, StreamOutput } from "./shell.ts";
import { fail, type HalfTruth, other, type StreamTruth, type Truth } from "./truth.ts";

const REFUSED = STREAM_CODES.REFUSED.code;
const OVERLOADED = STREAM_CODES.OVERLOADED.code;

/** How a stream is read. */
type Reading = "eager" | "late" | "never";
type Ending = "finish" | "reset" | "open";

/** A stream as its application sees it. */
interface LocalStream {
  readonly truth: StreamTruth;
  readonly ours: HalfTruth;
  readonly theirs: HalfTruth;
  reading: Reading;
  /** Bytes read, and of these not consumed. */
  read: number;
  held: number;
  /** Bytes still to write, and what follows them. */
  left: number;
  ending: Ending;
  isPaused: boolean;
  isRefused: boolean;
  /** How the peer's direction ended for us. */
  outcome: "open" | "ended" | "reset" | "stopped";
  isClosed: boolean;
}

export interface ApplicationOptions {
  readonly side: Side;
  readonly clock: Clock;
  readonly random: Random;
  readonly truth: Truth;
  /** Kind of the streams this side opens. */
  readonly kind: number;
  /** Most streams it opens. */
  readonly opens: number;
  /** Most bytes it writes in all. */
  readonly volume: number;
  /** Longest pause of a late reader, ms. */
  readonly readPauseMs: number;
}

export class Application {
  readonly streams = new Map<number, LocalStream>();
  /** Bytes given to us and not consumed. */
  held = 0;
  opened = 0;
  bytesRead = 0;
  refusals = 0;
  /** Streams that our session gave up because we do not read. */
  evictions = 0;
  isClosed = false;
  closedCode: number | undefined;
  readonly #options: ApplicationOptions;
  #shell: Shell | undefined;
  #volume: number;
  #isQuiet = false;
  /** False: credit goes back elsewhere (a mutant). */
  #consumes = true;

  constructor(options: ApplicationOptions) {
    this.#options = options;
    this.#volume = options.volume;
  }

  start(shell: Shell, consumes: boolean): void {
    this.#shell = shell;
    this.#consumes = consumes;
  }

  get #core(): Shell {
    return this.#shell ?? fail("the application was not started");
  }

  /** True when no stream is left open here. */
  get isIdle(): boolean {
    for (const stream of this.streams.values()) if (!stream.isClosed) return false;
    return true;
  }

  // What it does

  /** One random action. */
  act(): void {
    if (this.isClosed || this.#isQuiet) return;
    const { random } = this.#options;
    const choice = random.next();
    if (choice < 0.6) this.#open();
    else if (choice < 0.75) this.#giveUp();
    else this.#onSome((stream) => this.#pump(stream));
  }

  /** No more faults: everything is written, finished and read. */
  quiet(): void {
    this.#isQuiet = true;
    for (const stream of this.streams.values()) {
      stream.reading = "eager";
      if (stream.ending === "open") stream.ending = "finish";
      this.#consume(stream, stream.held);
      this.#pump(stream);
    }
  }

  #onSome(action: (stream: LocalStream) => void): void {
    const open = [...this.streams.values()].filter((stream) => !stream.isClosed);
    if (open.length > 0) action(this.#options.random.pick(open));
  }

  #open(): void {
    const { kind, opens, random, side, truth } = this.#options;
    if (this.opened >= opens) return;
    const shell = this.#core;
    const total = this.#planned();
    const headLength = random.chance(0.2) ? 0 : Math.min(total, random.size(40_000));
    // The id is not known before: the head follows from the one that comes next.
    const id = 2 * this.opened + (side === "edge" ? 0 : 1);
    const head = this.#content(id, 0, headLength);
    const fin = headLength === total && random.chance(0.5);
    const result = shell.core.open(kind, head, fin, shell.touch());
    if (typeof result === "string") return;
    if (result !== id) fail(`open() gave out stream ${result}, expected ${id}`);
    this.opened += 1;
    const stream = this.#add(truth.opened(id, kind, side), total - headLength);
    stream.ours.written = headLength;
    stream.ours.isFinished = fin;
    this.#later(() => this.#pump(stream));
  }

  #giveUp(): void {
    const { random } = this.#options;
    const code = random.pick([STREAM_CODES.CANCELLED.code, STREAM_CODES.TIMEOUT.code, 0x41]);
    this.#onSome((stream) => {
      const isStop = random.chance(0.5);
      if (isStop || random.chance(0.3)) this.#stop(stream, code);
      if (!isStop) this.#reset(stream, code);
    });
  }

  #stop(stream: LocalStream, code: number): void {
    if (stream.isRefused || stream.theirs.stopCode !== undefined) return;
    const shell = this.#core;
    shell.core.stop(stream.truth.id, code, shell.touch());
    stream.theirs.stopCode = code;
    if (stream.outcome === "open") stream.outcome = "stopped";
    this.#drop(stream);
  }

  #reset(stream: LocalStream, code: number): void {
    if (stream.isRefused || stream.ours.resetCode !== undefined) return;
    const shell = this.#core;
    shell.core.reset(stream.truth.id, code, shell.touch());
    stream.ours.resetCode = code;
    stream.left = 0;
  }

  /** Writes until it is paused or done, sometimes with a rest in between. */
  #pump(stream: LocalStream): void {
    const { random } = this.#options;
    const { ours, truth } = stream;
    if (
      this.isClosed ||
      stream.isClosed ||
      stream.isRefused ||
      ours.isFinished ||
      ours.resetCode !== undefined
    )
      return;
    const shell = this.#core;
    while (stream.left > 0) {
      if (stream.isPaused) return;
      const length = Math.min(stream.left, random.size(PIECE_MAX));
      const bytes = this.#content(truth.id, ours.written, length);
      stream.left -= length;
      ours.written += length;
      if (shell.core.write(truth.id, bytes, shell.touch()) === "pause") stream.isPaused = true;
      if (!this.#isQuiet && random.chance(0.3)) {
        this.#later(() => this.#pump(stream));
        return;
      }
    }
    if (stream.ending === "open") return;
    if (stream.ending === "reset") {
      this.#reset(stream, STREAM_CODES.PEER_RESET.code);
      return;
    }
    shell.core.finish(truth.id, shell.touch());
    ours.isFinished = true;
  }

  #planned(): number {
    const { random } = this.#options;
    const wished = random.chance(0.15)
      ? 0
      : random.chance(0.15)
        ? random.integer(100_000, 400_000)
        : random.size(60_000);
    const total = Math.min(wished, this.#volume);
    this.#volume -= total;
    return total;
  }

  /** Sometimes a buffer of its own, sometimes a view of a large one: both are kept differently. */
  #content(id: number, offset: number, length: number): Uint8Array {
    const bytes = contentOf(this.#options.side, id, offset, length);
    return this.#options.random.chance(0.5) ? bytes.slice() : bytes;
  }

  #later(run: () => void): void {
    const { clock, random } = this.#options;
    clock.at(clock.now + random.size(800), run);
  }

  #add(truth: StreamTruth, left: number): LocalStream {
    const { random, side } = this.#options;
    const stream: LocalStream = {
      truth,
      ours: truth.halves[side],
      theirs: truth.halves[other(side)],
      reading: this.#isQuiet
        ? "eager"
        : random.pick<Reading>(["eager", "eager", "late", "late", "never"]),
      read: 0,
      held: 0,
      left,
      ending: random.chance(0.1)
        ? "reset"
        : random.chance(0.1) && !this.#isQuiet
          ? "open"
          : "finish",
      isPaused: false,
      isRefused: false,
      outcome: "open",
      isClosed: false,
    };
    this.streams.set(truth.id, stream);
    return stream;
  }

  #consume(stream: LocalStream, bytes: number): void {
    if (bytes === 0) return;
    stream.held -= bytes;
    this.held -= bytes;
    const shell = this.#core;
    if (this.#consumes) shell.core.consumed(stream.truth.id, bytes, shell.touch());
  }

  /** The session counts what we hold as consumed. */
  #drop(stream: LocalStream): void {
    this.held -= stream.held;
    stream.held = 0;
  }

  // What it is told

  status(status: SessionStatus): void {
    if (status.name !== "closed") return;
    this.isClosed = true;
    this.closedCode = status.code;
    for (const { truth, isClosed } of this.streams.values()) {
      if (!isClosed)
        fail(`the session closed at the ${this.#options.side} and left stream ${truth.id} open`);
    }
  }

  stream(output: StreamOutput): void {
    if (output.kind === "streamOpened") {
      this.#accept(output.stream, output.streamKind);
      return;
    }
    const stream =
      this.streams.get(output.stream) ??
      fail(`${output.kind} of stream ${output.stream}, unknown here`);
    if (stream.isClosed) fail(`${output.kind} of stream ${output.stream} after it was closed`);
    switch (output.kind) {
      case "streamBytes":
        this.#bytes(stream, output.bytes);
        break;
      case "streamEnded":
        this.#ended(stream);
        break;
      case "streamReset":
        this.#wasReset(stream, output);
        break;
      case "streamStopped":
        this.#stopped(stream, output.code);
        break;
      case "streamWritable":
        if (!stream.isPaused)
          fail(`streamWritable of stream ${output.stream}, which was not paused`);
        stream.isPaused = false;
        this.#pump(stream);
        break;
      case "streamClosed":
        this.#closed(stream);
        break;
      default:
        output satisfies never;
    }
  }

  #accept(id: number, kind: number): void {
    const { random, side, truth } = this.#options;
    const known = truth.get(id);
    if (known.opener === side) fail(`stream ${id} opened towards its own opener`);
    if (known.kind !== kind) fail(`stream ${id} opened with kind ${kind}, expected ${known.kind}`);
    known.timesOpened += 1;
    if (known.timesOpened > 1) fail(`stream ${id} was opened twice`);
    const stream = this.#add(known, 0);
    if (!this.#isQuiet && random.chance(0.06)) {
      const shell = this.#core;
      shell.core.refuse(id, shell.touch());
      stream.isRefused = true;
      known.isRefused = true;
      this.refusals += 1;
      return;
    }
    stream.left = this.#planned();
    if (random.chance(0.5)) this.#pump(stream);
    else this.#later(() => this.#pump(stream));
  }

  #bytes(stream: LocalStream, bytes: Uint8Array): void {
    const { side } = this.#options;
    const { id } = stream.truth;
    // They came with the OPEN that was just refused.
    if (stream.isRefused) return;
    if (stream.outcome !== "open") fail(`bytes of stream ${id} after it was ${stream.outcome}`);
    if (stream.read + bytes.length > stream.theirs.written)
      fail(`stream ${id} delivered more bytes than were written`);
    if (!isContent(bytes, other(side), id, stream.read))
      fail(`stream ${id} delivered other bytes at offset ${stream.read}`);
    stream.read += bytes.length;
    stream.held += bytes.length;
    this.held += bytes.length;
    this.bytesRead += bytes.length;
    if (stream.reading === "eager") this.#consume(stream, stream.held);
    else if (stream.reading === "late") this.#readLater(stream);
  }

  #readLater(stream: LocalStream): void {
    const { clock, random, readPauseMs } = this.#options;
    clock.at(clock.now + random.size(readPauseMs), () => {
      if (stream.held === 0) return;
      const part = random.chance(0.3) ? stream.held : random.size(stream.held);
      this.#consume(stream, Math.min(stream.held, part));
      if (stream.held > 0) this.#readLater(stream);
    });
  }

  #ended(stream: LocalStream): void {
    if (stream.isRefused) return;
    const { theirs, truth } = stream;
    if (stream.outcome !== "open") fail(`stream ${truth.id} ended after it was ${stream.outcome}`);
    if (!theirs.isFinished) fail(`stream ${truth.id} ended, but nobody finished it`);
    if (stream.read !== theirs.written)
      fail(`stream ${truth.id} ended after ${stream.read} of ${theirs.written} bytes`);
    stream.outcome = "ended";
  }

  #wasReset(stream: LocalStream, output: Extract<StreamOutput, { kind: "streamReset" }>): void {
    const { code, remote, replay } = output;
    const { ours, theirs, truth } = stream;
    if (remote && code === REFUSED) {
      if (!this.#isRefusable(truth)) fail(`stream ${truth.id} was refused by nobody`);
      truth.isRefused = true;
      // Who gave up before has nothing left to use elsewhere.
      if (ours.resetCode === undefined) this.#checkReplay(stream, replay);
      ours.resetCode ??= REFUSED;
    } else if (remote) {
      if (theirs.resetCode !== code)
        fail(`stream ${truth.id} was reset with ${code}, its writer said ${theirs.resetCode}`);
      if (stream.outcome === "stopped") fail(`stream ${truth.id} was reset after we stopped it`);
    }
    // The session is over, or it evicted the stream: nothing of ours goes on either.
    if (!remote) {
      ours.resetCode ??= code;
      theirs.stopCode ??= code;
      stream.left = 0;
      if (code === OVERLOADED) this.evictions += 1;
    }
    if (stream.outcome === "ended" && remote) fail(`stream ${truth.id} was reset after it ended`);
    if (stream.outcome !== "ended" && stream.outcome !== "stopped") stream.outcome = "reset";
    this.#drop(stream);
  }

  /** Its acceptor refused it, or drains and was not asked. */
  #isRefusable({ isRefused, opener, timesOpened }: StreamTruth): boolean {
    return isRefused || (timesOpened === 0 && this.#options.truth.draining.has(other(opener)));
  }

  #checkReplay(stream: LocalStream, replay: readonly Uint8Array[] | undefined): void {
    const { ours, truth } = stream;
    if (replay === undefined)
      fail(`stream ${truth.id} was refused and its bytes did not come back`);
    const bytes = Buffer.concat(replay);
    if (bytes.length !== ours.written)
      fail(`stream ${truth.id} gave back ${bytes.length} of ${ours.written} bytes`);
    if (!isContent(bytes, this.#options.side, truth.id, 0))
      fail(`stream ${truth.id} gave back other bytes`);
  }

  #stopped(stream: LocalStream, code: number): void {
    const { ours, truth } = stream;
    if (ours.stopCode !== code)
      fail(`stream ${truth.id} was stopped with ${code}, its reader said ${ours.stopCode}`);
    ours.resetCode ??= code;
    stream.left = 0;
  }

  #closed(stream: LocalStream): void {
    const { outcome, held, isRefused, ours, truth } = stream;
    stream.isClosed = true;
    if (isRefused) return;
    if (outcome === "open") fail(`stream ${truth.id} closed before its reader knew how it ended`);
    if (held > 0 && outcome !== "ended")
      fail(`stream ${truth.id} closed while ${held} bytes of it were held`);
    if (outcome !== "reset" && !ours.isFinished && ours.resetCode === undefined) {
      fail(`stream ${truth.id} closed before its writer ended it`);
    }
    this.#drop(stream);
  }
}
