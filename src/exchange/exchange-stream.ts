// This file is what both ends of an exchange share: the two directions of its stream and what each may still do. PROTOCOL §12.
import { MsgpackError } from "../msgpack/index.ts";
import type { Stream, StreamEvents } from "../session/index.ts";
import { EXCHANGE_CODES } from "./error-codes.ts";
import { checkTrailers } from "./field-check.ts";
import type { BodyEvents, ExchangeSide } from "./exchange.ts";
import { type Message, MessageReader } from "./messages.ts";
import { BodyFault, type BodyKind, BodyReader, BodyWriter, type ContentSink } from "./runs.ts";

/** Incoming: messages first, then a body, then nothing. */
type Incoming = "messages" | "body" | "over";
/** Outgoing: content may be written, was ended, or is gone. */
type Outgoing = "open" | "ended" | "reset";

export abstract class ExchangeStream implements StreamEvents, ExchangeSide, ContentSink {
  #stream: Stream;
  readonly #reader = new MessageReader();
  #incoming: Incoming = "messages";
  #outgoing: Outgoing = "open";
  #body: BodyReader | undefined;
  #writer: BodyWriter | undefined;

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  protected get stream(): Stream {
    return this.#stream;
  }

  protected abstract readonly events: BodyEvents | undefined;
  /** A message arrived where messages are expected; its bytes hold during the call only. Throws BodyFault or MsgpackError for what must not come now. */
  protected abstract message(message: Message): void;

  // Our direction

  protected get isSending(): boolean {
    return this.#outgoing === "open";
  }

  /**
   * Goes on in another stream, which has got everything that was written to the old one; nothing came from that.
   * @returns As the last `write` to the new one did.
   */
  protected moveTo(stream: Stream, state: "more" | "pause"): "more" | "pause" {
    this.#stream = stream;
    this.#writer?.moveTo(stream);
    if (this.#outgoing === "ended") stream.finish();
    return state;
  }

  /** Our messages are complete: this is what follows them. */
  protected sendBody(body: BodyKind): void {
    this.#writer = new BodyWriter(body, this.stream);
  }

  write(bytes: Uint8Array): "more" | "pause" {
    if (this.#outgoing !== "open" || this.#writer === undefined) return "more";
    try {
      return this.#writer.write(bytes);
    } catch (error) {
      if (!(error instanceof BodyFault)) throw error;
      // Our own source said more than it announced: what went out must not look whole.
      this.#truncated();
      return "more";
    }
  }

  end(trailers?: Uint8Array): void {
    if (this.#outgoing !== "open") return;
    if (this.#writer !== undefined && !this.#writer.end(trailers)) {
      this.#truncated();
      return;
    }
    this.#outgoing = "ended";
    this.stream.finish();
  }

  #truncated(): void {
    this.#outgoing = "reset";
    this.stream.reset(EXCHANGE_CODES.TRUNCATED);
  }

  resetSending(code: number): void {
    if (this.#outgoing !== "open") return;
    this.#outgoing = "reset";
    this.stream.reset(code);
  }

  abort(code: number): void {
    this.#outgoing = "reset";
    this.#incoming = "over";
    this.stream.reset(code);
    this.stream.stop(code);
  }

  /** Also after their end: bytes that were given out and never taken are dropped, and count as consumed. */
  stop(code: number): void {
    this.#incoming = "over";
    this.stream.stop(code);
  }

  consumed(bytes: number): void {
    this.stream.consumed(bytes);
  }

  // Their direction

  /** Their messages are complete: this is what follows. */
  protected receiveBody(body: BodyKind): void {
    this.#incoming = "body";
    this.#body = new BodyReader(body, this);
  }

  /** For the reader of the body. */
  content(bytes: Uint8Array): void {
    if (this.#incoming === "body") this.events?.body(bytes);
    else this.stream.consumed(bytes.length);
  }

  /** Likewise. */
  overhead(bytes: number): void {
    this.stream.consumed(bytes);
  }

  bytes(bytes: Uint8Array): void {
    try {
      let rest = bytes;
      while (this.#incoming === "messages" && rest.length > 0) {
        const step = this.#reader.read(rest);
        this.stream.consumed(rest.length - this.#reader.rest.length);
        rest = this.#reader.rest;
        if (step === "message") this.message(this.#reader.message);
        this.#reader.release(false);
      }
      if (rest.length === 0) return;
      if (this.#incoming === "body") this.#body?.push(rest);
      else this.stream.consumed(rest.length);
    } catch (error) {
      this.#fault(error);
    }
  }

  ended(): void {
    if (this.#incoming === "over") return;
    try {
      if (this.#body === undefined)
        throw new BodyFault("The stream ended before its messages were complete");
      const lines = this.#body.end();
      const trailers = lines === undefined ? undefined : checkTrailers(lines);
      this.#incoming = "over";
      this.events?.end(trailers);
    } catch (error) {
      this.#fault(error);
    }
  }

  reset(code: number, remote: boolean): void {
    if (!remote) this.#outgoing = "reset";
    // Evicted after their direction was whole: what was not taken of it yet must not be taken any more.
    const isEvicted = !remote && code === EXCHANGE_CODES.OVERLOADED;
    if (this.#incoming === "over" && !isEvicted) {
      // Lost with the session after their direction was whole: only ours is cut.
      if (!remote) this.events?.stopped(code);
      return;
    }
    this.#incoming = "over";
    this.events?.cut(code, remote);
  }

  stopped(code: number): void {
    if (this.#outgoing === "reset") return;
    this.#outgoing = "reset";
    this.events?.stopped(code);
  }

  writable(): void {
    if (this.#outgoing === "open") this.events?.writable();
  }

  closed(): void {
    this.events?.closed();
  }

  /** The other end broke the form of an exchange: it is cut on both sides. */
  #fault(error: unknown): void {
    if (!(error instanceof BodyFault) && !(error instanceof MsgpackError)) throw error;
    this.abort(EXCHANGE_CODES.INTERNAL_ERROR);
    this.events?.cut(EXCHANGE_CODES.INTERNAL_ERROR, true, error.message);
  }
}
