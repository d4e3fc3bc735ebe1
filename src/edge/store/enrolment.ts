// This file is one-time codes and the one transaction that turns a code into a key. PROTOCOL §3.1 ENROLL; A-06; R-17.
import { randomUUID } from "node:crypto";
import type { Calls, CodeRow, Enrolled, KeyRow, Owner, Refusal } from "./records.ts";
import { assertLives, changedKey, findKey, isEnded } from "./keys.ts";
import { freeName } from "./labels.ts";
import { accountOf, codeOf, tunnelOf } from "./rows.ts";
import type { Transaction } from "./transaction.ts";

/** Used and expired codes stay this long, so that a late second use can still be told from a wrong code. */
const KEEP_CODES_MS = 30 * 86_400_000;
const CODES = "SELECT *, (SELECT count(*) FROM code_uses WHERE code = hash) AS used FROM codes";

export function createCode(transaction: Transaction, body: Calls["createCode"]["body"]): undefined {
  transaction.run("DELETE FROM codes WHERE expires_at < ?", transaction.now - KEEP_CODES_MS);
  if (body.tunnel !== undefined) assertLives(transaction, body.tunnel);
  transaction.run(
    "INSERT INTO codes (hash, makes, tunnel, name, scope, uses, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    ...[body.hash, body.makes, body.tunnel ?? null, body.name ?? null],
    ...[JSON.stringify(body.scope), body.uses, transaction.now, body.expiresAt],
  );
  transaction.audit("code.created", {
    makes: body.makes,
    uses: body.uses,
    expiresAt: body.expiresAt,
  });
  return undefined;
}

export function revokeCode(
  transaction: Transaction,
  body: Calls["revokeCode"]["body"],
): Calls["revokeCode"]["value"] {
  const keys = transaction
    .all("SELECT public_key FROM code_uses WHERE code = ? ORDER BY used_at", body.hash)
    .map((row) => row["public_key"] as Uint8Array);
  // The row stays: keys it made refer to it, and its next use is worth a word in the log.
  const sql = "UPDATE codes SET expires_at = ?1 WHERE hash = ?2 AND expires_at > ?1";
  if (transaction.run(sql, transaction.now, body.hash) > 0) {
    transaction.audit("code.revoked", { keys: keys.length });
    return { state: "ended", keys };
  }
  const isKnown = transaction.one("SELECT 1 FROM codes WHERE hash = ?", body.hash) !== undefined;
  return { state: isKnown ? "over" : "unknown", keys };
}

/** A tunnel that is gone or shut gets no key by a line that was made before. */
export function endCodesOf(transaction: Transaction, tunnel: string): void {
  const sql = "UPDATE codes SET expires_at = ?1 WHERE tunnel = ?2 AND expires_at > ?1";
  const count = transaction.run(sql, transaction.now, tunnel);
  if (count > 0) transaction.audit("code.revoked", { tunnel, count });
}

export function listCodes(transaction: Transaction): readonly CodeRow[] {
  return transaction
    .all(`${CODES} WHERE expires_at > ? ORDER BY created_at`, transaction.now)
    .map(codeOf);
}

/**
 * Uses a code for a key.
 *
 * The same key may repeat within the code's life (its reply was lost) and changes nothing then. A refusal leaves
 * the code as it was; one of a code that exists leaves an audit row, a wrong code writes nothing: no stranger
 * makes this disk turn.
 */
export function enrol(transaction: Transaction, body: Calls["enrol"]["body"]): Enrolled {
  const row = transaction.one(`${CODES} WHERE hash = ?`, body.codeHash);
  if (row === undefined) return { state: "refused", reason: "unknownCode" };
  const code = codeOf(row);
  const key = findKey(transaction, body.publicKey);
  const isUsedByKey =
    transaction.one(
      "SELECT 1 FROM code_uses WHERE code = ? AND public_key = ?",
      body.codeHash,
      body.publicKey,
    ) !== undefined;

  const reason = refusalOf(code, key, isUsedByKey, body.kind, transaction.now);
  if (reason !== undefined) {
    transaction.audit("enrol.refused", { reason, kind: body.kind, name: body.name });
    return { state: "refused", reason };
  }
  if (key !== undefined) return enrolled(transaction, key, true);

  const scope = JSON.stringify(code.scope);
  const owner = ownerFor(transaction, code, body, scope);
  const keyId = freeName(
    transaction,
    `SELECT 1 FROM keys WHERE ${owner.kind} = ?2 AND key_id = ?1`,
    body.label,
    owner.id,
  );
  transaction.run(
    "INSERT INTO keys (public_key, tunnel, account, key_id, scope, created_at) VALUES (?, ?, ?, ?, ?, ?)",
    ...[
      body.publicKey,
      owner.kind === "tunnel" ? owner.id : null,
      owner.kind === "account" ? owner.id : null,
    ],
    ...[keyId, scope, transaction.now],
  );
  transaction.run(
    "INSERT INTO code_uses VALUES (?, ?, ?)",
    body.codeHash,
    body.publicKey,
    transaction.now,
  );
  transaction.audit("enrolled", { kind: owner.kind, id: owner.id, keyId });
  const made = changedKey(transaction, body.publicKey);
  return enrolled(transaction, made, false);
}

function refusalOf(
  code: CodeRow,
  key: KeyRow | undefined,
  isUsedByKey: boolean,
  kind: Owner["kind"],
  now: number,
): Refusal | undefined {
  if (now >= code.expiresAt) return "expiredCode";
  if ((code.makes === "account") !== (kind === "account")) return "otherKind";
  if (key !== undefined && isEnded(key, now)) return "revokedKey";
  if (key !== undefined) return isUsedByKey ? undefined : "registeredKey";
  return code.used >= code.uses ? "usedCode" : undefined;
}

function ownerFor(
  transaction: Transaction,
  code: CodeRow,
  { name: wished, kept }: Calls["enrol"]["body"],
  scope: string,
): Owner {
  const { now } = transaction;
  if (code.tunnel !== undefined) return { kind: "tunnel", id: code.tunnel };
  const id = randomUUID();
  if (code.makes === "account") {
    const name = freeName(
      transaction,
      "SELECT 1 FROM accounts WHERE name = ?1",
      code.name ?? wished,
    );
    transaction.run(
      "INSERT INTO accounts (id, name, scope, created_at) VALUES (?, ?, ?, ?)",
      id,
      name,
      scope,
      now,
    );
    const row = accountOf(transaction.one("SELECT * FROM accounts WHERE id = ?", id) ?? {});
    transaction.changes.push({ table: "accounts", row });
    return { kind: "account", id };
  }
  // A machine calls itself what it likes: with a line for certain names that gets it no others.
  const avoided = code.name === undefined && code.scope.length > 0 ? kept : [];
  const name = freeName(
    transaction,
    "SELECT 1 FROM tunnels WHERE name = ?1 UNION SELECT 1 FROM json_each(?2) WHERE value = ?1",
    code.name ?? wished,
    JSON.stringify(avoided),
  );
  transaction.run("INSERT INTO tunnels (id, name, created_at) VALUES (?, ?, ?)", id, name, now);
  const row = tunnelOf(transaction.one("SELECT * FROM tunnels WHERE id = ?", id) ?? {});
  transaction.changes.push({ table: "tunnels", row });
  return { kind: "tunnel", id };
}

function enrolled(transaction: Transaction, key: KeyRow, isRepeat: boolean): Enrolled {
  const { owner, keyId } = key;
  const row = transaction.one(`SELECT name FROM ${owner.kind}s WHERE id = ?`, owner.id);
  return { state: "enrolled", owner, name: String(row?.["name"]), keyId, isRepeat };
}
