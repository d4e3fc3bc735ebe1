// This file is a net or TLS socket as a sink of bytes: one write per turn, one outstanding, credit when the kernel took them (http.md §3.3, §10; platform.md §0 traps 3 and 20).
import type { Socket } from "node:net";
import { WritePace } from "./write-pace.ts";
import { WriteQueue } from "./write-queue.ts";

/**
 * What an outlet tells its owner. Never called inside `write`, `end`, `flush`, `discard` or `reset`.
 *
 * They come from the socket, where nobody catches: an owner that calls others ends its connection for what they throw
 * (S-73), and itself throws nothing.
 */
export interface OutletEvents {
  /** The local kernel took this many of the bytes written. */
  taken(bytes: number): void;
  /** Everything written so far was taken; follows the last `taken`. */
  drained(): void;
  /** A write failed: nothing more leaves, what waited is dropped. Told at most once, and not after `discard` or `reset`. */
  failed(error: Error): void;
}

/** Outlets written to in this turn of the loop; one immediate serves them all (0.9 µs each otherwise). */
let due: Outlet[] = [];
let spare: Outlet[] = [];

function flushDue(): void {
  const turn = due;
  due = spare;
  spare = turn;
  for (const outlet of turn) outlet.flush();
  turn.length = 0;
}

/** A peer that takes nothing for so long has stopped, ms. */
const STOPPED_MS = 200;
/** Outlets whose peers may have stopped, while something waits behind what they were given. */
let suspects: Outlet[] = [];

function suspect(outlet: Outlet): void {
  if (suspects.length === 0) setTimeout(lookAtSuspects, STOPPED_MS).unref();
  suspects.push(outlet);
}

function lookAtSuspects(): void {
  const before = performance.now() - STOPPED_MS;
  suspects = suspects.filter((outlet) => outlet.settleIfStopped(before));
  if (suspects.length > 0) setTimeout(lookAtSuspects, STOPPED_MS).unref();
}

/**
 * The only writer of a socket.
 *
 * Bytes given to `write` belong to the outlet until taken. Whatever is written in one turn of the loop leaves in one
 * socket write when the turn ends: one chunk as it is, several gathered into one buffer, of at most what the peer takes
 * in a moment. The next write starts in the callback of the one before. The queue is bounded by its owner, who writes no
 * more than the credit it was given; `queued` is what to look at. The socket's events (`error` first) stay with the owner.
 */
export class Outlet {
  readonly #socket: Socket;
  readonly #events: OutletEvents;
  readonly #isYielding: boolean;
  /** open → ending → ended; over: discarded, reset or failed. */
  #state: "open" | "ending" | "ended" | "over" = "open";
  readonly #queue = new WriteQueue();
  readonly #pace = new WritePace();
  #outstanding = 0;
  /** The peer has stopped: what comes is copied. */
  #hasStopped = false;
  #isSuspect = false;
  /** Everything written so far was taken. */
  #isIdle = true;
  #isDue = false;

  /**
   * @param isYielding True: the socket is read between two writes. A write that fails takes along what was not read, such
   * as the answer of a peer that wants no more and left.
   */
  constructor(socket: Socket, events: OutletEvents, isYielding = false) {
    this.#socket = socket;
    this.#events = events;
    this.#isYielding = isYielding;
  }

  /** Bytes written and not yet taken by the kernel. */
  get queued(): number {
    return this.#queue.length + this.#outstanding;
  }

  /** True while the kernel has a write of which it said nothing yet: some of its bytes may have left. */
  get isWriting(): boolean {
    return this.#outstanding > 0;
  }

  /** True from `end()` on, and once the outlet is over: writes are dropped. */
  get isClosed(): boolean {
    return this.#state !== "open";
  }

  /** Appends bytes; they must not change until taken. Dropped without a word once the outlet is closed. */
  write(bytes: Uint8Array): void {
    if (this.#state !== "open" || bytes.length === 0) return;
    this.#queue.push(bytes);
    if (this.#outstanding === 0) this.#becomeDue();
    else this.#wait();
  }

  /** FIN after everything written. Idempotent. */
  end(): void {
    if (this.#state !== "open") return;
    this.#state = "ending";
    if (this.#outstanding === 0) this.#becomeDue();
  }

  /** Writes now what waits, instead of at the end of the turn: for bytes after which nothing comes in this turn. */
  flush(): void {
    this.#isDue = false;
    try {
      this.#send();
    } catch (error) {
      // A socket that throws is one that failed; the other outlets of this turn must not pay for it.
      const reason = error instanceof Error ? error : new Error(String(error));
      queueMicrotask(() => this.#written(reason));
    }
  }

  #send(): void {
    if (this.#outstanding > 0 || this.#state === "ended" || this.#state === "over") return;
    if (this.#queue.length === 0) {
      if (this.#state === "ending") this.#finish();
      return;
    }
    const bytes = this.#queue.next(this.#pace.most);
    this.#outstanding = bytes.length;
    this.#pace.sent(performance.now(), this.#isIdle);
    this.#isIdle = false;
    this.#socket.write(bytes, this.#written);
    if (this.#queue.length > 0) this.#wait();
  }

  /**
   * Something waits behind what the socket was given. It came in a large buffer with much else, which it keeps: where it
   * waits for long it is copied. For a fast peer that would only be one more way through the memory.
   */
  #wait(): void {
    if (this.#hasStopped || this.#pace.isSlow) this.#queue.settle(this.#pace.most);
    else if (!this.#isSuspect) {
      this.#isSuspect = true;
      suspect(this);
    }
  }

  /** For the look at all suspects. @returns True: it has not stopped before `before`, but may have since; or more is to be copied. */
  settleIfStopped(before: number): boolean {
    this.#isSuspect = this.#outstanding > 0 && this.#pace.sentAt > before;
    if (this.#isSuspect || this.#outstanding === 0) return this.#isSuspect;
    this.#hasStopped = true;
    this.#isSuspect = !this.#queue.settle(this.#pace.most);
    return this.#isSuspect;
  }

  /** Drops what waits and tells nothing more. The socket is left as it is: its owner destroys it. */
  discard(): void {
    this.#state = "over";
    this.#queue.clear();
    this.#outstanding = 0;
  }

  /** Drops what waits and sends RST: the peer must not take what it has for whole. */
  reset(): void {
    this.discard();
    if (!this.#socket.destroyed) this.#socket.resetAndDestroy();
  }

  /** Lets go of the socket without RST: what the kernel took it goes on delivering, for as long as the peer takes it. */
  close(): void {
    this.discard();
    if (!this.#socket.destroyed) this.#socket.destroy();
  }

  /** One bound callback for all writes of the socket. */
  readonly #written = (error?: Error | null): void => {
    this.#queue.written();
    if (this.#state === "over") return;
    if (error) {
      this.discard();
      this.#events.failed(error);
      return;
    }
    const bytes = this.#outstanding;
    this.#outstanding = 0;
    this.#hasStopped = false;
    this.#pace.taken(bytes, performance.now());
    this.#events.taken(bytes);
    // What `taken` caused to be written joins the next write; it may also have discarded the outlet, which empties it.
    if (this.#isYielding && this.#queue.length > 0) this.#becomeDue();
    else this.flush();
    if (this.queued > 0 || this.#isOver()) return;
    this.#isIdle = true;
    this.#events.drained();
  };

  #isOver(): boolean {
    return this.#state === "over";
  }

  #finish(): void {
    this.#state = "ended";
    // `end()` on a destroyed socket would be a write error nobody asked for (platform.md §0 trap 19).
    if (!this.#socket.destroyed) this.#socket.end();
  }

  #becomeDue(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    if (due.length === 0) setImmediate(flushDue);
    due.push(this);
  }
}
