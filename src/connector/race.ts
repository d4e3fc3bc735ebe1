// This file is a TCP connect to several addresses, each with a head start over the next or one after the other; the first success wins (RFC 8305 §5).
import { connect, type Socket } from "node:net";

import type { Address } from "./addresses.ts";

/** How long an address is tried alone before the next one joins. */
export const HEAD_START_MS = 250;

/** One after the other: an address has at least so long, where the whole has it, ms. */
const LEAST_SHARE_MS = 1_000;

/**
 * `racing`: each address has a head start. Else the next starts only when the one before has failed, or took its share of
 * the time for all, where that is bounded: an address that does not answer must not use up that of the others.
 */
export type Pace = "racing" | { readonly withinMs: number | undefined };

/** Where to connect: a port on addresses, or a socket file. */
export type Endpoint =
  { readonly addresses: readonly Address[]; readonly port: number } | { readonly path: string };

/** Why one attempt failed. */
export interface AttemptError {
  /** Address or path. */
  readonly where: string;
  readonly error: NodeJS.ErrnoException;
}

export interface RaceEvents {
  /** The winner. Its owner adds an `error` listener before it returns. */
  connected(socket: Socket, address: Address | undefined): void;
  /** All attempts failed, in order of their failure; at least one. */
  failed(errors: readonly AttemptError[]): void;
}

/**
 * Starts connecting. Events come asynchronously, exactly one of them, unless cancelled.
 *
 * @returns Cancels the race: no event follows, every pending attempt is destroyed.
 */
export function race(endpoint: Endpoint, pace: Pace, events: RaceEvents): () => void {
  const run = new Race(endpoint, pace, events);
  run.startNext();
  return () => run.cancel();
}

class Race {
  readonly #endpoint: Endpoint;
  readonly #pace: Pace;
  readonly #startedAt = performance.now();
  readonly #events: RaceEvents;
  readonly #pending = new Set<Socket>();
  readonly #errors: AttemptError[] = [];
  #next = 0;
  #isOver = false;
  /** When the next address joins, or takes its turn. */
  #turn: Timer | undefined;

  constructor(endpoint: Endpoint, pace: Pace, events: RaceEvents) {
    this.#endpoint = endpoint;
    this.#pace = pace;
    this.#events = events;
  }

  get #count(): number {
    return "path" in this.#endpoint ? 1 : this.#endpoint.addresses.length;
  }

  startNext(): void {
    clearTimeout(this.#turn);
    if (this.#isOver || this.#next >= this.#count) return;
    const endpoint = this.#endpoint;
    const address = "path" in endpoint ? undefined : endpoint.addresses[this.#next];
    this.#next += 1;
    // Half-open on every socket: without it a FIN of the peer would cut what we still send (platform.md §2).
    const socket =
      "path" in endpoint
        ? connect({ path: endpoint.path, allowHalfOpen: true })
        : connect({ host: address?.host ?? "", port: endpoint.port, allowHalfOpen: true });
    this.#pending.add(socket);
    const where = "path" in endpoint ? endpoint.path : (address?.host ?? "");
    const onError = (error: Error): void => this.#attemptFailed(socket, { where, error });
    socket.on("error", onError);
    socket.once("connect", () => {
      if (this.#isOver) return;
      this.#pending.delete(socket);
      this.cancel();
      this.#events.connected(socket, address);
      socket.off("error", onError);
    });
    if (this.#next >= this.#count) return;
    if (this.#pace === "racing") {
      this.#turn = setTimeout(() => this.startNext(), HEAD_START_MS);
      return;
    }
    if (this.#pace.withinMs === undefined) return;
    const error = Object.assign(new Error("its share of the time is over"), { code: "ETIMEDOUT" });
    this.#turn = setTimeout(
      () => this.#attemptFailed(socket, { where, error }),
      this.#share(this.#pace.withinMs),
    );
  }

  /** What is left, by the addresses that are left, this one included. */
  #share(withinMs: number): number {
    const left = withinMs - (performance.now() - this.#startedAt);
    const share = left / (this.#count - this.#next + 1);
    return Math.max(share, Math.min(left, LEAST_SHARE_MS));
  }

  cancel(): void {
    this.#isOver = true;
    clearTimeout(this.#turn);
    for (const socket of this.#pending) socket.destroy();
    this.#pending.clear();
  }

  #attemptFailed(socket: Socket, attempt: AttemptError): void {
    if (!this.#pending.delete(socket) || this.#isOver) return;
    socket.destroy();
    this.#errors.push(attempt);
    if (this.#next < this.#count) this.startNext();
    else if (this.#pending.size === 0) {
      this.#isOver = true;
      this.#events.failed(this.#errors);
    }
  }
}
