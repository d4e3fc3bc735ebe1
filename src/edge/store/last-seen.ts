// This file is the batches of last-seen times: many sessions come and go, one write a second at most. reliability.md §4 item 2.
import { TunlError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import type { Seen } from "./records.ts";

/**
 * Between two writes. The first one after a pause is made at once: an edge that is killed right behind it still knows whom
 * to expect back.
 */
const FLUSH_MS = 1_000;
/** After a failed write: reliability.md §4 item 4. */
const RETRY_MS = 10_000;

/** Collects times and writes them together. Bounded by the rows of the state: one entry each, the newest time. */
export class LastSeen implements AsyncDisposable {
  readonly #write: (batch: Seen) => Promise<unknown>;
  readonly #log: Logger;
  readonly #keys = new Map<string, { readonly publicKey: Uint8Array; readonly at: number }>();
  readonly #tunnels = new Map<string, number>();
  readonly #hosts = new Map<string, number>();
  #timer: Timer | undefined;
  #isFailing = false;
  #flushedAt = Number.NEGATIVE_INFINITY;

  constructor(write: (batch: Seen) => Promise<unknown>, log: Logger) {
    this.#write = write;
    this.#log = log;
  }

  key(publicKey: Uint8Array, at: number): void {
    this.#keys.set(Buffer.from(publicKey).toString("hex"), { publicKey, at });
    this.#flushSoon();
  }

  tunnel(id: string, at: number): void {
    this.#tunnels.set(id, at);
    this.#flushSoon();
  }

  host(host: string, at: number): void {
    this.#hosts.set(host, at);
    this.#flushSoon();
  }

  /** Writes what is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#flush();
    clearTimeout(this.#timer);
  }

  #flushSoon(): void {
    this.#schedule(Math.max(0, this.#flushedAt + FLUSH_MS - performance.now()));
  }

  #schedule(afterMs: number): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#flush();
    }, afterMs);
    this.#timer.unref();
  }

  /** Never rejects: times that could not be written stay for the next try. */
  async #flush(): Promise<void> {
    this.#flushedAt = performance.now();
    const keys = [...this.#keys.values()];
    const tunnels = [...this.#tunnels].map(([id, at]) => ({ id, at }));
    const hosts = [...this.#hosts].map(([host, at]) => ({ host, at }));
    try {
      await this.#write({ keys, tunnels, hosts });
    } catch (error) {
      // A damaged state takes nothing until the next start, and was told of; a full disk is told of once.
      if (error instanceof TunlError && error.code === "STATE_DAMAGED") return;
      if (!this.#isFailing)
        this.#log.warn("state.failed", "Last-seen times were not saved, tried again every 10 s", {
          error: String(error),
        });
      this.#isFailing = true;
      this.#schedule(RETRY_MS);
      return;
    }
    this.#isFailing = false;
    // Only what was written: newer times came in meanwhile.
    for (const { publicKey, at } of keys) {
      const hex = Buffer.from(publicKey).toString("hex");
      if (this.#keys.get(hex)?.at === at) this.#keys.delete(hex);
    }
    for (const { id, at } of tunnels) if (this.#tunnels.get(id) === at) this.#tunnels.delete(id);
    for (const { host, at } of hosts) if (this.#hosts.get(host) === at) this.#hosts.delete(host);
  }
}
