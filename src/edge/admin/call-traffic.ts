// This file is how much one owner's sessions may ask of the edge: calls in progress, and changes in a while. http.md §5.4.
import { reached } from "../../limits.ts";

/** Calls of one tunnel's or account's sessions together, until their streams are over. */
export const CALLS_IN_PROGRESS = 16;
/** Changes of one account: so many at once, then so many a second. Each is a write to the disk, a revocation a backup. */
export const CHANGES_AT_ONCE = 200;
export const CHANGES_PER_SECOND = 2;

interface Account {
  calls: number;
  changes: number;
  at: number;
}

/** Bounded by who may have a session at all: an entry goes when nothing of it is owed. */
export class CallTraffic {
  readonly #accounts = new Map<string, Account>();
  readonly #now: () => number;

  /** @param now Monotonic milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Owners that something is remembered of. */
  get size(): number {
    return this.#accounts.size;
  }

  /** Lets a call in. @returns To be called once when it is over; undefined where it is refused. */
  enter(id: string, isChange: boolean): (() => void) | undefined {
    const account = this.#refreshed(id);
    if (account.calls >= CALLS_IN_PROGRESS) {
      reached("callsOfKey");
      return undefined;
    }
    if (isChange && account.changes < 1) {
      reached("changesOfAccount");
      return undefined;
    }
    account.calls += 1;
    if (isChange) account.changes -= 1;
    this.#accounts.set(id, account);
    return () => {
      account.calls -= 1;
      this.#forget();
    };
  }

  #refreshed(id: string): Account {
    const now = this.#now();
    const account = this.#accounts.get(id) ?? { calls: 0, changes: CHANGES_AT_ONCE, at: now };
    const grown = account.changes + ((now - account.at) / 1_000) * CHANGES_PER_SECOND;
    account.changes = Math.min(CHANGES_AT_ONCE, grown);
    account.at = now;
    return account;
  }

  /** Those that ask nothing and have their whole allowance again are as good as new. */
  #forget(): void {
    for (const id of this.#accounts.keys()) {
      const { calls, changes } = this.#refreshed(id);
      if (calls === 0 && changes >= CHANGES_AT_ONCE) this.#accounts.delete(id);
    }
  }
}
