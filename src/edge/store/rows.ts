// This file is the way from a row of SQL to a record; what SQLite promises (STRICT, CHECK) is not checked again.
import type {
  AccountRow,
  AuditRow,
  Change,
  CodeRow,
  HostRow,
  KeyRow,
  MadeRecord,
  Owner,
  TunnelRow,
} from "./records.ts";
import type { SqlRow, Transaction } from "./transaction.ts";

/** Every row the snapshot holds, parents before children. */
export function readAll(transaction: Transaction): Change[] {
  const read = (sql: string, make: (row: SqlRow) => Change): Change[] =>
    transaction.all(sql).map(make);
  return [
    ...read("SELECT * FROM accounts ORDER BY created_at", (row) => ({
      table: "accounts",
      row: accountOf(row),
    })),
    ...read("SELECT * FROM tunnels WHERE deleted_at IS NULL ORDER BY created_at", (row) => ({
      table: "tunnels",
      row: tunnelOf(row),
    })),
    ...read("SELECT * FROM keys ORDER BY created_at", (row) => ({
      table: "keys",
      row: keyOf(row),
    })),
    ...read("SELECT * FROM hosts ORDER BY created_at", (row) => ({
      table: "hosts",
      row: hostOf(row),
    })),
  ];
}

export function accountOf(row: SqlRow): AccountRow {
  return {
    id: text(row["id"]),
    name: text(row["name"]),
    scope: list(row["scope"]),
    createdAt: count(row["created_at"]),
  };
}

export function tunnelOf(row: SqlRow): TunnelRow {
  return {
    id: text(row["id"]),
    name: text(row["name"]),
    account: optional(row["account"], text),
    createdAt: count(row["created_at"]),
    seenAt: optional(row["seen_at"], count),
  };
}

export function keyOf(row: SqlRow): KeyRow {
  return {
    publicKey: bytes(row["public_key"]),
    owner: ownerOf(row),
    keyId: text(row["key_id"]),
    kind: row["kind"] as KeyRow["kind"],
    scope: list(row["scope"]),
    createdAt: count(row["created_at"]),
    seenAt: optional(row["seen_at"], count),
    revokedAt: optional(row["revoked_at"], count),
    expiresAt: optional(row["expires_at"], count),
    replacedBy: optional(row["replaced_by"], bytes),
  };
}

export function hostOf(row: SqlRow): HostRow {
  const isRandom = row["how"] === "random";
  return {
    host: text(row["host"]),
    tunnel: text(row["tunnel"]),
    how: row["how"] as HostRow["how"],
    random: isRandom
      ? { publicKey: bytes(row["public_key"]), target: text(row["target"]) }
      : undefined,
    createdAt: count(row["created_at"]),
    usedAt: count(row["used_at"]),
    proof: proofOf(row),
    isFixed: row["is_fixed"] === 1,
  };
}

function proofOf(row: SqlRow): HostRow["proof"] {
  const state = row["proof"] as "proven" | "suspended" | null;
  if (state === null) return undefined;
  return {
    state,
    at: optional(row["proof_at"], count),
    failedSince: optional(row["proof_failed_at"], count),
  };
}

export function recordOf(row: SqlRow): MadeRecord {
  return {
    name: text(row["name"]),
    type: text(row["type"]),
    value: text(row["value"]),
    host: text(row["host"]),
    tunnel: text(row["tunnel"]),
    createdAt: count(row["created_at"]),
  };
}

/** Needs a column `used` beside those of `codes`. */
export function codeOf(row: SqlRow): CodeRow {
  return {
    hash: bytes(row["hash"]),
    makes: row["makes"] as CodeRow["makes"],
    tunnel: optional(row["tunnel"], text),
    name: optional(row["name"], text),
    scope: list(row["scope"]),
    uses: count(row["uses"]),
    used: count(row["used"]),
    createdAt: count(row["created_at"]),
    expiresAt: count(row["expires_at"]),
  };
}

export function auditOf(row: SqlRow): AuditRow {
  return {
    id: count(row["id"]),
    at: count(row["at"]),
    event: text(row["event"]),
    fields: JSON.parse(text(row["fields"])) as AuditRow["fields"],
  };
}

function ownerOf(row: SqlRow): Owner {
  const tunnel = optional(row["tunnel"], text);
  return tunnel === undefined
    ? { kind: "account", id: text(row["account"]) }
    : { kind: "tunnel", id: tunnel };
}

function text(value: unknown): string {
  return value as string;
}

function count(value: unknown): number {
  return value as number;
}

function bytes(value: unknown): Uint8Array {
  return value as Uint8Array;
}

function list(value: unknown): readonly string[] {
  return JSON.parse(value as string) as readonly string[];
}

function optional<T>(value: unknown, read: (value: unknown) => T): T | undefined {
  return value === null ? undefined : read(value);
}
