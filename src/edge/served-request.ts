// This file is one visitor request in progress: the visitor's side and the tunnel's, joined until both are over. http.md §5.2, §5.3, §13.
import { latin1 } from "../bytes.ts";
import { reached } from "../limits.ts";
import {
  EXCHANGE_CODES,
  type Failure,
  type NotOpened,
  openExchange,
  type Requester,
  type RequesterEvents,
  type ResponseHead,
} from "../exchange/index.ts";
import { logRequest } from "./access-log.ts";
import { Dispatch, type Dispatchable } from "./dispatch.ts";
import type { AwaitingReply, InProgress, Pipeline, ReplyFields } from "./pipeline.ts";
import { answer, type AnswerCode, ANSWERS, contextOf, hex } from "./reply.ts";
import type { LiveSession } from "./route/index.ts";
import { headOf, Upload } from "./upload.ts";
import type { ReplyEvents, Visit } from "./visit.ts";

/** One request in progress: joins the visitor's side (body, reply) with the tunnel's (exchange). */
export class ServedRequest
  implements RequesterEvents, ReplyEvents, AwaitingReply, Dispatchable, InProgress
{
  readonly #pipeline: Pipeline;
  readonly #visit: Visit;
  readonly #dispatch: Dispatch;
  /** The tunnel it went through, for the log. */
  #tunnel: string | undefined;
  readonly #startedAt = performance.now();
  #exchange: Requester | undefined;
  #upload: Upload | undefined;
  /** What the newest opening said, where it was not the first. */
  #reopened: "more" | "pause" | undefined;
  /** When the request was whole, monotonic ms: from then on the origin is waited for. */
  #wholeAt = Number.POSITIVE_INFINITY;
  #isAnswered = false;
  #isLongLived = false;
  #isOver = false;
  #isGone = false;
  #hasEnded = false;
  #status = 0;
  #code: AnswerCode | undefined;
  #bytesOut = 0;

  constructor(pipeline: Pipeline, visit: Visit) {
    this.#pipeline = pipeline;
    this.#visit = visit;
    this.#dispatch = new Dispatch(pipeline, this);
    visit.events = this;
  }

  start(): void {
    this.#dispatch.start();
  }

  // Where it goes: Dispatchable

  get host(): string {
    return this.#visit.request.host;
  }

  open({ session, admission }: LiveSession): NotOpened | undefined {
    this.#tunnel = admission.name;
    if (this.#exchange !== undefined) {
      const state = this.#exchange.reopen(session);
      if (state !== "more" && state !== "pause") return state;
      this.#reopened = state;
      return undefined;
    }
    const opened = openExchange(session, headOf(this.#visit), this);
    if (typeof opened === "string") return opened;
    this.#exchange = opened;
    this.#upload = new Upload(opened, this.#visit, this.#onWhole);
    return undefined;
  }

  opened(): void {
    if (this.#upload === undefined) return;
    if (this.#reopened === undefined) this.#visit.body.start(this.#upload);
    // Of one that is whole nothing more comes, and the session asks for nothing: its visitor may leave all the same.
    else if (this.#reopened === "more" || this.#upload.isEnded) this.#visit.body.resume();
    // A request that was whole when it was given back is so again, from now on.
    if (this.#reopened !== undefined && this.#upload.isEnded) this.#onWhole();
  }

  withhold(): number {
    const { body, request } = this.#visit;
    return request.fields.length + request.target.length + body.withhold();
  }

  turnedAway(code: AnswerCode, retryAfter?: number): void {
    this.#fail(code, retryAfter);
  }

  undelivered(bytes: number): void {
    if (this.#isOver) return;
    // Nobody waits for an answer: what nobody took is not sent anywhere else.
    if (this.#isGone) return this.#over();
    this.#visit.body.pause();
    this.#pipeline.awaiting.delete(this);
    this.#dispatch.undelivered(bytes);
  }

  /** The request is whole: the first response message is due within `firstByteMs`. */
  readonly #onWhole = (): void => {
    if (this.#isAnswered || !isTimed(this.#visit)) return;
    this.#wholeAt = performance.now();
    this.#pipeline.awaiting.add(this);
  };

  /** The pipeline looks: has the origin been silent for too long? */
  checkFirstByte(now: number, firstByteMs: number): void {
    if (now - this.#wholeAt < firstByteMs) return;
    if (isGrpc(this.#visit)) return void this.#pipeline.awaiting.delete(this);
    reached("firstByte");
    this.#exchange?.abort(EXCHANGE_CODES.TIMEOUT);
    this.#fail("ORIGIN_TIMEOUT");
  }

  // What the state says: InProgress

  get tunnelId(): string | undefined {
    return this.#dispatch.live?.admission.id;
  }

  revoke(): void {
    if (this.#isOver) return;
    this.#exchange?.abort(EXCHANGE_CODES.REVOKED);
    if (this.#isGone) return this.#over();
    if (!this.#isAnswered) return this.#fail("NO_ROUTE");
    // An upgraded connection has two directions, of which one may have ended.
    if (!this.#hasEnded || this.#status === 101) this.#visit.reply.cut("reset");
    this.#over();
  }

  // What the tunnel says

  interim(status: number, fields: ReplyFields): void {
    // An origin that says "processing" is at work: it gets its time anew, or it would be of no use to say it.
    if (this.#pipeline.awaiting.has(this)) this.#wholeAt = performance.now();
    this.#visit.reply.interim(status, this.#pipeline.interimFields(fields));
  }

  response(head: ResponseHead): void {
    this.#answered(head.status, isEventStream(head));
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
    this.#hasEnded = true;
    this.#visit.reply.end(trailers);
    // The stream itself is over only when its last ACK came; the request is not in progress any more.
    if (this.#status !== 101) this.#over();
  }

  cut(code: number, remote: boolean, detail?: string): void {
    if (detail !== undefined) {
      // A connector of ours does not do this: its owner's bug report needs the reason.
      const requestId = hex(this.#visit.request.id);
      const tunnel = this.#tunnel;
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
    if (code === EXCHANGE_CODES.SESSION_LOST || code === EXCHANGE_CODES.REVOKED)
      this.#visit.reply.orphan();
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
    // Without a word before: a handler of ours failed. The visitor must not wait for the rest.
    if (!this.#isOver && !this.#isGone && !this.#isAnswered) this.#fail("INTERNAL");
    else if (!this.#isOver && !this.#isGone && !this.#hasEnded) this.#visit.reply.cut("reset");
    this.#over();
  }

  // What the visitor's connection says

  taken(bytes: number): void {
    if (!this.#isFailed) this.#exchange?.consumed(bytes);
  }

  gone(cause: "left" | "short" | "stalled"): void {
    this.#isGone = true;
    this.#exchange?.abort(CODE_OF_LEAVING[cause]);
    // Of a stream the end is told; one that waits for a session has none.
    if (this.#dispatch.live === undefined) this.#over();
  }

  // Endings

  #isFailed = false;

  #answered(status: number, isStream: boolean): void {
    this.#isAnswered = true;
    this.#status = status;
    this.#pipeline.awaiting.delete(this);
    this.#isLongLived = status === 101 || isStream;
    if (this.#isLongLived) this.#pipeline.longLived += 1;
  }

  /** Our own answer instead of the origin's. */
  #fail(code: AnswerCode, retryAfter?: number): void {
    if (this.#isAnswered || this.#isOver) return;
    this.#isFailed = true;
    this.#code = code;
    this.#answered(ANSWERS[code].status, false);
    if (this.#upload !== undefined) this.#upload.isDropped = true;
    this.#bytesOut = sendAnswer(this.#visit, code, retryAfter);
    this.#over();
  }

  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#dropUpload();
    this.#pipeline.awaiting.delete(this);
    this.#dispatch.end();
    if (this.#isLongLived) this.#pipeline.longLived -= 1;
    this.#pipeline.finish(this.host, this);
    if (this.#pipeline.options.accessLog) this.#log();
  }

  /** The answer is given: what the visitor still sends is of no use, and our direction must not wait for it. */
  #dropUpload(): void {
    if (this.#upload === undefined || this.#upload.isEnded) return;
    this.#upload.isDropped = true;
    this.#exchange?.resetSending(EXCHANGE_CODES.CANCELLED);
  }

  #log(): void {
    logRequest(this.#pipeline.options.log, this.#visit.request, {
      status: this.#status,
      code: this.#code,
      ms: performance.now() - this.#startedAt,
      bytesIn: this.#upload?.count ?? 0,
      bytesOut: this.#bytesOut,
      tunnel: this.#tunnel,
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

/** Upgrades and event streams may stay silent as long as they like. */
function isTimed(visit: Visit): boolean {
  const { accept, upgrade } = visit.request;
  return upgrade === undefined && !accept.includes("text/event-stream");
}

/** What the response is, not what the request would also take. */
function isEventStream({ status, block }: ResponseHead): boolean {
  if (status !== 200 || block === undefined) return false;
  const type = block.find("content-type");
  return type >= 0 && block.text(type).toLowerCase().startsWith("text/event-stream");
}

const GRPC = /^content-type:[ \t]*application\/grpc/im;

/** A gRPC client says itself how long it waits (http.md §11). Asked only of requests that are late, so a search is cheap enough. */
function isGrpc({ request }: Visit): boolean {
  return GRPC.test(latin1(request.fields, 0, request.fields.length));
}

/**
 * Answers a request ourselves. The body is not read: the listener drops it within its bounds.
 *
 * @returns Body bytes of the answer.
 */
export function sendAnswer(
  { request, reply }: Visit,
  code: AnswerCode,
  retryAfter?: number,
): number {
  const { status, reason, fields, body } = answer(code, contextOf(request, retryAfter));
  const hasBody = request.method !== "HEAD";
  reply.head({ status, reason, fields, length: body.length, hasBody });
  if (hasBody) reply.body(body);
  reply.end(undefined);
  return hasBody ? body.length : 0;
}
