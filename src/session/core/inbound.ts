// This file is what received frames do to a session: the checks and effects of the tables in PROTOCOL §2.2.
import { type ControlRecord, type FrameDecoder, STREAM_CODES } from "../../wire/index.ts";
import { Feedback, isRefusal } from "./feedback.ts";
import type { Ledger } from "./ledger.ts";
import type { LinkState } from "./links.ts";
import { References } from "./references.ts";
import { DIRTY, StreamState } from "./streams.ts";
import { type LiveFrameName, PeerLoad, violation } from "./violations.ts";

/** What a frame that concerns the whole session asks of it. */
export interface InboundEvents {
  /** Returns false for a repeat. */
  goAway(code: number, retryAfterMs: number): boolean;
  closed(code: number, message: string, now: number): void;
}

export class Inbound {
  readonly #ledger: Ledger;
  readonly #events: InboundEvents;
  readonly #load = new PeerLoad();
  readonly #references: References;
  readonly #feedback: Feedback;
  /** OPENs are refused from here on: we drain. */
  isRefusing = false;
  /** CLOSE came: what follows it is ignored. */
  #isClosed = false;

  constructor(ledger: Ledger, events: InboundEvents) {
    this.#ledger = ledger;
    this.#events = events;
    this.#references = new References(ledger, this.#load);
    this.#feedback = new Feedback(ledger, this.#references, this.#load);
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
          this.#feedback.acks(link, decoder.record("ack").entries, now);
          break;
        case "maxStreamData":
          this.#feedback.streamLimits(decoder.record("maxStreamData").entries, now);
          break;
        case "reset":
          this.#reset(link, decoder.record("reset"), now);
          break;
        case "stopSending":
          this.#feedback.stopSending(decoder.record("stopSending"), now);
          break;
        case "datagram":
          this.#datagram(decoder.stream);
          break;
        default:
          // Behind READY a decoder lets no frame of the handshake through.
          this.#sessionFrame(link, name as LiveFrameName, decoder, now);
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

  #sessionFrame(link: LinkState, name: LiveFrameName, decoder: FrameDecoder, now: number): void {
    const ledger = this.#ledger;
    switch (name) {
      case "ping":
        if (!link.liveness.ping(decoder.record("ping").id, now))
          this.#load.changedNothing(name, now);
        break;
      case "pong":
        this.#pong(link, decoder.record("pong").id, now);
        break;
      case "maxData":
        if (!ledger.credit.raise(decoder.record("maxData").limit))
          this.#load.changedNothing(name, now);
        break;
      case "maxStreams":
        if (!ledger.streams.raiseOpenLimit(decoder.record("maxStreams").count))
          this.#load.changedNothing(name, now);
        break;
      case "goAway": {
        const { code, retryAfterMs } = decoder.record("goAway");
        if (!this.#events.goAway(code, retryAfterMs)) this.#load.changedNothing(name, now);
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
        this.#load.changedNothing(name, now);
    }
  }

  #pong(link: LinkState, id: number, now: number): void {
    const ms = link.liveness.pong(id, now);
    if (ms === undefined) this.#load.changedNothing("pong", now);
    else link.inFlight.sampled(ms, this.#ledger.retained, now);
  }

  #open(link: LinkState, frame: ControlRecord<"open">, now: number): void {
    const { id, kind, fin, receiveLimit, data } = frame;
    const ledger = this.#ledger;
    this.#references.checkLimit(id, "open");
    if (ledger.streams.isOurs(id))
      this.#references.refuseState(id, "open", "which only we may open");
    if (ledger.streams.meaning(id) === "forgotten") {
      this.#references.answer(id, "open", now);
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
      this.#load.changedNothing("open", now);
    }
    this.#receive(link, stream, "open", 0, data, fin, now);
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
    if (side === "edge") this.#load.opened(now);
    if (ledger.streams.opened(id)) ledger.debts.maxStreams = true;
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
    const stream = this.#references.findOrAnswer(id, frame, now);
    if (stream !== undefined) this.#receive(link, stream, frame, offset, bytes, fin, now);
  }

  /** DATA, or the data of an OPEN. Every limit is checked to the byte before anything is counted. */
  #receive(
    link: LinkState,
    stream: StreamState,
    frame: "open" | "data" | "dataFin",
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
        this.#checkFinalSize(stream, frame, end, fin);
      ledger.options.trace.dropped("duplicateBytes", bytes.length);
      this.#load.changedNothing(frame, now);
      this.#owe(link, stream, 0, now);
      return;
    }
    if (end > receive.window.limit) {
      throw violation(
        "FLOW_CONTROL",
        frame,
        `Received ${end} bytes on stream ${stream.id}, allowed ${receive.window.limit}`,
      );
    }
    const fresh = end - receive.received;
    if (fresh > ledger.window.limit - ledger.window.received) {
      const total = ledger.window.received + fresh;
      throw violation(
        "FLOW_CONTROL",
        frame,
        `Received ${total} bytes on all streams, allowed ${ledger.window.limit}`,
      );
    }
    this.#checkFinalSize(stream, frame, end, fin);
    if (offset > receive.received) {
      throw violation(
        "PROTOCOL_VIOLATION",
        frame,
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
    else if (offset > 0 || bytes.length > 0) this.#load.changedNothing(frame, now);
  }

  /** An ACK is owed, except for a stream we refused: the opener must keep its bytes. */
  #owe(link: LinkState, stream: StreamState, bytes: number, now: number): void {
    if (!stream.isRefused) link.acks.add(stream, bytes, now);
  }

  #checkFinalSize(
    stream: StreamState,
    frame: "open" | "data" | "dataFin",
    end: number,
    fin: boolean,
  ): void {
    const { finalSize, received } = stream.receive;
    const isBeyond = finalSize !== undefined && (end > finalSize || (fin && end !== finalSize));
    if (!isBeyond && !(fin && end < received)) return;
    const known = finalSize ?? received;
    throw violation(
      "FINAL_SIZE",
      frame,
      `Received an end at ${end} on stream ${stream.id}, known are ${known} bytes`,
    );
  }

  #reset(link: LinkState, frame: ControlRecord<"reset">, now: number): void {
    const { id, code, finalSize } = frame;
    const ledger = this.#ledger;
    const stream = this.#references.findOrAnswer(id, "reset", now);
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
      if (finalSize > receive.window.limit) {
        throw violation(
          "FLOW_CONTROL",
          "reset",
          `Received final size ${finalSize} on stream ${id}, allowed ${receive.window.limit}`,
        );
      }
      if (news > ledger.window.limit - ledger.window.received) {
        throw violation(
          "FLOW_CONTROL",
          "reset",
          `Received final sizes of ${ledger.window.received + news} bytes on all streams, allowed ${ledger.window.limit}`,
        );
      }
      ledger.resetReceiving(stream, finalSize, now);
      if (isRefusal(stream, code)) this.#feedback.returned(stream);
      else if (receive.stopCode === undefined && stream.replay === undefined) {
        ledger.emit({ kind: "streamReset", stream: id, code, remote: true });
      }
    } else {
      this.#load.changedNothing("reset", now);
    }
    stream.isRefused = false;
    stream.hasPeerReset = true;
    link.acks.add(stream, 0, now);
  }

  #datagram(id: number): void {
    this.#references.checkLimit(id, "datagram");
    this.#ledger.options.trace.dropped("datagram", 1);
  }
}
