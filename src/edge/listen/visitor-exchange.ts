// This file is one exchange with an HTTP/1.1 visitor, from its request's side: the body, pulled by the pipeline. http.md §3.3, S-07, S-41.
import type { RequestHead } from "../../http1/index.ts";
import type { CanonicalRequest } from "../request.ts";
import type { BodySink, ReplyEvents, Visit, VisitorBody } from "../visit.ts";
import { bodyLength } from "./visitor-intake.ts";
import { type ReplyOwner, VisitorReply } from "./visitor-reply.ts";

/** What the body asks of its connection. */
export interface BodyOwner {
  /** The body may be read on: it was started or resumed. */
  readOn(): void;
  /** No more is read until it is read on. @returns Bytes that wait. */
  withhold(): number;
  /** Writes `100 Continue`. */
  sayContinue(): void;
}

/**
 * waiting → flowing ⇄ paused: what the pipeline wants. Once it wants nothing: dropping (what is here), then ceased.
 * How far the message itself has come, `isComplete`, is independent of it.
 */
type Flow = "waiting" | "flowing" | "paused" | "dropping" | "ceased";

/**
 * The visit and its body in one object, made once per request.
 *
 * An upgrade request has no body but leaves its direction open: `sink.end` comes when an ordinary response is begun,
 * or, after a 101, with the visitor's FIN.
 */
export class VisitorExchange implements Visit, VisitorBody {
  readonly request: CanonicalRequest;
  readonly reply: VisitorReply;
  readonly length: number;
  events: ReplyEvents | undefined;
  /** Every byte of the message was read off the connection. */
  isComplete: boolean;
  /** Body bytes given to the sink or dropped. */
  received = 0;
  readonly #owner: BodyOwner;
  /** A `100 Continue` is owed before the visitor sends its body; after a final head it is not any more. */
  #owesContinue: boolean;
  #flow: Flow = "waiting";
  #sink: BodySink | undefined;
  #isOpenEnded: boolean;
  #isEnded = false;

  constructor(request: CanonicalRequest, head: RequestHead, owner: BodyOwner & ReplyOwner) {
    this.request = request;
    this.reply = new VisitorReply(owner, head, request.acceptsTrailers);
    this.length = bodyLength(head);
    this.isComplete = this.length === 0;
    this.#owesContinue = head.expectContinue;
    this.#owner = owner;
    this.#isOpenEnded = request.upgrade !== undefined;
  }

  get hasBody(): boolean {
    return this.length !== 0;
  }

  get body(): VisitorBody {
    return this;
  }

  /** True while there are bytes to come and they may be taken off the connection, if only to be dropped. */
  get isReadable(): boolean {
    return !this.isComplete && (this.#flow === "flowing" || this.#flow === "dropping");
  }

  /** True while tunl waits for the visitor to send body bytes: only then its timers run. */
  get isAwaited(): boolean {
    return !this.isComplete && this.#flow === "flowing";
  }

  start(sink: BodySink): void {
    if (this.#flow !== "waiting") return;
    this.#flow = "flowing";
    this.#sink = sink;
    if (this.forgoContinue()) this.#owner.sayContinue();
    if (this.isComplete && !this.#isOpenEnded) this.ended(undefined);
    this.#owner.readOn();
  }

  /** @returns True when a `100 Continue` was owed; it is not any more. */
  forgoContinue(): boolean {
    const owed = this.#owesContinue;
    this.#owesContinue = false;
    return owed;
  }

  withhold(): number {
    return this.#owner.withhold();
  }

  pause(): void {
    if (this.#flow !== "flowing") return;
    this.#flow = "paused";
    // At once: one more read would be held for a stream that has enough.
    if (!this.isComplete) this.#owner.withhold();
  }

  resume(): void {
    if (this.#flow !== "paused") return;
    this.#flow = "flowing";
    this.#owner.readOn();
  }

  /** Body bytes, or raw bytes after an upgrade. */
  bytes(bytes: Uint8Array): void {
    this.received += bytes.length;
    if (this.#flow !== "dropping") this.#sink?.bytes(bytes);
  }

  /** The message, or after an upgrade the visitor's direction, is complete. Told once. */
  ended(trailers: Uint8Array | undefined): void {
    this.isComplete = true;
    if (this.#isEnded || this.#flow === "dropping" || this.#sink === undefined) return;
    this.#isEnded = true;
    this.#sink.end(trailers);
  }

  /** A 101 was sent: bytes come until the visitor's FIN. */
  becomeRaw(): void {
    this.isComplete = false;
  }

  /** An ordinary response answers an upgrade request: there will be no raw bytes. */
  declineUpgrade(): void {
    if (!this.#isOpenEnded) return;
    this.#isOpenEnded = false;
    this.ended(undefined);
  }

  /** Nobody wants the body any more: what is here is read and dropped. */
  drop(): void {
    this.#flow = "dropping";
    this.#sink = undefined;
  }

  /** What was here is dropped; what is still to come is not taken off the connection. */
  cease(): void {
    this.#flow = "ceased";
  }

  /** The exchange is over: calls of the pipeline are ignored from now on. */
  abandon(): void {
    this.drop();
    this.reply.abandon();
  }
}
