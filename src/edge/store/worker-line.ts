// This file is the line to the store's worker: requests with ids, answers in order, a bound on what waits. platform.md §9.
import { TunlError } from "../../errors.ts";
import { type LimitName, reached } from "../../limits.ts";
import type { Logger } from "../../log.ts";
import type { Backup } from "./backup.ts";
import type { BackupName } from "./backup-names.ts";
import type { FromWorker, ToWorker } from "./messages.ts";
import { unpackError } from "./messages.ts";
import type { CallName, Calls } from "./records.ts";
import type { Snapshot } from "./snapshot.ts";

declare const COMPILED: boolean | undefined;

/** Changes waiting for the disk; a herd of connectors is told to come again. */
export const MAX_WAITING = 256;
/** Loading the worker's code; beyond it something is wrong with the program, not with the disk. */
const HELLO_MS = 10_000;
const CLOSE_MS = 10_000;

/** What is opened, and how. */
type OpenOrder = {
  readonly directory: string;
  readonly isExpected: boolean;
  readonly log: Logger;
  /** Wall clock in milliseconds. */
  readonly now: number;
};

type Waiting = { resolve(value: unknown): void; reject(error: TunlError): void };

/** The worker as a function call. Owns the snapshot: differences are applied before an answer is given. */
export class WorkerLine implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #snapshot: Snapshot;
  readonly #log: Logger;
  readonly #waiting = new Map<number, Waiting>();
  readonly #hello = Promise.withResolvers<void>();
  readonly #opened = Promise.withResolvers<Extract<FromWorker, { type: "opened" }>>();
  readonly #closed = Promise.withResolvers<void>();
  #lastId = 0;
  #failure: TunlError | undefined;
  #damage: TunlError | undefined;
  #newestBackup: BackupName | undefined;

  private constructor(worker: Worker, snapshot: Snapshot, log: Logger) {
    this.#worker = worker;
    this.#snapshot = snapshot;
    this.#log = log;
    // Each is awaited in one place only; a worker that dies at another moment must not end the process.
    for (const { promise } of [this.#hello, this.#opened, this.#closed]) {
      (promise as Promise<unknown>).catch(() => undefined);
    }
    worker.onmessage = (event: MessageEvent<FromWorker>) => this.#receive(event.data);
    worker.onerror = (event) => this.#fail(`stopped: ${event.message}`);
    worker.addEventListener("close", () => this.#fail("ended"));
  }

  /** Starts the worker, opens the state in it and fills the snapshot. */
  static async open(
    { directory, isExpected, log, now }: OpenOrder,
    snapshot: Snapshot,
  ): Promise<WorkerLine> {
    // Never a relative text: in the executable that would be a file of the working directory (platform.md §0 item 21).
    const url =
      typeof COMPILED === "undefined"
        ? new URL("./worker.ts", import.meta.url)
        : new URL("./edge/store/worker.js", import.meta.url);
    const line = new WorkerLine(new Worker(url), snapshot, log);
    try {
      await within(HELLO_MS, line.#hello.promise, "Store worker said nothing for 10 s");
      line.#send({ type: "open", directory, isExpected, now });
      // No deadline: the check of a large database on a slow disk takes the time it takes.
      const { rows, newestBackup } = await line.#opened.promise;
      snapshot.apply(rows);
      line.#newestBackup = newestBackup;
      return line;
    } catch (error) {
      line.#failure ??= failed("is closed");
      line.#worker.terminate();
      throw error;
    }
  }

  /**
   * Sends one call.
   *
   * @throws TunlError `STORE_BUSY` when 256 wait, `STORE_FAILED` when the worker is gone, else the call's own.
   */
  async call<Name extends CallName>(
    name: Name,
    body: Calls[Name]["body"],
    now: number,
  ): Promise<Calls[Name]["value"]> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#waiting.size >= MAX_WAITING) {
      reached("storeQueue");
      throw new TunlError("STORE_BUSY", `${MAX_WAITING} changes wait for the state's disk`, {
        retryable: true,
      });
    }
    const value = this.#ask((id) => ({ type: "call", id, name, body: body as never, now }));
    return (await value) as Calls[Name]["value"];
  }

  /** Makes a backup. One at a time is asked for (`backups.ts`), so it may wait beyond the bound of the changes. */
  async backUp(now: number): Promise<Backup> {
    if (this.#failure !== undefined) throw this.#failure;
    return (await this.#ask((id) => ({ type: "backUp", id, now }))) as Backup;
  }

  /** The newest backup when the state was opened. */
  get newestBackup(): BackupName | undefined {
    return this.#newestBackup;
  }

  /** Set when no change can be made any more: the database was found damaged, or the worker is gone. */
  get damage(): TunlError | undefined {
    return this.#damage ?? this.#failure;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#failure === undefined) {
      this.#send({ type: "close" });
      try {
        await within(CLOSE_MS, this.#closed.promise, "Store did not close within 10 s");
      } catch (error) {
        // Every acknowledged change is on the disk already; the kernel frees the lock with the process.
        this.#log.warn("state.failed", String(error));
      }
    }
    this.#failure ??= failed("is closed");
    this.#worker.terminate();
  }

  #ask(message: (id: number) => ToWorker): Promise<unknown> {
    this.#lastId += 1;
    const answer = Promise.withResolvers<unknown>();
    this.#waiting.set(this.#lastId, answer);
    this.#send(message(this.#lastId));
    return answer.promise;
  }

  #send(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  #receive(message: FromWorker): void {
    switch (message.type) {
      case "hello":
        this.#hello.resolve();
        return;
      case "opened":
        this.#opened.resolve(message);
        return;
      case "refused":
        this.#opened.reject(unpackError(message.error));
        return;
      case "done":
        this.#snapshot.apply(message.changes);
        this.#take(message.id)?.resolve(message.value);
        return;
      case "failed":
        this.#reportFailure(unpackError(message.error), this.#take(message.id));
        return;
      case "closed":
        if (message.error === undefined) this.#closed.resolve();
        else this.#closed.reject(unpackError(message.error));
        return;
      default:
        message satisfies never;
    }
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }

  #reportFailure(error: TunlError, waiting: Waiting | undefined): void {
    // A refusal is the caller's to tell; a failing disk is the owner's to know of, whoever asked.
    const isAlarm =
      error.code.startsWith("STORE_") || error.code === "STATE_DAMAGED" || error.code === "BUG";
    // Found once, it stays: those who are refused because of it are told, the log was told at first.
    const isKnown = this.#damage !== undefined && error.code === "STATE_DAMAGED";
    if (error.code === "STATE_DAMAGED") this.#damage ??= error;
    if (isAlarm && !isKnown) this.#log.error("state.failed", error.message, { code: error.code });
    // The worker is another world with counters of its own, which nobody reads.
    const limit = LIMIT_OF[error.code];
    if (limit !== undefined) reached(limit);
    waiting?.reject(error);
  }

  /** The worker is gone: the snapshot serves on, changes are refused from here. */
  #fail(what: string): void {
    if (this.#failure !== undefined) return;
    this.#failure = failed(what);
    this.#log.error("state.failed", this.#failure.message, { code: this.#failure.code });
    this.#hello.reject(this.#failure);
    this.#opened.reject(this.#failure);
    this.#closed.resolve();
    for (const waiting of this.#waiting.values()) waiting.reject(this.#failure);
    this.#waiting.clear();
  }
}

/** Limits that a change may reach inside its transaction, by the code of its refusal. */
const LIMIT_OF: Readonly<Record<string, LimitName>> = {
  HOSTNAME_LIMIT: "hostsOfTunnel",
  TUNNEL_LIMIT: "tunnelsOfAccount",
  KEY_LIMIT: "keysOfTunnel",
};

function failed(what: string): TunlError {
  return new TunlError("STORE_FAILED", `Store worker ${what}`, {
    hint: "Restart the edge; connections go on until then",
  });
}

async function within<T>(limitMs: number, work: Promise<T>, message: string): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new TunlError("STORE_FAILED", message)), limitMs);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
