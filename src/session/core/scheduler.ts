// This file is the order in which streams put their bytes into a batch. PROTOCOL §6.3.
import { QUANTUM } from "../../wire/index.ts";
import type { StreamState } from "./streams.ts";

/** A stream is interactive while it sent less than this since it was idle for `IDLE_MS`. */
const BURST_BYTES = 64 * 1024;
const IDLE_MS = 500;
/** ... or less than this within the last round trip. */
const TRICKLE_BYTES = 16 * 1024;
/** A rest of a turn below this is not worth a frame. */
const SMALLEST_FRAME = 1024;
/** After so many interactive bytes in a row one bulk quantum goes first. */
const INTERACTIVE_RUN = 7 * QUANTUM;

/** First-in first-out with O(1) ends; holds each stream at most once (the stream's `queue` field says where it is). */
class Queue {
  #items: StreamState[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(stream: StreamState): void {
    this.#items.push(stream);
  }

  shift(): StreamState | undefined {
    const stream = this.#items[this.#head];
    if (stream === undefined) return undefined;
    this.#head += 1;
    if (this.#head >= 256 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    } else if (this.#head === this.#items.length) {
      this.#items.length = 0;
      this.#head = 0;
    }
    return stream;
  }
}

/** How much a stream sent lately: decides between interactive and bulk. */
export class SendPace {
  #burst = 0;
  #lastAt = Number.NEGATIVE_INFINITY;
  #trickle = 0;
  #trickleSince = Number.NEGATIVE_INFINITY;

  isInteractive(now: number, rttMs: number): boolean {
    if (now - this.#lastAt >= IDLE_MS) return true;
    return (
      this.#burst < BURST_BYTES ||
      (now - this.#trickleSince <= rttMs ? this.#trickle : 0) < TRICKLE_BYTES
    );
  }

  sent(bytes: number, now: number, rttMs: number): void {
    if (now - this.#lastAt >= IDLE_MS) this.#burst = 0;
    this.#burst += bytes;
    this.#lastAt = now;
    if (now - this.#trickleSince > rttMs) {
      this.#trickleSince = now;
      this.#trickle = 0;
    }
    this.#trickle += bytes;
  }
}

/**
 * Two queues: interactive streams one frame each in turn, bulk streams by deficit round robin.
 * A stream without anything it may send leaves its queue and comes back by `ready`.
 */
export class Scheduler {
  readonly #interactive = new Queue();
  readonly #bulk = new Queue();
  #interactiveRun = 0;
  /** The bulk stream whose turn it is and what it may still send in it. */
  #turn: StreamState | undefined;
  #deficit = 0;

  get isIdle(): boolean {
    return this.#interactive.length === 0 && this.#bulk.length === 0 && this.#turn === undefined;
  }

  /** The stream has something it may send now. Harmless when it already waits. */
  ready(stream: StreamState, now: number, rttMs: number): void {
    if (stream.isQueued) return;
    stream.isQueued = true;
    if (stream.pace.isInteractive(now, rttMs)) this.#interactive.push(stream);
    else this.#bulk.push(stream);
  }

  /**
   * The stream whose frame comes next, taken out of its queue; `undefined` when none waits.
   * The caller answers with `sent` for this stream before it asks again.
   */
  next(): StreamState | undefined {
    const isBulkDue =
      this.#interactiveRun >= INTERACTIVE_RUN &&
      (this.#turn !== undefined || this.#bulk.length > 0);
    if (!isBulkDue) {
      const stream = this.#interactive.shift();
      if (stream !== undefined) {
        stream.isQueued = false;
        return stream;
      }
    }
    if (this.#turn === undefined) {
      this.#turn = this.#bulk.shift();
      this.#deficit = this.#turn === undefined ? 0 : QUANTUM * this.#turn.weight;
    }
    if (this.#turn !== undefined) this.#turn.isQueued = false;
    return this.#turn;
  }

  /** The stream of `next` sent `bytes`; `hasMore`: it may send more now. */
  sent(stream: StreamState, bytes: number, hasMore: boolean, now: number, rttMs: number): void {
    stream.pace.sent(bytes, now, rttMs);
    if (stream !== this.#turn) {
      this.#interactiveRun += bytes;
      if (hasMore) this.ready(stream, now, rttMs);
      return;
    }
    this.#interactiveRun = 0;
    this.#deficit -= bytes;
    if (hasMore && this.#deficit >= SMALLEST_FRAME) {
      stream.isQueued = true;
      return;
    }
    this.#turn = undefined;
    if (hasMore) this.ready(stream, now, rttMs);
  }

  /** The stream is over: it must not be offered again. Its place in a queue is skipped when reached. */
  forget(stream: StreamState): void {
    if (this.#turn === stream) this.#turn = undefined;
  }
}
