// This file is the books of one session, shared by what applies frames, what fills batches and what the application calls.
import { bug } from "../../errors.ts";
import { PRESSURE_SEVERE, SESSION_CODES, STREAM_CODES } from "../../wire/index.ts";
import type { SessionOptions, SessionOutput, StreamId } from "./events.ts";
import { LinkTable } from "./link-table.ts";
import type { LinkState } from "./links.ts";
import { type GrowthConditions, SessionWindow } from "./receive-window.ts";
import { Scheduler } from "./scheduler.ts";
import { SendCredit } from "./send-credit.ts";
import { DIRTY, type StreamState, StreamTable } from "./streams.ts";

/** A source pauses above so many unsent bytes of its stream, whatever its credit; also the threshold under pressure. */
const PAUSE_FLOOR = 64 * 1024;
/** ... and in no case later than here. */
const PAUSE_CEILING = 1024 * 1024;

/** Session-wide frames that are owed; values are taken when a batch is filled. */
interface SessionDebts {
  maxData: boolean;
  maxStreams: boolean;
  goAway:
    { readonly code: number; readonly retryAfterMs: number; readonly message: string } | undefined;
  close:
    { readonly code: number; readonly frameType: number; readonly message: string } | undefined;
}

export class Ledger implements GrowthConditions {
  readonly options: SessionOptions;
  readonly streams: StreamTable;
  readonly scheduler = new Scheduler();
  readonly links: LinkTable;
  /** Credit we hold towards the peer, over all streams. */
  readonly credit: SendCredit;
  /** Credit we granted, over all streams. */
  readonly window: SessionWindow;
  readonly debts: SessionDebts = {
    maxData: false,
    maxStreams: false,
    goAway: undefined,
    close: undefined,
  };
  /** Ids of forgotten streams whose repeats await `ACK [id, 0, true]`. */
  readonly forgotten: StreamId[] = [];
  retained = 0;
  unsent = 0;
  #dirty: StreamState[] = [];
  /** Outputs of the `handle` that runs, and those that method calls left for the next one. */
  #outputs: SessionOutput[] = [];
  #pending: SessionOutput[] = [];
  #isHandling = false;

  constructor(options: SessionOptions) {
    const { side, local, remote } = options;
    this.options = options;
    this.links = new LinkTable(options, (output) => this.emit(output));
    this.credit = new SendCredit(remote.initialMaxData);
    this.window = new SessionWindow(local.initialMaxData, options.budget.receive, (since) =>
      this.#activeWindows(since),
    );
    this.streams = new StreamTable(
      side,
      local.initialMaxStreams,
      remote.initialMaxStreams,
      options.firstOrdinal ?? 0,
    );
  }

  // Outputs

  emit(output: SessionOutput): void {
    (this.#isHandling ? this.#outputs : this.#pending).push(output);
  }

  /** Outputs of earlier method calls come first. The list of the previous `handle` becomes invalid. */
  beginHandling(): void {
    const previous = this.#outputs;
    this.#outputs = this.#pending;
    this.#pending = previous;
    previous.length = 0;
    this.#isHandling = true;
  }

  endHandling(): readonly SessionOutput[] {
    this.#isHandling = false;
    return this.#outputs;
  }

  // Control that is owed

  mark(stream: StreamState, bits: number): void {
    stream.dirty |= bits;
    if (stream.isDirtyQueued) return;
    stream.isDirtyQueued = true;
    this.#dirty.push(stream);
  }

  get owing(): number {
    return this.#dirty.length;
  }

  /** The streams that owe control frames; the caller puts back by `mark` what did not fit. */
  takeDirty(): StreamState[] {
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const stream of dirty) stream.isDirtyQueued = false;
    return dirty;
  }

  get hasSessionDebts(): boolean {
    const { maxData, maxStreams, goAway, close } = this.debts;
    return (
      maxData ||
      maxStreams ||
      goAway !== undefined ||
      close !== undefined ||
      this.forgotten.length > 0
    );
  }

  /** Most of them: a peer that does not read its answers gets no more of them. */
  get forgottenMax(): number {
    const { local, remote } = this.options;
    return 2 * (local.initialMaxStreams + remote.initialMaxStreams);
  }

  /** A repeat for a stream that is over here: it is answered, never delivered. */
  answerForgotten(id: StreamId): boolean {
    if (this.forgotten.length >= this.forgottenMax) return false;
    this.forgotten.push(id);
    return true;
  }

  // Sending

  get rttMinMs(): number {
    let minimum = Number.POSITIVE_INFINITY;
    for (const link of this.links.values()) minimum = Math.min(minimum, link.liveness.rtt.minimum);
    return Number.isFinite(minimum) ? minimum : 1;
  }

  /** True when a frame of the stream could go out now, session credit and retention aside. */
  isSendable(stream: StreamState): boolean {
    if (stream.needsOpen) return true;
    return stream.send.bytes.unsent > 0 && stream.send.credit.left > 0;
  }

  /** Session credit and room for retention: without them only control leaves. */
  get canSendBytes(): boolean {
    return this.credit.left > 0 && this.retained < this.options.budget.retain;
  }

  /**
   * Likewise, and the path of the link is not full. All sending halves are on the one link there is, so what the session
   * retains is what is in flight on it. The last frame may overshoot the bound.
   */
  hasRoomOn(link: LinkState): boolean {
    return this.canSendBytes && this.retained < link.inFlight.bound;
  }

  /** More waits to be sent than the path takes. */
  get isBacklogged(): boolean {
    return !this.scheduler.isIdle && this.canSendBytes;
  }

  /** Bytes the stream may send as far as the session goes; a repeat of bytes counted before costs no credit. */
  sessionRoom(stream: StreamState): number {
    const repeated = stream.send.highest - stream.send.bytes.sent;
    return Math.min(this.credit.left + repeated, this.options.budget.retain - this.retained);
  }

  wake(stream: StreamState, now: number): void {
    if (stream.send.isFinDue && !stream.needsOpen) this.mark(stream, DIRTY.finish);
    else if (!stream.isQueued && this.isSendable(stream))
      this.scheduler.ready(stream, now, this.rttMinMs);
  }

  pauseThreshold(stream: StreamState): number {
    const { budget } = this.options;
    if (this.unsent > budget.unsent || budget.pressure() >= PRESSURE_SEVERE) return PAUSE_FLOOR;
    return Math.max(PAUSE_FLOOR, Math.min(stream.send.credit.left, PAUSE_CEILING));
  }

  written(stream: StreamState, bytes: Uint8Array, isWhole: boolean, now: number): void {
    const { send } = stream;
    if (send.bytes.unsent + send.bytes.retained === 0) send.waitingSince = now;
    send.bytes.append(bytes, isWhole);
    this.unsent += bytes.length;
    this.options.budget.hold(bytes.length);
  }

  /** `bytes` of the stream went into a frame. */
  sent(stream: StreamState, bytes: number, now: number): void {
    if (stream.send.bytes.retained === bytes) stream.send.waitingSince = now;
    this.unsent -= bytes;
    this.retained += bytes;
    const { send } = stream;
    if (send.highest > send.credit.used) {
      this.credit.used += send.highest - send.credit.used;
      send.credit.used = send.highest;
    }
    if (stream.isPaused && send.bytes.unsent * 2 <= this.pauseThreshold(stream)) {
      stream.isPaused = false;
      this.emit({ kind: "streamWritable", stream: stream.id });
    }
  }

  /** Returns false where nothing new was acknowledged. */
  acknowledged(stream: StreamState, offset: number, now: number): boolean {
    const { bytes } = stream.send;
    const freed = Math.min(offset, bytes.sent) - bytes.acked;
    if (freed <= 0) return false;
    bytes.acknowledge(bytes.acked + freed);
    stream.send.waitingSince = now;
    this.retained -= freed;
    this.options.budget.hold(-freed);
    return true;
  }

  /** Abandons the sending half. Returns false where nothing was left to abandon. */
  resetSending(stream: StreamState, code: number): boolean {
    const { send } = stream;
    const { unsent, retained } = send.bytes;
    if (!send.reset(code)) return false;
    this.#release(unsent, retained);
    this.mark(stream, DIRTY.reset);
    return true;
  }

  /** FIN or RESET of ours has arrived. */
  endedSending(stream: StreamState): void {
    const { unsent, retained } = stream.send.bytes;
    stream.send.ended();
    this.#release(unsent, retained);
  }

  #release(unsent: number, retained: number): void {
    this.unsent -= unsent;
    this.retained -= retained;
    if (unsent + retained > 0) this.options.budget.hold(-(unsent + retained));
  }

  // Receiving

  /** New bytes of a stream arrived in order; both limits were checked. */
  received(stream: StreamState, bytes: number, now: number): void {
    const { receive } = stream;
    receive.received += bytes;
    receive.window.arrived(bytes, receive.received, now);
    this.window.received += bytes;
    this.options.budget.hold(bytes);
    this.#raiseSession(now);
  }

  consumed(stream: StreamState, bytes: number, now: number): void {
    const { receive } = stream;
    if (receive.isTerminal) return; // A reset counted everything as consumed already.
    if (bytes > receive.held)
      bug(`consumed ${bytes} bytes of stream ${stream.id}, held ${receive.held}`);
    // Of a stream that was stopped no more is wanted than was granted: its limit stays.
    if (receive.stopCode !== undefined) receive.window.consumed += bytes;
    else if (receive.window.consume(bytes, receive.received, now, this)) {
      if (receive.finalSize === undefined) this.mark(stream, DIRTY.limit);
    }
    this.window.consumed += bytes;
    this.options.budget.hold(-bytes);
    receive.read();
    this.#raiseSession(now);
    this.forgetIfOver(stream);
  }

  /** The peer abandoned its direction, or nobody wants it any more at the end of the session. */
  resetReceiving(stream: StreamState, finalSize: number, now: number): void {
    const held = stream.receive.held;
    const { received, consumed } = stream.receive.reset(finalSize);
    this.window.received += received;
    this.window.consumed += consumed;
    if (held > 0) this.options.budget.hold(-held);
    this.#raiseSession(now);
  }

  #raiseSession(now: number): void {
    if (this.window.raise(now)) this.debts.maxData = true;
  }

  #activeWindows(since: number): number {
    let sum = 0;
    for (const stream of this.streams.values) {
      if (stream.receive.window.lastConsumed >= since) sum += stream.receive.window.window;
    }
    return sum;
  }

  // What a window must know when it decides to grow.

  get pressure(): number {
    return this.options.budget.pressure();
  }

  get sessionHeld(): number {
    return this.window.held;
  }

  get receiveBudget(): number {
    return this.window.budget;
  }

  get open(): number {
    return this.streams.size;
  }

  // The end of a stream

  /** Forgets a stream whose halves are terminal and whose final ACK was sent. */
  forgetIfOver(stream: StreamState): void {
    if (!stream.isOver || stream.receive.isAckOwed || this.streams.get(stream.id) !== stream)
      return;
    if (this.streams.forget(stream)) this.debts.maxStreams = true;
    this.scheduler.forget(stream);
    this.options.trace.stream("forgotten", stream.id);
    if (!stream.isUnannounced) this.emit({ kind: "streamClosed", stream: stream.id });
  }

  /** The session is over: every stream ends with `code`, locally. */
  endAllStreams(code: number, now: number): void {
    for (const stream of [...this.streams.values]) {
      const replay = neverLeft(stream) ? { replay: stream.send.bytes.replay() } : undefined;
      this.#release(stream.send.bytes.unsent, stream.send.bytes.retained);
      stream.send.bytes.drop();
      // What was given out and not taken is nobody's any more: its owner must hear of that, even if it has everything.
      const isComplete =
        stream.send.isTerminal && !stream.receive.isOpen && stream.receive.held === 0;
      if (stream.receive.isOpen) this.resetReceiving(stream, stream.receive.received, now);
      else this.#discard(stream);
      this.streams.forget(stream);
      if (stream.isUnannounced) continue;
      if (!isComplete)
        this.emit({ kind: "streamReset", stream: stream.id, code, remote: false, ...replay });
      this.emit({ kind: "streamClosed", stream: stream.id });
    }
    this.#dirty = [];
    this.forgotten.length = 0;
  }

  /** Bytes that were delivered and that nobody will account for any more count as consumed. */
  #discard(stream: StreamState): void {
    const { held } = stream.receive;
    stream.receive.window.consumed += held;
    this.window.consumed += held;
    if (held > 0) this.options.budget.hold(-held);
  }
}

/** True for a stream of ours of which no link got a byte, and to which nothing is added any more. */
function neverLeft({ isOurs, needsOpen, send }: StreamState): boolean {
  return isOurs && needsOpen && send.state === "ready" && !send.isOpen;
}

/** The code local streams end with when their session does. */
export function streamCodeFor(sessionCode: number): number {
  return sessionCode === SESSION_CODES.REVOKED.code
    ? STREAM_CODES.REVOKED.code
    : STREAM_CODES.SESSION_LOST.code;
}
