// This file is the way back from a damaged state: the newest whole backup in its place, the damaged files aside. reliability.md §4 item 5; R-16.
import { Database } from "bun:sqlite";
import { randomBytes } from "node:crypto";
import { copyFileSync, existsSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { TunlError } from "../../errors.ts";
import { hasEntry, loadKey } from "../../identity/index.ts";
import { listBackups, makeBackup } from "./backup.ts";
import { BACKUP_DIRECTORY, compactTime } from "./backup-names.ts";
import type { BackupName } from "./backup-names.ts";
import { notBackedUp } from "./backups.ts";
import { DATABASE_FILE, unwritable } from "./database.ts";
import { prepareDirectory, syncDirectory, syncFile } from "./durable.ts";
import { applyEnds, applyUses, inspectDatabase, readEnds, readUses } from "./inspect.ts";
import type { Inspection } from "./inspect.ts";
import { takeLock } from "./lock.ts";
import { KEY_FILE } from "./state.ts";

/** Where damaged files are kept. */
const ASIDE_DIRECTORY = "damaged";

/** What a repair would do. */
export type RepairPlan =
  | { readonly kind: "whole" }
  | {
      readonly kind: "restore";
      /** What is wrong with the database. */
      readonly why: string;
      readonly backup: BackupName;
      /** Newer backups that are damaged too: with them a revocation may be lost. */
      readonly damaged: readonly BackupName[];
      /** Until when something was written, wall-clock milliseconds; undefined where nothing of it is left. */
      readonly writtenAt: number | undefined;
    };

export type Repaired = {
  /** Keys that the backup still accepted and the damaged files had revoked. */
  readonly revoked: number;
  /** Directory with the damaged files; undefined where there was none. */
  readonly keptIn: string | undefined;
};

/** A state directory under the lock, looked at. */
export class Repair implements Disposable {
  readonly plan: RepairPlan;
  readonly #directory: string;
  readonly #lock: Disposable;

  private constructor(directory: string, lock: Disposable, plan: RepairPlan) {
    this.#directory = directory;
    this.#lock = lock;
    this.plan = plan;
  }

  /**
   * Locks the state and judges the database and its backups.
   *
   * @throws TunlError `NOT_FOUND` where there is no state, `STATE_LOCKED` while an edge runs, `STATE_DAMAGED` where no
   *   backup is whole or the edge's key is gone, `STATE_TOO_NEW`, `STATE_UNWRITABLE`, `INSECURE_FILE`.
   */
  static async open(directory: string): Promise<Repair> {
    const names = [KEY_FILE, DATABASE_FILE, BACKUP_DIRECTORY];
    if (!names.some((name) => existsSync(join(directory, name)))) {
      throw new TunlError("NOT_FOUND", `No state of an edge in "${directory}"`, {
        hint: "Name its directory with --state DIR",
      });
    }
    const lock = onDisk(directory, () => lockOf(directory));
    try {
      await assertKey(join(directory, KEY_FILE));
      return new Repair(
        directory,
        lock,
        onDisk(directory, () => planFor(directory)),
      );
    } catch (error) {
      lock[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Does what the plan says. A crash at any point leaves a state that refuses to start, or a whole one.
   *
   * @param now Wall clock in milliseconds.
   * @throws TunlError `STATE_UNWRITABLE`: nothing was changed. `NOT_BACKED_UP`: restored, without a backup of it.
   */
  run(now: number): Repaired {
    const { plan } = this;
    if (plan.kind === "whole") return { revoked: 0, keptIn: undefined };
    return onDisk(this.#directory, () => restore(this.#directory, plan, now));
  }

  [Symbol.dispose](): void {
    this.#lock[Symbol.dispose]();
  }
}

function lockOf(directory: string): Disposable {
  try {
    return takeLock(directory);
  } catch (error) {
    if (!(error instanceof TunlError && error.code === "STATE_LOCKED")) throw error;
    const hint = "Stop it first, then repeat this command: it serves on from memory until then";
    throw new TunlError(error.code, error.message, { cause: error, hint });
  }
}

async function assertKey(path: string): Promise<void> {
  if (await hasEntry(path)) {
    await loadKey(path);
    return;
  }
  throw new TunlError(
    "STATE_DAMAGED",
    `Opening "${path}": it is missing, and no backup here has it`,
    {
      hint: "Put your own copy of edge.key in its place first: connectors accept no other key",
    },
  );
}

function planFor(directory: string): RepairPlan {
  const path = join(directory, DATABASE_FILE);
  const database = inspectDatabase(path);
  if (database.state === "tooNew") throw tooNew(path, database.why);
  const damaged: BackupName[] = [];
  for (const backup of listBackups(directory)) {
    const copy = join(directory, BACKUP_DIRECTORY, backup.name);
    const inspection = inspectDatabase(copy);
    if (inspection.state === "tooNew") throw tooNew(copy, inspection.why);
    if (inspection.state !== "whole") {
      damaged.push(backup);
      continue;
    }
    const why = faultOf(database, inspection.revision);
    if (why === undefined) return { kind: "whole" };
    return { kind: "restore", why, backup, damaged, writtenAt: lastWrite(directory, damaged) };
  }
  if (database.state === "whole") return { kind: "whole" };
  throw new TunlError(
    "STATE_DAMAGED",
    `Opening "${path}": ${database.why}, and none of ${damaged.length} backups is whole`,
    { hint: "Put a copy of your own in its place; nothing was changed" },
  );
}

/** Why the database cannot stay; undefined: it can. */
function faultOf(database: Inspection, revision: number): string | undefined {
  if (database.state !== "whole") return database.why;
  return database.revision < revision ? "it is older than its newest backup" : undefined;
}

function lastWrite(directory: string, damaged: readonly BackupName[]): number | undefined {
  const times = [DATABASE_FILE, `${DATABASE_FILE}-wal`].flatMap((name) => {
    const stats = statSync(join(directory, name), { throwIfNoEntry: false });
    return stats === undefined ? [] : [stats.mtimeMs];
  });
  times.push(...damaged.map(({ at }) => at));
  return times.length === 0 ? undefined : Math.max(...times);
}

function restore(
  directory: string,
  { backup, damaged }: Extract<RepairPlan, { kind: "restore" }>,
  now: number,
): Repaired {
  const path = join(directory, DATABASE_FILE);
  const backups = join(directory, BACKUP_DIRECTORY);
  // A copy of the backup, in which everything ends that ended in what is damaged: a key that was revoked stays revoked.
  const suspects = [
    path,
    ...damaged.map(({ name }) => join(backups, name)),
    ...setAside(directory),
  ];
  const temporary = join(directory, `.${DATABASE_FILE}.${randomBytes(6).toString("hex")}.tmp`);
  let revoked: number;
  try {
    copyFileSync(join(backups, backup.name), temporary);
    {
      using database = new Database(temporary, { readwrite: true, strict: true });
      revoked = database
        .transaction(() => {
          const count = applyEnds(database, suspects.flatMap(readEnds));
          applyUses(database, suspects.flatMap(readUses));
          noteRepair(database, now, backup);
          return count;
        })
        .immediate();
    }
    syncFile(temporary);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  // The database before its log: a log without its database is nobody's, a database without its log may seem whole.
  const files = ["", "-wal", "-shm", "-journal"].map((suffix) => `${DATABASE_FILE}${suffix}`);
  const old = [
    ...files.map((name) => join(directory, name)),
    ...damaged.map(({ name }) => join(backups, name)),
  ].filter((file) => existsSync(file));
  const keptIn = old.length === 0 ? undefined : asideOf(directory, now);
  for (const file of old) renameSync(file, join(keptIn as string, basename(file)));
  if (keptIn !== undefined) syncDirectory(keptIn);
  syncDirectory(directory);
  renameSync(temporary, path);
  syncDirectory(directory);
  backUp(directory, path, now);
  return { revoked, keptIn };
}

/**
 * Databases that were put aside by earlier repairs: one that was cut short has moved its database already, and what
 * ended once never begins again.
 */
function setAside(directory: string): string[] {
  const aside = join(directory, ASIDE_DIRECTORY);
  if (!existsSync(aside)) return [];
  return readdirSync(aside, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".db"))
    .map((name) => join(aside, name));
}

function noteRepair(database: Database, now: number, backup: BackupName): void {
  database
    .query("INSERT INTO audit (at, event, fields) VALUES (?, ?, ?)")
    .run(now, "state.repaired", JSON.stringify({ backup: backup.name }));
}

/** A new directory for what is damaged: nothing is deleted, and nothing that was put aside before is touched. */
function asideOf(directory: string, now: number): string {
  const aside = join(directory, ASIDE_DIRECTORY);
  prepareDirectory(aside);
  for (let number = 1; ; number++) {
    const path = join(aside, `${compactTime(now)}${number === 1 ? "" : `-${number}`}`);
    if (existsSync(path)) continue;
    prepareDirectory(path);
    syncDirectory(aside);
    return path;
  }
}

/** What ended in the damaged files only stands in no backup yet. */
function backUp(directory: string, path: string, now: number): void {
  try {
    using database = new Database(path, { readwrite: true, strict: true });
    makeBackup(database, directory, now);
  } catch (error) {
    throw notBackedUp("The state is restored", error);
  }
}

function tooNew(path: string, why: string): TunlError {
  return new TunlError("STATE_TOO_NEW", `Opening "${path}": ${why}`, {
    hint: "Run the tunl that wrote it, or a newer one",
  });
}

/** The file system's refusals as ours. */
function onDisk<T>(directory: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof TunlError ? error : unwritable(directory, error);
  }
}
