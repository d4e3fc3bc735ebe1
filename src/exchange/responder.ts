// This file is the connector's end of an exchange: it receives the request and sends the reply. PROTOCOL §12.1.
import type { Stream } from "../session/index.ts";
import type { BodyEvents, Responder } from "./exchange.ts";
import { ExchangeStream } from "./exchange-stream.ts";
import { checkAuthority, checkFields, checkTarget, checkToken } from "./field-check.ts";
import type { Failure, RequestHead, ResponseHead } from "./heads.ts";
import { encodeMessage, type Message, REQUEST_FLAGS, RESPONSE_FLAGS } from "./messages.ts";
import { bodyOf, RAW } from "./requester.ts";
import { BodyFault } from "./runs.ts";

/** Longest `detail` of a failure, characters. */
const DETAIL_MAX = 256;

/** Takes the request; called once per stream, after its head was validated. Returns who takes the body and the rest. */
export type TakeRequest = (exchange: Responder) => BodyEvents;

class ResponderStream extends ExchangeStream implements Responder {
  readonly #take: TakeRequest;
  #head: RequestHead | undefined;
  #events: BodyEvents | undefined;

  constructor(stream: Stream, take: TakeRequest) {
    super(stream);
    this.#take = take;
  }

  get head(): RequestHead {
    return this.#head as RequestHead;
  }

  protected get events(): BodyEvents | undefined {
    return this.#events;
  }

  protected message(message: Message): void {
    if (message.name !== "request")
      throw new BodyFault(`Received the message "${message.name}", expected a request`);
    const head = requestHead(message.record);
    this.#head = head;
    // The direction of an upgrade request stays open: raw bytes after a 101, nothing otherwise.
    this.receiveBody(head.upgrade === undefined ? bodyOf(head) : RAW);
    this.#events = this.#take(this);
  }

  interim(status: number, fields: Uint8Array): void {
    if (this.isSending) this.stream.write(encodeMessage("interim", { status, fields }), true);
  }

  respond(head: ResponseHead): void {
    if (!this.isSending) return;
    const { status, reason, fields, length, hasBody } = head;
    this.stream.write(
      encodeMessage("response", {
        status,
        reason,
        fields,
        length,
        flags: hasBody ? 0 : RESPONSE_FLAGS.noBody,
      }),
      true,
    );
    this.sendBody(status === 101 ? RAW : bodyOf(head));
  }

  fail(failure: Failure): void {
    if (!this.isSending) return;
    const detail = printable(failure.detail).slice(0, DETAIL_MAX);
    this.stream.write(
      encodeMessage("failure", { code: failure.code, sent: failure.sent ? 1 : 0, detail }),
      true,
    );
    this.end();
  }
}

/** Serves a stream of kind exchange that the edge opened. */
export function acceptExchange(stream: Stream, take: TakeRequest): ExchangeStream {
  return new ResponderStream(stream, take);
}

type RequestRecord = Extract<Message, { name: "request" }>["record"];

/** @throws BodyFault What the edge sent must not reach an origin (S-64). */
function requestHead(record: RequestRecord): RequestHead {
  checkForm(record);
  const { id, method, authority, target, scheme, flags, fields, length, upgrade, visitor, tls } =
    record;
  return {
    id,
    method: checkToken("method", method),
    authority: checkAuthority(authority),
    target: checkTarget(target),
    scheme: scheme === 0 ? "https" : "http",
    fields: checkFields(fields).lines,
    length,
    hasBody: (flags & REQUEST_FLAGS.noBody) === 0,
    upgrade: upgrade === undefined ? undefined : checkToken("upgrade", upgrade),
    acceptsTrailers: (flags & REQUEST_FLAGS.acceptsTrailers) !== 0,
    visitor,
    tls,
  };
}

/** Methods that ask a proxy for something else than a resource of the origin (S-06). */
const REFUSED_METHODS = new Set(["CONNECT", "TRACE", "TRACK"]);
/** Protocols that would speak HTTP behind our back (S-18). */
const REFUSED_UPGRADE = /^(?:h2|http)/i;
const SLASH = 0x2f;

/**
 * What the edge refuses of visitors is refused of the edge, too: an origin that is itself a proxy must not be led
 * elsewhere (S-60, S-64).
 */
function checkForm({ method, target, flags, upgrade }: RequestRecord): void {
  if (REFUSED_METHODS.has(method.toUpperCase()))
    throw new BodyFault(`Received the method ${method}`);
  const isAsterisk = method === "OPTIONS" && target.length === 1 && target[0] === 0x2a;
  if (target[0] !== SLASH && !isAsterisk) throw new BodyFault("Received a target that is no path");
  const isUpgrade = (flags & REQUEST_FLAGS.upgrade) !== 0;
  if (isUpgrade !== (upgrade !== undefined)) throw new BodyFault("Received half an upgrade");
  if (upgrade === undefined) return;
  if (REFUSED_UPGRADE.test(upgrade)) throw new BodyFault(`Received an upgrade to ${upgrade}`);
  if ((flags & REQUEST_FLAGS.noBody) === 0) throw new BodyFault("Received an upgrade with a body");
}

/** Details are made of error texts: anything but printable ASCII is shown as `?`. */
function printable(detail: string): string {
  return detail.replace(/[^\x20-\x7e]/g, "?");
}
