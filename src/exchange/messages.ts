// This file is the table of messages at the start of a stream's directions: ext objects with one positional array each. PROTOCOL §12.1, §12.4.
import { bug } from "../errors.ts";
import { reached } from "../limits.ts";
import { spent } from "../received.ts";
import {
  asciiUpTo,
  bin,
  binOf,
  binUpTo,
  copied,
  EXT_HEAD_MAX,
  ExtHead,
  integer,
  MsgpackError,
  nested,
  nilable,
  type RecordOf,
  schema,
  type Schema,
  strUpTo,
} from "../msgpack/index.ts";

/** Largest payload of a message, bytes. */
export const MESSAGE_MAX = 48 * 1024;
/** Largest field section in a message, bytes. */
export const MESSAGE_FIELDS_MAX = 40 * 1024;
/** Largest body of a call, event or result, bytes. */
export const CALL_BODY_MAX = 16 * 1024;

const port = integer(0, 65_535);
const length = integer(-1, Number.MAX_SAFE_INTEGER);
const visitor = schema({ address: copied(binOf(4, 16)), port, protocol: asciiUpTo(16) });
const tls = schema({ version: asciiUpTo(16), serverName: asciiUpTo(253) });

// A request lives as long as its exchange, so its bytes are copied out; those of replies hold during their event.
export const REQUEST = schema({
  id: copied(bin(16)),
  method: asciiUpTo(64),
  authority: asciiUpTo(259),
  target: copied(binUpTo(8_192)),
  scheme: integer(0, 1),
  flags: integer(0, 15),
  fields: copied(binUpTo(MESSAGE_FIELDS_MAX)),
  length,
  upgrade: nilable(asciiUpTo(64)),
  visitor: nested(visitor),
  tls: nilable(nested(tls)),
});
export const INTERIM = schema({ status: integer(102, 199), fields: binUpTo(MESSAGE_FIELDS_MAX) });
export const RESPONSE = schema({
  status: integer(101, 999),
  reason: binUpTo(1_024),
  fields: binUpTo(MESSAGE_FIELDS_MAX),
  length,
  flags: integer(0, 1),
});
export const FAILURE = schema({ code: strUpTo(64), sent: integer(0, 1), detail: strUpTo(256) });
export const CALL = schema({ name: strUpTo(64), body: binUpTo(CALL_BODY_MAX) });
export const RESULT = schema({ code: strUpTo(64), body: binUpTo(CALL_BODY_MAX) });

/** Flags of a request. */
export const REQUEST_FLAGS = {
  noBody: 1,
  upgrade: 2,
  extendedConnect: 4,
  acceptsTrailers: 8,
} as const;
/** Flags of a response. */
export const RESPONSE_FLAGS = { noBody: 1 } as const;

/** Every message: ext type within a stream and its schema. */
export const MESSAGES = {
  request: { type: 1, schema: REQUEST },
  interim: { type: 2, schema: INTERIM },
  response: { type: 3, schema: RESPONSE },
  failure: { type: 4, schema: FAILURE },
  call: { type: 16, schema: CALL },
  event: { type: 17, schema: CALL },
  result: { type: 18, schema: RESULT },
} as const;

export type MessageName = keyof typeof MESSAGES;
type Recorded<N extends MessageName> =
  (typeof MESSAGES)[N]["schema"] extends Schema<infer F> ? RecordOf<F> : never;

/** A message in a buffer of its own. A record the schema does not allow is a fault of ours. */
export function encodeMessage<N extends MessageName>(name: N, record: Recorded<N>): Uint8Array {
  const { type, schema: table } = MESSAGES[name];
  // The table pairs each name with its schema; the compiler does not follow a union through the index.
  return (table as unknown as Schema<never>).encodeExt(type, record as never, MESSAGE_MAX);
}

/** One decoded message; its `bin` values are views that pin a receive buffer: whoever keeps one copies it. */
export type Message = {
  [N in MessageName]: { readonly name: N; readonly record: Recorded<N> };
}[MessageName];

const NAMES = new Map<number, MessageName>(
  (Object.keys(MESSAGES) as MessageName[]).map((name) => [MESSAGES[name].type, name]),
);

/** What the start of a direction turned out to be. */
export type MessageStep = "needBytes" | "message";

/**
 * Reads messages from the bytes of one direction. Only an incomplete message is copied, into a buffer that grows with
 * the bytes received, never with the length announced.
 */
export class MessageReader {
  #held: Uint8Array | undefined;
  #heldLength = 0;
  #chunk: Uint8Array = NOTHING;
  #message: Message | undefined;
  /** The bytes in which it was found, and how many are its own. */
  #found: Uint8Array = NOTHING;
  #foundBytes = 0;
  static readonly #head = new ExtHead();

  /** The message after `read` said so. */
  get message(): Message {
    return this.#message ?? bug("no message was read");
  }

  /** The bytes behind the message: another message, or the body. */
  get rest(): Uint8Array {
    return this.#chunk;
  }

  /**
   * The message was dealt with: it and the bytes behind it pin the buffer in which they were received.
   * @param isKept Somebody still views the message.
   */
  release(isKept: boolean): void {
    if (!isKept && this.#message !== undefined) spent(this.#found, this.#foundBytes);
    this.#message = undefined;
    this.#chunk = this.#found = NOTHING;
  }

  /** Bytes kept inside. */
  get held(): number {
    return this.#heldLength;
  }

  /**
   * Looks for a whole message in what is held and `bytes`.
   * @throws MsgpackError Not a message, too long, or its array breaks its schema.
   */
  read(bytes: Uint8Array): MessageStep {
    const all = this.#heldLength === 0 ? bytes : this.#join(bytes);
    const head = MessageReader.#head;
    const headLength = head.read(all, 0, all.length);
    if (headLength < 0)
      throw new MsgpackError("Received bytes that start no message, expected an ext object");
    if (headLength > 0) {
      const name = NAMES.get(head.type);
      if (name === undefined)
        throw new MsgpackError(`Received message type ${head.type}, expected a known one`);
      if (head.length > MESSAGE_MAX) {
        reached("messageBytes");
        throw new MsgpackError(
          `Received a message of ${head.length} bytes, allowed ${MESSAGE_MAX}`,
        );
      }
      const end = headLength + head.length;
      if (all.length >= end) {
        const record = MESSAGES[name].schema.decode(all, headLength, end);
        this.#message = { name, record } as Message;
        this.#chunk = all.length === end ? NOTHING : all.subarray(end);
        this.#found = all;
        this.#foundBytes = end;
        this.#held = undefined;
        this.#heldLength = 0;
        return "message";
      }
    }
    if (all === bytes) this.#join(bytes);
    this.#chunk = NOTHING;
    return "needBytes";
  }

  #join(bytes: Uint8Array): Uint8Array {
    const needed = this.#heldLength + bytes.length;
    if (this.#held === undefined || this.#held.length < needed) {
      const grown = new Uint8Array(
        Math.max(needed, Math.min(2 * needed, MESSAGE_MAX + EXT_HEAD_MAX)),
      );
      if (this.#held !== undefined) grown.set(this.#held.subarray(0, this.#heldLength));
      this.#held = grown;
    }
    this.#held.set(bytes, this.#heldLength);
    this.#heldLength = needed;
    spent(bytes);
    return this.#held.subarray(0, needed);
  }
}

const NOTHING = new Uint8Array(0);
