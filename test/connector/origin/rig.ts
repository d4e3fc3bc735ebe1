// This file is a visitor's request to an origin under test, with everything the origin answered on record.
import type { Failure, RequestHead, ResponseHead } from "../../../src/exchange/index.ts";
import { Deadlines } from "../../../src/deadlines.ts";
import { HttpOrigin, type HttpOriginOptions } from "../../../src/connector/origin/http1.ts";
import type { Origin, OriginEvents, OriginExchange } from "../../../src/connector/origin/origin.ts";
import { parseTarget } from "../../../src/connector/target.ts";
import { within } from "../../within.ts";

const encoder = new TextEncoder();

export const bytesOf = (text: string): Uint8Array => encoder.encode(text);
export const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

export interface RequestParts {
  readonly method?: string;
  readonly target?: string;
  readonly authority?: string;
  /** Lines with CRLF. */
  readonly fields?: string;
  /** Absent: no body. -1: unknown. */
  readonly length?: number;
  readonly upgrade?: string;
}

export function requestHead(parts: RequestParts = {}): RequestHead {
  return {
    id: new Uint8Array(16),
    method: parts.method ?? "GET",
    authority: parts.authority ?? "brave-otter.example.com",
    target: bytesOf(parts.target ?? "/"),
    scheme: "https",
    fields: bytesOf(parts.fields ?? ""),
    length: parts.length ?? 0,
    hasBody: parts.length !== undefined,
    upgrade: parts.upgrade,
    acceptsTrailers: false,
    visitor: { address: Uint8Array.of(192, 0, 2, 1), port: 1234, protocol: "http/1.1" },
    tls: undefined,
  };
}

/** One request; what came back, in order and in parts. */
export class Call implements OriginEvents {
  readonly exchange: OriginExchange;
  readonly log: string[] = [];
  readonly interims: { status: number; fields: string }[] = [];
  head: ResponseHead | undefined;
  failed: Failure | undefined;
  cutBy: string | undefined;
  trailers: string | undefined;
  takenBytes = 0;
  onBody: ((bytes: Uint8Array) => void) | undefined;
  #chunks: Uint8Array[] = [];
  #isInsideRequest = true;
  #changed: (() => void)[] = [];

  constructor(origin: Origin, parts: RequestParts = {}) {
    this.exchange = origin.request(requestHead(parts), this);
    this.#isInsideRequest = false;
  }

  get text(): string {
    return Buffer.concat(this.#chunks).toString("latin1");
  }
  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }
  get fields(): string {
    return textOf(this.head?.fields ?? new Uint8Array(0));
  }
  get isOver(): boolean {
    return this.log.some(
      (line) => line === "end" || line.startsWith("failure") || line.startsWith("cut"),
    );
  }

  /** Waits until something holds. */
  async until(what: string, holds: () => boolean): Promise<this> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const check = (): void => {
      if (holds()) resolve();
    };
    this.#changed.push(check);
    check();
    await within(promise, `${what}; so far: ${this.log.join(", ")}`);
    this.#changed = this.#changed.filter((one) => one !== check);
    return this;
  }
  /** Waits for end, failure or cut. */
  over(): Promise<this> {
    return this.until("an answer", () => this.isOver);
  }

  interim(status: number, fields: Uint8Array): void {
    this.interims.push({ status, fields: textOf(fields) });
    this.#note(`interim ${status}`);
  }
  response(head: ResponseHead): void {
    this.head = head;
    this.#note(`response ${head.status}`);
  }
  body(bytes: Uint8Array): void {
    this.#chunks.push(bytes);
    this.onBody?.(bytes);
    this.#note("body");
  }
  end(trailers: Uint8Array | undefined): void {
    this.trailers = trailers === undefined ? undefined : textOf(trailers);
    this.#note("end");
  }
  failure(failure: Failure): void {
    this.failed = failure;
    this.#note(`failure ${failure.code}`);
  }
  cut(cause: "truncated" | "reset"): void {
    this.cutBy = cause;
    this.#note(`cut ${cause}`);
  }
  writable(): void {
    this.#note("writable");
  }
  taken(bytes: number): void {
    this.takenBytes += bytes;
    this.#note("taken");
  }

  #note(line: string): void {
    if (this.#isInsideRequest) throw new Error(`"${line}" came inside request()`);
    if (this.isOver && this.head?.status !== 101)
      throw new Error(`"${line}" came after ${this.log.join(", ")}`);
    this.log.push(line);
    for (const check of this.#changed) check();
  }
}

/** An origin whose deadlines and idle connections end with the test. */
export class Rig {
  readonly origin: HttpOrigin;
  readonly deadlines = new Deadlines((error) => {
    throw error;
  });

  constructor(target: string, options: Partial<HttpOriginOptions> = {}) {
    const parsed = parseTarget(target);
    if (parsed.kind === "static") throw new Error(`"${target}" is not an HTTP origin`);
    this.origin = new HttpOrigin({ target: parsed, deadlines: this.deadlines, ...options });
  }

  call(parts?: RequestParts): Call {
    return new Call(this.origin, parts);
  }

  [Symbol.dispose](): void {
    this.origin.close();
    this.deadlines[Symbol.dispose]();
  }
}
