// This file is one direction of a virtual link: delay, rate, pieces cut at any byte and joined again, a reader that pauses, death at a chosen byte.
import type { Clock } from "./clock.ts";
import type { Random } from "./random.ts";

export interface PipeShape {
  readonly delayMs: number;
  readonly bytesPerMs: number;
  /** Most pieces one write arrives in. */
  readonly pieces: number;
  /** Longest time for which arrived bytes wait to be joined with the next ones. */
  readonly joinMs: number;
  /** How much sooner than its last byte left a write may be called complete: the kernel's buffer. */
  readonly bufferMs: number;
}

export interface PipeEvents {
  bytes(bytes: Uint8Array): void;
  /** Nothing follows; `isClean` after `end`, false after `killAt` and `abort`. */
  over(isClean: boolean): void;
}

/** Both kernels hold so much for a reader that pauses; then the writer stands too. */
const WINDOW_BYTES = 256 * 1_024;

export class Pipe {
  /** The link dies when this many bytes were delivered. */
  killAt = Number.POSITIVE_INFINITY;
  /** Nothing arrives any more, no end either, and nobody is told. */
  isDark = false;
  /** Bytes delivered. */
  delivered = 0;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #shape: PipeShape;
  readonly #events: PipeEvents;
  #busyUntil = 0;
  #lastArrival = 0;
  #written = 0;
  #inbox: Uint8Array[] = [];
  #isFlushing = false;
  #isPaused = false;
  #isOver = false;
  /** The end arrived behind bytes that are not read yet. */
  #isEndWaiting = false;
  /** The writer's wait for room. */
  #left: (() => void) | undefined;

  constructor(clock: Clock, random: Random, shape: PipeShape, events: PipeEvents) {
    this.#clock = clock;
    this.#random = random;
    this.#shape = shape;
    this.#events = events;
  }

  // The writer

  /** Takes `bytes`, which must not change; `left` is called when the next write may come. */
  write(bytes: Uint8Array, left: () => void): void {
    const { bytesPerMs, bufferMs, delayMs, pieces } = this.#shape;
    const start = Math.max(this.#clock.now, this.#busyUntil);
    const end = start + bytes.length / bytesPerMs;
    this.#busyUntil = end;
    this.#written += bytes.length;
    this.#clock.at(end - this.#random.next() * bufferMs, () => {
      if (this.#isPaused && this.#written - this.delivered > WINDOW_BYTES) this.#left = left;
      else left();
    });
    // A mutant dropped all of it.
    if (bytes.length === 0) return;
    for (const [from, to] of this.#cuts(bytes.length, pieces)) {
      const arrival = start + ((end - start) * to) / bytes.length + delayMs;
      this.#lastArrival = Math.max(this.#lastArrival, arrival);
      this.#clock.at(this.#lastArrival, () => this.#arrive(bytes.subarray(from, to)));
    }
  }

  /** What was written still arrives, then the end. */
  end(): void {
    this.#clock.at(Math.max(this.#lastArrival, this.#clock.now + this.#shape.delayMs), () => {
      if (this.isDark) return;
      this.#isEndWaiting = true;
      this.#flush();
    });
  }

  /** What is under way is lost; the other end sees a reset after the delay, even where it does not read. */
  abort(): void {
    const wasDark = this.isDark;
    this.isDark = true;
    if (wasDark) return;
    this.#clock.at(this.#clock.now + this.#shape.delayMs, () => this.#finish(false));
  }

  // The reader

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#clock.at(this.#clock.now, () => this.#flush());
  }

  #cuts(length: number, pieces: number): [from: number, to: number][] {
    const random = this.#random;
    const ends = [length];
    // Half of the cuts lie near the start, where the heads of control frames are.
    for (let count = random.integer(1, pieces); count > 1; count--) {
      ends.push(random.integer(1, random.chance(0.5) ? Math.min(length, 64) : length));
    }
    ends.sort((a, b) => a - b);
    let from = 0;
    const cuts: [number, number][] = [];
    for (const to of ends) {
      if (to > from) cuts.push([from, to]);
      from = to;
    }
    return cuts;
  }

  #arrive(piece: Uint8Array): void {
    if (this.#isOver || this.isDark) return;
    this.#inbox.push(piece);
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    const waitMs = this.#random.chance(0.3) ? this.#random.next() * this.#shape.joinMs : 0;
    this.#clock.at(this.#clock.now + waitMs, () => {
      this.#isFlushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#isOver || this.isDark || this.#isPaused) return;
    if (this.#inbox.length > 0) this.#deliver();
    if (this.#isEndWaiting) this.#finish(true);
    const left = this.#left;
    this.#left = undefined;
    left?.();
  }

  #deliver(): void {
    // A copy, as a socket's buffer is: the core owns what it gets.
    const bytes = new Uint8Array(Buffer.concat(this.#inbox));
    this.#inbox = [];
    const left = this.killAt - this.delivered;
    const whole = bytes.length < left ? bytes : bytes.subarray(0, left);
    this.delivered += whole.length;
    if (whole.length > 0) this.#events.bytes(whole);
    if (bytes.length >= left) this.#finish(false);
  }

  #finish(isClean: boolean): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#events.over(isClean);
  }
}
