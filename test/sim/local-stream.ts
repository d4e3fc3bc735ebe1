// This file is a stream as one application sees it, and what it may be told: each word held against what really happened.
import { STREAM_CODES, type Side } from "../../src/session/index.ts";
import { isContent } from "./content.ts";
import type { Random } from "./random.ts";
import type { StreamOutput } from "./shell.ts";
import { fail, type HalfTruth, other, type StreamTruth, type Truth } from "./truth.ts";

const REFUSED = STREAM_CODES.REFUSED.code;
const OVERLOADED = STREAM_CODES.OVERLOADED.code;

/** How a stream is read. */
export type Reading = "eager" | "late" | "never";
export type Ending = "finish" | "reset" | "open";

export class LocalStream {
  readonly id: number;
  readonly truth: StreamTruth;
  readonly ours: HalfTruth;
  readonly theirs: HalfTruth;
  /** Its own chance: what other streams do does not change what this one does. */
  readonly random: Random;
  readonly #side: Side;
  readonly #all: Truth;
  reading: Reading = "eager";
  ending: Ending = "finish";
  /** Bytes still to write, before the ending. */
  left = 0;
  /** Bytes read, and of these not consumed. */
  read = 0;
  held = 0;
  /** Since when held bytes wait: the last consumption, or the arrival of the first of them; own time of the process. */
  waitingSince = Number.POSITIVE_INFINITY;
  /** When the first byte of ours was written; own time of the process. */
  wroteAt = Number.POSITIVE_INFINITY;
  isPaused = false;
  /** A late reader is about to read. */
  isReading = false;
  isRefused = false;
  isClosed = false;
  /** How the peer's direction ended for us. */
  outcome: "open" | "ended" | "reset" | "stopped" = "open";

  constructor(side: Side, truth: StreamTruth, all: Truth, random: Random) {
    this.id = truth.id;
    this.truth = truth;
    this.ours = truth.halves[side];
    this.theirs = truth.halves[other(side)];
    this.random = random;
    this.#side = side;
    this.#all = all;
  }

  get canWrite(): boolean {
    return (
      !this.isClosed &&
      !this.isRefused &&
      !this.ours.isFinished &&
      this.ours.resetCode === undefined
    );
  }

  bytes(bytes: Uint8Array, now: number): void {
    const { id, theirs } = this;
    if (this.held === 0) this.waitingSince = now;
    if (this.outcome !== "open") fail(`bytes of stream ${id} after it was ${this.outcome}`);
    if (this.read + bytes.length > theirs.written)
      fail(`stream ${id} delivered more bytes than were written`);
    if (!isContent(bytes, other(this.#side), id, this.read))
      fail(`stream ${id} delivered other bytes at offset ${this.read}`);
    this.read += bytes.length;
    this.held += bytes.length;
  }

  ended(): void {
    const { id, theirs } = this;
    if (this.outcome !== "open") fail(`stream ${id} ended after it was ${this.outcome}`);
    if (!theirs.isFinished) fail(`stream ${id} ended, but nobody finished it`);
    if (this.read !== theirs.written)
      fail(`stream ${id} ended after ${this.read} of ${theirs.written} bytes`);
    this.outcome = "ended";
  }

  reset(output: Extract<StreamOutput, { kind: "streamReset" }>): void {
    if (output.remote) this.#remoteReset(output);
    else this.#localReset(output.code);
    if (this.outcome !== "ended" && this.outcome !== "stopped") this.outcome = "reset";
  }

  #remoteReset({ code, replay }: Extract<StreamOutput, { kind: "streamReset" }>): void {
    const { id, ours, theirs, truth } = this;
    if (code === REFUSED) {
      if (!this.#isRefusable) fail(`stream ${id} was refused by nobody`);
      truth.isRefused = true;
      // Who gave up before has nothing left to use elsewhere.
      if (ours.resetCode === undefined) this.#checkReplay(replay);
      ours.resetCode ??= REFUSED;
    } else {
      if (theirs.resetCode !== code)
        fail(`stream ${id} was reset with ${code}, its writer said ${theirs.resetCode}`);
      if (this.outcome === "stopped") fail(`stream ${id} was reset after we stopped it`);
    }
    if (this.outcome === "ended") fail(`stream ${id} was reset after it ended`);
  }

  /** The session is over, or it gave the stream up to keep its budget: nothing of ours goes on either. */
  #localReset(code: number): void {
    this.ours.resetCode ??= code;
    if (code === OVERLOADED) this.theirs.stopCode ??= code;
  }

  stopped(code: number): void {
    const { id, ours } = this;
    if (ours.stopCode !== code)
      fail(`stream ${id} was stopped with ${code}, its reader said ${ours.stopCode}`);
    ours.resetCode ??= code;
    this.left = 0;
  }

  writable(): void {
    if (!this.isPaused) fail(`streamWritable of stream ${this.id}, which was not paused`);
    this.isPaused = false;
  }

  closed(): void {
    const { held, id, isRefused, ours, outcome } = this;
    this.isClosed = true;
    if (isRefused) return;
    if (outcome === "open") fail(`stream ${id} closed before its reader knew how it ended`);
    if (held > 0 && outcome !== "ended")
      fail(`stream ${id} closed while ${held} bytes of it were held`);
    if (outcome !== "reset" && !ours.isFinished && ours.resetCode === undefined)
      fail(`stream ${id} closed before its writer ended it`);
  }

  /** Its acceptor refused it, or drains and was not asked. */
  get #isRefusable(): boolean {
    const { isRefused, opener, timesOpened } = this.truth;
    return isRefused || (timesOpened === 0 && this.#all.draining.has(other(opener)));
  }

  #checkReplay(replay: readonly Uint8Array[] | undefined): void {
    const { id, ours } = this;
    if (replay === undefined) fail(`stream ${id} was refused and its bytes did not come back`);
    const bytes = Buffer.concat(replay);
    if (bytes.length !== ours.written)
      fail(`stream ${id} gave back ${bytes.length} of ${ours.written} bytes`);
    if (!isContent(bytes, this.#side, id, 0)) fail(`stream ${id} gave back other bytes`);
  }
}
