// This file is one accepted stream, to a rule, to an origin, and back: the connector's half of the sentence edge/serve.ts begins. http.md §5.2, §11.
import { formatIp } from "../address/index.ts";
import { latin1 } from "../bytes.ts";
import {
  acceptExchange,
  type BodyEvents,
  EXCHANGE_CODES,
  type Failure,
  type FailureCode,
  type RequestHead,
  type Responder,
  type ResponseHead,
} from "../exchange/index.ts";
import type { Stream, StreamEvents } from "../session/index.ts";
import type { RequestLine } from "./events.ts";
import type { Found, Ingress } from "./ingress.ts";
import type { OriginEvents, OriginExchange } from "./origin/index.ts";
import type { Service } from "./services.ts";
import { requestIdOf, statusOf, type Troubles } from "./trouble.ts";

export interface ServeOptions {
  readonly ingress: Ingress<Service>;
  /** Undefined: nobody looks at requests. */
  readonly onRequest: ((line: RequestLine) => void) | undefined;
  /** Those of requests that no rule took. */
  readonly troubles: Troubles;
}

/** Serves the streams of kind exchange of a connector. */
export class OriginService {
  readonly #options: ServeOptions;
  /** Exchanges whose last byte the edge has not acknowledged. */
  open = 0;

  constructor(options: ServeOptions) {
    this.#options = options;
  }

  serve(stream: Stream): StreamEvents {
    return acceptExchange(stream, (exchange) => {
      const served = new ServedExchange(exchange, this.#options, this.#onClosed);
      this.open += 1;
      served.start();
      return served.upload;
    });
  }

  readonly #onClosed = (): void => {
    this.open -= 1;
  };
}

/** One request in progress: joins the tunnel's side (upload) with the origin's (download). */
class ServedExchange {
  readonly exchange: Responder;
  readonly upload: Upload;
  readonly #options: ServeOptions;
  readonly #onClosed: () => void;
  readonly #startedAt = performance.now();
  #rule: Found<Service> | undefined;
  #origin: OriginExchange | undefined;
  #status = 0;
  #code: FailureCode | undefined;
  #bytesIn = 0;
  #bytesOut = 0;
  #isRequestWhole = false;
  #isReplyWhole = false;
  #isOver = false;

  constructor(exchange: Responder, options: ServeOptions, onClosed: () => void) {
    this.exchange = exchange;
    this.#options = options;
    this.#onClosed = onClosed;
    this.upload = new Upload(this);
  }

  start(): void {
    const { head } = this.exchange;
    const found = this.#options.ingress.find(head.authority, head.target);
    if (found === undefined) {
      this.failed({ code: "NO_ROUTE", sent: false, detail: `no rule for ${head.authority}` });
      return;
    }
    if (found === "ambiguous") {
      this.failed({
        code: "BAD_PATH",
        sent: false,
        detail:
          "Refused a path that two programs may read differently: rules of its host go by path",
      });
      return;
    }
    this.#rule = found;
    try {
      this.#origin = found.service.origin.request(head, new Download(this));
    } catch (error) {
      // A bug in one request ends that request.
      this.failed({ code: "INTERNAL", sent: false, detail: String(error) });
    }
  }

  // The request, from the tunnel

  requestBody(bytes: Uint8Array): void {
    // "pause" needs no answer here: the stream's credit bounds what waits, and it returns only as `taken` says.
    this.#bytesIn += bytes.length;
    this.#origin?.write(bytes);
  }

  requestEnded(trailers: Uint8Array | undefined): void {
    this.#isRequestWhole = true;
    this.#origin?.end(trailers);
    if (this.#isReplyWhole) this.#over();
  }

  /** The visitor left, or its body was cut: the origin must not take what it has for the whole (S-10). */
  abandoned(code: number): void {
    if (this.#isOver) return;
    this.#origin?.abort();
    this.exchange.abort(code);
    this.#over();
  }

  // The reply, from the origin

  responded(head: ResponseHead): void {
    this.#status = head.status;
    const { head: request } = this.exchange;
    const troubles = this.#troubles;
    if (!troubles.hasAnswered) troubles.answered(head.status, hostOf(request), request.id);
    this.exchange.respond(head);
  }

  replyBody(bytes: Uint8Array): void {
    this.#bytesOut += bytes.length;
    if (this.exchange.write(bytes) === "pause") this.#origin?.pause();
  }

  replyEnded(trailers: Uint8Array | undefined): void {
    this.#isReplyWhole = true;
    this.exchange.end(trailers);
    // After a 101 half-close passes as it is: the visitor may go on sending.
    if (!this.#isRequestWhole && this.#status === 101) return;
    this.#dropRequest();
    this.#over();
  }

  failed(failure: Failure): void {
    this.#status = statusOf(failure.code);
    this.#code = failure.code;
    const { head } = this.exchange;
    this.#troubles.failed(failure, hostOf(head), head.id);
    this.exchange.fail(failure);
    this.#dropRequest();
    this.#over();
  }

  /** The origin wants no more of the request, whole or not: what it did not take returns its credit here. */
  #dropRequest(): void {
    this.exchange.stop(EXCHANGE_CODES.NO_ERROR);
  }

  replyCut(cause: "truncated" | "reset"): void {
    this.exchange.abort(cause === "reset" ? EXCHANGE_CODES.PEER_RESET : EXCHANGE_CODES.TRUNCATED);
    this.#over();
  }

  get #troubles(): Troubles {
    return this.#rule?.service.troubles ?? this.#options.troubles;
  }

  resumeReply(): void {
    this.#origin?.resume();
  }

  closed(): void {
    this.#onClosed();
    if (this.#isOver) return;
    this.#origin?.abort();
    this.#over();
  }

  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { onRequest } = this.#options;
    if (onRequest === undefined) return;
    const { head } = this.exchange;
    onRequest({
      host: hostOf(head),
      method: head.method,
      path: pathOf(head),
      status: this.#status,
      ms: Math.round(performance.now() - this.#startedAt),
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      visitor: formatIp(head.visitor.address),
      requestId: requestIdOf(head.id),
      service: this.#rule?.service.origin.url,
      rule: this.#rule?.number,
      code: this.#code,
    });
  }
}

class Upload implements BodyEvents {
  readonly #served: ServedExchange;

  constructor(served: ServedExchange) {
    this.#served = served;
  }

  body(bytes: Uint8Array): void {
    this.#served.requestBody(bytes);
  }
  end(trailers: Uint8Array | undefined): void {
    this.#served.requestEnded(trailers);
  }
  cut(code: number, remote: boolean): void {
    this.#served.abandoned(remote ? EXCHANGE_CODES.CANCELLED : code);
  }
  stopped(code: number): void {
    this.#served.abandoned(code);
  }
  writable(): void {
    this.#served.resumeReply();
  }
  closed(): void {
    this.#served.closed();
  }
}

class Download implements OriginEvents {
  readonly #served: ServedExchange;

  constructor(served: ServedExchange) {
    this.#served = served;
  }

  interim(status: number, fields: Uint8Array): void {
    this.#served.exchange.interim(status, fields);
  }
  response(head: ResponseHead): void {
    this.#served.responded(head);
  }
  body(bytes: Uint8Array): void {
    this.#served.replyBody(bytes);
  }
  end(trailers: Uint8Array | undefined): void {
    this.#served.replyEnded(trailers);
  }
  failure(failure: Failure): void {
    this.#served.failed(failure);
  }
  cut(cause: "truncated" | "reset"): void {
    this.#served.replyCut(cause);
  }
  writable(): void {}
  taken(bytes: number): void {
    this.#served.exchange.consumed(bytes);
  }
}

/** As the edge calls it: the name alone. */
function hostOf({ authority }: RequestHead): string {
  return authority.replace(/:\d+$/, "");
}

/** The path without its query: queries carry secrets and are never shown (product.md §8). */
function pathOf(head: RequestHead): string {
  const text = latin1(head.target, 0, head.target.length);
  const query = text.indexOf("?");
  return query < 0 ? text : text.slice(0, query);
}
