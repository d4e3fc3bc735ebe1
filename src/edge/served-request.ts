// This file is one visitor request in progress: the visitor's side and the tunnel's, joined until both are over. http.md §5.2, §5.3, §13.
import { latin1 } from "../bytes.ts";
import { reached } from "../limits.ts";
import {
  EXCHANGE_CODES,
  type Failure,
  openExchange,
  type Requester,
  type RequesterEvents,
  type RequestHead,
  type ResponseHead,
} from "../exchange/index.ts";
import { OPEN_CREDIT_WAIT_MS } from "../session/index.ts";
import type { AwaitingReply, Pipeline } from "./pipeline.ts";
import { answer, type AnswerCode, ANSWERS, contextOf, hex } from "./reply.ts";
import type { LiveSession } from "./route/index.ts";
import type { BodySink, ReplyEvents, Visit } from "./visit.ts";

/** Without stream credit a request looks again after this, up to `OPEN_CREDIT_WAIT_MS` in all, ms. */
const OPEN_RETRY_MS = 20;
/** Requests that may wait for stream credit at a time; the others are told at once. */
const OPEN_WAITERS_MAX = 1_000;

/** The visitor's request body on its way into the exchange. */
class Upload implements BodySink {
  readonly #exchange: Requester;
  readonly #visit: Visit;
  readonly #served: ServedRequest;
  /** The other end wants no more: the rest is read and dropped within the listener's bounds. */
  isDropped = false;
  isEnded = false;
  count = 0;

  constructor(exchange: Requester, visit: Visit, served: ServedRequest) {
    this.#exchange = exchange;
    this.#visit = visit;
    this.#served = served;
  }

  bytes(bytes: Uint8Array): void {
    this.count += bytes.length;
    if (!this.isDropped && this.#exchange.write(bytes) === "pause") this.#visit.body.pause();
  }

  end(trailers: Uint8Array | undefined): void {
    this.isEnded = true;
    if (!this.isDropped) this.#exchange.end(trailers);
    this.#served.uploaded();
  }
}

/** One request in progress: joins the visitor's side (body, reply) with the tunnel's (exchange). */
export class ServedRequest implements RequesterEvents, ReplyEvents, AwaitingReply {
  readonly #pipeline: Pipeline;
  readonly #visit: Visit;
  readonly #live: LiveSession;
  readonly #startedAt = performance.now();
  #exchange: Requester | undefined;
  #upload: Upload | undefined;
  /** When the request was whole, monotonic ms: from then on the origin is waited for. */
  #wholeAt = Number.POSITIVE_INFINITY;
  #waitsSince: number | undefined;
  #isAnswered = false;
  #isOver = false;
  #status = 0;
  #bytesOut = 0;

  constructor(pipeline: Pipeline, visit: Visit, live: LiveSession) {
    this.#pipeline = pipeline;
    this.#visit = visit;
    this.#live = live;
    visit.events = this;
  }

  start(): void {
    this.#live.exchanges += 1;
    this.#open();
  }

  #open(): void {
    const opened = openExchange(this.#live.session, headOf(this.#visit), this);
    if (opened === "streamLimit") {
      this.#waitForCredit();
    } else if (typeof opened === "string") {
      this.#fail("TUNNEL_OFFLINE");
    } else {
      this.#exchange = opened;
      this.#upload = new Upload(opened, this.#visit, this);
      this.#visit.body.start(this.#upload);
    }
  }

  /** The request is whole: the first response message is due within `firstByteMs`. */
  uploaded(): void {
    if (this.#isAnswered || !isTimed(this.#visit)) return;
    this.#wholeAt = performance.now();
    this.#pipeline.awaiting.add(this);
  }

  /** The pipeline looks: has the origin been silent for too long? */
  checkFirstByte(now: number, firstByteMs: number): void {
    if (now - this.#wholeAt < firstByteMs) return;
    reached("firstByte");
    this.#exchange?.abort(EXCHANGE_CODES.TIMEOUT);
    this.#fail("ORIGIN_TIMEOUT");
  }

  /** MAX_STREAMS rises within a round trip of a stream's end; a short look-again costs less than a queue to be woken. */
  #waitForCredit(): void {
    const now = performance.now();
    const isFirst = this.#waitsSince === undefined;
    this.#waitsSince ??= now;
    const isFull = isFirst && this.#pipeline.waiting >= OPEN_WAITERS_MAX;
    if (isFull || now - this.#waitsSince >= OPEN_CREDIT_WAIT_MS) {
      reached(isFull ? "streamCreditWaiters" : "streamCredit");
      this.#fail("TUNNEL_BUSY");
      return;
    }
    this.#pipeline.waiting += 1;
    setTimeout(() => {
      this.#pipeline.waiting -= 1;
      if (!this.#isOver) this.#open();
    }, OPEN_RETRY_MS);
  }

  // What the tunnel says

  interim(status: number, fields: Uint8Array): void {
    this.#visit.reply.interim(status, fields);
  }

  response(head: ResponseHead): void {
    this.#answered(head.status);
    const fields = this.#pipeline.visitorFields(head);
    const { reply, request } = this.#visit;
    if (head.status === 101 && request.upgrade !== undefined)
      reply.upgrade(request.upgrade, fields);
    else
      reply.head({
        status: head.status,
        reason: head.reason,
        fields,
        length: head.length,
        hasBody: head.hasBody,
      });
  }

  failure(failure: Failure): void {
    const requestId = hex(this.#visit.request.id);
    this.#pipeline.options.log.debug("origin.error", failure.detail, {
      code: failure.code,
      requestId,
    });
    this.#fail(failure.code);
  }

  body(bytes: Uint8Array): void {
    this.#bytesOut += bytes.length;
    this.#visit.reply.body(bytes);
  }

  end(trailers: Uint8Array | undefined): void {
    if (this.#isFailed) return;
    this.#visit.reply.end(trailers);
    // The stream itself is over only when its last ACK came; the request is not in progress any more.
    if (this.#status !== 101) this.#over();
  }

  cut(code: number, remote: boolean, detail?: string): void {
    if (detail !== undefined) {
      // A connector of ours does not do this: its owner's bug report needs the reason.
      const requestId = hex(this.#visit.request.id);
      const tunnel = this.#live.admission.name;
      this.#pipeline.options.log.warn("exchange.fault", detail, { requestId, tunnel });
    }
    if (this.#isAnswered) {
      this.#visit.reply.cut(isResetFor(code) ? "reset" : "truncated");
      this.#over();
    } else {
      this.#fail(answerToCut(code, remote));
    }
  }

  stopped(code: number): void {
    if (this.#upload === undefined) return;
    // An origin that resets after its FIN: the visitor's connection must not stay open and swallow what it sends.
    if (this.#status === 101 && code !== EXCHANGE_CODES.NO_ERROR) this.#visit.reply.cut("reset");
    this.#upload.isDropped = true;
    this.#visit.body.resume();
  }

  writable(): void {
    this.#visit.body.resume();
  }

  closed(): void {
    this.#over();
  }

  // What the visitor's connection says

  taken(bytes: number): void {
    if (!this.#isFailed) this.#exchange?.consumed(bytes);
  }

  gone(cause: "left" | "short" | "stalled"): void {
    this.#exchange?.abort(CODE_OF_LEAVING[cause]);
    if (this.#exchange === undefined) this.#over();
  }

  // Endings

  #isFailed = false;

  #answered(status: number): void {
    this.#isAnswered = true;
    this.#status = status;
    this.#pipeline.awaiting.delete(this);
  }

  /** Our own answer instead of the origin's. */
  #fail(code: AnswerCode): void {
    if (this.#isAnswered) return;
    this.#isFailed = true;
    this.#answered(ANSWERS[code].status);
    if (this.#upload !== undefined) this.#upload.isDropped = true;
    sendAnswer(this.#visit, code);
    this.#over();
  }

  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#dropUpload();
    this.#pipeline.awaiting.delete(this);
    this.#live.exchanges -= 1;
    this.#pipeline.finish(this.#visit.request.host);
    if (this.#pipeline.options.accessLog) this.#log();
  }

  /** The answer is given: what the visitor still sends is of no use, and our direction must not wait for it. */
  #dropUpload(): void {
    if (this.#upload === undefined || this.#upload.isEnded) return;
    this.#upload.isDropped = true;
    this.#exchange?.resetSending(EXCHANGE_CODES.CANCELLED);
  }

  #log(): void {
    const { request } = this.#visit;
    this.#pipeline.options.log.info("request", `${this.#status} ${request.method}`, {
      host: request.host,
      method: request.method,
      path: pathOf(request.target),
      status: this.#status,
      ms: Math.round(performance.now() - this.#startedAt),
      bytesIn: this.#upload?.count ?? 0,
      bytesOut: this.#bytesOut,
      visitor: request.visitor.address,
      requestId: hex(request.id),
      tunnel: this.#live.admission.name,
    });
  }
}

const CODE_OF_LEAVING = {
  left: EXCHANGE_CODES.CANCELLED,
  short: EXCHANGE_CODES.TRUNCATED,
  stalled: EXCHANGE_CODES.TIMEOUT,
} as const;

/** An origin's RST passes as it is; what an evicted stream left in the visitor's queue is to be freed, not written. */
function isResetFor(code: number): boolean {
  return code === EXCHANGE_CODES.PEER_RESET || code === EXCHANGE_CODES.OVERLOADED;
}

/** What a visitor is told when the exchange was cut before a head. */
function answerToCut(code: number, remote: boolean): AnswerCode {
  switch (code) {
    case EXCHANGE_CODES.SESSION_LOST:
      return "TUNNEL_LOST";
    case EXCHANGE_CODES.REVOKED:
      return "TUNNEL_OFFLINE";
    case EXCHANGE_CODES.OVERLOADED:
    case EXCHANGE_CODES.REFUSED:
      return "TUNNEL_BUSY";
    case EXCHANGE_CODES.TIMEOUT:
      return "ORIGIN_TIMEOUT";
    case EXCHANGE_CODES.INTERNAL_ERROR:
      return remote ? "ORIGIN_INVALID" : "INTERNAL";
    default:
      return "ORIGIN_CLOSED";
  }
}

function headOf({ request, body }: Visit): RequestHead {
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

/** Upgrades and event streams may stay silent as long as they like. */
function isTimed({ request }: Visit): boolean {
  return request.upgrade === undefined && !request.accept.includes("text/event-stream");
}

/** The path without its query: queries carry secrets and are never logged (product.md §8). */
function pathOf(target: Uint8Array): string {
  const text = latin1(target, 0, target.length);
  const query = text.indexOf("?");
  return query < 0 ? text : text.slice(0, query);
}

/** Answers a request ourselves. The body is not read: the listener drops it within its bounds. */
export function sendAnswer({ request, reply }: Visit, code: AnswerCode): void {
  const { status, reason, fields, body } = answer(code, contextOf(request));
  const hasBody = request.method !== "HEAD";
  reply.head({ status, reason, fields, length: body.length, hasBody });
  if (hasBody) reply.body(body);
  reply.end(undefined);
}
