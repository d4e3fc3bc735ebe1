// This file is the idle connections of one origin: which may be used again, and for how long (http.md §11, S-09).
import type { Deadline, Deadlines } from "../../deadlines.ts";
import type { IdleAccount, IdlePool } from "./idle-account.ts";

/** What the pool needs to know of a connection. */
export interface Poolable {
  /** TLS name it was made for; requests for another name never see it. */
  readonly serverName: string;
  /** Closes it for good. */
  close(): void;
}

export interface PoolOptions {
  /** Most idle connections; 0 turns reuse off. */
  readonly connections: number;
  /** Those of all origins together. */
  readonly account: IdleAccount;
  readonly idleMs: number;
  readonly deadlines: Deadlines;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

interface Idle<C> {
  readonly connection: C;
  readonly since: number;
  readonly until: number;
}

/** How long a connection may have been idle for a request that must not be sent twice: the origin may just be closing it. */
export const FRESH_MS = 1_000;
/** An origin's own `Keep-Alive: timeout` is taken this much shorter, or both ends would let go at the same moment. */
export const KEEP_ALIVE_MARGIN_MS = 1_000;
const SWEEP_MS = 1_000;

/**
 * A stack of idle connections: the one used last is used next, so that what is not needed grows old at the bottom.
 * Whoever puts a connection in has checked that its exchange was clean.
 */
export class ConnectionPool<C extends Poolable> implements IdlePool {
  readonly #options: PoolOptions;
  #idle: Idle<C>[] = [];
  #sweep: Deadline | undefined;
  #isClosed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    options.account.join(this);
  }

  get size(): number {
    return this.#idle.length;
  }

  get oldestSince(): number | undefined {
    return this.#idle[0]?.since;
  }

  /** False when nothing put in would be kept: ask the origin for `close` then. */
  get isKeeping(): boolean {
    return this.#options.connections > 0 && !this.#isClosed;
  }

  /**
   * Takes out the connection that was used last.
   *
   * @param mustBeFresh Only one that was idle for less than `FRESH_MS`.
   */
  take(serverName: string, mustBeFresh: boolean): C | undefined {
    const now = this.#options.now();
    for (let index = this.#idle.length - 1; index >= 0; index--) {
      const idle = this.#idle[index] as Idle<C>;
      if (mustBeFresh && now - idle.since >= FRESH_MS) return undefined;
      if (idle.connection.serverName !== serverName) continue;
      this.#drop(index);
      if (idle.until > now) return idle.connection;
      idle.connection.close();
    }
    return undefined;
  }

  /**
   * Takes in a connection, or closes it.
   *
   * @param keepAliveSeconds The origin's own idle time, `undefined` when it named none.
   */
  put(connection: C, keepAliveSeconds: number | undefined): void {
    const { connections, account, idleMs, now, deadlines } = this.#options;
    const keptMs =
      keepAliveSeconds === undefined
        ? idleMs
        : Math.min(idleMs, keepAliveSeconds * 1_000 - KEEP_ALIVE_MARGIN_MS);
    if (!this.isKeeping || keptMs <= 0) return connection.close();
    const since = now();
    this.#idle.push({ connection, since, until: since + keptMs });
    if (this.#idle.length > connections) this.dropOldest();
    account.tookIn();
    this.#sweep ??= deadlines.schedule(SWEEP_MS, this.#onSweep);
  }

  /** Closes the one that was used longest ago. @returns False when none is idle. */
  dropOldest(): boolean {
    const oldest = this.#idle.shift();
    if (oldest === undefined) return false;
    this.#options.account.letGo(1);
    oldest.connection.close();
    return true;
  }

  /** The connection closed itself, or said something nobody asked for. */
  remove(connection: C): void {
    const index = this.#idle.findIndex((idle) => idle.connection === connection);
    if (index >= 0) this.#drop(index);
  }

  /** Closes all idle connections and keeps none from now on. */
  close(): void {
    this.#isClosed = true;
    this.#sweep?.cancel();
    this.#sweep = undefined;
    const idle = this.#idle;
    this.#idle = [];
    this.#options.account.letGo(idle.length);
    this.#options.account.leave(this);
    for (const { connection } of idle) connection.close();
  }

  #drop(index: number): void {
    this.#options.account.letGo(1);
    if (index === this.#idle.length - 1) this.#idle.pop();
    else this.#idle.splice(index, 1);
  }

  /** One deadline serves the whole pool: a connection in use costs no timer. */
  readonly #onSweep = (): void => {
    this.#sweep = undefined;
    const now = this.#options.now();
    const old = this.#idle.filter((idle) => idle.until <= now);
    this.#idle = this.#idle.filter((idle) => idle.until > now);
    this.#options.account.letGo(old.length);
    for (const { connection } of old) connection.close();
    if (this.#idle.length > 0)
      this.#sweep = this.#options.deadlines.schedule(SWEEP_MS, this.#onSweep);
  };
}
