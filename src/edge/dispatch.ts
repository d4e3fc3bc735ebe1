// This file is where one request goes: to a session that serves its name, or to wait for one; once more where nothing of it was taken. http.md §11, §12.
import { messageOf } from "../errors.ts";
import type { NotOpened } from "../exchange/index.ts";
import { reached } from "../limits.ts";
import { OPEN_CREDIT_WAIT_MS } from "../session/index.ts";
import type { Pipeline } from "./pipeline.ts";
import type { AnswerCode } from "./reply.ts";
import type { LiveSession, Place, Waiter } from "./route/index.ts";

/** Without stream credit a request looks again after this, up to `OPEN_CREDIT_WAIT_MS` in all, ms. */
const OPEN_RETRY_MS = 20;
/** Requests that may wait for stream credit at a time; the others are told at once. */
export const OPEN_WAITERS_MAX = 1_000;
/** So often one request may come back undelivered. A connector that drains gives each back once. */
export const DISPATCHES_MAX = 4;
/** What a visitor is told of a tunnel that is away, s: one that is expected back, and one that is not. */
const RETRY_SOON_S = 5;
const RETRY_LATE_S = 30;

const NOBODY: ReadonlySet<LiveSession> = new Set();

/** The request, as far as it is sent somewhere. */
export interface Dispatchable {
  readonly host: string;
  /** Opens itself in that session. */
  open(live: LiveSession): NotOpened | undefined;
  /** It is about to wait: nothing more of it is taken off its visitor. @returns Bytes of it that are here. */
  withhold(): number;
  /** It is open, and all books are kept: its body may flow. */
  opened(): void;
  /** It goes nowhere, for this reason. @param retryAfter Seconds; as usual for the code if undefined. */
  turnedAway(code: AnswerCode, retryAfter?: number): void;
}

/** `busy`: sessions are there, without stream credit. `away`: none can be used. `broken`: a fault of ours, answered already. */
type Outcome = "opened" | "noRoute" | "busy" | "away" | "broken";

/**
 * ```
 * start ─► opened ─► over          the usual way
 *   │ ▲      └─ undelivered ─┐     nothing was taken: once more, elsewhere
 *   ▼ └──────────────────────┘
 * waiting for credit (100 ms), or parked (`hold`) ─► opened, or turned away
 * ```
 */
export class Dispatch implements Waiter {
  readonly #pipeline: Pipeline;
  readonly #request: Dispatchable;
  #live: LiveSession | undefined;
  /** Sessions that took nothing of it: it does not go there again. */
  #passed: ReadonlySet<LiveSession> = NOBODY;
  /** Bytes of it that are held here: it was given back. */
  #bytes = 0;
  #place: Place | undefined;
  #creditTimer: Timer | undefined;
  #creditUntil = Number.POSITIVE_INFINITY;
  #heldUntil: number | undefined;

  constructor(pipeline: Pipeline, request: Dispatchable) {
    this.#pipeline = pipeline;
    this.#request = request;
  }

  /** Where it is now. */
  get live(): LiveSession | undefined {
    return this.#live;
  }

  start(): void {
    switch (this.#try()) {
      case "opened":
      case "broken":
        return;
      case "noRoute":
        return this.#request.turnedAway("NO_ROUTE");
      case "busy":
        return this.#waitForCredit();
      case "away":
        return this.#park();
    }
  }

  /** Nothing was delivered of it, whose `bytes` are held here now. */
  undelivered(bytes: number): void {
    const live = this.#live;
    if (live === undefined) return;
    this.#leave();
    this.#passed = new Set(this.#passed).add(live);
    this.#bytes = bytes;
    if (this.#passed.size < DISPATCHES_MAX) return this.start();
    reached("dispatches");
    this.#request.turnedAway("TUNNEL_BUSY");
  }

  /** The request is over, or its visitor is gone. Idempotent. */
  end(): void {
    this.#place?.leave();
    this.#place = undefined;
    this.#stopWaiting();
    this.#leave();
  }

  // Waiter

  go(): "gone" | "away" | "busy" {
    const outcome = this.#try();
    if (outcome === "noRoute") this.#request.turnedAway("NO_ROUTE");
    return outcome === "busy" || outcome === "away" ? outcome : "gone";
  }

  expired(): void {
    this.#place = undefined;
    const outcome = this.#try();
    if (outcome === "noRoute") this.#request.turnedAway("NO_ROUTE");
    else if (outcome === "busy") this.#request.turnedAway("TUNNEL_BUSY");
    else if (outcome === "away") this.#turnAway();
  }

  // Steps

  /** Asks the sessions that serve the name, best first. The grant is asked each time, not only at the announcement. */
  #try(): Outcome {
    const { grants, registry, isSuspended } = this.#pipeline.options;
    const tunnel = grants.ownerOf(this.#request.host);
    if (tunnel === undefined) return "noRoute";
    if (isSuspended?.(this.#request.host) === true) return "away";
    let isBusy = false;
    let asked = this.#passed;
    for (;;) {
      const live = registry.pick(tunnel, this.#request.host, asked);
      if (live === undefined) return isBusy ? "busy" : "away";
      const refusal = this.#open(live);
      if (refusal === "broken") return "broken";
      if (refusal === undefined) {
        this.#enter(live);
        return "opened";
      }
      isBusy ||= refusal === "streamLimit";
      asked = new Set(asked).add(live);
    }
  }

  /** A request that cannot be put into words is our fault, and costs nobody who waits behind it a thing (S-73). */
  #open(live: LiveSession): NotOpened | "broken" | undefined {
    try {
      return this.#request.open(live);
    } catch (error) {
      const message = messageOf(error);
      this.#pipeline.options.log.error("bug", `A request could not be opened: ${message}`);
      this.#request.turnedAway("INTERNAL");
      return "broken";
    }
  }

  #enter(live: LiveSession): void {
    this.#place = undefined;
    this.#bytes = 0;
    this.#creditUntil = Number.POSITIVE_INFINITY;
    this.#live = live;
    live.exchanges += 1;
    this.#request.opened();
  }

  #leave(): void {
    if (this.#live === undefined) return;
    this.#live.exchanges -= 1;
    this.#live = undefined;
  }

  /** MAX_STREAMS rises within a round trip of a stream's end; a short look-again costs less than a queue to be woken. */
  #waitForCredit(): void {
    const now = performance.now();
    const isFirst = this.#creditUntil === Number.POSITIVE_INFINITY;
    if (isFirst) this.#creditUntil = now + OPEN_CREDIT_WAIT_MS;
    const isFull = isFirst && this.#pipeline.waiting >= OPEN_WAITERS_MAX;
    if (isFull || now >= this.#creditUntil) {
      reached(isFull ? "streamCreditWaiters" : "streamCredit");
      return this.#request.turnedAway("TUNNEL_BUSY");
    }
    this.#pipeline.waiting += 1;
    this.#creditTimer = setTimeout(() => {
      this.#stopWaiting();
      this.start();
    }, OPEN_RETRY_MS);
  }

  #stopWaiting(): void {
    if (this.#creditTimer === undefined) return;
    clearTimeout(this.#creditTimer);
    this.#creditTimer = undefined;
    this.#pipeline.waiting -= 1;
  }

  #park(): void {
    const { hold } = this.#pipeline;
    const { host } = this.#request;
    const { isSuspended } = this.#pipeline.options;
    const tunnel = this.#pipeline.options.grants.ownerOf(host);
    const now = performance.now();
    this.#heldUntil ??= now + hold.holdMs;
    const leftMs = this.#heldUntil - now;
    const isHeld = !hold.isClosed && leftMs > 0 && this.#pipeline.isExpected(tunnel);
    // For a proof somebody has to change the DNS: that is nothing to hold a request for.
    if (tunnel === undefined || !isHeld || isSuspended?.(host) === true) return this.#turnAway();
    const bytes = this.#bytes + this.#request.withhold();
    const place = hold.park(tunnel, host, this, leftMs, bytes);
    if (place === "hostFull") this.#request.turnedAway("HOST_BUSY");
    else if (place === "full") this.#request.turnedAway("EDGE_BUSY");
    else this.#place = place;
  }

  #turnAway(): void {
    const { grants } = this.#pipeline.options;
    const isExpected = this.#pipeline.isExpected(grants.ownerOf(this.#request.host));
    this.#request.turnedAway("TUNNEL_OFFLINE", isExpected ? RETRY_SOON_S : RETRY_LATE_S);
  }
}
