// This file is how a body travels in a direction: bare bytes of a known length, or runs when it is unknown. PROTOCOL §12.2.
import { TunlError } from "../errors.ts";
import { reached } from "../limits.ts";
import { spent } from "../received.ts";

/** Largest trailer section, bytes. */
export const TRAILERS_MAX = 8 * 1024;
/** Runs at most this long are put behind their length in one piece; longer ones are not copied. */
const SMALL_RUN = 4 * 1024;

/** What the other end sent breaks the form of a body. Ends the exchange, never the session. */
export class BodyFault extends TunlError {
  constructor(message: string) {
    super("BODY_FAULT", message);
  }
}

/** What a direction carries behind its messages. */
export type BodyKind =
  | { readonly kind: "none" }
  | { readonly kind: "known"; readonly length: number }
  | { readonly kind: "runs" }
  | { readonly kind: "raw" };

/** Takes content as it is found; `overhead` are bytes that carried none. */
export interface ContentSink {
  content(bytes: Uint8Array): void;
  overhead(bytes: number): void;
}

type Phase = "length" | "run" | "trailerLength" | "trailers" | "end";

/** Finds the content in the bytes of a direction. */
export class BodyReader {
  readonly #body: BodyKind;
  readonly #sink: ContentSink;
  #left: number;
  #phase: Phase = "length";
  /** The u32 being read. */
  #number = 0;
  #digits = 0;
  #trailers: Uint8Array | undefined;
  #trailersLength = 0;

  constructor(body: BodyKind, sink: ContentSink) {
    this.#body = body;
    this.#sink = sink;
    this.#left = body.kind === "known" ? body.length : 0;
  }

  /** @throws BodyFault More bytes than the body has. */
  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    switch (this.#body.kind) {
      case "raw":
        this.#sink.content(bytes);
        return;
      case "runs":
        this.#runs(bytes);
        return;
      default:
        if (bytes.length > this.#left)
          throw new BodyFault(`Received ${bytes.length - this.#left} bytes behind the body`);
        this.#left -= bytes.length;
        this.#sink.content(bytes);
    }
  }

  /**
   * The direction ended.
   * @returns The trailer lines of runs that had some.
   * @throws BodyFault Bytes are missing.
   */
  end(): Uint8Array | undefined {
    if (this.#body.kind === "runs") {
      if (this.#phase !== "end")
        throw new BodyFault("The stream ended inside a body of unknown length");
      return this.#trailers;
    }
    if (this.#left > 0)
      throw new BodyFault(`The stream ended ${this.#left} bytes before the end of the body`);
    return undefined;
  }

  #runs(bytes: Uint8Array): void {
    let at = 0;
    let overhead = 0;
    while (at < bytes.length) {
      switch (this.#phase) {
        case "run": {
          const end = Math.min(bytes.length, at + this.#left);
          this.#left -= end - at;
          if (this.#left === 0) this.#phase = "length";
          this.#sink.content(bytes.subarray(at, end));
          at = end;
          break;
        }
        case "trailers": {
          const trailers = this.#trailers as Uint8Array;
          const end = Math.min(bytes.length, at + trailers.length - this.#trailersLength);
          trailers.set(bytes.subarray(at, end), this.#trailersLength);
          this.#trailersLength += end - at;
          overhead += end - at;
          at = end;
          if (this.#trailersLength === trailers.length) this.#phase = "end";
          break;
        }
        case "end":
          throw new BodyFault("Received bytes behind the end of a body of unknown length");
        default:
          this.#number = this.#number * 256 + (bytes[at] as number);
          this.#digits += 1;
          at += 1;
          overhead += 1;
          if (this.#digits === 4) this.#counted();
      }
    }
    if (overhead === 0) return;
    spent(bytes, overhead);
    this.#sink.overhead(overhead);
  }

  #counted(): void {
    const number = this.#number;
    this.#number = 0;
    this.#digits = 0;
    if (this.#phase === "length") {
      this.#left = number;
      this.#phase = number === 0 ? "trailerLength" : "run";
      return;
    }
    if (number > TRAILERS_MAX) {
      reached("tunnelTrailers");
      throw new BodyFault(`Received ${number} bytes of trailers, allowed ${TRAILERS_MAX}`);
    }
    if (number === 0) {
      this.#phase = "end";
      return;
    }
    this.#trailers = new Uint8Array(number);
    this.#phase = "trailers";
  }
}

/** Where encoded bytes go. */
export interface BodyTarget {
  write(bytes: Uint8Array, isWhole?: boolean): "more" | "pause";
}

/** Puts content into the bytes of a direction. */
export class BodyWriter {
  readonly #body: BodyKind;
  #target: BodyTarget;
  #left: number;

  constructor(body: BodyKind, target: BodyTarget) {
    this.#body = body;
    this.#target = target;
    this.#left = body.kind === "known" ? body.length : 0;
  }

  /** What follows goes there: behind what was written so far, which the caller brought there too. */
  moveTo(target: BodyTarget): void {
    this.#target = target;
  }

  /**
   * Content of our side; ownership passes.
   * @throws BodyFault More content than was announced.
   */
  write(bytes: Uint8Array): "more" | "pause" {
    if (bytes.length === 0) return "more";
    if (this.#body.kind === "raw") return this.#target.write(bytes);
    if (this.#body.kind === "runs") return this.#run(bytes);
    if (bytes.length > this.#left)
      throw new BodyFault(`Sending ${bytes.length - this.#left} bytes more than announced`);
    this.#left -= bytes.length;
    return this.#target.write(bytes);
  }

  /** Closes the form of the body. @returns False: content is missing, the direction must be reset instead of finished. */
  end(trailers: Uint8Array | undefined): boolean {
    if (this.#body.kind !== "runs") return this.#left === 0;
    const length = trailers === undefined || trailers.length > TRAILERS_MAX ? 0 : trailers.length;
    const bytes = new Uint8Array(8 + length);
    writeU32(bytes, 4, length);
    if (length > 0 && trailers !== undefined) bytes.set(trailers, 8);
    this.#target.write(bytes, true);
    return true;
  }

  #run(bytes: Uint8Array): "more" | "pause" {
    if (bytes.length <= SMALL_RUN) {
      const run = new Uint8Array(4 + bytes.length);
      writeU32(run, 0, bytes.length);
      run.set(bytes, 4);
      spent(bytes);
      return this.#target.write(run, true);
    }
    const head = new Uint8Array(4);
    writeU32(head, 0, bytes.length);
    this.#target.write(head, true);
    return this.#target.write(bytes);
  }
}

function writeU32(into: Uint8Array, at: number, value: number): void {
  into[at] = value >>> 24;
  into[at + 1] = value >>> 16;
  into[at + 2] = value >>> 8;
  into[at + 3] = value;
}
