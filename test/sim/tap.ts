// This file is a second opinion on the bytes of one direction: the rules of the wire, checked without the core. PROTOCOL §2.2, §4, §5.
import type { Side, TransportParameters } from "../../src/session/index.ts";
import { ACK_BYTES, FrameDecoder, type FrameName, STREAM_CODES } from "../../src/wire/index.ts";
import { fail, other } from "./truth.ts";

const REFUSED = STREAM_CODES.REFUSED.code;

/** One direction of a stream as it stood on the wire. */
interface HalfSeen {
  /** Highest limit its reader announced. */
  limit: number;
  sent: number;
  acked: number;
  end: "none" | "fin" | "reset";
}

interface StreamSeen {
  readonly opener: Side;
  readonly halves: Record<Side, HalfSeen>;
}

/** What both directions together said so far. */
export class WireRecord {
  readonly streams = new Map<number, StreamSeen>();
  /** Session limits and bytes sent, by writer. */
  readonly limit: Record<Side, number>;
  readonly sent: Record<Side, number> = { edge: 0, connector: 0 };
  readonly maxStreams: Record<Side, number>;
  readonly opened: Record<Side, number> = { edge: 0, connector: 0 };
  readonly parameters: Readonly<Record<Side, TransportParameters>>;

  constructor(parameters: Readonly<Record<Side, TransportParameters>>) {
    const { edge, connector } = parameters;
    this.parameters = parameters;
    this.limit = { edge: connector.initialMaxData, connector: edge.initialMaxData };
    this.maxStreams = { edge: connector.initialMaxStreams, connector: edge.initialMaxStreams };
  }
}

/** A frame of a batch, for those who change it. */
export interface TappedFrame {
  readonly name: FrameName;
  readonly decoder: FrameDecoder;
}

/** What one side has heard of a direction of the peer. */
interface Heard {
  received: number;
  /** Bytes that no ACK of ours named yet. */
  unacknowledged: number;
  /** Refused: nothing of it is acknowledged, whatever still comes. */
  isRefused: boolean;
}

/** Reads every batch of one side when it is filled, and hears what its core is given. */
export class Tap {
  readonly #writer: Side;
  readonly #reader: Side;
  readonly #record: WireRecord;
  readonly #decoder: FrameDecoder;
  readonly #ear: FrameDecoder;
  readonly #heard = new Map<number, Heard>();
  #isClosed = false;
  /** Frames seen. */
  frames = 0;

  constructor(writer: Side, record: WireRecord) {
    this.#writer = writer;
    this.#reader = other(writer);
    this.#record = record;
    this.#decoder = new FrameDecoder({ side: this.#reader, phase: "live", maxDatagram: 0 });
    this.#ear = new FrameDecoder({ side: writer, phase: "live", maxDatagram: 0 });
  }

  /** The core of this side is about to be given these bytes. */
  hear(bytes: Uint8Array): void {
    const ear = this.#ear;
    ear.feed(bytes);
    for (let name = ear.next(); name !== undefined; name = ear.next()) {
      if (name === "data" || name === "dataFin")
        this.#hearData(ear.stream, ear.offset + ear.bytes.length);
      else if (name === "open") {
        const { id, data } = ear.record("open");
        this.#heard.set(id, { received: 0, unacknowledged: 0, isRefused: false });
        this.#hearData(id, data.length);
      }
    }
  }

  #hearData(id: number, end: number): void {
    let heard = this.#heard.get(id);
    if (heard === undefined) {
      heard = { received: 0, unacknowledged: 0, isRefused: false };
      this.#heard.set(id, heard);
    }
    if (!heard.isRefused) heard.unacknowledged += Math.max(0, end - heard.received);
    heard.received = Math.max(heard.received, end);
  }

  /** Checks one batch. `visit` sees each frame after it was checked. */
  read(batch: Uint8Array, visit?: (frame: TappedFrame) => void): void {
    const decoder = this.#decoder;
    decoder.feed(batch);
    for (let name = decoder.next(); name !== undefined; name = decoder.next()) {
      this.frames += 1;
      if (this.#isClosed) fail(`${this.#writer} wrote ${name} behind CLOSE`);
      this.#check(name, decoder);
      visit?.({ name, decoder });
    }
    if (decoder.held > 0) fail(`a batch of the ${this.#writer} ended within a frame`);
    if (!this.#isClosed) this.#checkAcknowledged();
  }

  /** ACK is due by what arrived on the link, not by what arrived on one stream. PROTOCOL §6.2. */
  #checkAcknowledged(): void {
    let unacknowledged = 0;
    for (const heard of this.#heard.values()) unacknowledged += heard.unacknowledged;
    if (unacknowledged >= ACK_BYTES)
      fail(`${this.#writer} wrote a batch and left ${unacknowledged} bytes unacknowledged`);
  }

  #refused(id: number): void {
    const heard = this.#heard.get(id);
    if (heard === undefined) return;
    heard.isRefused = true;
    heard.unacknowledged = 0;
  }

  #check(name: FrameName, decoder: FrameDecoder): void {
    const record = this.#record;
    switch (name) {
      case "open":
        this.#open(decoder);
        break;
      case "data":
      case "dataFin":
        this.#data(decoder.stream, decoder.offset, decoder.bytes.length, name === "dataFin");
        break;
      case "reset":
        this.#reset(decoder.record("reset").id, decoder.record("reset").finalSize);
        if (decoder.record("reset").code === REFUSED) this.#refused(decoder.record("reset").id);
        break;
      case "stopSending":
        this.#known(decoder.record("stopSending").id, name);
        if (decoder.record("stopSending").code === REFUSED)
          this.#refused(decoder.record("stopSending").id);
        break;
      case "ack":
        for (const { id, received, ended } of decoder.record("ack").entries)
          this.#ack(id, received, ended);
        break;
      case "maxStreamData":
        for (const { id, limit } of decoder.record("maxStreamData").entries) {
          const half = this.#known(id, name).halves[this.#reader];
          if (limit <= half.limit)
            fail(`${this.#writer} announced limit ${limit} of stream ${id} after ${half.limit}`);
          half.limit = limit;
        }
        break;
      case "maxData": {
        const { limit } = decoder.record("maxData");
        if (limit <= record.limit[this.#reader])
          fail(`${this.#writer} announced session limit ${limit} again`);
        record.limit[this.#reader] = limit;
        break;
      }
      case "maxStreams":
        record.maxStreams[this.#reader] = decoder.record("maxStreams").count;
        break;
      case "close":
        this.#isClosed = true;
        break;
      default:
    }
  }

  #known(id: number, name: string): StreamSeen {
    return (
      this.#record.streams.get(id) ??
      fail(`${this.#writer} wrote ${name} of stream ${id} before its OPEN`)
    );
  }

  #open(decoder: FrameDecoder): void {
    const { id, kind, fin, receiveLimit, data } = decoder.record("open");
    const { streams, opened, maxStreams, parameters } = this.#record;
    if (streams.has(id)) fail(`OPEN of stream ${id} on the wire twice`);
    if (id % 2 !== (this.#writer === "edge" ? 0 : 1))
      fail(`${this.#writer} opened stream ${id} of the other side`);
    if (!parameters[this.#reader].acceptKinds.includes(kind))
      fail(`OPEN of kind ${kind}, which nobody accepts`);
    opened[this.#writer] += 1;
    if (opened[this.#writer] > maxStreams[this.#writer])
      fail(`${this.#writer} opened more streams than allowed`);
    const half = (limit: number): HalfSeen => ({ limit, sent: 0, acked: 0, end: "none" });
    const ours = half(parameters[this.#reader].initialWindow);
    const theirs = half(receiveLimit);
    const halves =
      this.#writer === "edge"
        ? { edge: ours, connector: theirs }
        : { edge: theirs, connector: ours };
    streams.set(id, { opener: this.#writer, halves });
    if (data.length > 0 || fin) this.#data(id, 0, data.length, fin);
  }

  #data(id: number, offset: number, length: number, isFin: boolean): void {
    const half = this.#known(id, "DATA").halves[this.#writer];
    if (half.end !== "none")
      fail(`${this.#writer} wrote DATA of stream ${id} behind its ${half.end}`);
    if (offset !== half.sent)
      fail(`${this.#writer} wrote offset ${offset} of stream ${id}, expected ${half.sent}`);
    half.sent += length;
    if (half.sent > half.limit)
      fail(`${this.#writer} wrote ${half.sent} bytes of stream ${id}, allowed ${half.limit}`);
    if (isFin) half.end = "fin";
    this.#record.sent[this.#writer] += length;
    const limit = this.#record.limit[this.#writer];
    if (this.#record.sent[this.#writer] > limit)
      fail(`${this.#writer} wrote more than the session limit of ${limit} bytes`);
  }

  #reset(id: number, finalSize: number): void {
    const half = this.#known(id, "RESET").halves[this.#writer];
    if (half.end === "reset") fail(`${this.#writer} wrote RESET of stream ${id} twice`);
    if (finalSize !== half.sent)
      fail(`${this.#writer} wrote final size ${finalSize} of stream ${id}, sent were ${half.sent}`);
    half.end = "reset";
  }

  #ack(id: number, received: number, ended: boolean): void {
    const half = this.#known(id, "ACK").halves[this.#reader];
    if (ended && half.end === "none")
      fail(`${this.#writer} acknowledged an end of stream ${id} that was never sent`);
    if (!ended && received > half.sent)
      fail(
        `${this.#writer} acknowledged ${received} bytes of stream ${id}, sent were ${half.sent}`,
      );
    if (!ended && received < half.acked)
      fail(`${this.#writer} acknowledged ${received} bytes of stream ${id} after ${half.acked}`);
    half.acked = Math.max(half.acked, received);
    const heard = this.#heard.get(id);
    if (heard === undefined) return;
    if (!ended && received > heard.received) {
      fail(
        `${this.#writer} acknowledged ${received} bytes of stream ${id}, heard were ${heard.received}`,
      );
    }
    heard.unacknowledged = 0;
  }
}
