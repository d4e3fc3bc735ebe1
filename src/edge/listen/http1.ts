// This file is one visitor's connection speaking HTTP/1.1: requests in, one exchange at a time, responses out. http.md §3.3.
import { messageOf } from "../../errors.ts";
import type { Socket } from "node:net";
import { CONTINUE, Http1Error, REQUEST_LIMITS, type RequestHead } from "../../http1/index.ts";
import { reached } from "../../limits.ts";
import type { Logger } from "../../log.ts";
import { received } from "../../received.ts";
import { type AnswerContext, contextOf } from "../reply.ts";
import { CanonicalRequests, newRequestId, type VisitorPeer } from "../request.ts";
import type { Serve } from "../visit.ts";
import { Orphans } from "./orphans.ts";
import { type Refusal, refusalOf, writeRefusal } from "./refusal.ts";
import { type Overdue, VisitorClock, type Waiting } from "./visitor-clock.ts";
import { type BodyOwner, VisitorExchange } from "./visitor-exchange.ts";
import { bodyLength, type IntakeOwner, VisitorIntake } from "./visitor-intake.ts";
import {
  VISITOR_LIMITS,
  timeoutsOf,
  type VisitorLimits,
  type VisitorOptions,
} from "./visitor-options.ts";
import { type OutputEvents, VisitorOutput } from "./visitor-output.ts";
import type { ReplyOwner } from "./visitor-reply.ts";

/**
 * ```
 * head ─► exchange ─► head …
 *   │        ├──────► upgraded ─► closed   raw bytes, each direction with its own end
 *   └────────┴──────► closing ──► closed   our FIN follows what is queued; reads are dropped (lingering close)
 * ```
 */
type State = "head" | "exchange" | "upgraded" | "closing" | "closed";

/**
 * A visitor connection, from its first byte of HTTP to its end.
 *
 * For every exchange either all bytes given to its reply are told `taken`, or `gone` is told, once: the tunnel's credit
 * for them returns whatever the visitor does. So an exchange stays here, also while closing, until its bytes are settled.
 *
 * The socket must have been made with `allowHalfOpen`. The next request begins when the kernel has taken the response
 * before it, so a visitor who pipelines and does not read fills nothing.
 */
export class VisitorConnection
  implements BodyOwner, IntakeOwner, OutputEvents, ReplyOwner, Waiting
{
  readonly output: VisitorOutput;
  readonly #socket: Socket;
  readonly #requests: CanonicalRequests;
  readonly #serve: Serve;
  readonly #log: Logger;
  readonly #limits: VisitorLimits;
  readonly #onClosed: () => void;
  readonly #intake: VisitorIntake;
  readonly #clock: VisitorClock;

  #state: State = "head";
  #exchange: VisitorExchange | undefined;
  #served = 0;
  #isDraining = false;
  /** The response just completed was announced as the last one. */
  #isLast = false;
  /** Bytes dropped since the connection is closing. */
  #dropped = 0;

  constructor(socket: Socket, peer: VisitorPeer, options: VisitorOptions, onClosed: () => void) {
    const timeouts = timeoutsOf(options);
    this.#limits = { ...VISITOR_LIMITS, ...options.limits };
    this.#socket = socket;
    this.#requests = new CanonicalRequests(peer);
    this.#serve = options.serve;
    this.#log = options.log;
    this.#onClosed = onClosed;
    this.#intake = new VisitorIntake(
      socket,
      options.http1 ?? REQUEST_LIMITS,
      this.#limits.heldBytes,
      this,
    );
    this.#clock = new VisitorClock(options.deadlines, timeouts, this.#limits, this);
    this.output = new VisitorOutput(socket, options.orphans ?? new Orphans(), this.#clock, this);
  }

  get state(): State {
    return this.#state;
  }

  /** Takes the socket's events; bytes read before come as the socket's first data. */
  start(): void {
    this.#socket.on("error", (error) => this.failed(error));
    this.#socket.on("close", () => this.#onSocketClosed());
    this.#socket.on("end", () => this.#onFin());
    this.#socket.on("data", (bytes: Uint8Array) => this.#receive(bytes));
    this.#clock.idle(performance.now());
  }

  /** Takes no further request: an idle connection is closed, another one after its response. Upgraded ones go on. */
  drain(): void {
    this.#isDraining = true;
    if (this.#state === "head" && this.#intake.isEmpty) this.#shut();
  }

  /** Ends the connection at once, whatever it does. */
  abort(): void {
    this.#lose("left");
  }

  // The request: IntakeOwner and BodyOwner.

  #receive(bytes: Uint8Array): void {
    received(bytes);
    if (this.#state === "closed") return;
    if (this.#state !== "closing") return this.#intake.push(bytes);
    this.#dropped += bytes.length;
    if (this.#dropped <= this.#limits.lingerBytes) return;
    reached("lingerBytes");
    this.#lose("stalled");
  }

  get wanted(): "message" | "raw" | "nothing" {
    switch (this.#state) {
      case "head":
        return "message";
      case "exchange":
        return this.#exchange?.isReadable === true ? "message" : "nothing";
      case "upgraded":
        return this.#exchange?.isReadable === true ? "raw" : "nothing";
      case "closing":
      case "closed":
        return "nothing";
    }
  }

  onHead(head: RequestHead): void {
    this.#clock.headDone();
    this.#served += 1;
    const isHead = head.method === "HEAD";
    const request = this.#requests.build(head);
    if ("code" in request) return this.#refuse({ code: request.code }, request, isHead);
    if (bodyLength(head) > (this.#limits.bodyBytes ?? Number.MAX_SAFE_INTEGER)) {
      reached("bodyBytes");
      return this.#refuse({ code: "BODY_TOO_LARGE" }, contextOf(request), isHead);
    }
    this.#exchange = new VisitorExchange(request, head, this);
    this.#state = "exchange";
    this.#serve(this.#exchange);
  }

  onBody(bytes: Uint8Array): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    this.#clock.pace.got(bytes.length, performance.now());
    exchange.bytes(bytes);
    const most = this.#limits.bodyBytes;
    if (most === undefined || exchange.received <= most) return;
    reached("bodyBytes");
    this.#giveUp({ code: "BODY_TOO_LARGE" });
  }

  onEnd(trailers: Uint8Array | undefined): void {
    this.#exchange?.ended(trailers);
  }

  onRaw(bytes: Uint8Array): void {
    this.#clock.received(performance.now());
    this.#exchange?.bytes(bytes);
  }

  onStarved(isPartial: boolean): void {
    if (this.#state !== "head") this.#clock.watch(performance.now());
    else if (isPartial) this.#clock.headBegan(performance.now());
  }

  readOn(): void {
    const exchange = this.#exchange;
    if (exchange !== undefined && !exchange.isComplete) {
      if (exchange.received === 0) this.#clock.pace.begin(performance.now());
      else this.#clock.pace.resume(performance.now());
    }
    this.#intake.restart();
    this.#intake.pump();
  }

  withhold(): number {
    return this.#intake.withhold();
  }

  // The response: ReplyOwner and OutputEvents.

  sayContinue(): void {
    this.output.writeOverhead(CONTINUE);
  }

  beginResponse(): boolean {
    // A visitor that was not told to continue may send its body or not: nothing behind it can be read safely (S-07).
    const isUnanswered = this.#exchange?.forgoContinue() === true;
    const isSpent = this.#served >= this.#limits.requests;
    if (isSpent) reached("requestsPerConnection");
    // After its FIN a visitor can only have asked for what is here already.
    const isSilent = this.#intake.hasFin && this.#intake.isEmpty;
    return isUnanswered || isSpent || isSilent || this.#isDraining;
  }

  declineUpgrade(): void {
    this.#exchange?.declineUpgrade();
  }

  endResponse(isLast: boolean): void {
    this.#isLast = isLast;
    if (this.#exchange?.isComplete === false) this.#exchange.drop();
    this.#intake.pump();
  }

  becomeUpgraded(): void {
    this.#state = "upgraded";
    this.#exchange?.becomeRaw();
    this.#intake.becomeRaw();
    const now = performance.now();
    this.#clock.received(now);
    this.#clock.watch(now);
    this.#intake.pump();
  }

  finish(): void {
    this.output.end();
  }

  breakOff(how: "short" | "reset"): void {
    if (how === "short") {
      this.#shut();
      return this.orphan();
    }
    const exchange = this.#exchange;
    const { owed } = this.output.ledger;
    this.#detach();
    this.#destroy();
    // Nobody left: the pipeline itself dropped what was queued.
    this.#tellTaken(exchange, owed);
  }

  orphan(): void {
    if (!this.output.orphan()) this.breakOff("reset");
  }

  dropped(bytes: number): void {
    this.#tellTaken(this.#exchange, bytes);
  }

  fault(what: string): void {
    this.#log.error("visitor", `BUG: ${what}`);
    this.#lose("short");
  }

  bodyTaken(bytes: number): void {
    this.#tellTaken(this.#exchange, bytes);
  }

  drained(): void {
    if (this.#state !== "closing") return this.onPumped();
    this.#exchange = undefined;
    this.#clock.linger(performance.now());
  }

  /** Goes on to the next request once the response is complete and taken. */
  onPumped(): void {
    const exchange = this.#exchange;
    if (this.#state !== "exchange" || exchange?.reply.isOver !== true) return;
    // A body nobody wants any more is not waited for: what is still to come is dropped by the lingering close.
    if (!exchange.isComplete) exchange.cease();
    if (this.output.queued > 0) return;
    exchange.abandon();
    this.#exchange = undefined;
    if (this.#isLast || this.#isDraining || !exchange.isComplete) return this.#shut();
    this.#state = "head";
    this.#clock.idle(performance.now());
    this.#intake.pump();
  }

  // The deadlines: Waiting.

  get queued(): number {
    return this.output.queued;
  }

  get isBodyAwaited(): boolean {
    return this.#intake.isHungry && this.#exchange?.isAwaited === true;
  }

  get isHalfClosed(): boolean {
    return this.#intake.hasFin && this.#exchange?.isComplete === true;
  }

  overdue(what: Overdue): void {
    switch (what) {
      case "idleTime":
        return this.#shut();
      case "headTime":
      case "bodyIdle":
      case "bodyRate":
        return this.#giveUp({ code: "REQUEST_TIMEOUT" });
      case "writeStall":
      case "upgradeIdle":
        return this.#lose("stalled");
      case "lingerTime":
        return this.#letGo();
      case "halfClosed":
        return this.#lose("left");
    }
  }

  // Ends.

  #onFin(): void {
    if (this.#state === "closing" || this.#state === "closed") return;
    this.#intake.fin();
    this.#clock.fin(performance.now());
  }

  onLastByte(isTruncated: boolean): void {
    if (this.#state === "upgraded") {
      this.#exchange?.ended(undefined);
      if (this.#socket.destroyed) this.#becomeClosed();
    } else if (this.#state === "head") {
      if (isTruncated) this.#destroy();
      else this.#shut();
    } else if (this.#exchange?.isComplete === false) {
      if (this.#exchange.reply.isOver) this.#shut();
      else this.#lose("short");
    }
  }

  #onSocketClosed(): void {
    const { isFlushed } = this.output;
    if (this.#state === "upgraded" && this.#intake.hasFin && isFlushed) {
      // Both directions ended as they should; what the visitor sent last may still wait for a paused sink.
      if (this.#exchange?.isComplete !== false) this.#becomeClosed();
      return;
    }
    this.#lose("left");
  }

  failed(error: Error): void {
    if (this.#state === "closed") return;
    this.#log.debug("visitor", "The connection failed", { error: error.message });
    this.#lose("left");
  }

  onFault(error: unknown): void {
    if (error instanceof Http1Error) return this.#giveUp(refusalOf(error));
    this.#logBug(error);
    this.#lose("left");
  }

  /** Ends what is in progress, with an answer of ours where there is still room for one. */
  #giveUp(refusal: Refusal): void {
    const exchange = this.#exchange;
    this.#detach();
    if (exchange?.reply.isHeadSent === true) this.#destroy();
    else if (exchange === undefined) this.#refuse(refusal, { requestId: newRequestId() }, false);
    else this.#refuse(refusal, contextOf(exchange.request), exchange.request.method === "HEAD");
    this.#tellGone(exchange, "short");
  }

  /** Answers without the pipeline, then closes. */
  #refuse(refusal: Refusal, context: AnswerContext, isHead: boolean): void {
    writeRefusal(this.output, this.#log, refusal, context, isHead);
    this.#shut();
  }

  /** The visitor is gone, or did something that has to end like it: reset, and the pipeline is told. */
  #lose(cause: "left" | "short" | "stalled"): void {
    if (this.#state === "closed") return;
    const exchange = this.#exchange;
    this.#detach();
    this.#destroy();
    this.#tellGone(exchange, cause);
  }

  // What the pipeline throws at its events comes from sockets and timers: it ends this connection, never the process (S-73).

  #tellTaken(exchange: VisitorExchange | undefined, bytes: number): void {
    if (bytes === 0) return;
    try {
      exchange?.events?.taken(bytes);
    } catch (error) {
      this.onFault(error);
    }
  }

  #tellGone(exchange: VisitorExchange | undefined, cause: "left" | "short" | "stalled"): void {
    try {
      exchange?.events?.gone(cause);
    } catch (error) {
      this.#logBug(error);
    }
  }

  #logBug(error: unknown): void {
    const message = messageOf(error);
    this.#log.error("visitor", "BUG: serving a visitor failed", { error: message });
  }

  #detach(): void {
    this.#exchange?.abandon();
    this.#exchange = undefined;
    this.output.ledger.clear();
  }

  /** Lingering close: FIN after what is queued. Closing with bytes unread would reset what was just written. */
  #shut(): void {
    if (this.#state === "closing" || this.#state === "closed") return;
    this.#state = "closing";
    // What waits to be taken may still be cut.
    if (this.output.queued > 0 && this.#exchange?.reply.isEnded === true) this.#exchange.drop();
    else this.#exchange?.abandon();
    if (this.output.queued === 0) this.#exchange = undefined;
    this.output.end();
    this.#intake.clear();
    this.#clock.linger(performance.now());
  }

  /**
   * The time for a farewell is over. The kernel has all of it, but a slow visitor may have megabytes still to read from
   * there: RST would throw them away.
   */
  #letGo(): void {
    if (this.#state === "closed") return;
    this.#becomeClosed();
    this.output.close();
  }

  #destroy(): void {
    if (this.#state === "closed") return;
    this.#becomeClosed();
    this.output.reset();
  }

  #becomeClosed(): void {
    this.#state = "closed";
    this.#clock.stop();
    this.#intake.clear();
    this.#onClosed();
  }
}
