// This file is a TLS socket as a link: whole batches in, chunks out, one write outstanding. PROTOCOL §6.4, §6.5.
import type { TLSSocket } from "node:tls";
import { pauseReading } from "../pause.ts";
import { received } from "../received.ts";
import { giveStaging } from "../staging.ts";
import type { LinkLoss } from "./core/index.ts";
import { boundUnsent, type KernelTuning, tuningOf, wishForBbr } from "./kernel.ts";

/** A path this short has no queue worth avoiding, ms: the kernel may take what it likes. */
const NEAR_MS = 5;
/** A FIN that cannot leave waits no longer, ms. */
const CLOSE_MS = 1_000;

export interface LinkEvents {
  bytes(bytes: Uint8Array): void;
  /** The batch has wholly left into the kernel. */
  writable(): void;
  /** The socket is gone; called once, nothing follows. */
  lost(cause: LinkLoss): void;
}

export class SocketLink {
  readonly #socket: TLSSocket;
  readonly #events: LinkEvents;
  #buffer: Buffer | undefined;
  #isOver = false;

  /** Takes over an established socket: its listeners are ours from here on. */
  constructor(socket: TLSSocket, events: LinkEvents) {
    this.#socket = socket;
    this.#events = events;
    socket.on("error", (error: Error & { code?: string }) => {
      this.#lose(error.code === "ECONNRESET" ? "rst" : error.code === "EPIPE" ? "write" : "tls");
    });
    socket.on("end", () => this.#lose("fin"));
    socket.on("close", () => this.#lose("fin"));
    socket.on("data", (chunk: Uint8Array) => {
      received(chunk);
      if (!this.#isOver) events.bytes(chunk);
    });
    socket.resume();
  }

  get isIdle(): boolean {
    return this.#buffer === undefined && !this.#isOver;
  }

  /** Writes the first `length` bytes of a buffer of `takeStaging`; ownership passes. The link must be idle. */
  write(buffer: Buffer, length: number): void {
    this.#buffer = buffer;
    this.#socket.write(buffer.subarray(0, length), this.#written);
  }

  /** Asks the kernel for what suits a link of this round trip. */
  tune(rttMs: number | undefined): void {
    if (this.#isOver) return;
    wishForBbr(this.#socket);
    if (rttMs !== undefined && rttMs > NEAR_MS) boundUnsent(this.#socket);
  }

  get tuning(): KernelTuning {
    return tuningOf(this.#socket);
  }

  /** No more bytes are read: the kernel's buffer fills, then the peer's. A FIN goes unnoticed meanwhile. */
  pause(): void {
    pauseReading(this.#socket);
  }

  resume(): void {
    if (!this.#isOver) this.#socket.resume();
  }

  /** Ends the link after what was written; a peer that does not read cannot hold it. */
  close(): void {
    this.#isOver = true;
    if (this.#buffer !== undefined) {
      this.#socket.destroy();
      return;
    }
    this.#socket.destroySoon();
    setTimeout(() => this.#socket.destroy(), CLOSE_MS).unref();
  }

  /** The socket was destroyed before its events were listened to. */
  fail(): void {
    this.#lose("rst");
  }

  readonly #written = (error?: Error | null): void => {
    const buffer = this.#buffer;
    this.#buffer = undefined;
    if (buffer !== undefined) giveStaging(buffer);
    if (this.#isOver) return;
    // Without this look a callback that writes again would spin for ever after a destroy.
    if (error) this.#lose("write");
    else this.#events.writable();
  };

  #lose(cause: LinkLoss): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#socket.destroy();
    this.#events.lost(cause);
  }
}
