// This file is the application of one side of one session: it opens, writes, reads at its own pace and gives up.
import type { SessionStatus, Side } from "../../src/session/index.ts";
import {
  EVICTION_INTERVAL_MS,
  EVICTION_STALL_MS,
  WAITING_MS,
  VALVE_MOST_MS,
  STREAM_CODES,
} from "../../src/wire/index.ts";
import { contentOf, PIECE_MAX } from "./content.ts";
import { LocalStream, type Reading } from "./local-stream.ts";
import type { Process } from "./process.ts";
import { Random } from "./random.ts";
import type { Shell, StreamOutput } from "./shell.ts";
import { fail, type StreamTruth, type Truth } from "./truth.ts";

const CANCELLATIONS = [STREAM_CODES.CANCELLED.code, STREAM_CODES.TIMEOUT.code, 0x41];

export interface ApplicationOptions {
  readonly side: Side;
  readonly process: Process;
  readonly seed: number;
  readonly truth: Truth;
  /** Kind of the streams this side opens. */
  readonly kind: number;
  /** Most streams it opens. */
  readonly opens: number;
  /** Most bytes it writes in all. */
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
}

/** What one application went through. */
export interface Experience {
  bytesRead: number;
  refused: number;
  resets: number;
  stops: number;
  pauses: number;
  evicted: number;
  streamLimits: number;
}

export class Application {
  readonly streams = new Map<number, LocalStream>();
  /** Bytes given to us and not consumed. */
  held = 0;
  /** When a stream was evicted last, own time of the process. */
  evictedAt = Number.NEGATIVE_INFINITY;
  isClosed = false;
  closedCode: number | undefined;
  readonly experience: Experience = {
    bytesRead: 0,
    refused: 0,
    resets: 0,
    stops: 0,
    pauses: 0,
    evicted: 0,
    streamLimits: 0,
  };
  readonly #options: ApplicationOptions;
  readonly #shell: Shell;
  readonly #consumes: boolean;
  #opened = 0;
  #volume: number;
  #isQuiet = false;
  #frozenUntil = 0;

  /** @param consumes False: credit goes back elsewhere (a mutant). */
  constructor(options: ApplicationOptions, shell: Shell, consumes: boolean) {
    this.#options = options;
    this.#shell = shell;
    this.#consumes = consumes;
    this.#volume = options.volume;
  }

  /** True when no stream is left open here. */
  get isIdle(): boolean {
    for (const stream of this.streams.values()) if (!stream.isClosed) return false;
    return true;
  }

  // What it does

  open(seed: number): void {
    const { kind, opens, side, truth } = this.#options;
    if (this.isClosed || this.#isQuiet || this.#opened >= opens) return;
    const random = new Random(seed);
    const total = this.#planned(random);
    const headLength = random.chance(0.2) ? 0 : Math.min(total, random.size(40_000), PIECE_MAX);
    // The id is not known before: the head follows from the one that comes next.
    const id = 2 * this.#opened + (side === "edge" ? 0 : 1);
    const head = this.#content(random, id, 0, headLength);
    const fin = headLength === total && random.chance(0.5);
    const result = this.#shell.core.open(kind, head, fin, this.#shell.touch());
    if (result === "streamLimit") this.experience.streamLimits += 1;
    if (typeof result === "string") return;
    if (result !== id) fail(`open() gave out stream ${result}, expected ${id}`);
    this.#opened += 1;
    const stream = this.#add(truth.opened(id, kind, side), random);
    stream.left = total - headLength;
    stream.ours.written = headLength;
    stream.wroteAt = this.#options.process.now;
    stream.ours.isFinished = fin;
    this.#later(stream, () => this.#pump(stream));
  }

  /** Stops, resets or both, some open stream. */
  giveUp(seed: number): void {
    const random = new Random(seed);
    const stream = this.#some(random);
    if (stream === undefined) return;
    const code = random.pick(CANCELLATIONS);
    const isStop = random.chance(0.5);
    if (isStop || random.chance(0.3)) this.#stop(stream, code);
    if (!isStop) this.#reset(stream, code);
  }

  /** Writes on, on some open stream. */
  nudge(seed: number): void {
    const stream = this.#some(new Random(seed));
    if (stream !== undefined) this.#pump(stream);
  }

  /** Nobody reads anything for a while. */
  freeze(ms: number): void {
    const { process } = this.#options;
    this.#frozenUntil = Math.max(this.#frozenUntil, process.now + ms);
    process.at(this.#frozenUntil, () => this.#thaw());
  }

  /** No more faults: everything is written, finished and read. */
  quiet(): void {
    this.#isQuiet = true;
    this.#frozenUntil = 0;
    for (const stream of this.streams.values()) {
      stream.reading = "eager";
      if (stream.ending === "open") stream.ending = "finish";
      this.#consume(stream, stream.held);
      this.#pump(stream);
    }
  }

  get #isFrozen(): boolean {
    return this.#options.process.now < this.#frozenUntil;
  }

  #thaw(): void {
    if (this.#isFrozen) return;
    for (const stream of this.streams.values())
      if (stream.reading === "eager") this.#consume(stream, stream.held);
  }

  #some(random: Random): LocalStream | undefined {
    if (this.isClosed || this.#isQuiet) return undefined;
    const open = [...this.streams.values()].filter(({ isClosed }) => !isClosed);
    return open.length === 0 ? undefined : random.pick(open);
  }

  #stop(stream: LocalStream, code: number): void {
    if (stream.isRefused || stream.theirs.stopCode !== undefined) return;
    this.#shell.core.stop(stream.id, code, this.#shell.touch());
    this.experience.stops += 1;
    stream.theirs.stopCode = code;
    if (stream.outcome === "open") stream.outcome = "stopped";
    this.#drop(stream);
  }

  #reset(stream: LocalStream, code: number): void {
    if (stream.isRefused || stream.ours.resetCode !== undefined) return;
    this.#shell.core.reset(stream.id, code, this.#shell.touch());
    this.experience.resets += 1;
    stream.ours.resetCode = code;
    stream.left = 0;
  }

  /** Writes until it is paused or done, sometimes with a rest in between. */
  #pump(stream: LocalStream): void {
    if (this.isClosed || !stream.canWrite) return;
    const { core } = this.#shell;
    const { id, ours, random } = stream;
    while (stream.left > 0) {
      if (stream.isPaused) return;
      const isHasty = random.chance(this.#options.haste / 100);
      const length = Math.min(stream.left, isHasty ? PIECE_MAX : random.size(PIECE_MAX));
      const bytes = this.#content(random, id, ours.written, length);
      stream.left -= length;
      ours.written += length;
      stream.wroteAt = Math.min(stream.wroteAt, this.#options.process.now);
      if (core.write(id, bytes, this.#shell.touch()) === "pause") {
        stream.isPaused = true;
        this.experience.pauses += 1;
      }
      if (!this.#isQuiet && !isHasty && random.chance(0.3)) {
        this.#later(stream, () => this.#pump(stream));
        return;
      }
    }
    if (stream.ending === "open") return;
    if (stream.ending === "reset") {
      this.#reset(stream, STREAM_CODES.PEER_RESET.code);
      return;
    }
    core.finish(id, this.#shell.touch());
    ours.isFinished = true;
  }

  #planned(random: Random): number {
    const { appetite, largest } = this.#options;
    const wished = random.chance(0.15)
      ? 0
      : random.chance(appetite / 100)
        ? random.integer(largest / 4, largest)
        : random.size(60_000);
    const total = Math.min(wished, this.#volume);
    this.#volume -= total;
    return total;
  }

  /** Sometimes a buffer of its own, sometimes a view of a large one: both are kept differently. */
  #content(random: Random, id: number, offset: number, length: number): Uint8Array {
    const bytes = contentOf(this.#options.side, id, offset, length);
    return random.chance(0.5) ? bytes.slice() : bytes;
  }

  #later({ random }: LocalStream, run: () => void): void {
    const { process } = this.#options;
    process.at(process.now + random.size(800), run);
  }

  #add(known: StreamTruth, random: Random): LocalStream {
    const { deafness, side, truth } = this.#options;
    const stream = new LocalStream(side, known, truth, random);
    if (!this.#isQuiet) {
      stream.reading = random.chance(deafness / 100)
        ? "never"
        : random.pick<Reading>(["eager", "late"]);
      stream.ending = random.chance(0.1) ? "reset" : random.chance(0.1) ? "open" : "finish";
    }
    this.streams.set(stream.id, stream);
    return stream;
  }

  #consume(stream: LocalStream, bytes: number): void {
    if (bytes === 0) return;
    stream.held -= bytes;
    this.held -= bytes;
    stream.waitingSince = this.#options.process.now;
    if (this.#consumes) this.#shell.core.consumed(stream.id, bytes, this.#shell.touch());
  }

  /** The session counts what we hold as consumed. */
  #drop(stream: LocalStream): void {
    this.held -= stream.held;
    stream.held = 0;
  }

  #readLater(stream: LocalStream): void {
    const { process, readPauseMs, sip } = this.#options;
    const { random } = stream;
    if (stream.isReading) return;
    stream.isReading = true;
    process.at(process.now + random.size(readPauseMs), () => {
      stream.isReading = false;
      if (stream.held === 0) return;
      const part = random.chance(0.3) ? stream.held : random.size(stream.held);
      if (!this.#isFrozen) this.#consume(stream, Math.min(stream.held, part, sip));
      if (stream.held > 0) this.#readLater(stream);
    });
  }

  // What it is told

  status(status: SessionStatus): void {
    if (status.name !== "closed") return;
    this.isClosed = true;
    this.closedCode = status.code;
    for (const { id, isClosed } of this.streams.values()) {
      if (!isClosed)
        fail(`the session closed at the ${this.#options.side} and left stream ${id} open`);
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
        if (!stream.isRefused) stream.ended();
        break;
      case "streamReset":
        stream.reset(output);
        if (!output.remote && output.code === STREAM_CODES.OVERLOADED.code) this.#evicted(stream);
        this.#drop(stream);
        break;
      case "streamStopped":
        stream.stopped(output.code);
        break;
      case "streamWritable":
        stream.writable();
        this.#pump(stream);
        break;
      case "streamClosed":
        stream.closed();
        this.#drop(stream);
        break;
      default:
        output satisfies never;
    }
  }

  /** Only a stream whose bytes nobody took for a while, and one at a time. PROTOCOL §5.3. */
  #evicted(stream: LocalStream): void {
    const { process, side } = this.#options;
    const { now } = process;
    const { held, id, waitingSince, wroteAt } = stream;
    // The same sums as in the core: a difference could be rounded to the other side of them.
    const isLong = now >= waitingSince + EVICTION_STALL_MS;
    const isInTheWay = now >= this.#shell.pausedSince + VALVE_MOST_MS;
    // What it keeps for a peer that acknowledges nothing counts as well.
    const isUnacknowledged = now >= wroteAt + WAITING_MS;
    if (!(held > 0 && (isLong || isInTheWay)) && !isUnacknowledged)
      fail(`the ${side} evicted stream ${id}, whose bytes waited for ${now - waitingSince} ms`);
    if (now < this.evictedAt + EVICTION_INTERVAL_MS)
      fail(`the ${side} evicted two streams within ${now - this.evictedAt} ms`);
    this.evictedAt = process.now;
    this.experience.evicted += 1;
  }

  /** A stream could be given up: its bytes have waited for `ms` and longer. */
  hasStalled(ms: number): boolean {
    const since = this.#options.process.now - ms;
    for (const { held, isClosed, outcome, waitingSince } of this.streams.values())
      if (!isClosed && held > 0 && waitingSince < since && outcome !== "stopped") return true;
    return false;
  }

  #accept(id: number, kind: number): void {
    const { seed, side, truth } = this.#options;
    const known = truth.get(id);
    if (known.opener === side) fail(`stream ${id} opened towards its own opener`);
    if (known.kind !== kind) fail(`stream ${id} opened with kind ${kind}, expected ${known.kind}`);
    known.timesOpened += 1;
    if (known.timesOpened > 1) fail(`stream ${id} was opened twice`);
    const stream = this.#add(known, new Random(seed ^ Math.imul(id + 1, 0x9e3779b1)));
    const { random } = stream;
    if (!this.#isQuiet && random.chance(0.06)) {
      this.#shell.core.refuse(id, this.#shell.touch());
      stream.isRefused = true;
      known.isRefused = true;
      this.experience.refused += 1;
      return;
    }
    stream.left = this.#planned(random);
    if (random.chance(0.5)) this.#pump(stream);
    else this.#later(stream, () => this.#pump(stream));
  }

  #bytes(stream: LocalStream, bytes: Uint8Array): void {
    // They came with the OPEN that was just refused.
    if (stream.isRefused) return;
    stream.bytes(bytes, this.#options.process.now);
    this.held += bytes.length;
    this.experience.bytesRead += bytes.length;
    if (stream.reading === "late") this.#readLater(stream);
    else if (stream.reading === "eager" && !this.#isFrozen) this.#consume(stream, stream.held);
  }
}
