// This file is the caller's direction of one exchange: bytes that wait, are framed, and come back as credit (http.md §3.2, §10; S-10, S-50).
import { TunlError } from "../../errors.ts";
import type { Framing } from "../../http1/index.ts";
import { reached } from "../../limits.ts";
import type { OriginConnection } from "./connection.ts";

/** Bytes waiting for the origin above which the sender is asked to pause, and at which it may go on. */
export const PAUSE_ABOVE = 65_536;
export const RESUME_AT = 32_768;
/** A body collected to learn its length (`disableChunkedEncoding`). */
export const MAX_COLLECTED = 1_048_576;

export interface UploadEvents {
  /** The kernel took so many bytes of the caller, or they were dropped. */
  taken(bytes: number): void;
  /** The same of bytes that wait for their length to be known; told in a task of its own. Never throws. */
  collected(bytes: number): void;
  /** After "pause". */
  writable(): void;
}

/**
 * States:
 *
 * ```
 * collecting → held → framed
 *                └──→ raw (after a 101)
 * ```
 *
 * What is held has no place to go yet: no connection, or no 101. Its bound is the credit of the stream, while
 * collecting `MAX_COLLECTED`.
 */
export class Upload {
  readonly #events: UploadEvents;
  #state: "collecting" | "held" | "framed" | "raw";
  #framing: Framing;
  #connection: OriginConnection | undefined;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #isEnded = false;
  #trailers: Uint8Array | undefined;
  #isAskedToPause = false;
  /** Bytes on the connection that are not the caller's: head, chunk sizes. */
  #overhead = 0;
  #wireTaken = 0;
  #credited = 0;

  /** @param isCollected The body is sent only when its length is known. */
  constructor(framing: Framing, isCollected: boolean, events: UploadEvents) {
    this.#framing = framing;
    this.#state = isCollected ? "collecting" : "held";
    this.#events = events;
  }

  get framing(): Framing {
    return this.#framing;
  }

  get isCollecting(): boolean {
    return this.#state === "collecting";
  }

  /** The caller ended its direction. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /**
   * Takes bytes of the caller.
   *
   * @throws TunlError `LENGTH_REQUIRED` above `MAX_COLLECTED`, `BODY_OVERRUN` for a byte more than announced.
   */
  write(bytes: Uint8Array): "more" | "pause" {
    switch (this.#state) {
      case "collecting":
        this.#collect(bytes);
        return "more";
      case "held":
        this.#hold(bytes);
        break;
      case "framed":
        this.#frame(bytes);
        break;
      case "raw":
        this.#connection?.outlet.write(bytes);
        break;
      default:
        this.#state satisfies never;
    }
    if (this.#waiting <= PAUSE_ABOVE) return "more";
    this.#isAskedToPause = true;
    return "pause";
  }

  /** Ends the direction, now or when the connection is there. @returns False when the body is shorter than announced. */
  end(trailers: Uint8Array | undefined): boolean {
    this.#isEnded = true;
    this.#trailers = trailers;
    if (this.#state === "collecting") {
      this.#framing = { kind: "length", length: this.#heldBytes };
      this.#state = "held";
    } else if (this.#state === "framed") return this.#finish();
    else if (this.#state === "raw") this.#connection?.outlet.end();
    return true;
  }

  /** A connection is there and has nothing on it yet: its first bytes are the head. */
  begin(connection: OriginConnection, head: Uint8Array): void {
    this.#connection = connection;
    this.#overhead = 0;
    this.#wireTaken = 0;
    this.#put(head);
  }

  /**
   * The head announced a body: what was held follows, then what comes.
   *
   * @returns False when the body is shorter than announced.
   * @throws TunlError `BODY_OVERRUN`
   */
  sendBody(): boolean {
    this.#state = "framed";
    for (const bytes of this.#release()) this.#frame(bytes);
    return !this.#isEnded || this.#finish();
  }

  /** The origin switched protocols: from here on bytes are the caller's own. */
  sendRaw(): void {
    this.#state = "raw";
    for (const bytes of this.#release()) this.#connection?.outlet.write(bytes);
    if (this.#isEnded) this.#connection?.outlet.end();
  }

  /** Bytes meant for a protocol the origin did not switch to. */
  drop(): void {
    const bytes = this.#heldBytes;
    this.#release();
    if (bytes === 0) return;
    this.#events.taken(bytes);
    this.continueIfRoom();
  }

  /** The kernel took bytes of the connection. */
  taken(bytes: number): void {
    this.#wireTaken += bytes;
    // Framing counts as taken first: late by what waits of it, exact when nothing waits, and never a step back.
    const credit = this.#wireTaken - this.#overhead - this.#credited;
    if (credit <= 0) return;
    this.#credited += credit;
    this.#events.taken(credit);
  }

  continueIfRoom(): void {
    if (!this.#isAskedToPause || this.#waiting > RESUME_AT) return;
    this.#isAskedToPause = false;
    this.#events.writable();
  }

  get #waiting(): number {
    return this.#heldBytes + (this.#connection?.outlet.queued ?? 0);
  }

  /** Collected bytes are credited at once: `MAX_COLLECTED` may be more than the credit of the stream. */
  #collect(bytes: Uint8Array): void {
    if (this.#heldBytes + bytes.length > MAX_COLLECTED) {
      reached("collectedBody");
      throw new TunlError(
        "LENGTH_REQUIRED",
        `Body of unknown length has more than ${MAX_COLLECTED} bytes`,
      );
    }
    this.#hold(bytes);
    const { length } = bytes;
    this.#credited += length;
    queueMicrotask(() => this.#events.collected(length));
  }

  #hold(bytes: Uint8Array): void {
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
  }

  #release(): readonly Uint8Array[] {
    const held = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    return held;
  }

  #frame(bytes: Uint8Array): void {
    const framed = this.#connection?.writer.body(bytes) ?? [];
    this.#overhead -= bytes.length;
    for (const piece of framed) this.#put(piece);
  }

  #finish(): boolean {
    const last = this.#connection?.writer.end(this.#trailers) ?? [];
    if (last === false) return false;
    for (const piece of last) this.#put(piece);
    return true;
  }

  #put(bytes: Uint8Array): void {
    this.#overhead += bytes.length;
    this.#connection?.outlet.write(bytes);
  }
}
