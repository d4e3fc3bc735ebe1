// This file is the interface of every kind of origin: one request in, its reply as events.
import type { Failure, RequestHead, ResponseHead } from "../../exchange/index.ts";

/** What an origin tells about one request. Called synchronously; nothing follows `end`, `failure` or `cut`. */
export interface OriginEvents {
  /** 102..199 except 101. */
  interim(status: number, fields: Uint8Array): void;
  /** `fields` are validated lines, hop-by-hop and framing removed. Status 101: both directions are raw bytes afterwards. */
  response(head: ResponseHead): void;
  /** Answer with `OriginExchange.consumed`. */
  body(bytes: Uint8Array): void;
  end(trailers: Uint8Array | undefined): void;
  /** Before any head. */
  failure(failure: Failure): void;
  /** After the head the origin's bytes ended early: "truncated" by an early end or invalid bytes, "reset" by RST. */
  cut(cause: "truncated" | "reset"): void;
  /** After `write` answered "pause". */
  writable(): void;
  /** `bytes` given to `write` were taken by the local kernel (credit for the tunnel). Sum over calls equals what was written, unless cut. */
  taken(bytes: number): void;
}

/** One request in progress. */
export interface OriginExchange {
  /** Request body, raw bytes after a 101. May be called before a connection exists: the bytes wait (bounded by stream credit). */
  write(bytes: Uint8Array): "more" | "pause";
  /** The request body is complete (or, after a 101, our half is closed). */
  end(trailers?: Uint8Array): void;
  /** The visitor is gone or the body was cut: the origin connection is destroyed, never reused (S-10). No event follows. */
  abort(): void;
  /** Holds back and resumes reading of the origin's bytes. */
  pause(): void;
  resume(): void;
}

/** A local service that answers requests. */
export interface Origin {
  /** As shown to people: "http://localhost:8000". */
  readonly url: string;
  /** Connections kept for later; undefined where there are none to keep. */
  readonly idleConnections?: number;
  /** Starts one request. `fields` of `head` were validated by the caller. Events come asynchronously, never inside this call. */
  request(head: RequestHead, events: OriginEvents): OriginExchange;
  /** Destroys idle connections; requests in progress go on. */
  close(): void;
}
