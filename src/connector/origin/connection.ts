// This file is one connection to an origin: its bytes to steps of the reader, its end to a word (http.md §3, §11; S-08, S-11).
import type { Socket } from "node:net";

import { type LimitName, reached } from "../../limits.ts";
import { pauseReading } from "../../pause.ts";
import { received } from "../../received.ts";
import { Outlet, type OutletEvents } from "../../exchange/index.ts";
import {
  type FaultCode,
  Http1Error,
  requestWriter,
  RESPONSE_LIMITS,
  type ResponseHead,
  responseReader,
  type ResponseReader,
  type Writer,
} from "../../http1/index.ts";
import type { HeaderBlock } from "../../headers/index.ts";
import type { OnBug } from "./failures.ts";

/** Why a connection was lost in the middle of an exchange. `invalid`: it broke http.md §3.1; `upgrade`: with a wrong 101. */
export type Loss = "closed" | "reset" | "invalid" | "upgrade" | "internal";

/** The exchange that has a connection for itself. */
export interface ConnectionUser {
  /** Interim heads, then the final one. */
  head(head: ResponseHead): void;
  body(bytes: Uint8Array): void;
  /** The response is complete. `isExact`: by its own framing, and nothing stood behind it. */
  complete(trailers: HeaderBlock | undefined, isExact: boolean): void;
  /** After a 101: the origin's half is closed, ours is not. */
  halfClosed(): void;
  /** The connection is gone, already destroyed; nothing follows. Never throws. */
  lost(loss: Loss, detail: string): void;
  /** The kernel took bytes of the connection, framing included. */
  taken(bytes: number): void;
  drained(): void;
}

/** Who keeps idle connections and hears of faults. */
export interface ConnectionOwner {
  /** It ended while idle: it is destroyed, the pool forgets it. */
  onIdleEnd(connection: OriginConnection): void;
  readonly onBug: OnBug;
}

/**
 * States:
 *
 * ```
 * idle ⇄ busy → raw (after a 101) → over
 *   └──────┴────────────────────────┘
 * ```
 *
 * In `idle` any byte and any end closes it (S-09). `over` is left never: what the socket still emits after our own
 * destroy is no news of the origin (platform.md §0 trap 19).
 *
 * Every event of the socket and the outlet comes in here, and nothing thrown leaves: a fault of ours or of the user
 * resets this connection and loses this exchange (S-73).
 */
export class OriginConnection implements OutletEvents {
  readonly serverName: string;
  readonly outlet: Outlet;
  readonly writer: Writer = requestWriter();
  readonly #socket: Socket;
  readonly #reader: ResponseReader = responseReader(RESPONSE_LIMITS);
  readonly #owner: ConnectionOwner;
  #state: "idle" | "busy" | "raw" | "over" = "idle";
  #user: ConnectionUser | undefined;
  #hasRead = false;
  #hasSent = false;

  /**
   * @param socket Connected, half-open; nothing was read from it.
   */
  constructor(socket: Socket, serverName: string, owner: ConnectionOwner) {
    this.serverName = serverName;
    this.#socket = socket;
    this.#owner = owner;
    this.outlet = new Outlet(socket, this, true);
    socket.on("error", this.#onError);
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
    socket.on("close", this.#onClose);
  }

  /** True once a byte of the response came: after that nothing is sent again. */
  get hasRead(): boolean {
    return this.#hasRead;
  }

  /** False while no byte of the request can have left: it never reached the origin. */
  get mayHaveSent(): boolean {
    return this.#hasSent || this.outlet.isWriting;
  }

  /** Gives the connection to an exchange whose response is read next. */
  use(user: ConnectionUser, method: string, upgrade: string | undefined): void {
    this.#reader.expect(method, upgrade);
    this.#state = "busy";
    this.#user = user;
    this.#hasRead = false;
    this.#hasSent = false;
  }

  /** Takes it back after a clean exchange; its reader goes on watching. */
  release(): void {
    this.#state = "idle";
    this.#user = undefined;
    this.#socket.resume();
  }

  pause(): void {
    pauseReading(this.#socket);
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Closes it for good: FIN. */
  close(): void {
    if (!this.#leave()) return;
    this.outlet.discard();
    this.#socket.destroy();
  }

  /** Aborts it: RST, so that what was sent is not taken for whole (S-10). */
  reset(): void {
    if (!this.#leave()) return;
    this.outlet.reset();
  }

  taken(bytes: number): void {
    this.#hasSent = true;
    try {
      this.#user?.taken(bytes);
    } catch (error) {
      this.#fault(error);
    }
  }

  drained(): void {
    try {
      this.#user?.drained();
    } catch (error) {
      this.#fault(error);
    }
  }

  failed(error: Error): void {
    // A part of the write may have left before it failed.
    this.#hasSent = true;
    this.#lose("reset", messageOf(error));
  }

  readonly #onData = (chunk: Uint8Array): void => {
    received(chunk);
    try {
      this.#receive(chunk);
    } catch (error) {
      this.#fault(error);
    }
  };

  #receive(chunk: Uint8Array): void {
    switch (this.#state) {
      case "busy":
        // It left the pool a moment ago, and this was meant for somebody else or for nobody (S-09).
        if (!this.mayHaveSent) return this.#lose("invalid", "the origin spoke before it was asked");
        this.#hasRead = true;
        this.#reader.feed(chunk);
        this.#read();
        return;
      case "raw":
        this.#user?.body(chunk);
        return;
      case "idle":
        this.#endIdle();
        return;
      case "over":
        return;
      default:
        this.#state satisfies never;
    }
  }

  readonly #onEnd = (): void => {
    try {
      this.#receiveEnd();
    } catch (error) {
      this.#fault(error);
    }
  };

  #receiveEnd(): void {
    if (this.#state === "idle") return this.#endIdle();
    if (this.#state === "raw") return this.#user?.halfClosed();
    if (this.#state !== "busy") return;
    if (this.#reader.eof() === "finished") return this.#user?.complete(undefined, false);
    this.#lose("closed", "the origin closed the connection");
  }

  readonly #onError = (error: Error): void => {
    if (this.#state === "idle") this.#endIdle();
    else this.#lose("reset", messageOf(error));
  };

  readonly #onClose = (): void => {
    if (this.#state === "idle") this.#endIdle();
    else this.#lose("closed", "the connection closed");
  };

  /** Takes steps until the reader wants bytes; each may end in an abort by the user. */
  #read(): void {
    const user = this.#user;
    let trailers: HeaderBlock | undefined;
    while (this.#state === "busy" && user !== undefined) {
      const step = this.#step();
      switch (step) {
        case "head":
          user.head(this.#reader.head);
          this.#reader.spendHead();
          break;
        case "body":
          user.body(this.#reader.body);
          break;
        case "trailers":
          trailers = this.#reader.trailers;
          break;
        case "end":
          return user.complete(trailers, this.#reader.held === 0);
        case "upgraded": {
          this.#state = "raw";
          const rest = this.#reader.rest();
          if (rest.length > 0) user.body(rest);
          return;
        }
        case "needBytes":
        case "lost":
          return;
        default:
          step satisfies never;
      }
    }
  }

  #step(): ReturnType<ResponseReader["next"]> | "lost" {
    try {
      return this.#reader.next();
    } catch (error) {
      if (!(error instanceof Http1Error)) throw error;
      const limit = LIMIT_OF[error.code];
      if (limit !== undefined) reached(limit);
      const loss = error.code === "WRONG_UPGRADE" ? "upgrade" : "invalid";
      this.#lose(loss, `${error.code}: ${error.message}`);
      return "lost";
    }
  }

  #endIdle(): void {
    this.close();
    this.#owner.onIdleEnd(this);
  }

  #lose(loss: Loss, detail: string): void {
    const user = this.#user;
    if (!this.#leave()) return;
    this.#hasSent = this.mayHaveSent;
    this.outlet.discard();
    this.#socket.destroy();
    user?.lost(loss, detail);
  }

  /** RST: what the origin has of the request must not look whole (S-10). */
  #fault(error: unknown): void {
    this.#owner.onBug(error);
    if (this.#state === "idle") return this.#endIdle();
    const user = this.#user;
    if (!this.#leave()) return;
    this.#hasSent = this.mayHaveSent;
    this.outlet.reset();
    user?.lost("internal", messageOf(error));
  }

  /** @returns False when it was over already. */
  #leave(): boolean {
    if (this.#state === "over") return false;
    this.#state = "over";
    this.#user = undefined;
    return true;
  }
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "code" in error ? `${String(error.code)}: ${error.message}` : error.message;
}

/** Faults that are a limit, not a mistake. */
const LIMIT_OF: Readonly<Partial<Record<FaultCode, LimitName>>> = {
  SECTION_TOO_LARGE: "originHeaderBytes",
  TOO_MANY_FIELDS: "originHeaderFields",
  TOO_MANY_INTERIM: "originInterim",
};
