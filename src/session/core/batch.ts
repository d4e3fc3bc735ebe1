// This file is the filling of one batch of a link: control, then interactive, then bulk, from the values of this moment. PROTOCOL §6.2 to §6.4.
import { reached } from "../../limits.ts";
import {
  ACK_ENTRY_MAX,
  BATCH_BYTES,
  CONTROL_PER_BATCH,
  type ControlFrameName,
  type ControlRecord,
  DATA_BYTES,
  DATA_HEADER_BYTES,
  ENTRIES_HEAD_MAX,
  ENTRIES_PER_FRAME,
  fitMessage,
  frameSize,
  MAX_STREAM_DATA_ENTRY_MAX,
  OPEN_DATA_BYTES,
  OPEN_HEADER_MAX,
  writeAck,
  writeDataHeader,
  writeFrame,
  writeMaxStreamData,
  writeOpen,
} from "../../wire/index.ts";
import type { Ledger } from "./ledger.ts";
import type { LinkState } from "./links.ts";
import { DIRTY, type StreamState } from "./streams.ts";

/** Less room than this is left empty: a frame of a few bytes costs as much as a full one. */
const SMALLEST_ROOM = 512;
/** Most bytes of the RESET and STOP_SENDING of one stream, or of its empty DATA_FIN. */
const STREAM_CONTROL_MAX = 64;

/** Entries of one kind, as flat numbers, written as frames of at most 128. */
class Entries {
  readonly #flat: number[] = [];
  readonly #width: number;
  readonly #entryMax: number;

  constructor(width: number, entryMax: number) {
    this.#width = width;
    this.#entryMax = entryMax;
  }

  get count(): number {
    return this.#flat.length / this.#width;
  }

  /** Most bytes that writing them takes. */
  get size(): number {
    const { count } = this;
    return count * this.#entryMax + Math.ceil(count / ENTRIES_PER_FRAME) * ENTRIES_HEAD_MAX;
  }

  add(id: number, value: number, flag?: number): void {
    this.#flat.push(id, value);
    if (flag !== undefined) this.#flat.push(flag);
  }

  write(into: Uint8Array, at: number, writer: typeof writeAck): number {
    let next = at;
    const { count } = this;
    for (let from = 0; from < count; from += ENTRIES_PER_FRAME) {
      const some = Math.min(ENTRIES_PER_FRAME, count - from);
      next = writer(
        into,
        next,
        from === 0 ? this.#flat : this.#flat.slice(from * this.#width),
        some,
      );
    }
    this.#flat.length = 0;
    return next;
  }
}

const NO_BYTES: Uint8Array = new Uint8Array(0);

export class Batch {
  readonly #ledger: Ledger;
  #into: Uint8Array = NO_BYTES;
  #at = 0;
  #end = 0;
  #now = 0;
  readonly #acks = new Entries(3, ACK_ENTRY_MAX);
  readonly #limits = new Entries(2, MAX_STREAM_DATA_ENTRY_MAX);

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /** True when `fill` would write something on this link. */
  hasWork(link: LinkState): boolean {
    const ledger = this.#ledger;
    if (link.isClosing) return false;
    if (link.liveness.isPingDue || link.liveness.pongDue !== undefined) return true;
    if (ledger.owing > 0 || ledger.hasSessionDebts) return true;
    return !ledger.scheduler.isIdle && ledger.hasRoomOn(link);
  }

  /** @returns Bytes written to the start of `into`, 0 for nothing. */
  fill(link: LinkState, into: Uint8Array, now: number): number {
    this.#into = into;
    this.#at = 0;
    this.#now = now;
    this.#end = Math.min(into.length, BATCH_BYTES);
    this.#control(link, now);
    if (this.#ledger.debts.close !== undefined) this.#close(link);
    else this.#streams(link, now);
    this.#into = NO_BYTES;
    return this.#at;
  }

  // P0: control

  #control(link: LinkState, now: number): void {
    const ledger = this.#ledger;
    const { debts } = ledger;
    const pong = link.liveness.pongDue;
    if (pong !== undefined && this.#write("pong", { id: pong })) link.liveness.tookPong(now);
    if (link.liveness.isPingDue) this.#write("ping", { id: link.liveness.takePing(now) });
    if (debts.maxData && this.#write("maxData", { limit: ledger.window.limit }))
      debts.maxData = false;
    if (debts.maxStreams && this.#write("maxStreams", { count: ledger.streams.announced }))
      debts.maxStreams = false;
    if (debts.goAway !== undefined && this.#write("goAway", debts.goAway)) debts.goAway = undefined;
    this.#streamControl();
  }

  #streamControl(): void {
    const ledger = this.#ledger;
    if (ledger.owing === 0 && ledger.forgotten.length === 0) return;
    for (const id of ledger.forgotten.splice(0, ENTRIES_PER_FRAME)) this.#acks.add(id, 0, 1);
    const streams = ledger.takeDirty();
    const room = Math.min(this.#end, CONTROL_PER_BATCH);
    for (const stream of streams) {
      const needed =
        this.#acks.size +
        this.#limits.size +
        ACK_ENTRY_MAX +
        MAX_STREAM_DATA_ENTRY_MAX +
        2 * ENTRIES_HEAD_MAX;
      // What finds no room keeps its bits and waits for the next batch.
      if (this.#at + needed + OPEN_HEADER_MAX + STREAM_CONTROL_MAX > room) ledger.mark(stream, 0);
      else this.#streamFrames(stream);
    }
    this.#at = this.#acks.write(this.#into, this.#at, writeAck);
    this.#at = this.#limits.write(this.#into, this.#at, writeMaxStreamData);
    for (const stream of streams) ledger.forgetIfOver(stream);
  }

  #streamFrames(stream: StreamState): void {
    const { id, dirty, needsOpen, receive, send } = stream;
    stream.dirty = 0;
    if ((dirty & DIRTY.ack) !== 0 && receive.isAckOwed) {
      receive.isAckOwed = false;
      this.#acks.add(id, receive.received, receive.hasEnded ? 1 : 0);
    }
    if ((dirty & DIRTY.limit) !== 0 && receive.isOpen && receive.finalSize === undefined) {
      this.#limits.add(id, receive.window.limit);
    }
    if ((dirty & DIRTY.reset) !== 0 && send.state === "resetSent") {
      // A stream reset before its OPEN left is opened all the same, so that no ordinal is ever missing.
      if (stream.needsOpen) this.#open(stream, 0);
      this.#write("reset", { id, code: send.resetCode, finalSize: send.highest });
    }
    // Before its OPEN nothing is said of a stream: a stop waits for it, here or in `#streams`. A refusal is said in any state.
    const isStopDue = ((dirty & DIRTY.stop) !== 0 || needsOpen) && !stream.needsOpen;
    if (isStopDue && receive.stopCode !== undefined && (receive.isOpen || stream.isRefused)) {
      this.#write("stopSending", { id, code: receive.stopCode });
    }
    if ((dirty & DIRTY.finish) !== 0 && send.isFinDue) this.#data(stream, 0);
  }

  #close(link: LinkState): void {
    const { close } = this.#ledger.debts;
    if (close === undefined || link.isClosing) return;
    if (this.#write("close", { ...close, message: fitMessage(close.message), retryAfterMs: 0 }))
      link.isClosing = true;
  }

  #write<N extends ControlFrameName>(name: N, record: ControlRecord<N>): boolean {
    if (this.#at + frameSize(name, record) > this.#end) return false;
    this.#at = writeFrame(name, record, this.#into, this.#at);
    return true;
  }

  // P1 and P2: stream bytes

  #streams(link: LinkState, now: number): void {
    const ledger = this.#ledger;
    const rttMs = link.liveness.rtt.minimum;
    let hasSent = false;
    if (ledger.retained === 0) link.inFlight.idle();
    while (this.#end - this.#at >= SMALLEST_ROOM && ledger.hasRoomOn(link)) {
      const stream = ledger.scheduler.next();
      if (stream === undefined) break;
      if (!ledger.isSendable(stream)) {
        ledger.scheduler.sent(stream, 0, false, now, rttMs);
        continue;
      }
      const isOpening = stream.needsOpen;
      const sent = isOpening
        ? this.#open(stream, this.#openRoom(stream))
        : this.#data(stream, this.#dataRoom(stream));
      hasSent = true;
      if (isOpening && stream.receive.stopCode !== undefined) ledger.mark(stream, DIRTY.stop);
      ledger.scheduler.sent(stream, sent, ledger.isSendable(stream), now, rttMs);
      if (stream.send.isFinDue) ledger.mark(stream, DIRTY.finish);
    }
    if (hasSent) link.liveness.busy(now);
    if (ledger.isBacklogged && ledger.retained >= link.inFlight.bound) reached("inFlight");
    else if (ledger.retained >= ledger.options.budget.retain) reached("retained");
  }

  #dataRoom(stream: StreamState): number {
    return this.#bytesFor(stream, Math.min(DATA_BYTES, this.#end - this.#at - DATA_HEADER_BYTES));
  }

  #openRoom(stream: StreamState): number {
    return this.#bytesFor(
      stream,
      Math.min(OPEN_DATA_BYTES, this.#end - this.#at - OPEN_HEADER_MAX),
    );
  }

  #bytesFor(stream: StreamState, room: number): number {
    const { bytes, credit } = stream.send;
    return Math.max(
      0,
      Math.min(room, bytes.unsent, credit.limit - bytes.sent, this.#ledger.sessionRoom(stream)),
    );
  }

  /** DATA or, when it ends the direction, DATA_FIN. */
  #data(stream: StreamState, length: number): number {
    const { send } = stream;
    if (this.#at + DATA_HEADER_BYTES + length > this.#end) {
      this.#ledger.mark(stream, DIRTY.finish);
      return 0;
    }
    const offset = send.bytes.sent;
    const isFin = send.send(this.#into, this.#at + DATA_HEADER_BYTES, length);
    writeDataHeader(this.#into, this.#at, isFin, stream.id, offset, length);
    this.#at += DATA_HEADER_BYTES + length;
    this.#ledger.sent(stream, length, this.#now);
    return length;
  }

  #open(stream: StreamState, length: number): number {
    const { send } = stream;
    stream.needsOpen = false;
    let data = NO_BYTES;
    let isFin = false;
    if (send.state === "ready") {
      data = send.bytes.peek(length);
      isFin = send.sendPeeked(length);
      this.#ledger.sent(stream, length, this.#now);
    }
    this.#at = writeOpen(
      this.#into,
      this.#at,
      stream.id,
      stream.kind,
      isFin,
      stream.receive.window.limit,
      data,
    );
    return length;
  }
}
