// This file is one side of a connection written message by message: heads and content in, bytes out. http.md §3, §3.2.
import { cloneBytes } from "../bytes.ts";
import { bug } from "../errors.ts";
import { BodyEncoder } from "./body-encoder.ts";
import { headCapacity, type HeadToWrite, writeHead } from "./serializer.ts";

/**
 * Writes messages one after the other; what it returns is ready for a socket, in order.
 *
 * The `Into` forms copy into a buffer of the caller, so that a head and the first bytes of its body leave in one write.
 */
export interface Writer {
  /** True between `head` and a successful `end`. */
  readonly isOpen: boolean;
  /** Begins a message. @throws TunlError as `writeHead`; BUG while a message is open */
  head(head: HeadToWrite): Uint8Array;
  /** The same into `target`, which has `headCapacity(head)` bytes behind `offset`; returns the offset behind it. */
  headInto(head: HeadToWrite, target: Uint8Array, offset: number): number;
  /** Content, framed. @throws TunlError `BODY_OVERRUN` for a byte too many */
  body(bytes: Uint8Array): readonly Uint8Array[];
  /** The same into `target`, which has `bytes.length + CHUNK_OVERHEAD` bytes behind `offset`. */
  bodyInto(bytes: Uint8Array, target: Uint8Array, offset: number): number;
  /** `false`: bytes are missing, abort instead. Trailer lines are written in a chunked body, else dropped. */
  end(trailers?: Uint8Array): readonly Uint8Array[] | false;
}

/** Writes requests to an origin. */
export function requestWriter(): Writer {
  return new MessageWriter("method");
}

/** Writes responses to a visitor. */
export function responseWriter(): Writer {
  return new MessageWriter("status");
}

/** Every usual head fits; larger ones get a buffer of their own. */
const scratch = new Uint8Array(8 * 1024);

class MessageWriter implements Writer {
  readonly #line: "method" | "status";
  readonly #encoder = new BodyEncoder();

  constructor(line: "method" | "status") {
    this.#line = line;
  }

  get isOpen(): boolean {
    return this.#encoder.isOpen;
  }

  head(head: HeadToWrite): Uint8Array {
    const capacity = headCapacity(head);
    // Written to a shared place first: a copy of the right size is cheaper than a view of one too large.
    const bytes = capacity <= scratch.length ? scratch : new Uint8Array(capacity);
    return cloneBytes(bytes, 0, this.headInto(head, bytes, 0));
  }

  headInto(head: HeadToWrite, target: Uint8Array, offset: number): number {
    if (this.#encoder.isOpen) bug("a head is written inside a message");
    if (!(this.#line in head.line)) bug("a head is written in the wrong direction");
    const end = writeHead(head, target, offset);
    this.#encoder.begin(head.framing);
    return end;
  }

  body(bytes: Uint8Array): readonly Uint8Array[] {
    this.#assertOpen();
    return this.#encoder.encode(bytes);
  }

  bodyInto(bytes: Uint8Array, target: Uint8Array, offset: number): number {
    this.#assertOpen();
    return this.#encoder.encodeInto(bytes, target, offset);
  }

  end(trailers?: Uint8Array): readonly Uint8Array[] | false {
    this.#assertOpen();
    return this.#encoder.finish(trailers);
  }

  #assertOpen(): void {
    if (!this.#encoder.isOpen) bug("content is written outside a message");
  }
}
