// This file is the idle connections of all origins of a process together: how many are kept, and which goes first. product.md §3.4 `keepAliveConnections`.

/** The idle connections of one origin. */
export interface IdlePool {
  /** When the one that was used longest ago became idle, monotonic milliseconds; undefined without any. */
  readonly oldestSince: number | undefined;
  /** Closes that one. @returns False when none is idle. */
  dropOldest(): boolean;
}

/** Counts idle connections; each pool says what it took in and let go. */
export class IdleAccount {
  readonly #most: number;
  readonly #pools = new Set<IdlePool>();
  #count = 0;

  /** @param most Kept in all. A pool has its own bound besides. */
  constructor(most: number) {
    this.#most = most;
  }

  get count(): number {
    return this.#count;
  }

  join(pool: IdlePool): void {
    this.#pools.add(pool);
  }

  leave(pool: IdlePool): void {
    this.#pools.delete(pool);
  }

  /** A pool took one in: where that is one too many, the oldest of all goes. */
  tookIn(): void {
    this.#count += 1;
    if (this.#count > this.#most) this.dropOldest();
  }

  letGo(count: number): void {
    this.#count -= count;
  }

  /**
   * Closes the connection that was used longest ago, whose ever it is. Looks at every pool: that happens only where there
   * is no room, and a thousand pools take some microseconds.
   *
   * @returns False when none is idle.
   */
  dropOldest(): boolean {
    let oldest: IdlePool | undefined;
    let since = Number.POSITIVE_INFINITY;
    for (const pool of this.#pools) {
      const at = pool.oldestSince;
      if (at === undefined || at >= since) continue;
      oldest = pool;
      since = at;
    }
    return oldest?.dropOldest() ?? false;
  }
}
