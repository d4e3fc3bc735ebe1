// This file is the judgement of a database file that nobody writes to: whole or not, how far it got, and what it takes away. reliability.md §4 items 3 and 5.
import { messageOf } from "../../errors.ts";
import { Database } from "bun:sqlite";
import { statSync } from "node:fs";
import { join } from "node:path";
import { assertPrivate } from "../../identity/index.ts";
import { listBackups } from "./backup.ts";
import { BACKUP_DIRECTORY } from "./backup-names.ts";
import type { BackupName } from "./backup-names.ts";
import { APPLICATION_ID, SCHEMA_VERSION, versionOf } from "./migrations.ts";

export type Inspection =
  /** `revision` counts the changes it holds: of two files of one edge the higher one is the later. */
  | { readonly state: "whole"; readonly revision: number }
  | { readonly state: "missing" | "damaged" | "tooNew"; readonly why: string };

/**
 * Judges a file as a start does, with the thorough check, and changes nothing.
 *
 * @throws TunlError `INSECURE_FILE`.
 */
export function inspectDatabase(path: string): Inspection {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return { state: "missing", why: "it is missing" };
  assertPrivate(path, stats);
  if (stats.size === 0) return { state: "damaged", why: "it is empty" };
  try {
    using database = new Database(path, { readonly: true });
    const check = database.query("PRAGMA integrity_check(1)").get() as { integrity_check: string };
    if (check.integrity_check !== "ok") return { state: "damaged", why: check.integrity_check };
    const header = database.query("PRAGMA application_id").get() as { application_id: number };
    if (header.application_id !== APPLICATION_ID)
      return { state: "damaged", why: "it is another program's database" };
    const version = versionOf(database);
    if (version > SCHEMA_VERSION)
      return {
        state: "tooNew",
        why: `it has version ${version}, expected at most ${SCHEMA_VERSION}`,
      };
    return { state: "whole", revision: revisionOf(database) };
  } catch (error) {
    return { state: "damaged", why: messageOf(error) };
  }
}

/** Number of the newest audit row ever written: every change but last-seen times writes one. */
export function revisionOf(database: Database): number {
  // Zero bytes are a valid database without any table.
  if (versionOf(database) === 0) return 0;
  const row = database.query("SELECT seq FROM sqlite_sequence WHERE name = 'audit'").get() as {
    seq: number;
  } | null;
  return row?.seq ?? 0;
}

/**
 * The name of the newest backup, where it holds changes that the database does not: an old copy was put in its place,
 * or its log was lost, and keys that were revoked since would be accepted again. A backup that cannot be read says
 * nothing; the next one is made at once.
 */
export function newerBackup(database: Database, stateDirectory: string): string | undefined {
  const newest = listBackups(stateDirectory)[0];
  if (newest === undefined) return undefined;
  const path = join(stateDirectory, BACKUP_DIRECTORY, newest.name);
  let revision: number;
  try {
    using backup = new Database(path, { readonly: true });
    revision = revisionOf(backup);
  } catch {
    return undefined;
  }
  return revision > revisionOf(database) ? newest.name : undefined;
}

/** The newest backup, where it is whole: another one does not count, and the next is made at once. */
export function newestWhole(stateDirectory: string): BackupName | undefined {
  const newest = listBackups(stateDirectory)[0];
  if (newest === undefined) return undefined;
  try {
    const { state } = inspectDatabase(join(stateDirectory, BACKUP_DIRECTORY, newest.name));
    return state === "whole" ? newest : undefined;
  } catch {
    // Others may touch it: no more to be relied on than a damaged one.
    return undefined;
  }
}

/** Times at which something stops being accepted: column by column, with what names the row. The earliest time counts. */
const ENDS = [
  { table: "keys", id: "public_key", column: "revoked_at" },
  { table: "keys", id: "public_key", column: "expires_at" },
  { table: "codes", id: "hash", column: "expires_at" },
] as const;

type End = { readonly of: (typeof ENDS)[number]; readonly id: Uint8Array; readonly at: number };

/** What a file takes away from keys and codes, as far as it can be read at all; a damaged one is read until it ends. */
export function readEnds(path: string): End[] {
  const ends: End[] = [];
  for (const of of ENDS) {
    try {
      using database = new Database(path, { readonly: true });
      const sql = `SELECT ${of.id} AS id, ${of.column} AS at FROM ${of.table} WHERE ${of.column} IS NOT NULL`;
      for (const row of database.query(sql).iterate()) {
        const { id, at } = row as { id: unknown; at: unknown };
        if (id instanceof Uint8Array && typeof at === "number") ends.push({ of, id, at });
      }
    } catch {
      // Damage ends the reading, and an older build has fewer columns: what was read until there counts.
    }
  }
  return ends;
}

/** How often codes were used in a file, and when last, as far as it can be read. */
export function readUses(path: string): Use[] {
  const uses: Use[] = [];
  try {
    using database = new Database(path, { readonly: true });
    const sql = "SELECT code, count(*) AS count, max(used_at) AS at FROM code_uses GROUP BY code";
    for (const row of database.query(sql).iterate()) {
      const { code, count, at } = row as Record<string, unknown>;
      if (code instanceof Uint8Array && typeof count === "number" && typeof at === "number")
        uses.push({ code, count, at });
    }
  } catch {
    // Damage ends the reading: what was read until there counts.
  }
  return uses;
}

/** Ends codes that were used in another file more often than here: the key of that use is lost, the code stays used. */
export function applyUses(database: Database, uses: readonly Use[]): void {
  const sql = `UPDATE codes SET expires_at = ?1 WHERE hash = ?2 AND expires_at > ?1
    AND (SELECT count(*) FROM code_uses WHERE code = ?2) < ?3`;
  for (const { code, count, at } of uses) database.query(sql).run(at, code, count);
}

type Use = { readonly code: Uint8Array; readonly count: number; readonly at: number };

/** Lets what ended in another file end here too. Returns how many keys that revoked. */
export function applyEnds(database: Database, ends: readonly End[]): number {
  let revoked = 0;
  for (const { of, id, at } of ends) {
    const { table, column } = of;
    if (!hasColumn(database, table, column)) continue;
    const sql = `UPDATE ${table} SET ${column} = ?1 WHERE ${of.id} = ?2 AND (${column} IS NULL OR ${column} > ?1)`;
    const { changes } = database.query(sql).run(at, id);
    if (column === "revoked_at") revoked += changes;
  }
  return revoked;
}

function hasColumn(database: Database, table: string, column: string): boolean {
  const columns = database.query(`PRAGMA table_info(${table})`).all() as { name: string }[];
  return columns.some(({ name }) => name === column);
}
