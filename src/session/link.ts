// This file is a TLS socket as a link: whole batches in, chunks out, one write outstanding. PROTOCOL §6.4, §6.5.
import type { TLSSocket } from "node:tls";
import { BATCH_BYTES } from "../wire/index.ts";
import type { LinkLoss } from "./core/index.ts";

/** Buffers kept for the next batch; a link needs one only while its write is outstanding. */
const SPARE_BUFFERS = 16;
/** A FIN that cannot leave waits no longer, ms. */
const CLOSE_MS = 1_000;

export interface LinkEvents {
  bytes(bytes: Uint8Array): void;
  /** The batch has wholly left into the kernel. */
  writable(): void;
  /** The socket is gone; called once, nothing follows. */
  lost(cause: LinkLoss): void;
}

const spare: Uint8Array[] = [];

/**
 * A buffer of `BATCH_BYTES` for the next batch, shared by all links: the socket keeps what it is given until the
 * write's callback, so a buffer returns to the pool only there.
 */
export function takeBuffer(): Uint8Array {
  return spare.pop() ?? new Uint8Array(BATCH_BYTES);
}

export function giveBuffer(buffer: Uint8Array): void {
  if (spare.length < SPARE_BUFFERS) spare.push(buffer);
}

export class SocketLink {
  readonly #socket: TLSSocket;
  readonly #events: LinkEvents;
  #buffer: Uint8Array | undefined;
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
      if (!this.#isOver) events.bytes(chunk);
    });
    socket.resume();
  }

  get isIdle(): boolean {
    return this.#buffer === undefined && !this.#isOver;
  }

  /** Writes the first `length` bytes of a buffer of `takeBuffer`; ownership passes. The link must be idle. */
  write(buffer: Uint8Array, length: number): void {
    this.#buffer = buffer;
    this.#socket.write(buffer.subarray(0, length), this.#written);
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

  abort(): void {
    this.#isOver = true;
    this.#socket.destroy();
  }

  readonly #written = (error?: Error | null): void => {
    const buffer = this.#buffer;
    this.#buffer = undefined;
    if (buffer !== undefined) giveBuffer(buffer);
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
