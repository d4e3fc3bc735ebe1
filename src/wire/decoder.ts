// This file is bytes of one link to frames: incremental, checked at the head, without allocation for a length announced. PROTOCOL §2.1.
import { bug } from "../errors.ts";
import { EXT_HEAD_MAX, ExtHead, type Infer, MsgpackError } from "../msgpack/index.ts";
import { received, spent } from "../received.ts";
import { Admission, type AdmissionOptions } from "./admission.ts";
import { readOffset } from "./data.ts";
import { WireError } from "./error-codes.ts";
import { type ControlRecord, faultOfSync } from "./frames.ts";
import type { HandshakeFrameName } from "./handshake.ts";
import { DATA_FIELDS_BYTES, DATAGRAM_FIELDS_BYTES, DECODER_SLACK_BYTES } from "./limits.ts";
import { ARRAY_FRAMES, type ArrayFrameName, type FrameName, type FrameSpec } from "./table.ts";

/** The record of an array frame, by its name. */
export type FrameRecord<N extends ArrayFrameName> = Infer<(typeof ARRAY_FRAMES)[N]["schema"]>;

const EMPTY: Uint8Array = new Uint8Array(0);

/**
 * Decodes the frames of one link, one at a time, into its own fields.
 *
 * ```
 * decoder.feed(chunk);
 * for (let name = decoder.next(); name !== undefined; name = decoder.next()) switch (name) { … }
 * ```
 *
 * Fields, records and `raw` hold until the next `next()`. `bytes` and `bin` values are views, of the chunk or of a buffer
 * made for a frame that arrived in pieces; the decoder never writes to either again, so they may be kept, and pin it.
 * They are the receiver's from then on (`received.ts`); all other bytes of live frames the decoder has `spent` itself.
 * After an error every `next()` throws the same error: a link with a wrong byte has no next frame.
 */
export class FrameDecoder {
  /** Ext type of the frame. */
  type = 0;
  /** DATA, DATA_FIN, DATAGRAM: stream id. */
  stream = 0;
  /** DATA, DATA_FIN: offset of the first byte. */
  offset = 0;
  /** DATA, DATA_FIN, DATAGRAM: the bytes after the fixed fields, not copied. */
  bytes: Uint8Array = EMPTY;

  readonly #head = new ExtHead();
  readonly #admission: Admission;

  #chunk = EMPTY;
  #at = 0;
  /** Bytes of the chunk that nobody views any more. */
  #spent = 0;
  /** Start and pieces of a frame that did not end in its chunk. */
  #pieces = EMPTY;
  #pieced = 0;
  /** Of the frame at hand, once its head is known. */
  #spec: FrameSpec | undefined;
  #headSize = 0;

  #frame = EMPTY;
  #start = 0;
  #end = 0;
  #record: unknown;
  #error: WireError | undefined;

  constructor(options: AdmissionOptions) {
    this.#admission = new Admission(options);
  }

  /** Bytes fed that were not handed out as a frame yet. */
  get held(): number {
    return this.#pieced + this.#chunk.length - this.#at;
  }

  /** The whole frame as it stood on the wire, not copied: what the handshake hashes. */
  get raw(): Uint8Array {
    return this.#frame.subarray(this.#start, this.#end);
  }

  /** Before READY: only these frames may come next; any other is UNEXPECTED_FRAME at its head. */
  expect(...names: readonly HandshakeFrameName[]): void {
    this.#admission.expect(names);
    this.#admitAgain();
  }

  /**
   * READY was written (edge) or read (connector): from now on frames after READY, and no others. Bytes already fed stay.
   *
   * @param maxDatagram As in the options; parameters may be known only now.
   */
  enterLive(maxDatagram: number): void {
    this.#admission.enterLive(maxDatagram);
    this.#admitAgain();
  }

  /**
   * Takes the next bytes of the link; ownership passes.
   *
   * Feed when `next()` said `undefined`; bytes that come while others wait (a proof is being checked) are copied together.
   */
  feed(bytes: Uint8Array): void {
    if (this.#error !== undefined) return;
    const left = this.#chunk.length - this.#at;
    const overflow = this.#admission.arrived(bytes.length, left === 0 ? 0 : left + bytes.length);
    if (overflow !== undefined) {
      this.#fail(overflow);
      return;
    }
    let chunk: Uint8Array;
    if (left === 0) {
      // `slice` of a Buffer is a view and of a Uint8Array a copy: whoever keeps `bytes` must not need to know.
      const isPlain = bytes.constructor === Uint8Array;
      chunk = isPlain ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    } else {
      chunk = new Uint8Array(left + bytes.length);
      chunk.set(this.#chunk.subarray(this.#at));
      chunk.set(bytes, left);
      spent(bytes);
    }
    this.#dropChunk(left);
    this.#chunk = chunk;
    this.#at = 0;
  }

  /**
   * Decodes the next frame.
   *
   * @returns Its name; `undefined` when it needs more bytes.
   * @throws WireError FRAME_ENCODING, UNKNOWN_FRAME, FRAME_TOO_LARGE, UNEXPECTED_FRAME or, for a datagram longer than we
   * announced, PROTOCOL_VIOLATION. PROTOCOL §2.1.
   */
  next(): FrameName | undefined {
    if (this.#error !== undefined) throw this.#error;
    try {
      return this.#next();
    } catch (error) {
      if (error instanceof WireError) this.#fail(error);
      throw error;
    }
  }

  /** The record of an array frame, `name` being what `next()` said. */
  record<N extends ArrayFrameName>(name: N): FrameRecord<N> {
    const { type } = ARRAY_FRAMES[name];
    if (this.type !== type) bug(`record of ${name} asked for frame type ${this.type}`);
    return this.#record as FrameRecord<N>;
  }

  /** For tests: bytes allocated for a frame in pieces. */
  snapshot(): {
    readonly phase: "handshake" | "live";
    readonly held: number;
    readonly allocated: number;
  } {
    return { phase: this.#admission.phase, held: this.held, allocated: this.#pieces.length };
  }

  #next(): FrameName | undefined {
    if (this.#pieced > 0) return this.#resume();
    const chunk = this.#chunk;
    const at = this.#at;
    const left = chunk.length - at;
    if (left === 0) return this.#wait();
    if (!this.#readHead(chunk, at, chunk.length)) return this.#keep();
    const total = this.#headSize + this.#head.length;
    if (left < total) return this.#keep();
    this.#at = at + total;
    return this.#take(chunk, at, total);
  }

  /** Goes on with a frame whose start is in `#pieces`. */
  #resume(): FrameName | undefined {
    while (this.#spec === undefined) {
      if (this.#at === this.#chunk.length) return this.#wait();
      // At most five times per frame: a head has six bytes.
      this.#append(this.#at + 1);
      this.#readHead(this.#pieces, 0, this.#pieced);
    }
    const total = this.#headSize + this.#head.length;
    const missing = total - this.#pieced;
    if (this.#chunk.length - this.#at < missing) {
      this.#append(this.#chunk.length);
      return this.#wait();
    }
    // Everything is here, so the length announced is no promise any more.
    if (this.#pieces.length < total) this.#grow(total);
    this.#append(this.#at + missing);
    const whole = this.#pieces;
    this.#pieces = EMPTY;
    this.#pieced = 0;
    const name = this.#take(whole, 0, total);
    // As if a socket had delivered it: the bytes of DATA are the receiver's from now on.
    if (this.bytes.length > 0) {
      received(whole);
      spent(whole, whole.length - this.bytes.length);
    }
    return name;
  }

  /** Keeps the rest of the chunk, which is the start of a frame. */
  #keep(): undefined {
    this.#append(this.#chunk.length);
    return this.#wait();
  }

  /** Nothing to hand out. A chunk can be 512 KiB: no reference to it stays behind. */
  #wait(): undefined {
    this.#dropChunk(0);
    this.#at = 0;
    this.#release();
    return undefined;
  }

  /** A head that was allowed when it came may not be any more: its frame must not slip through READY. */
  #admitAgain(): void {
    if (this.#spec === undefined || this.#error !== undefined) return;
    try {
      this.#admission.admit(this.#spec.type, this.#headSize, this.#head.length);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#fail(error);
    }
  }

  /** @param copied Bytes that were not handed out, of which there is a copy. */
  #dropChunk(copied: number): void {
    const count = this.#spent + copied;
    if (count > 0) spent(this.#chunk, count);
    this.#chunk = EMPTY;
    this.#spent = 0;
  }

  #fail(error: WireError): void {
    this.#error = error;
    this.#spec = undefined;
    this.#chunk = this.#pieces = EMPTY;
    this.#at = this.#pieced = this.#spent = 0;
    this.#release();
  }

  #release(): void {
    this.#frame = this.bytes = EMPTY;
    this.#start = this.#end = 0;
    this.#record = undefined;
    this.type = 0;
  }

  /** Moves the bytes of the chunk up to `until` to `#pieces`. */
  #append(until: number): void {
    const more = until - this.#at;
    const needed = this.#pieced + more;
    if (needed > this.#pieces.length) this.#grow(needed + this.#slack(needed));
    if (more === 1) this.#pieces[this.#pieced] = this.#chunk[this.#at] as number;
    else this.#pieces.set(this.#chunk.subarray(this.#at, until), this.#pieced);
    this.#pieced = needed;
    this.#at = until;
    this.#spent += more;
  }

  /** Room beyond the bytes received, so that a frame of one byte per packet is not copied for each of them. */
  #slack(needed: number): number {
    if (this.#spec === undefined) return EXT_HEAD_MAX;
    const total = this.#headSize + this.#head.length;
    return Math.min(DECODER_SLACK_BYTES, Math.max(0, total - needed));
  }

  #grow(size: number): void {
    const { buffer } = this.#pieces;
    // One frame of each chunk is torn: what it is moved out of is freed at once, too.
    if (buffer.byteLength > 0)
      this.#pieces = new Uint8Array((buffer as ArrayBuffer).transfer(size));
    else this.#pieces = new Uint8Array(size);
  }

  /** @returns False when the head is incomplete; `#spec` and `#headSize` are set otherwise. */
  #readHead(bytes: Uint8Array, at: number, end: number): boolean {
    this.#spec = undefined;
    const size = this.#head.read(bytes, at, end);
    if (size === 0) return false;
    if (size < 0) {
      const found = (bytes[at] as number).toString(16).padStart(2, "0");
      throw new WireError(
        "FRAME_ENCODING",
        0,
        `Received byte 0x${found} at the start of a frame, expected an ext object`,
      );
    }
    this.#headSize = size;
    this.#spec = this.#admission.admit(this.#head.type, size, this.#head.length);
    return true;
  }

  /** Makes a whole frame the current one. */
  #take(frame: Uint8Array, start: number, total: number): FrameName {
    const spec = this.#spec as FrameSpec;
    const payload = start + this.#headSize;
    const end = start + total;
    this.#spec = undefined;
    this.#admission.read(total);
    this.type = spec.type;
    this.#frame = frame;
    this.#start = start;
    this.#end = end;
    let viewed = 0;
    if (spec.schema === undefined) {
      this.#record = undefined;
      this.#takeData(spec, frame, payload, end);
      viewed = this.bytes.length;
    } else {
      this.bytes = EMPTY;
      this.#record = this.#decode(spec, spec.schema, payload);
      if (spec.name === "open") viewed = this.record("open").data.length;
    }
    // What is said in a handshake is looked at later: a proof is being checked.
    if (frame === this.#chunk && spec.phase === "live") this.#spent += total - viewed;
    return spec.name;
  }

  #takeData(spec: FrameSpec, frame: Uint8Array, payload: number, end: number): void {
    this.stream = readOffset(frame, payload);
    if (this.stream < 0) refuse(spec, " with a stream id of 2^53 or more");
    if (spec.name === "datagram") {
      this.offset = 0;
      this.bytes = frame.subarray(payload + DATAGRAM_FIELDS_BYTES, end);
      return;
    }
    this.offset = readOffset(frame, payload + 8);
    if (this.offset < 0) refuse(spec, " with an offset of 2^53 or more");
    this.bytes = frame.subarray(payload + DATA_FIELDS_BYTES, end);
  }

  #decode(spec: FrameSpec, schema: NonNullable<FrameSpec["schema"]>, start: number): unknown {
    try {
      const record = schema.decode(this.#frame, start, this.#end);
      const fault = spec.name === "sync" ? faultOfSync(record as ControlRecord<"sync">) : undefined;
      if (fault === undefined) return record;
      return refuse(spec, ` with ${fault}`);
    } catch (error) {
      if (!(error instanceof MsgpackError)) throw error;
      return refuse(spec, `: ${error.message}`, error);
    }
  }
}

function refuse(spec: FrameSpec, what: string, cause?: unknown): never {
  throw new WireError("FRAME_ENCODING", spec.type, `Received ${spec.label}${what}`, cause);
}
