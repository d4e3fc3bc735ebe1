// This file is when backups are made: every hour, when somebody waits for one, and again after a failure. reliability.md §4 item 5.
import { messageOf, TunlError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import type { Backup } from "./backup.ts";
import type { BackupName } from "./backup-names.ts";

const HOUR_MS = 3_600_000;
/** After a failed one: reliability.md §4 item 4. Until one succeeds a restore would bring back what was revoked. */
const RETRY_MS = 10_000;

export type BackupsOptions = {
  /** Makes one; rejects with `NOT_BACKED_UP`, its text the reason alone, or with the failure of the store. */
  readonly make: () => Promise<Backup>;
  /** The newest one there is. */
  readonly newest: BackupName | undefined;
  readonly wallClock: () => number;
  readonly log: Logger;
};

/** Makes the backups of one store. Requests that wait share one; at most one is made and one is waited for. */
export class Backups implements Disposable {
  readonly #options: BackupsOptions;
  #newest: BackupName | undefined;
  #failure: TunlError | undefined;
  #running: Promise<void> | undefined;
  /** The one that starts when the running one has ended: it holds what was committed meanwhile. */
  #next: Promise<void> | undefined;
  #timer: Timer | undefined;
  #isClosed = false;

  constructor(options: BackupsOptions) {
    this.#options = options;
    this.#newest = options.newest;
  }

  /** The newest backup, of this run or an earlier one. */
  get newest(): BackupName | undefined {
    return this.#newest;
  }

  /** Why the last try failed; undefined after a good one. */
  get failure(): TunlError | undefined {
    return this.#failure;
  }

  /** Begins to count hours; the first backup is made at once where the newest is an hour old. */
  start(): void {
    const age = this.#options.wallClock() - (this.#newest?.at ?? Number.NEGATIVE_INFINITY);
    // One that seems to be of the future was made under another clock: nothing is known of its age.
    this.#schedule(age >= 0 && age < HOUR_MS ? HOUR_MS - age : 0);
  }

  /** Resolves when a backup begun after this call is on the disk. @throws TunlError as `make`. */
  backUp(): Promise<void> {
    // Where one waits, the running one may have ended this very turn.
    if (this.#next !== undefined) return this.#next;
    if (this.#running === undefined) return this.#begin();
    this.#next = this.#running.then(
      () => this.#begin(),
      () => this.#begin(),
    );
    return this.#next;
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #begin(): Promise<void> {
    this.#next = undefined;
    const running = this.#make();
    this.#running = running;
    return running;
  }

  async #make(): Promise<void> {
    const { make, log } = this.#options;
    try {
      const { made, leftOver } = await make();
      if (this.#failure !== undefined)
        log.info("state.backup", "State is backed up again", { backup: made.name });
      if (leftOver !== undefined)
        log.warn("state.failed", "Old backups could not be removed", { error: leftOver });
      this.#newest = made;
      this.#failure = undefined;
      this.#schedule(HOUR_MS);
    } catch (error) {
      this.#fail(error);
      throw error;
    } finally {
      this.#running = undefined;
    }
  }

  #fail(error: unknown): void {
    const failure =
      error instanceof TunlError ? error : new TunlError("BUG", String(error), { cause: error });
    // Said once: the tries that follow say nothing new until one succeeds.
    if (this.#failure === undefined && !this.#isClosed)
      this.#options.log.error(
        "state.failed",
        `Backup of the state failed: ${failure.message}; the next try is in 10 s`,
        { code: failure.code },
      );
    this.#failure = failure;
    this.#schedule(RETRY_MS);
  }

  #schedule(afterMs: number): void {
    clearTimeout(this.#timer);
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => {
      // Its failure is logged and tried again; whoever else waits for it is told by the same promise.
      this.backUp().catch(() => undefined);
    }, afterMs);
    this.#timer.unref();
  }
}

/**
 * What is told to whoever waited for a backup (product.md §8).
 *
 * @param done What is in force already, such as `Key "home" is revoked`.
 */
export function notBackedUp(done: string, error: unknown): TunlError {
  const reason = messageOf(error);
  return new TunlError("NOT_BACKED_UP", `${done}, but the backup of the state failed: ${reason}`, {
    cause: error,
    retryable: true,
    hint: "Free space and repeat the command: until then a restore would bring the key back",
  });
}
