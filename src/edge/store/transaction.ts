// This file is what one change works with: the open transaction, its time, and the differences it makes to the snapshot.
import type { Database, SQLQueryBindings } from "bun:sqlite";
import type { Change } from "./records.ts";

/** Audit rows kept; older ones go as new ones come. */
const MAX_AUDIT = 10_000;

/** One row of SQL before it becomes a record. */
export type SqlRow = Record<string, unknown>;

/** A change in progress. Everything in it is committed together, or nothing. */
export class Transaction {
  /** Wall clock in milliseconds: one time for the whole change. */
  readonly now: number;
  readonly changes: Change[] = [];
  readonly #database: Database;

  constructor(database: Database, now: number) {
    this.#database = database;
    this.now = now;
  }

  /** The first row of a query, or undefined. */
  one(sql: string, ...values: SQLQueryBindings[]): SqlRow | undefined {
    return (this.#database.query(sql).get(...values) as SqlRow | null) ?? undefined;
  }

  all(sql: string, ...values: SQLQueryBindings[]): SqlRow[] {
    return this.#database.query(sql).all(...values) as SqlRow[];
  }

  /** Runs a statement; returns the number of rows it changed. */
  run(sql: string, ...values: SQLQueryBindings[]): number {
    return this.#database.query(sql).run(...values).changes;
  }

  /** Notes what happened, for the owner; never a code, a seed or a visitor. */
  audit(event: string, fields: Readonly<Record<string, string | number>>): void {
    const { lastInsertRowid } = this.#database
      .query("INSERT INTO audit (at, event, fields) VALUES (?, ?, ?)")
      .run(this.now, event, JSON.stringify(fields));
    this.run("DELETE FROM audit WHERE id <= ?", Number(lastInsertRowid) - MAX_AUDIT);
  }
}
