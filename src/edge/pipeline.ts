// This file is what all requests of an edge share: limits by hostname, silent origins, fields towards visitors. http.md §7, §14.
import type { Deadlines } from "../deadlines.ts";
import { keepVisitorFields, type ResponseHead } from "../exchange/index.ts";
import { LineBuffer, NO_FIELDS } from "../headers/index.ts";
import { reached } from "../limits.ts";
import type { Logger } from "../log.ts";
import { EXPECTED_BACK_MS, type GrantView, Hold, type Registry } from "./route/index.ts";

/** How often the requests that wait for their first response message are looked through, ms. */
const FIRST_BYTE_LOOK_MS = 1_000;
/** Date has a grain of a second; its text is made anew this often, ms. */
const DATE_MS = 500;

/** Fields of a reply, as they came over the tunnel and were checked. */
export type ReplyFields = NonNullable<ResponseHead["block"]>;

export interface ServeOptions {
  readonly grants: GrantView;
  /** Names whose proof is missing are served as if nobody were there; undefined: none is. */
  readonly isSuspended?: (host: string) => boolean;
  readonly presence: Presence;
  readonly registry: Registry;
  readonly deadlines: Deadlines;
  readonly log: Logger;
  /** Requests in progress of one hostname. */
  readonly concurrent: number;
  /** How long a request waits for a tunnel that is expected back, ms; 0 is not at all. */
  readonly holdMs: number;
  /** From the end of a request to its first response message; 0 is never. */
  readonly firstByteMs: number;
  /** True: a log line `request` per request. */
  readonly accessLog: boolean;
}

/** When tunnels were here. The store's snapshot implements it. */
export interface Presence {
  /** When a session of the tunnel was last noted, wall clock; undefined for never, and where all its keys are revoked. */
  lastSeen(tunnel: string): number | undefined;
}

/** A whole request whose first response message is due. */
export interface AwaitingReply {
  checkFirstByte(now: number, firstByteMs: number): void;
}

/** A request in progress. */
export interface InProgress {
  /** Its name is no longer its tunnel's: it ends at once, at both ends. */
  revoke(): void;
  /** UUID of the tunnel that has it; undefined while it waits for one. */
  readonly tunnelId: string | undefined;
}

/** What all requests of an edge share. */
export class Pipeline {
  readonly options: ServeOptions;
  /** Requests that wait for a session. */
  readonly hold: Hold;
  readonly #inProgress = new Map<string, Set<InProgress>>();
  readonly #lines = new LineBuffer();
  #date = "";
  #dateAt = Number.NEGATIVE_INFINITY;
  /** Requests that wait for stream credit. */
  waiting = 0;
  /** Upgraded connections and event streams: they last as long as their ends like. */
  longLived = 0;

  /** Whole requests without a response message. Looked through once a second: a deadline each would cost every request. */
  readonly awaiting = new Set<AwaitingReply>();

  constructor(options: ServeOptions) {
    this.options = options;
    this.hold = new Hold(options);
    options.registry.onReady = (tunnel) => this.hold.release(tunnel);
    if (options.firstByteMs > 0) this.#watch();
  }

  #watch(): void {
    this.options.deadlines.schedule(FIRST_BYTE_LOOK_MS, () => {
      // First, so that one request that fails to be looked at does not end the looking.
      this.#watch();
      const now = performance.now();
      for (const served of this.awaiting) served.checkFirstByte(now, this.options.firstByteMs);
    });
  }

  /** True for a tunnel that had a session a short while ago, for whatever reason it has none now (http.md §12 item 3). */
  isExpected(tunnel: string | undefined): boolean {
    const seenAt = tunnel === undefined ? undefined : this.options.presence.lastSeen(tunnel);
    return seenAt !== undefined && Date.now() - seenAt <= EXPECTED_BACK_MS;
  }

  /** True: the hostname has as many requests in progress as it may. */
  isFull(host: string): boolean {
    if ((this.#inProgress.get(host)?.size ?? 0) < this.options.concurrent) return false;
    reached("concurrent");
    return true;
  }

  begin(host: string, request: InProgress): void {
    const requests = this.#inProgress.get(host);
    if (requests === undefined) this.#inProgress.set(host, new Set([request]));
    else requests.add(request);
  }

  finish(host: string, request: InProgress): void {
    const requests = this.#inProgress.get(host);
    if (requests?.delete(request) && requests.size === 0) this.#inProgress.delete(host);
  }

  /** Names changed hands: requests whose name is not their tunnel's any more end. */
  revoke(): void {
    for (const [host, requests] of [...this.#inProgress]) {
      const owner = this.options.grants.ownerOf(host);
      for (const request of [...requests]) {
        const { tunnelId } = request;
        if (owner === undefined || (tunnelId !== undefined && tunnelId !== owner)) request.revoke();
      }
    }
  }

  /** Requests in progress over all hostnames. */
  get inProgress(): number {
    let sum = 0;
    for (const { size } of this.#inProgress.values()) sum += size;
    return sum;
  }

  /** Likewise for an interim response, which gets no Date. */
  interimFields(block: ReplyFields): Uint8Array {
    this.#lines.clear();
    keepVisitorFields(block, undefined, this.#lines);
    return this.#lines.take();
  }

  /** What a visitor may see of the origin's fields; the bytes are the caller's. */
  visitorFields(head: ResponseHead): Uint8Array {
    this.#lines.clear();
    keepVisitorFields(head.block ?? NO_FIELDS, this.#now(), this.#lines);
    return this.#lines.take();
  }

  #now(): string {
    const now = Date.now();
    if (now - this.#dateAt >= DATE_MS) {
      this.#dateAt = now;
      this.#date = new Date(now).toUTCString();
    }
    return this.#date;
  }
}
