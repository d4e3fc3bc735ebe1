// This file is what received frames do to a session: the checks and effects of the tables in PROTOCOL §2.2.
import {
  CONNECTOR_OPENS,
  CONNECTOR_OPENS_WINDOW_MS,
  CONTROL_FRAMES,
  type ControlRecord,
  DATA_FRAMES,
  type FrameDecoder,
  IDLE_FRAMES_PER_SECOND,
  IDLE_FRAMES_WINDOW_MS,
  SESSION_CODES,
  type SessionCodeName,
  STREAM_CODES,
} from "../../wire/index.ts";
import { TransportError } from "../errors.ts";
import type { Ledger } from "./ledger.ts";
import type { LinkState } from "./links.ts";
import { DIRTY, StreamState } from "./streams.ts";

/** What a frame that concerns the whole session asks of it. */
export interface InboundEvents {
  /** Returns false for a repeat. */
  goAway(code: number, retryAfterMs: number): boolean;
  closed(code: number, message: string, now: number): void;
}

/** How often something happened within a window of time; the window starts anew when it is over. */
class Rate {
  readonly #windowMs: number;
  #since = Number.NEGATIVE_INFINITY;
  #count = 0;

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** Counts one more and returns how many there are in the window. */
  count(now: number): number {
    if (now - this.#since >= this.#windowMs) {
      this.#since = now;
      this.#count = 0;
    }
    this.#count += 1;
    return this.#count;
  }
}

export class Inbound {
  readonly #ledger: Ledger;
  readonly #events: InboundEvents;
  readonly #opens = new Rate(CONNECTOR_OPENS_WINDOW_MS);
  readonly #idleFrames = new Rate(IDLE_FRAMES_WINDOW_MS);
  /** OPENs are refused from here on: we drain. */
  isRefusing = false;
  /** CLOSE came: what follows it is ignored. */
  #isClosed = false;

  constructor(ledger: Ledger, events: InboundEvents) {
    this.#ledger = ledger;
    this.#events = events;
  }

  /**
   * Applies every whole frame of one chunk.
   * @throws WireError, TransportError The first frame that breaks a rule ends the session.
   */
  apply(link: LinkState, bytes: Uint8Array, now: number): void {
    const { decoder } = link;
    decoder.feed(bytes);
    while (!this.#isClosed) {
      const name = decoder.next();
      if (name === undefined) return;
      switch (name) {
        case "data":
        case "dataFin":
          this.#data(link, decoder.stream, decoder.offset, decoder.bytes, name === "dataFin", now);
          break;
        case "open":
          this.#open(link, decoder.record("open"), now);
          break;
        case "ack":
          this.#acks(decoder.record("ack").entries, now);
          break;
        case "maxStreamData":
          this.#streamLimits(decoder.record("maxStreamData").entries, now);
          break;
        case "reset":
          this.#reset(link, decoder.record("reset"), now);
          break;
        case "stopSending":
          this.#stopSending(decoder.record("stopSending"), now);
          break;
        case "datagram":
          this.#datagram(decoder.stream);
          break;
        default:
          this.#sessionFrame(link, name, decoder, now);
      }
    }
  }

  /** Our answer to an OPEN: nothing was delivered, its bytes are dropped unacknowledged until the opener resets. */
  refuse(stream: StreamState, now: number): void {
    const { receive } = stream;
    // RESET says it, or STOP_SENDING does; neither where the opener has stopped us and ended its own direction already.
    const isTold = this.#ledger.resetSending(stream, STREAM_CODES.REFUSED.code) || receive.isOpen;
    this.#ledger.options.trace.stream("refused", stream.id);
    receive.stopCode = STREAM_CODES.REFUSED.code;
    this.#ledger.mark(stream, DIRTY.stop);
    if (receive.held > 0) this.#ledger.consumed(stream, receive.held, now);
    // A RESET that came right behind the OPEN is acknowledged like any other: the opener sends no second one.
    if (stream.hasPeerReset || !isTold) return;
    stream.isRefused = true;
    // The ACK of the OPEN is not owed any more: it would name bytes that the opener must keep.
    receive.isAckOwed = false;
  }

  #sessionFrame(link: LinkState, name: string, decoder: FrameDecoder, now: number): void {
    const ledger = this.#ledger;
    switch (name) {
      case "ping":
        if (!link.liveness.ping(decoder.record("ping").id, now)) this.#changedNothing(now);
        break;
      case "pong":
        if (!link.liveness.pong(decoder.record("pong").id, now)) this.#changedNothing(now);
        break;
      case "maxData":
        if (!ledger.credit.raise(decoder.record("maxData").limit)) this.#changedNothing(now);
        break;
      case "maxStreams":
        if (!ledger.streams.raiseOpenLimit(decoder.record("maxStreams").count))
          this.#changedNothing(now);
        break;
      case "goAway": {
        const { code, retryAfterMs } = decoder.record("goAway");
        if (!this.#events.goAway(code, retryAfterMs)) this.#changedNothing(now);
        break;
      }
      case "close": {
        const { code, message } = decoder.record("close");
        this.#isClosed = true;
        this.#events.closed(code, message, now);
        break;
      }
      default:
        // SYNC, RETIRE and LINKS speak of more than one link; with one link at a time nothing follows from them.
        this.#changedNothing(now);
    }
  }

  #open(link: LinkState, frame: ControlRecord<"open">, now: number): void {
    const { id, kind, fin, receiveLimit, data } = frame;
    const ledger = this.#ledger;
    const meaning = ledger.streams.meaning(id);
    if (meaning === "overLimit") this.#overLimit(id, "open");
    if (ledger.streams.isOurs(id)) this.#state(id, "open", "which only we may open");
    if (meaning === "forgotten") {
      this.#answer(id, now);
      return;
    }
    let stream = ledger.streams.get(id);
    if (stream === undefined) {
      stream = this.#accept(link, id, kind, receiveLimit, now);
      stream.isUnannounced = this.isRefusing;
      if (stream.isUnannounced) this.refuse(stream, now);
      else ledger.emit({ kind: "streamOpened", stream: id, streamKind: kind });
    } else if (stream.send.credit.raise(receiveLimit)) {
      ledger.wake(stream, now);
    } else if (data.length === 0) {
      this.#changedNothing(now);
    }
    this.#receive(link, stream, 0, data, fin, now);
  }

  #accept(
    link: LinkState,
    id: number,
    kind: number,
    receiveLimit: number,
    now: number,
  ): StreamState {
    const ledger = this.#ledger;
    const { side, local } = ledger.options;
    if (!local.acceptKinds.includes(kind)) {
      throw violation(
        "PROTOCOL_VIOLATION",
        "open",
        `Received OPEN of kind ${kind}, accepted are ${local.acceptKinds.join(", ")}`,
      );
    }
    if (side === "edge" && this.#opens.count(now) > CONNECTOR_OPENS) {
      throw violation(
        "EXCESSIVE_LOAD",
        "open",
        `Received more than ${CONNECTOR_OPENS} streams in ${CONNECTOR_OPENS_WINDOW_MS} ms`,
      );
    }
    ledger.streams.opened(id);
    const stream = new StreamState(id, kind, false, link.number, receiveLimit, local.initialWindow);
    ledger.streams.add(stream);
    ledger.options.trace.stream("opened", id);
    link.acks.add(stream, 0, now);
    return stream;
  }

  #data(
    link: LinkState,
    id: number,
    offset: number,
    bytes: Uint8Array,
    fin: boolean,
    now: number,
  ): void {
    const frame = fin ? "dataFin" : "data";
    const stream = this.#present(id, frame) ?? this.#absent(id, frame, now);
    if (stream !== undefined) this.#receive(link, stream, offset, bytes, fin, now);
  }

  /** DATA, or the data of an OPEN. Every limit is checked to the byte before anything is counted. */
  #receive(
    link: LinkState,
    stream: StreamState,
    offset: number,
    bytes: Uint8Array,
    fin: boolean,
    now: number,
  ): void {
    const ledger = this.#ledger;
    const { receive } = stream;
    stream.isOpenAcknowledged = true;
    stream.ackLink = link.number;
    const end = offset + bytes.length;
    if (!receive.isOpen) {
      if (receive.state === "dataRecvd" || receive.state === "dataRead")
        this.#checkFinalSize(stream, end, fin);
      ledger.options.trace.dropped("duplicateBytes", bytes.length);
      this.#changedNothing(now);
      this.#owe(link, stream, 0, now);
      return;
    }
    if (end > receive.window.limit) {
      throw violation(
        "FLOW_CONTROL",
        "data",
        `Received ${end} bytes on stream ${stream.id}, allowed ${receive.window.limit}`,
      );
    }
    const fresh = end - receive.received;
    if (fresh > ledger.window.limit - ledger.window.received) {
      const total = ledger.window.received + fresh;
      throw violation(
        "FLOW_CONTROL",
        "data",
        `Received ${total} bytes on all streams, allowed ${ledger.window.limit}`,
      );
    }
    this.#checkFinalSize(stream, end, fin);
    if (offset > receive.received) {
      throw violation(
        "PROTOCOL_VIOLATION",
        "data",
        `Received offset ${offset} on stream ${stream.id}, expected ${receive.received}`,
      );
    }
    if (fresh > 0) {
      ledger.received(stream, fresh, now);
      if (receive.stopCode !== undefined) ledger.consumed(stream, fresh, now);
      else {
        const news = fresh === bytes.length ? bytes : bytes.subarray(bytes.length - fresh);
        ledger.emit({ kind: "streamBytes", stream: stream.id, bytes: news });
      }
    }
    if (fin) receive.sized(end);
    if (receive.complete()) {
      receive.read();
      if (receive.stopCode === undefined) ledger.emit({ kind: "streamEnded", stream: stream.id });
    }
    if (fresh > 0 || fin) this.#owe(link, stream, Math.max(0, fresh), now);
    else if (offset > 0 || bytes.length > 0) this.#changedNothing(now);
  }

  /** An ACK is owed, except for a stream we refused: the opener must keep its bytes. */
  #owe(link: LinkState, stream: StreamState, bytes: number, now: number): void {
    if (!stream.isRefused) link.acks.add(stream, bytes, now);
  }

  #checkFinalSize(stream: StreamState, end: number, fin: boolean): void {
    const { finalSize, received } = stream.receive;
    const isBeyond = finalSize !== undefined && (end > finalSize || (fin && end !== finalSize));
    if (!isBeyond && !(fin && end < received)) return;
    const known = finalSize ?? received;
    throw violation(
      "FINAL_SIZE",
      "data",
      `Received an end at ${end} on stream ${stream.id}, known are ${known} bytes`,
    );
  }

  #reset(link: LinkState, frame: ControlRecord<"reset">, now: number): void {
    const { id, code, finalSize } = frame;
    const ledger = this.#ledger;
    const stream = this.#present(id, "reset") ?? this.#absent(id, "reset", now);
    if (stream === undefined) return;
    const { receive } = stream;
    stream.isOpenAcknowledged = true;
    stream.ackLink = link.number;
    if (
      finalSize < receive.received ||
      (receive.finalSize !== undefined && finalSize !== receive.finalSize)
    ) {
      const known = receive.finalSize ?? receive.received;
      throw violation(
        "FINAL_SIZE",
        "reset",
        `Received final size ${finalSize} on stream ${id}, known are ${known} bytes`,
      );
    }
    if (receive.isOpen) {
      const news = finalSize - receive.received;
      if (finalSize > receive.window.limit || news > ledger.window.limit - ledger.window.received) {
        throw violation(
          "FLOW_CONTROL",
          "reset",
          `Received final size ${finalSize} on stream ${id}, which no limit allowed`,
        );
      }
      ledger.resetReceiving(stream, finalSize, now);
      if (isRefusal(stream, code)) this.#returned(stream);
      else if (receive.stopCode === undefined && !stream.isReturned) {
        ledger.emit({ kind: "streamReset", stream: id, code, remote: true });
      }
    } else {
      this.#changedNothing(now);
    }
    stream.isRefused = false;
    stream.hasPeerReset = true;
    link.acks.add(stream, 0, now);
  }

  /** The application gets all bytes of a refused stream back and may use them elsewhere. */
  #returned(stream: StreamState): void {
    stream.isReturned = true;
    const replay = stream.send.bytes.replay();
    this.#ledger.resetSending(stream, STREAM_CODES.REFUSED.code);
    this.#ledger.emit({
      kind: "streamReset",
      stream: stream.id,
      code: STREAM_CODES.REFUSED.code,
      remote: true,
      replay,
    });
  }

  #stopSending(frame: ControlRecord<"stopSending">, now: number): void {
    const { id, code } = frame;
    const stream = this.#present(id, "stopSending") ?? this.#absentAcknowledged(id, "stopSending");
    if (stream !== undefined) stream.isOpenAcknowledged = true;
    if (stream !== undefined && isRefusal(stream, code)) this.#returned(stream);
    else if (stream !== undefined && this.#ledger.resetSending(stream, code)) {
      this.#ledger.emit({ kind: "streamStopped", stream: id, code });
    } else {
      this.#changedNothing(now);
    }
  }

  #acks(entries: ControlRecord<"ack">["entries"], now: number): void {
    let hasChanged = false;
    for (const { id, received, ended } of entries) {
      const stream = this.#present(id, "ack") ?? this.#absentAcknowledged(id, "ack");
      if (stream !== undefined && this.#ack(stream, received, ended)) hasChanged = true;
    }
    if (!hasChanged) this.#changedNothing(now);
  }

  /** Returns false where the entry says nothing new. */
  #ack(stream: StreamState, received: number, ended: boolean): boolean {
    const { id, send } = stream;
    const isFirst = !stream.isOpenAcknowledged;
    stream.isOpenAcknowledged = true;
    if (ended) {
      if (!send.mayBeEnded) {
        throw violation(
          "PROTOCOL_VIOLATION",
          "ack",
          `Received an end of stream ${id}, which we did not end`,
        );
      }
      if (send.isTerminal) return false;
      this.#ledger.endedSending(stream);
      this.#ledger.forgetIfOver(stream);
      return true;
    }
    if (received > send.highest) {
      throw violation(
        "PROTOCOL_VIOLATION",
        "ack",
        `Received ACK ${received} on stream ${id}, sent were ${send.highest} bytes`,
      );
    }
    return this.#ledger.acknowledged(stream, received) || isFirst;
  }

  #streamLimits(entries: ControlRecord<"maxStreamData">["entries"], now: number): void {
    let hasChanged = false;
    for (const { id, limit } of entries) {
      const stream =
        this.#present(id, "maxStreamData") ?? this.#absentAcknowledged(id, "maxStreamData");
      if (stream === undefined) continue;
      stream.isOpenAcknowledged = true;
      if (!stream.send.credit.raise(limit)) continue;
      hasChanged = true;
      this.#ledger.wake(stream, now);
    }
    if (!hasChanged) this.#changedNothing(now);
  }

  #datagram(id: number): void {
    if (this.#ledger.streams.meaning(id) === "overLimit") this.#overLimit(id, "datagram");
    this.#ledger.options.trace.dropped("datagram", 1);
  }

  // What an id refers to

  /** The present stream; one of ours whose OPEN has not left yet cannot be known to the peer. */
  #present(id: number, frame: FrameName): StreamState | undefined {
    const stream = this.#ledger.streams.get(id);
    if (stream?.needsOpen) this.#state(id, frame, "which was not opened");
    return stream;
  }

  /** DATA, DATA_FIN or RESET for a stream that is not there: forgotten ones are answered. */
  #absent(id: number, frame: FrameName, now: number): undefined {
    this.#checkForgotten(id, frame);
    this.#answer(id, now);
    return undefined;
  }

  /** ACK, MAX_STREAM_DATA or STOP_SENDING for a stream that is not there: for a forgotten one nothing follows. */
  #absentAcknowledged(id: number, frame: FrameName): undefined {
    this.#checkForgotten(id, frame);
    return undefined;
  }

  #checkForgotten(id: number, frame: FrameName): void {
    const meaning = this.#ledger.streams.meaning(id);
    if (meaning === "overLimit") this.#overLimit(id, frame);
    if (meaning !== "forgotten") this.#state(id, frame, "which was not opened");
  }

  #answer(id: number, now: number): void {
    this.#changedNothing(now);
    if (this.#ledger.answerForgotten(id)) return;
    throw violation("EXCESSIVE_LOAD", "data", "Received too many frames for streams that are over");
  }

  #changedNothing(now: number): void {
    const most = (IDLE_FRAMES_PER_SECOND * IDLE_FRAMES_WINDOW_MS) / 1_000;
    if (this.#idleFrames.count(now) <= most) return;
    throw violation(
      "EXCESSIVE_LOAD",
      "ping",
      `Received more than ${most} frames that change nothing in ${IDLE_FRAMES_WINDOW_MS} ms`,
    );
  }

  #overLimit(id: number, frame: FrameName): never {
    throw violation(
      "STREAM_LIMIT",
      frame,
      `Received stream ${id}, allowed are ${this.#ledger.streams.announced} streams`,
    );
  }

  #state(id: number, frame: FrameName, why: string): never {
    throw violation("STREAM_STATE", frame, `Received a frame for stream ${id}, ${why}`);
  }
}

/**
 * REFUSED by either frame, and true: nothing was acknowledged or delivered, and the application did not give up itself.
 */
function isRefusal(stream: StreamState, code: number): boolean {
  const { isOurs, send, receive } = stream;
  if (code !== STREAM_CODES.REFUSED.code || !isOurs) return false;
  return (
    send.bytes.acked === 0 &&
    receive.received === 0 &&
    send.state !== "resetSent" &&
    !send.isTerminal
  );
}

type FrameName = keyof typeof CONTROL_FRAMES | keyof typeof DATA_FRAMES;

function violation(code: SessionCodeName, frame: FrameName, message: string): TransportError {
  const { type } = { ...CONTROL_FRAMES, ...DATA_FRAMES }[frame];
  return new TransportError(true, SESSION_CODES[code].code, type, message);
}
