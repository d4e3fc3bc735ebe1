// This file is the state on disk, as the worker runs it: one writer, one transaction per call. reliability.md §4.
import type { Database } from "bun:sqlite";
import { join } from "node:path";
import { makeBackup } from "./backup.ts";
import type { Backup } from "./backup.ts";
import { changeError, DATABASE_FILE, openDatabase, unwritable } from "./database.ts";
import { newerBackup } from "./inspect.ts";
import { createCode, enrol, listCodes, revokeCode } from "./enrolment.ts";
import { fixHosts, insertHost, nameHost, removeHost, removeUnused } from "./hostnames.ts";
import { addKey, revokeKeys, rotateKey } from "./keys.ts";
import { takeLock } from "./lock.ts";
import type { AuditRow, CallName, Calls, Change } from "./records.ts";
import { auditOf, readAll } from "./rows.ts";
import {
  claimRoute,
  forgetRecord,
  keepRecord,
  listRecords,
  releaseRoute,
  setProof,
} from "./routes.ts";
import { Transaction } from "./transaction.ts";
import { createTunnel, deleteTunnel, shutTunnel } from "./tunnels.ts";
import { messageOf, TunlError } from "../../errors.ts";

/** What each call does inside its transaction. */
const CALLS: {
  readonly [Name in CallName]: (
    transaction: Transaction,
    body: Calls[Name]["body"],
  ) => Calls[Name]["value"];
} = {
  createCode,
  revokeCode,
  listCodes,
  enrol,
  insertHost,
  nameHost,
  removeHost,
  removeUnused,
  fixHosts,
  createTunnel,
  deleteTunnel,
  addKey,
  rotateKey,
  revokeKeys,
  shutTunnel,
  claimRoute,
  releaseRoute,
  setProof,
  keepRecord,
  forgetRecord,
  listRecords,
  seen,
  listAudit,
};

/** The outcome of a call: what it answers and what it changed. */
export type Outcome<Name extends CallName> = {
  readonly value: Calls[Name]["value"];
  readonly changes: readonly Change[];
};

/** The database of one edge, locked and checked. Synchronous: it lives in a worker. */
export class SqliteState implements Disposable {
  readonly #directory: string;
  readonly #lock: Disposable;
  #database: Database | undefined;
  #damage: TunlError | undefined;

  private constructor(directory: string, lock: Disposable, database: Database) {
    this.#directory = directory;
    this.#lock = lock;
    this.#database = database;
  }

  /**
   * Locks the directory, then opens and checks the database in it.
   *
   * @param now Wall clock in milliseconds: a schema of an older build is backed up before it is changed.
   * @throws TunlError `STATE_LOCKED`, `STATE_DAMAGED`, `STATE_TOO_NEW`, `STATE_UNWRITABLE`, `INSECURE_FILE`.
   */
  static open(directory: string, isExpected: boolean, now: number): SqliteState {
    let lock: Disposable;
    try {
      lock = takeLock(directory);
    } catch (error) {
      throw error instanceof TunlError ? error : unwritable(directory, error);
    }
    try {
      const path = join(directory, DATABASE_FILE);
      const database = openDatabase(path, isExpected, {
        newerBackup: (opened) => newerBackup(opened, directory),
        beforeMigration: (old) => backUpOld(old, directory, now),
      });
      return new SqliteState(directory, lock, database);
    } catch (error) {
      lock[Symbol.dispose]();
      throw error;
    }
  }

  /** Everything the snapshot holds, as of now. */
  rows(): Change[] {
    return this.#transact(0, readAll).value;
  }

  /**
   * Runs one call; when it returns the change is on the disk.
   *
   * @param now Wall clock in milliseconds.
   * @throws TunlError of the call itself, or as `changeError` names it. After damage the file is closed for good.
   */
  run<Name extends CallName>(name: Name, body: Calls[Name]["body"], now: number): Outcome<Name> {
    return this.#transact(now, (transaction) => CALLS[name](transaction, body));
  }

  /**
   * Makes a backup; when it returns it is on the disk.
   *
   * @throws TunlError `NOT_BACKED_UP` with the reason alone as its text; `STATE_DAMAGED`.
   */
  backUp(now: number): Backup {
    const database = this.#usable();
    try {
      return makeBackup(database, this.#directory, now);
    } catch (error) {
      if (error instanceof TunlError && error.code === "STATE_DAMAGED") this.#abandon(error);
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#database?.close();
    this.#database = undefined;
    this.#lock[Symbol.dispose]();
  }

  #usable(): Database {
    if (this.#damage !== undefined) throw this.#damage;
    if (this.#database === undefined) throw new TunlError("STORE_FAILED", "Store is closed");
    return this.#database;
  }

  #transact<T>(
    now: number,
    work: (transaction: Transaction) => T,
  ): { value: T; changes: readonly Change[] } {
    const database = this.#usable();
    const transaction = new Transaction(database, now);
    try {
      database.run("BEGIN IMMEDIATE");
      const value = work(transaction);
      database.run("COMMIT");
      return { value, changes: transaction.changes };
    } catch (error) {
      const failure = changeError(error);
      if (failure.code === "STATE_DAMAGED") this.#abandon(failure);
      else if (database.inTransaction) database.run("ROLLBACK");
      throw failure;
    }
  }

  /** Nothing more is read from or written to a file that cannot be trusted; the lock stays. */
  #abandon(damage: TunlError): void {
    this.#damage = damage;
    this.#database?.close();
    this.#database = undefined;
  }
}

function backUpOld(database: Database, directory: string, now: number): void {
  try {
    makeBackup(database, directory, now);
  } catch (error) {
    const reason = messageOf(error);
    throw new TunlError(
      "STATE_UNWRITABLE",
      `Backing up the state before this version changes it failed: ${reason}`,
      { cause: error, hint: `Mend that in "${directory}" and start again; nothing was changed` },
    );
  }
}

/** Times only: the snapshot knows them already. */
function seen(transaction: Transaction, body: Calls["seen"]["body"]): undefined {
  for (const { publicKey, at } of body.keys)
    transaction.run("UPDATE keys SET seen_at = ? WHERE public_key = ?", at, publicKey);
  for (const { id, at } of body.tunnels)
    transaction.run("UPDATE tunnels SET seen_at = ? WHERE id = ?", at, id);
  for (const { host, at } of body.hosts)
    transaction.run("UPDATE hosts SET used_at = ? WHERE host = ?", at, host);
  return undefined;
}

function listAudit(
  transaction: Transaction,
  body: Calls["listAudit"]["body"],
): readonly AuditRow[] {
  return transaction.all("SELECT * FROM audit ORDER BY id DESC LIMIT ?", body.limit).map(auditOf);
}
