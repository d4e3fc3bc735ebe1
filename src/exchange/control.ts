// This file is the control stream: one call, any number of events, one result; bodies are JSON. PROTOCOL §12.4.
import { TunlError } from "../errors.ts";
import { MsgpackError } from "../msgpack/index.ts";
import type { Session, Stream, StreamEvents } from "../session/index.ts";
import { EXCHANGE_CODES, STREAM_KINDS } from "./error-codes.ts";
import {
  CALL_BODY_MAX,
  encodeMessage,
  type Message,
  MessageReader,
  type MessageName,
} from "./messages.ts";

/** A JSON object, or nothing. */
export type CallBody = Readonly<Record<string, unknown>>;

/** What the caller is told. Exactly one of `result` and `lost` comes. */
export interface CallEvents {
  event(name: string, body: CallBody): void;
  /** `code` is empty for success, else a code of product.md §8. */
  result(code: string, body: CallBody): void;
  /** The stream ended without a result. */
  lost(): void;
}

/** The caller's hold on a call. */
export interface Call {
  /** Ends a call that stays open: the other end withdraws what it granted with it. */
  end(): void;
}

/** One call as the side that answers it holds it. */
export interface IncomingCall {
  readonly name: string;
  readonly body: CallBody;
  event(name: string, body: CallBody): void;
  /** Ends the call. */
  result(code: string, body?: CallBody): void;
}

/** What the side that answers says of a call it took, and is told later. */
export interface IncomingCallEvents {
  /** True: the caller's FIN ends the call (`announce`). False: the FIN behind the call is its normal form. */
  readonly isKept: boolean;
  /** The caller ended it, or the session is gone. Called once, also after a result. */
  ended(): void;
}

const NO_BODY: CallBody = {};

function encodeBody(body: CallBody): Uint8Array {
  const bytes = Buffer.from(JSON.stringify(body));
  if (bytes.length > CALL_BODY_MAX) {
    throw new TunlError(
      "CALL_TOO_LARGE",
      `A call body has ${bytes.length} bytes, allowed ${CALL_BODY_MAX}`,
    );
  }
  return bytes;
}

/** @throws MsgpackError Not a JSON object. */
function decodeBody(bytes: Uint8Array): CallBody {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new MsgpackError("Received a call body that is no JSON", error);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new MsgpackError("Received a call body that is no JSON object");
  }
  return value as CallBody;
}

/** Both ends read messages only; anything else, or a message out of place, resets the stream. */
abstract class ControlStream implements StreamEvents {
  protected readonly stream: Stream;
  readonly #reader = new MessageReader();
  #isOver = false;

  constructor(stream: Stream) {
    this.stream = stream;
  }

  protected abstract message(message: Message): void;
  /** The other direction ended or was cut; called once. */
  protected abstract over(): void;

  bytes(bytes: Uint8Array): void {
    this.stream.consumed(bytes.length);
    try {
      let rest = bytes;
      while (rest.length > 0 && !this.#isOver) {
        if (this.#reader.read(rest) === "needBytes") return;
        rest = this.#reader.rest;
        this.message(this.#reader.message);
        this.#reader.release(true);
      }
    } catch (error) {
      if (!(error instanceof MsgpackError)) throw error;
      this.stream.reset(EXCHANGE_CODES.INTERNAL_ERROR);
      this.stream.stop(EXCHANGE_CODES.INTERNAL_ERROR);
      this.#end();
    }
  }

  ended(): void {
    this.#end();
  }
  reset(): void {
    this.#end();
  }
  stopped(): void {
    this.#end();
  }
  writable(): void {}
  closed(): void {
    this.#end();
  }

  protected refuse(name: MessageName): never {
    throw new MsgpackError(`Received the message "${name}", which has no place here`);
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.over();
  }
}

class OutgoingCall extends ControlStream implements Call {
  readonly #events: CallEvents;
  #hasResult = false;

  constructor(stream: Stream, events: CallEvents) {
    super(stream);
    this.#events = events;
  }

  end(): void {
    this.stream.finish();
  }

  protected message(message: Message): void {
    if (this.#hasResult) this.refuse(message.name);
    if (message.name === "event") {
      this.#events.event(message.record.name, decodeBody(message.record.body));
    } else if (message.name === "result") {
      this.#hasResult = true;
      this.stream.finish();
      this.#events.result(message.record.code, decodeBody(message.record.body));
    } else {
      this.refuse(message.name);
    }
  }

  protected over(): void {
    this.stream.finish();
    if (!this.#hasResult) this.#events.lost();
  }
}

/**
 * Makes a call.
 * @param isKept The call stays open as long as its session (`announce`); otherwise our direction ends at once.
 * @returns The call, or why the session opened no stream.
 */
export function openCall(
  session: Session,
  name: string,
  body: CallBody,
  isKept: boolean,
  events: CallEvents,
): Call | "streamLimit" | "detached" | "draining" {
  const head = encodeMessage("call", { name, body: encodeBody(body) });
  let call: OutgoingCall | undefined;
  const opened = session.open(STREAM_KINDS.control, head, !isKept, (stream) => {
    call = new OutgoingCall(stream, events);
    return call;
  });
  if (typeof opened === "string" || call === undefined)
    return opened as "streamLimit" | "detached" | "draining";
  return call;
}

class AnsweredCall extends ControlStream {
  readonly #take: (call: IncomingCall) => IncomingCallEvents;
  #events: IncomingCallEvents | undefined;
  #isAnswered = false;

  constructor(stream: Stream, take: (call: IncomingCall) => IncomingCallEvents) {
    super(stream);
    this.#take = take;
  }

  protected message(message: Message): void {
    if (message.name !== "call" || this.#events !== undefined) this.refuse(message.name);
    const { stream } = this;
    const answer = (code: string, body: CallBody): void => {
      if (this.#isAnswered) return;
      // Before it counts as answered: one that is too long can still be answered in other words.
      const message = encodeMessage("result", { code, body: encodeBody(body) });
      this.#isAnswered = true;
      stream.write(message, true);
      stream.finish();
    };
    this.#events = this.#take({
      name: message.record.name,
      body: decodeBody(message.record.body),
      event: (name, body) => {
        if (!this.#isAnswered)
          stream.write(encodeMessage("event", { name, body: encodeBody(body) }), true);
      },
      result: (code, body = NO_BODY) => answer(code, body),
    });
  }

  override ended(): void {
    if (this.#events === undefined || this.#events.isKept) super.ended();
  }

  protected over(): void {
    if (!this.#isAnswered) this.stream.reset(EXCHANGE_CODES.CANCELLED);
    this.#events?.ended();
  }
}

/** Serves a stream of kind control that the connector opened. */
export function acceptCall(
  stream: Stream,
  take: (call: IncomingCall) => IncomingCallEvents,
): StreamEvents {
  return new AnsweredCall(stream, take);
}
