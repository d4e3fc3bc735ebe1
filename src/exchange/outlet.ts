// This file is a net or TLS socket as a sink of bytes: one write per turn, one outstanding, credit when the kernel took them (http.md §3.3, §10; platform.md §0 traps 3 and 20).
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { copyBytes } from "../bytes.ts";
import { giveStaging, STAGING_BYTES, takeStaging } from "../staging.ts";

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

/** Largest single write. TLS sends up to 128 KiB at once; Windows loses bytes beyond 64 KiB (platform.md §3). */
export const MAX_WRITE = process.platform === "win32" ? 65_536 : STAGING_BYTES;

/** Chunks below this size are copied together while they wait, so that a peer's tiny chunks cost bytes, not objects. */
const SMALL_CHUNK = 1_024;
/** Chunks that may wait uncopied before small ones are copied together. */
const LOOSE_CHUNKS = 32;
const TAIL_BYTES = 16_384;
/** Spent places at the front of the queue before it is moved down. */
const SPENT_CHUNKS = 256;

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

/**
 * The only writer of a socket.
 *
 * Bytes given to `write` belong to the outlet until taken. Whatever is written in one turn of the loop leaves in one
 * socket write when the turn ends: one chunk as it is, several gathered into one buffer of at most `MAX_WRITE`. The
 * next write starts in the callback of the one before. The queue is bounded by its owner, who writes no more than the
 * credit it was given; `queued` is what to look at. The socket's events (`error` first) stay with the owner.
 */
export class Outlet {
  readonly #socket: Socket;
  readonly #events: OutletEvents;
  readonly #isYielding: boolean;
  /** open → ending → ended; over: discarded, reset or failed. */
  #state: "open" | "ending" | "ended" | "over" = "open";
  #chunks: (Uint8Array | undefined)[] = [];
  #first = 0;
  #waiting = 0;
  #outstanding = 0;
  #tail: Uint8Array | undefined;
  #tailUsed = 0;
  #isDue = false;
  /** Holds the write that is outstanding, when it was gathered in one. */
  #staging: Buffer | undefined;

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
    return this.#waiting + this.#outstanding;
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
    this.#waiting += bytes.length;
    if (
      bytes.length < SMALL_CHUNK &&
      (this.#outstanding > 0 || this.#chunks.length - this.#first >= LOOSE_CHUNKS)
    ) {
      this.#pack(bytes);
    } else {
      this.#sealTail();
      this.#chunks.push(bytes);
    }
    if (this.#outstanding === 0) this.#becomeDue();
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
    if (this.#waiting === 0) {
      if (this.#state === "ending") this.#finish();
      return;
    }
    const bytes = this.#next();
    this.#waiting -= bytes.length;
    this.#outstanding = bytes.length;
    this.#socket.write(bytes, this.#written);
  }

  /** Drops what waits and tells nothing more. The socket is left as it is: its owner destroys it. */
  discard(): void {
    this.#state = "over";
    this.#chunks = [];
    this.#first = 0;
    this.#waiting = 0;
    this.#outstanding = 0;
    this.#tail = undefined;
    this.#tailUsed = 0;
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
    if (this.#staging !== undefined) giveStaging(this.#staging);
    this.#staging = undefined;
    if (this.#state === "over") return;
    if (error) {
      this.discard();
      this.#events.failed(error);
      return;
    }
    const bytes = this.#outstanding;
    this.#outstanding = 0;
    this.#events.taken(bytes);
    // What `taken` caused to be written joins the next write; it may also have discarded the outlet, which empties it.
    if (this.#isYielding && this.#waiting > 0) this.#becomeDue();
    else this.flush();
    if (this.queued === 0 && !this.#isOver()) this.#events.drained();
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

  #pack(bytes: Uint8Array): void {
    if (this.#tail !== undefined && this.#tailUsed + bytes.length > TAIL_BYTES) this.#sealTail();
    this.#tail ??= Buffer.allocUnsafe(TAIL_BYTES);
    this.#tail.set(bytes, this.#tailUsed);
    this.#tailUsed += bytes.length;
  }

  #sealTail(): void {
    if (this.#tail === undefined) return;
    this.#chunks.push(this.#tail.subarray(0, this.#tailUsed));
    this.#tail = undefined;
    this.#tailUsed = 0;
  }

  /** Takes the next write off the queue, which is not empty. */
  #next(): Uint8Array {
    this.#sealTail();
    const first = this.#chunks[this.#first] as Uint8Array;
    if (first.length > MAX_WRITE) {
      this.#chunks[this.#first] = first.subarray(MAX_WRITE);
      return first.subarray(0, MAX_WRITE);
    }
    let total = first.length;
    let end = this.#first + 1;
    for (; end < this.#chunks.length; end++) {
      const length = (this.#chunks[end] as Uint8Array).length;
      if (total + length > MAX_WRITE) break;
      total += length;
    }
    // A visitor who does not read would keep all of the buffer that a small part of it came in.
    const isAlone = end === this.#first + 1 && !isSmallPart(first);
    const bytes = isAlone ? first : this.#gather(end, total);
    this.#chunks.fill(undefined, this.#first, end);
    this.#first = end;
    if (this.#first === this.#chunks.length) {
      this.#chunks.length = 0;
      this.#first = 0;
    } else if (this.#first >= SPENT_CHUNKS) {
      this.#chunks.splice(0, this.#first);
      this.#first = 0;
    }
    return bytes;
  }

  #gather(end: number, total: number): Uint8Array {
    const bytes = takeStaging(total);
    this.#staging = bytes;
    let at = 0;
    for (let index = this.#first; index < end; index++) {
      const chunk = this.#chunks[index] as Uint8Array;
      copyBytes(chunk, 0, chunk.length, bytes, at);
      at += chunk.length;
    }
    return bytes.subarray(0, total);
  }
}

/** Chunks arrive as parts of buffers of up to 512 KiB. Asking for the buffer is not worth it for a few bytes. */
function isSmallPart(bytes: Uint8Array): boolean {
  return bytes.length > SMALL_CHUNK && bytes.length * 4 < bytes.buffer.byteLength;
}
