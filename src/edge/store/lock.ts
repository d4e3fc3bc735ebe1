// This file is the lock on a state directory: one edge at a time, freed by the kernel however the edge ends.
// reliability.md §4 item 3; product.md §5 `lock`.
import { Database } from "bun:sqlite";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { TunlError } from "../../errors.ts";

/**
 * Takes the lock.
 *
 * The file `lock` is a tiny SQLite database with an open write transaction: the only file lock the runtime
 * offers on every system, and readers still see the holder's pid. A pid file alone would outlive a `kill -9`, and
 * in containers, where every edge is pid 1, tell nothing.
 *
 * @param directory Exists and can be written.
 * @returns To be closed at the end; the end of the process does the same.
 * @throws TunlError `STATE_LOCKED` naming the holder's pid.
 */
export function takeLock(directory: string): Disposable {
  const path = join(directory, "lock");
  closeSync(openSync(path, "a", 0o600));
  const database = new Database(path, { readwrite: true });
  try {
    // Nothing in it is worth a write to the disk, and no journal should lie about.
    database.run("PRAGMA journal_mode = MEMORY");
    database.run("PRAGMA synchronous = OFF");
    database.run("BEGIN IMMEDIATE");
    database.run("CREATE TABLE IF NOT EXISTS holder (pid INTEGER NOT NULL)");
    database.run("DELETE FROM holder");
    database.run("INSERT INTO holder VALUES (?)", [process.pid]);
    database.run("COMMIT");
    // From here to the end. Whoever slips in between two transactions wins, and this start is refused.
    database.run("BEGIN IMMEDIATE");
  } catch (error) {
    const holder = isBusy(error) ? holderOf(database) : undefined;
    database.close();
    if (!isBusy(error)) throw error;
    throw new TunlError("STATE_LOCKED", `State "${directory}" is in use by another edge${holder}`, {
      cause: error,
      hint: "Stop that edge, or give this one its own --state",
    });
  }
  return { [Symbol.dispose]: () => database.close() };
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "SQLITE_BUSY";
}

function holderOf(database: Database): string {
  try {
    const row = database.query("SELECT pid FROM holder").get() as { pid: number } | null;
    return row === null ? "" : ` (pid ${row.pid})`;
  } catch {
    // It is still writing its pid: the message does without.
    return "";
  }
}
