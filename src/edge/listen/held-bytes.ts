// This file is the bytes of a visitor that nobody wants yet, bounded by pausing the socket. http.md §3.3.
import type { Socket } from "node:net";
import { reached } from "../../limits.ts";
import { pauseReading } from "../../pause.ts";

/**
 * A queue of chunks that pauses its socket when it is full and resumes it when it is not.
 *
 * Full is at least `limit` bytes, so it holds at most `limit` and one read. Only then: a paused socket does not notice
 * the FIN of a visitor who left (platform.md §0 trap 12).
 */
export class HeldBytes {
  readonly #socket: Socket;
  readonly #limit: number;
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  #isStopped = false;

  constructor(socket: Socket, limit: number) {
    this.#socket = socket;
    this.#limit = limit;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes < this.#limit) return;
    reached("heldBytes");
    pauseReading(this.#socket);
  }

  /** Puts back what was taken for something else, before all that waits. */
  unshift(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.unshift(chunk);
    this.#bytes += chunk.length;
  }

  shift(): Uint8Array | undefined {
    const chunk = this.#chunks.shift();
    if (chunk === undefined) {
      if (this.#isStopped) this.#flow();
      return undefined;
    }
    this.#bytes -= chunk.length;
    if (this.#bytes < this.#limit) this.#flow();
    return chunk;
  }

  /** Pauses the socket until more is asked for than waits. */
  stop(): void {
    this.#isStopped = true;
    pauseReading(this.#socket);
  }

  /** After `stop`: whoever waited goes on, and the end of the visitor is to be noticed again. */
  restart(): void {
    if (this.#isStopped && this.#bytes < this.#limit) this.#flow();
  }

  /** Drops what waits and lets the socket flow. */
  clear(): void {
    this.#chunks = [];
    this.#bytes = 0;
    this.#flow();
  }

  #flow(): void {
    this.#isStopped = false;
    if (this.#socket.isPaused()) this.#socket.resume();
  }
}
