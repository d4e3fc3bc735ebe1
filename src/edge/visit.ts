// This file is the seam between a visitor's protocol and the pipeline: what `listen/http1` (and later h2) brings to `serve`.
import type { CanonicalRequest } from "./request.ts";

/** Receives the request body from the visitor's connection. */
export interface BodySink {
  bytes(bytes: Uint8Array): void;
  /** The body is complete (at once for a request without body). For an upgraded connection: the visitor's FIN. */
  end(trailers: Uint8Array | undefined): void;
}

/** The request body, pulled. Nothing is delivered before `start`; an `Expect: 100-continue` is answered by `start`. */
export interface VisitorBody {
  /** Exact length, 0 for none, -1 unknown. */
  readonly length: number;
  readonly hasBody: boolean;
  start(sink: BodySink): void;
  /**
   * Where more is to come, nothing of it is read off the visitor's connection before `start`, or `resume` after a `pause`.
   * @returns Bytes that are here already, and wait.
   */
  withhold(): number;
  pause(): void;
  resume(): void;
}

/** What the visitor's connection tells the pipeline about the reply. */
export interface ReplyEvents {
  /** The local kernel took this many body bytes. */
  taken(bytes: number): void;
  /**
   * The visitor is gone, or its request body ended short, or a limit cut it; nothing can be written any more.
   * `cause` "left": FIN or RST of the visitor; "short": the body ended before its length; "stalled": does not read.
   */
  gone(cause: "left" | "short" | "stalled"): void;
}

/** A response head towards the visitor. `fields` without framing, Connection and hop-by-hop. */
export interface ReplyHead {
  readonly status: number;
  readonly reason: Uint8Array;
  readonly fields: Uint8Array;
  /** Exact length, -1 unknown. */
  readonly length: number;
  readonly hasBody: boolean;
}

/** The reply, written by the pipeline. Calls after `end`, `cut` or `gone` are ignored. */
export interface Reply {
  readonly isHeadSent: boolean;
  interim(status: number, fields: Uint8Array): void;
  head(head: ReplyHead): void;
  /** A 101: writes the head with `Upgrade` and `Connection: upgrade`; afterwards `body` and the request's BodySink carry raw bytes. */
  upgrade(protocol: string, fields: Uint8Array): void;
  /** Body bytes; the sum of `ReplyEvents.taken` follows. Never more than the stream's credit waits here. */
  body(bytes: Uint8Array): void;
  /** Complete: the connection may serve its next request. For upgraded: FIN after the bytes. */
  end(trailers: Uint8Array | undefined): void;
  /** The response was cut: it must not look whole (S-11, http.md §5.3). "reset" passes an RST of an upgraded stream. */
  cut(cause: "truncated" | "reset"): void;
  /** It is complete, and the session it came through is gone: what waits for the visitor is nobody's but the edge's. */
  orphan(): void;
}

/** One request as the visitor's protocol brings it. */
export interface Visit {
  readonly request: CanonicalRequest;
  readonly body: VisitorBody;
  readonly reply: Reply;
  /** Given by the pipeline before it returns from `serve`. */
  events: ReplyEvents | undefined;
}

/** The pipeline's entry; `edge/serve.ts` implements it. Never throws. */
export type Serve = (visit: Visit) => void;
