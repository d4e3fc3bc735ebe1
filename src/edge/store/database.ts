// This file is `state.db` itself: opened, checked before anything trusts it, and its failures named.
// reliability.md §4 items 2 to 4; R-16; platform.md §10.
import { Database, SQLiteError } from "bun:sqlite";
import type { Stats } from "node:fs";
import { closeSync, openSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { messageOf, TunlError } from "../../errors.ts";
import { assertPrivate } from "../../identity/index.ts";
import { syncDirectory } from "./durable.ts";
import { APPLICATION_ID, migrate, versionOf } from "./migrations.ts";

/** In the state directory. */
export const DATABASE_FILE = "state.db";
/** How long a statement waits for a reader of the owner's (a shell on the file) before it fails. */
const BUSY_TIMEOUT_MS = 5_000;
/** What to do about damage: an empty database would take revoked keys back and give taken names away. */
const RESTORE =
  "Run tunl edge repair, it restores the newest backup; nothing was changed, and it is never replaced by an empty one";

/** What is done on the way with a database that is whole. */
export type OpeningSteps = {
  /** Name of a backup that holds more than the database; undefined: none does. */
  readonly newerBackup: (database: Database) => string | undefined;
  /** Runs before the schema of an older build is changed. */
  readonly beforeMigration: (database: Database) => void;
};

/**
 * Opens the database, or makes it.
 *
 * @param isExpected True when it must be there already, because the edge's key is.
 * @param steps What they throw ends the opening.
 * @throws TunlError `STATE_DAMAGED`, `STATE_TOO_NEW`, `STATE_UNWRITABLE`, `INSECURE_FILE`.
 */
export function openDatabase(path: string, isExpected: boolean, steps: OpeningSteps): Database {
  const stats = statsOf(path);
  if (stats !== undefined) assertPrivate(path, stats);
  else if (isExpected)
    throw damaged(path, "it is missing, but the edge's key or a backup is there");
  else makeFile(path);

  let database: Database | undefined;
  try {
    database = new Database(path, { readwrite: true, strict: true });
    database.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    assertOurs(database, path, isExpected);
    database.run("PRAGMA journal_mode = WAL");
    database.run("PRAGMA synchronous = FULL");
    database.run("PRAGMA foreign_keys = ON");
    const opened = database;
    const older = steps.newerBackup(opened);
    if (older !== undefined)
      throw damaged(path, `it is older than its backup ${older}: changes are missing from it`);
    migrate(opened, () => steps.beforeMigration(opened));
    return database;
  } catch (error) {
    database?.close();
    throw error instanceof TunlError ? error : startError(error, path);
  }
}

/** Runs before the first write: neither a damaged file nor a foreign one is touched. */
function assertOurs(database: Database, path: string, isExpected: boolean): void {
  const problems = database.query("PRAGMA quick_check(1)").all() as { quick_check: string }[];
  const problem = problems[0]?.quick_check;
  if (problem !== "ok") throw damaged(path, problem ?? "its check said nothing");
  const version = versionOf(database);
  if (version === 0) {
    // Zero bytes are a valid, empty database: fine on a first start, an un-revocation on a later one.
    if (isExpected) throw damaged(path, "it is empty, but the edge's key or a backup is there");
    const tables = database.query("SELECT count(*) AS count FROM sqlite_schema").get() as {
      count: number;
    };
    if (tables.count > 0) throw damaged(path, "it is another program's database");
    return;
  }
  const header = database.query("PRAGMA application_id").get() as { application_id: number };
  if (header.application_id !== APPLICATION_ID)
    throw damaged(path, "it is another program's database");
}

function damaged(path: string, what: string, cause?: unknown): TunlError {
  return new TunlError("STATE_DAMAGED", `Opening "${path}": ${what}`, {
    cause,
    hint: RESTORE,
  });
}

function startError(error: unknown, path: string): TunlError {
  const code = codeOf(error);
  if (isDamage(code)) return damaged(path, `it is damaged (${code})`, error);
  return unwritable(dirname(path), error);
}

/** The start failed on the file system: names what to do about it. */
export function unwritable(directory: string, error: unknown): TunlError {
  return new TunlError(
    "STATE_UNWRITABLE",
    `Writing state in "${directory}" failed: ${messageOf(error)}`,
    {
      cause: error,
      hint: "Make the directory writable for this user and free some space, or choose another with --state",
    },
  );
}

/**
 * Names the failure of one change.
 *
 * @returns `STORE_FULL` and `STORE_FAILED`, both retryable; `STATE_DAMAGED` once the file cannot be trusted; `BUG` for
 *   what no disk is guilty of. Our own errors as they are.
 */
export function changeError(error: unknown): TunlError {
  if (error instanceof TunlError) return error;
  const code = codeOf(error);
  if (!(error instanceof SQLiteError) || code.startsWith("SQLITE_CONSTRAINT")) {
    return new TunlError("BUG", `BUG: change was not saved: ${messageOf(error)}`, { cause: error });
  }
  if (isDamage(code)) return foundDamaged(code, error);
  if (code === "SQLITE_FULL") {
    return new TunlError("STORE_FULL", "Change was not saved: no space left for the state", {
      cause: error,
      retryable: true,
      hint: "Free space on the disk of the state directory and repeat the command",
    });
  }
  return new TunlError("STORE_FAILED", `Change was not saved: ${code} (${messageOf(error)})`, {
    cause: error,
    retryable: true,
    hint: "Look at the disk of the state directory, then repeat the command",
  });
}

/** The database was found damaged while the edge runs. */
export function foundDamaged(code: string, cause: unknown): TunlError {
  return new TunlError(
    "STATE_DAMAGED",
    `State was found damaged (${code}); the edge serves on from memory and refuses changes`,
    { cause, hint: `Stop the edge. ${RESTORE}` },
  );
}

/** True for the codes of SQLite that say: this file is no whole database. */
export function isDamage(code: string): boolean {
  return code === "SQLITE_NOTADB" || code.startsWith("SQLITE_CORRUPT");
}

function codeOf(error: unknown): string {
  if (error instanceof SQLiteError) return error.code ?? `SQLITE error ${error.errno}`;
  return error instanceof Error && "code" in error ? String(error.code) : "unknown failure";
}

function statsOf(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}

/** Made by us and not by SQLite, which knows no 0600; its `-wal` and `-shm` files take their mode from this one. */
function makeFile(path: string): void {
  try {
    closeSync(openSync(path, "wx", 0o600));
    syncDirectory(dirname(path));
  } catch (error) {
    throw unwritable(dirname(path), error);
  }
}
