// This file is a visitor's request on its way into an exchange: its head, then its body as it comes. http.md §5.1, §10.
import type { Requester, RequestHead } from "../exchange/index.ts";
import type { BodySink, Visit } from "./visit.ts";

/** The visitor's request body on its way into the exchange. */
export class Upload implements BodySink {
  readonly #exchange: Requester;
  readonly #visit: Visit;
  readonly #onEnd: () => void;
  /** The other end wants no more: the rest is read and dropped within the listener's bounds. */
  isDropped = false;
  isEnded = false;
  count = 0;

  /** @param onEnd Called when the request is whole. */
  constructor(exchange: Requester, visit: Visit, onEnd: () => void) {
    this.#exchange = exchange;
    this.#visit = visit;
    this.#onEnd = onEnd;
  }

  bytes(bytes: Uint8Array): void {
    this.count += bytes.length;
    if (!this.isDropped && this.#exchange.write(bytes) === "pause") this.#visit.body.pause();
  }

  end(trailers: Uint8Array | undefined): void {
    this.isEnded = true;
    if (!this.isDropped) this.#exchange.end(trailers);
    this.#onEnd();
  }
}

/** The head as the connector gets it. */
export function headOf({ request, body }: Visit): RequestHead {
  return {
    id: request.id,
    method: request.method,
    authority: request.authority,
    target: request.target,
    scheme: request.scheme,
    fields: request.fields,
    length: body.length,
    hasBody: body.hasBody,
    upgrade: request.upgrade,
    acceptsTrailers: request.acceptsTrailers,
    visitor: {
      address: request.visitor.bytes,
      port: request.visitor.port,
      protocol: request.visitor.protocol,
    },
    tls: request.tls,
  };
}
