// This file is the reading half of a visitor connection: bytes as they come, messages as they are wanted. http.md §3.3.
import type { Socket } from "node:net";
import {
  type Http1Limits,
  type Reader,
  type RequestHead,
  requestReader,
} from "../../http1/index.ts";
import { HeldBytes } from "./held-bytes.ts";

/** Who wants the visitor's bytes. Called synchronously; may ask for more of it from inside. */
export interface IntakeOwner {
  /** What may be taken next; asked before every step. `raw`: bytes of another protocol. */
  readonly wanted: "message" | "raw" | "nothing";
  /** A request without body is complete with its head; no `onEnd` follows. What the head views holds during the call only. */
  onHead(head: RequestHead): void;
  onBody(bytes: Uint8Array): void;
  onEnd(trailers: Uint8Array | undefined): void;
  onRaw(bytes: Uint8Array): void;
  /** More is wanted and nothing is here. `isPartial`: some of a head is. */
  onStarved(isPartial: boolean): void;
  /** The visitor's FIN is reached, all before it was taken. `isTruncated`: it stands inside a message. */
  onLastByte(isTruncated: boolean): void;
  /** Http1Error, or whatever one of the calls above threw. */
  onFault(error: unknown): void;
  /** Nothing more can be taken for now. */
  onPumped(): void;
}

/** Takes bytes off a visitor's connection only as far as its owner wants them; the others wait in `HeldBytes`. */
export class VisitorIntake {
  readonly #owner: IntakeOwner;
  readonly #reader: Reader<RequestHead>;
  readonly #held: HeldBytes;
  /** The reader has used up its chunk and takes the next one; otherwise new bytes are held. */
  #isHungry = true;
  #isPumping = false;
  #hasFin = false;
  #trailers: Uint8Array | undefined;

  /** @param heldBytes Bytes that may wait before the socket is paused. */
  constructor(socket: Socket, limits: Http1Limits, heldBytes: number, owner: IntakeOwner) {
    this.#owner = owner;
    this.#reader = requestReader(limits);
    this.#held = new HeldBytes(socket, heldBytes);
  }

  get hasFin(): boolean {
    return this.#hasFin;
  }

  /** True when tunl waits for bytes of the visitor, not the other way round. */
  get isHungry(): boolean {
    return this.#isHungry;
  }

  /** True when nothing is here that was not taken. */
  get isEmpty(): boolean {
    return this.#held.bytes === 0 && this.#reader.held === 0;
  }

  push(bytes: Uint8Array): void {
    if (this.#isHungry) {
      this.#isHungry = false;
      this.#reader.feed(bytes);
    } else if (!this.#isPumping && this.#owner.wanted === "raw" && this.#held.bytes === 0) {
      // Nothing is before them and somebody takes them: no queue, and no pause of the socket.
      this.#isPumping = true;
      try {
        this.#owner.onRaw(bytes);
      } catch (error) {
        this.#owner.onFault(error);
      } finally {
        this.#isPumping = false;
      }
    } else {
      this.#held.push(bytes);
    }
    this.pump();
  }

  fin(): void {
    this.#hasFin = true;
    if (this.#isHungry) this.#reachFin();
    else this.pump();
  }

  /** Goes on while something is wanted and here. A call from inside of it returns at once: it goes on anyway. */
  pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    try {
      while (this.#step());
    } catch (error) {
      this.#owner.onFault(error);
    } finally {
      this.#isPumping = false;
    }
    this.#owner.onPumped();
  }

  /** Between messages: what follows is raw bytes. */
  becomeRaw(): void {
    if (!this.#isHungry) this.#held.unshift(this.#reader.rest());
    this.#isHungry = false;
  }

  /** Reads no more until something is wanted that is not here. @returns Bytes that are. */
  withhold(): number {
    this.#held.stop();
    return this.#held.bytes + this.#reader.held;
  }

  /** The opposite of `withhold`. */
  restart(): void {
    this.#held.restart();
  }

  /** Drops what is here and lets the socket flow. */
  clear(): void {
    this.#held.clear();
  }

  /** @returns True when there may be more to do. */
  #step(): boolean {
    const { wanted } = this.#owner;
    if (wanted === "nothing") return false;
    if (wanted === "raw") return this.#relay();
    switch (this.#reader.next()) {
      case "needBytes":
        return this.#feed();
      case "head": {
        const { head } = this.#reader;
        // The "end" of a message without body is taken here, so that what stands behind it is the next request.
        if (!hasBody(head)) this.#reader.next();
        this.#owner.onHead(head);
        this.#reader.spendHead();
        return true;
      }
      case "body":
        this.#owner.onBody(this.#reader.body);
        return true;
      case "trailers":
        this.#trailers = this.#reader.trailers.lines;
        return true;
      case "end":
      case "upgraded": {
        const trailers = this.#trailers;
        this.#trailers = undefined;
        this.#owner.onEnd(trailers);
        return true;
      }
    }
  }

  #feed(): boolean {
    const bytes = this.#held.shift();
    if (bytes !== undefined) {
      this.#reader.feed(bytes);
      return true;
    }
    this.#isHungry = true;
    if (this.#hasFin) this.#reachFin();
    else this.#owner.onStarved(this.#reader.held > 0);
    return false;
  }

  #relay(): boolean {
    const bytes = this.#held.shift();
    if (bytes !== undefined) {
      this.#owner.onRaw(bytes);
      return true;
    }
    if (this.#hasFin) this.#reachFin();
    return false;
  }

  #reachFin(): void {
    this.#owner.onLastByte(this.#reader.eof() === "truncated");
  }
}

/** Length of the request body: 0 none, -1 unknown. */
export function bodyLength({ framing }: RequestHead): number {
  if (framing.kind === "length") return framing.length;
  return framing.kind === "none" ? 0 : -1;
}

function hasBody(head: RequestHead): boolean {
  return bodyLength(head) !== 0;
}
