// This file is one request to an HTTP/1.1 origin and its reply: sent at most once, answered exactly once (http.md §9, §11; S-09..S-11, S-50).
import { copyBytes } from "../../bytes.ts";
import { TunlError } from "../../errors.ts";
import {
  type Failure,
  type FailureCode,
  keepAliveSeconds,
  type RequestHead,
} from "../../exchange/index.ts";
import type { HeaderBlock } from "../../headers/index.ts";
import type { Framing, ResponseHead as Http1ResponseHead } from "../../http1/index.ts";
import { type ConnectionUser, type Loss, OriginConnection } from "./connection.ts";
import type { DialEvents } from "./dial-origin.ts";
import { failure, reasonOf } from "./failures.ts";
import type { HttpOriginParts } from "./http1.ts";
import type { OriginEvents, OriginExchange } from "./origin.ts";
import { endToEnd, hasAccepted, leavesConnection } from "./response-rules.ts";
import { Upload } from "./upload.ts";

/** What a lost connection is: before the head a failure, after it a cut. */
const LOSSES = {
  closed: { code: "ORIGIN_CLOSED", cut: "truncated" },
  reset: { code: "ORIGIN_CLOSED", cut: "reset" },
  invalid: { code: "ORIGIN_INVALID", cut: "truncated" },
  upgrade: { code: "ORIGIN_UPGRADE", cut: "truncated" },
  internal: { code: "INTERNAL", cut: "truncated" },
} as const satisfies Record<Loss, object>;

/**
 * States:
 *
 * ```
 * collecting → dialling → sent → responding → over
 *                  ↑        │ └──→ raw ──────→ over
 *                  └────────┘ once: a reused connection died unheard
 * ```
 *
 * Events come from sockets and timers, never inside `start`. What the events throw ends this exchange: as a failure, or
 * as a cut once the head was told (S-73).
 */
export class Http1Exchange implements OriginExchange, ConnectionUser {
  readonly #parts: HttpOriginParts;
  readonly #head: RequestHead;
  readonly #events: OriginEvents;
  readonly #serverName: string;
  readonly #upload: Upload;
  #state: "collecting" | "dialling" | "sent" | "responding" | "raw" | "over" = "collecting";
  #connection: OriginConnection | undefined;
  #cancelDial: (() => void) | undefined;
  #isReused = false;
  /** An earlier connection may have brought the request to the origin. */
  #mayHaveBeenSent = false;
  #isPaused = false;
  #isReusable = false;
  #keepAliveSeconds: number | undefined;
  #isOriginEnded = false;

  constructor(parts: HttpOriginParts, head: RequestHead, events: OriginEvents) {
    this.#parts = parts;
    this.#head = head;
    this.#events = events;
    this.#serverName = parts.tls?.serverName(parts.rewrite.host(head)) ?? "";
    const framing = framingOf(head);
    this.#upload = new Upload(framing, parts.collectsBodies && framing.kind === "chunked", {
      taken: (bytes) => {
        if (this.#state !== "over") events.taken(bytes);
      },
      collected: (bytes) => {
        this.#guard(() => {
          if (this.#state !== "over") events.taken(bytes);
        });
      },
      writable: () => {
        if (this.#state !== "over") events.writable();
      },
    });
  }

  start(): void {
    if (!this.#upload.isCollecting) this.#connect();
  }

  write(bytes: Uint8Array): "more" | "pause" {
    if (this.#state === "over" || bytes.length === 0) return "more";
    try {
      return this.#upload.write(bytes);
    } catch (error) {
      this.#misbehave(error);
      return "more";
    }
  }

  end(trailers?: Uint8Array): void {
    if (this.#state === "over" || this.#upload.isEnded) return;
    if (!this.#upload.end(trailers)) this.#misbehave(new Error("The request body ended short"));
    else if (this.#state === "collecting") this.#connect();
  }

  abort(): void {
    this.#cancelDial?.();
    this.#finish()?.reset();
  }

  pause(): void {
    this.#isPaused = true;
    this.#connection?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#connection?.resume();
  }

  // The request on its way.

  #connect(): void {
    this.#state = "dialling";
    // What must not be sent twice takes no connection that the origin may be closing just now.
    const mustBeFresh = !isRepeatable(this.#head.method);
    const pooled = this.#parts.pool.take(this.#serverName, mustBeFresh);
    if (pooled === undefined) return this.#dial();
    this.#isReused = true;
    this.#attach(pooled);
  }

  #dial(): void {
    this.#isReused = false;
    const { dialer, sockets, idle } = this.#parts;
    const events: DialEvents = {
      connected: (socket) => {
        this.#cancelDial = undefined;
        const connection = new OriginConnection(socket, this.#serverName, this.#parts);
        this.#guard(() => this.#attach(connection));
      },
      failed: ({ code, sent, detail }) => {
        this.#cancelDial = undefined;
        this.#guard(() => this.#fail({ code, sent: sent || this.#mayHaveBeenSent, detail }));
      },
    };
    const makeRoom = (): boolean => idle.dropOldest();
    this.#cancelDial = sockets.dial(dialer, this.#serverName, events, makeRoom);
  }

  #attach(connection: OriginConnection): void {
    const { method, target, upgrade, hasBody } = this.#head;
    const { rewrite, pool, addedFields } = this.#parts;
    this.#connection = connection;
    this.#state = "sent";
    connection.use(this, method, upgrade);
    if (this.#isPaused) connection.pause();
    try {
      const head = connection.writer.head({
        line: { method, target },
        host: rewrite.host(this.#head),
        fields: joined(rewrite.requestFields(this.#head), addedFields),
        framing: this.#upload.framing,
        ...(upgrade === undefined
          ? { connection: pool.isKeeping ? "keep-alive" : "close" }
          : { connection: "upgrade", upgrade }),
      });
      this.#upload.begin(connection, head);
      if (!hasBody) connection.writer.end();
      else if (!this.#upload.sendBody()) throw new TunlError("BODY_SHORT", "Body ended short");
    } catch (error) {
      this.#misbehave(error);
    }
  }

  /** The caller sent something else than it announced: what the origin has of it must not look whole (S-10, S-64). */
  #misbehave(error: unknown): void {
    const isAnswering = this.#state === "responding";
    const wasSent = this.#connection !== undefined || this.#mayHaveBeenSent;
    this.#connection?.reset();
    this.#connection = undefined;
    const isTooLong = error instanceof TunlError && error.code === "LENGTH_REQUIRED";
    const code = isTooLong ? "LENGTH_REQUIRED" : "BAD_REQUEST";
    // Never inside the call that caused it.
    queueMicrotask(() =>
      this.#guard(() => {
        if (isAnswering) this.#cut("truncated");
        else this.#fail(failure(code, wasSent, reasonOf(error)));
      }),
    );
  }

  // The connection's side.

  taken(bytes: number): void {
    this.#upload.taken(bytes);
    this.#upload.continueIfRoom();
  }

  drained(): void {
    this.#upload.continueIfRoom();
  }

  head(head: Http1ResponseHead): void {
    const fields = endToEnd(this.#parts.rewrite, this.#head, head);
    if (typeof fields === "string") return this.#refuse("ORIGIN_INVALID", fields);
    if (head.status === 101) return this.#upgraded(head, fields);
    if (head.status < 200) return this.#events.interim(head.status, fields);
    this.#state = "responding";
    this.#isReusable = this.#parts.pool.isKeeping && leavesConnection(this.#head, head);
    if (this.#isReusable) this.#keepAliveSeconds = keepAliveSeconds(head.fields);
    this.#events.response({
      status: head.status,
      reason: head.reason,
      fields,
      length: head.contentLength,
      hasBody: head.framing.kind !== "none",
    });
    this.#upload.drop();
  }

  body(bytes: Uint8Array): void {
    this.#events.body(bytes);
  }

  complete(trailers: HeaderBlock | undefined, isExact: boolean): void {
    const connection = this.#finish();
    const isSent = this.#upload.isEnded || !this.#head.hasBody;
    if (connection !== undefined) {
      if (isExact && isSent && this.#isReusable && connection.outlet.queued === 0) {
        connection.release();
        this.#parts.pool.put(connection, this.#keepAliveSeconds);
      } else if (isSent) connection.close();
      // The rest of the request never comes: what the origin has of it must not look whole (S-10).
      else connection.reset();
    }
    this.#events.end(trailers?.lines);
  }

  halfClosed(): void {
    this.#isOriginEnded = true;
    this.#events.end(undefined);
  }

  lost(loss: Loss, detail: string): void {
    this.#guard(() => this.#lost(loss, detail));
  }

  #lost(loss: Loss, detail: string): void {
    const hasRead = this.#connection?.hasRead ?? false;
    const wasSent = this.#connection?.mayHaveSent ?? false;
    this.#connection = undefined;
    const { code, cut } = LOSSES[loss];
    if (this.#state === "raw") {
      // Both directions were finished: the ordinary end of an upgraded connection.
      if (this.#isOriginEnded && this.#upload.isEnded && loss === "closed") this.#finish();
      else this.#cut(this.#isOriginEnded ? "reset" : cut);
    } else if (this.#state === "responding") this.#cut(cut);
    else if (loss !== "internal" && !hasRead && this.#isResendable(wasSent)) {
      this.#mayHaveBeenSent ||= wasSent;
      this.#state = "dialling";
      this.#dial();
    } else {
      const sent = wasSent || this.#mayHaveBeenSent;
      this.#fail(failure(code, sent, `${this.#parts.url}: ${detail}`));
    }
  }

  /** A reused connection may have been closed by the origin before it saw the request (http.md §11). A body is not kept. */
  #isResendable(wasSent: boolean): boolean {
    return this.#isReused && !this.#head.hasBody && (!wasSent || isRepeatable(this.#head.method));
  }

  #upgraded(head: Http1ResponseHead, fields: Uint8Array): void {
    if (this.#head.upgrade === "websocket" && !hasAccepted(this.#head, head)) {
      return this.#refuse("ORIGIN_UPGRADE", "Sec-WebSocket-Accept is wrong");
    }
    this.#state = "raw";
    this.#events.response({
      status: 101,
      reason: head.reason,
      fields,
      length: -1,
      hasBody: true,
    });
    if (this.#connection !== undefined) this.#upload.sendRaw();
  }

  // Ends.

  /** The answer cannot be passed on; the connection goes with it. */
  #refuse(code: FailureCode, detail: string): void {
    this.#finish()?.reset();
    this.#events.failure(failure(code, true, `${this.#parts.url}: ${detail}`));
  }

  #fail(what: Failure): void {
    if (this.#state === "over") return;
    this.#finish();
    this.#events.failure(what);
  }

  #cut(cause: "truncated" | "reset"): void {
    if (this.#state === "over") return;
    this.#finish();
    this.#events.cut(cause);
  }

  /** Runs what does not come through the connection, which has a guard of its own. */
  #guard(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#fault(error);
    }
  }

  #fault(error: unknown): void {
    this.#parts.onBug(error);
    if (this.#state === "over") return;
    const isAnswering = this.#state === "responding" || this.#state === "raw";
    this.#cancelDial?.();
    const connection = this.#finish();
    connection?.reset();
    const wasSent = connection !== undefined || this.#mayHaveBeenSent;
    try {
      if (isAnswering) this.#events.cut("truncated");
      else this.#events.failure(failure("INTERNAL", wasSent, reasonOf(error)));
    } catch (second) {
      this.#parts.onBug(second);
    }
  }

  /** @returns The connection, in the hands of the caller. */
  #finish(): OriginConnection | undefined {
    const connection = this.#connection;
    this.#state = "over";
    this.#connection = undefined;
    return connection;
  }
}

/** Two sections of lines as one. */
function joined(fields: Uint8Array, added: Uint8Array): Uint8Array {
  if (added.length === 0) return fields;
  const all = new Uint8Array(fields.length + added.length);
  copyBytes(fields, 0, fields.length, all, 0);
  copyBytes(added, 0, added.length, all, fields.length);
  return all;
}

/** Safe to send again and harmless to have sent twice (http.md §11). */
function isRepeatable(method: string): boolean {
  return method === "GET" || method === "HEAD" || method === "OPTIONS";
}

function framingOf(head: RequestHead): Framing {
  if (!head.hasBody) return { kind: "none" };
  return head.length < 0 ? { kind: "chunked" } : { kind: "length", length: head.length };
}
