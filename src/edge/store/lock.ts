// This file is the lock on a state directory: one edge at a time, freed by the kernel however the edge ends.
// reliability.md §4 item 3; product.md §5 `lock`.
import { Database } from "bun:sqlite";
import { closeSync, openSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TunlError } from "../../errors.ts";

/**
 * Takes the lock.
 *
 * The file `lock` is an empty SQLite database with an open write transaction: the only file lock the runtime
 * offers on every system. Nothing is ever written to it, so no crash can damage it. A pid file alone would outlive a
 * `kill -9`, and in containers, where every edge is pid 1, tell nothing; `lock.pid` beside it is for the message only.
 *
 * @param directory Exists and can be written.
 * @returns To be closed at the end; the end of the process does the same.
 * @throws TunlError `STATE_LOCKED` naming the holder's pid.
 */
export function takeLock(directory: string): Disposable {
  const path = join(directory, "lock");
  const pidPath = join(directory, "lock.pid");
  closeSync(openSync(path, "a", 0o600));
  const lock = hold(path, pidPath, directory);
  writeFileSync(pidPath, `${process.pid}\n`, { mode: 0o600 });
  return lock;
}

function hold(path: string, pidPath: string, directory: string): Disposable {
  const database = new Database(path, { readwrite: true });
  try {
    // No journal should lie about.
    database.run("PRAGMA journal_mode = MEMORY");
    // From here to the end.
    database.run("BEGIN IMMEDIATE");
  } catch (error) {
    database.close();
    if (isDamaged(error)) {
      // Of a build that wrote its pid into it and was killed: whoever holds it would have kept us from reading it.
      truncateSync(path, 0);
      return hold(path, pidPath, directory);
    }
    if (!isBusy(error)) throw error;
    const holder = holderOf(pidPath);
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

function isDamaged(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return code === "SQLITE_NOTADB" || code.startsWith("SQLITE_CORRUPT");
}

function holderOf(pidPath: string): string {
  try {
    const pid = /^\d+/.exec(readFileSync(pidPath, "utf8"))?.[0];
    return pid === undefined ? "" : ` (pid ${pid})`;
  } catch {
    // It has not written its pid yet: the message does without.
    return "";
  }
}
