// This file is what waits to be written to a visitor: which of it is body, when it was taken, and whether a stream stands behind it. http.md §3.3, §10.
import type { Socket } from "node:net";
import { Outlet, type OutletEvents } from "../../exchange/index.ts";
import { responseWriter, type Writer } from "../../http1/index.ts";
import { BodyLedger } from "./body-ledger.ts";
import type { Orphans } from "./orphans.ts";
import type { VisitorClock } from "./visitor-clock.ts";

export interface OutputEvents {
  /** The kernel took so many bytes of a body. */
  bodyTaken(bytes: number): void;
  drained(): void;
  failed(error: Error): void;
}

/** The only writer of a visitor's socket, with the accounts of what it holds. */
export class VisitorOutput implements OutletEvents {
  readonly writer: Writer = responseWriter();
  readonly ledger = new BodyLedger();
  readonly #outlet: Outlet;
  readonly #orphans: Orphans;
  readonly #clock: VisitorClock;
  readonly #events: OutputEvents;
  /** Of what is queued: bytes that no session counts. */
  #orphaned = 0;

  constructor(socket: Socket, orphans: Orphans, clock: VisitorClock, events: OutputEvents) {
    this.#outlet = new Outlet(socket, this);
    this.#orphans = orphans;
    this.#clock = clock;
    this.#events = events;
  }

  get queued(): number {
    return this.#outlet.queued;
  }

  /** Our FIN was sent, and all before it. */
  get isFlushed(): boolean {
    return this.#outlet.isClosed && this.#outlet.queued === 0;
  }

  /** Bytes that are entered in the ledger. */
  write(bytes: Uint8Array): void {
    const isFirst = this.#outlet.queued === 0;
    this.#outlet.write(bytes);
    if (!isFirst) return;
    const now = performance.now();
    this.#clock.progress(now);
    this.#clock.watch(now);
  }

  /** Bytes that are no body: heads, framing, answers of our own. */
  writeOverhead(bytes: Uint8Array): void {
    this.ledger.overhead(bytes.length);
    this.write(bytes);
  }

  /**
   * No stream stands behind what is queued any more.
   *
   * @returns False where there is no room for it: the connection is to be reset.
   */
  orphan(): boolean {
    const bytes = this.#outlet.queued - this.#orphaned;
    if (bytes <= 0) return true;
    if (!this.#orphans.take(bytes)) return false;
    this.#orphaned += bytes;
    return true;
  }

  /** FIN after what is queued. */
  end(): void {
    this.#outlet.end();
  }

  /** The socket is given up; what the kernel has may still arrive. */
  close(): void {
    this.#release();
    this.#outlet.close();
  }

  /** RST: what is queued is dropped. */
  reset(): void {
    this.#release();
    this.#outlet.reset();
  }

  taken(bytes: number): void {
    this.#clock.progress(performance.now());
    this.#events.bodyTaken(this.ledger.take(bytes));
  }

  drained(): void {
    this.#release();
    this.#events.drained();
  }

  failed(error: Error): void {
    this.#events.failed(error);
  }

  #release(): void {
    this.#orphans.give(this.#orphaned);
    this.#orphaned = 0;
  }
}
