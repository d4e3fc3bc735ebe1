// This file is one backup of the open database, complete on the disk or not there at all. reliability.md §4 items 5 and 6.
import { Database, SQLiteError } from "bun:sqlite";
import { randomBytes } from "node:crypto";
import { closeSync, openSync, readdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { messageOf, TunlError } from "../../errors.ts";
import { isTemporary } from "../../identity/index.ts";
import { foundDamaged, isDamage } from "./database.ts";
import { prepareDirectory, syncDirectory, syncFile } from "./durable.ts";
import type { BackupName } from "./backup-names.ts";
import { BACKUP_DIRECTORY, nextBackup, parseBackups, surplusBackups } from "./backup-names.ts";

/** SQLite's own file beside the copy while that is written; a crash leaves both. */
const JOURNAL = /-journal$/;

/** What was made, and what could not be tidied up behind it. */
export type Backup = { readonly made: BackupName; readonly leftOver: string | undefined };

/** Whole backups by their names, newest first; none where there is no directory yet. */
export function listBackups(stateDirectory: string): BackupName[] {
  try {
    return parseBackups(readdirSync(join(stateDirectory, BACKUP_DIRECTORY)));
  } catch (error) {
    // What else may stand there is in the way of the next backup, which says so.
    if (
      error instanceof Error &&
      "code" in error &&
      ["ENOENT", "ENOTDIR"].includes(String(error.code))
    )
      return [];
    throw error;
  }
}

/**
 * Copies the database as it is after the last commit, checks the copy, and makes it durable.
 *
 * The caller holds the lock of the directory, so an unfinished copy found there is nobody's any more.
 *
 * @param now Wall clock in milliseconds.
 * @throws TunlError `STATE_DAMAGED` where the rows cannot be read, `NOT_BACKED_UP` with the reason alone as its text.
 */
export function makeBackup(database: Database, stateDirectory: string, now: number): Backup {
  const directory = join(stateDirectory, BACKUP_DIRECTORY);
  let temporary: string | undefined;
  try {
    prepare(directory);
    const made = nextBackup(listBackups(stateDirectory)[0], now);
    temporary = join(directory, `.${made.name}.${randomBytes(6).toString("hex")}.tmp`);
    // Made by us and not by SQLite, which knows no 0600.
    closeSync(openSync(temporary, "wx", 0o600));
    copy(database, temporary);
    assertWhole(temporary);
    syncFile(temporary);
    renameSync(temporary, join(directory, made.name));
    syncDirectory(directory);
    return { made, leftOver: tidy(() => removeSurplus(directory)) };
  } catch (error) {
    if (temporary !== undefined) {
      const unfinished = temporary;
      tidy(() => rmSync(unfinished, { force: true }));
      tidy(() => rmSync(`${unfinished}-journal`, { force: true }));
    }
    if (error instanceof TunlError && error.code === "STATE_DAMAGED") throw error;
    throw new TunlError("NOT_BACKED_UP", reasonOf(error, stateDirectory), { cause: error });
  }
}

function copy(database: Database, path: string): void {
  try {
    database.run("VACUUM INTO ?", [path]);
  } catch (error) {
    const code = error instanceof SQLiteError ? (error.code ?? "") : "";
    // Rows that break their own constraints were not written by anybody.
    if (isDamage(code) || code.startsWith("SQLITE_CONSTRAINT")) throw foundDamaged(code, error);
    throw error;
  }
}

function prepare(directory: string): void {
  prepareDirectory(directory);
  const names = readdirSync(directory);
  for (const name of names.filter((name) => isTemporary(name.replace(JOURNAL, ""))))
    rmSync(join(directory, name), { force: true });
  // A first backup is as durable as the directory it stands in.
  if (parseBackups(names).length === 0) syncDirectory(dirname(directory));
}

function assertWhole(path: string): void {
  using copy = new Database(path, { readonly: true });
  const [first] = copy.query("PRAGMA integrity_check(1)").all() as { integrity_check: string }[];
  if (first?.integrity_check === "ok") return;
  throw new Error(`the copy is damaged: ${first?.integrity_check ?? "its check said nothing"}`);
}

function removeSurplus(directory: string): void {
  for (const { name } of surplusBackups(parseBackups(readdirSync(directory)))) {
    rmSync(join(directory, name), { force: true });
  }
}

/** Runs what a whole backup does not depend on; returns why it failed. */
function tidy(work: () => void): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

function reasonOf(error: unknown, stateDirectory: string): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOSPC" || code === "SQLITE_FULL") return `no space left on ${stateDirectory}`;
  const text = messageOf(error);
  return typeof code === "string" && !text.includes(code) ? `${code} (${text})` : text;
}
