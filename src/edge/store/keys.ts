// This file is the rows of keys after their enrolment: added, put in place of others, revoked for ever. http.md §5.4; A-07.
import { TunlError } from "../../errors.ts";
import { freeName } from "./labels.ts";
import type { By, Calls, KeyRow, Owner, Rotated } from "./records.ts";
import { hostOf, keyOf } from "./rows.ts";
import type { Transaction } from "./transaction.ts";

/** Keys of one tunnel that are in force: one for each machine that serves it, and its tokens. */
export const MAX_KEYS_OF_TUNNEL = 100;
/** Keys that a tunnel, and all tunnels of an account together, ever had: revoked ones are remembered for ever. */
export const MAX_KEYS_EVER = { tunnel: 1_000, account: 10_000 } as const;

/** True for a key that opens nothing any more: revoked, or its time is over. */
export function isEnded(key: Pick<KeyRow, "revokedAt" | "expiresAt">, now: number): boolean {
  return key.revokedAt !== undefined || (key.expiresAt !== undefined && key.expiresAt <= now);
}

export function findKey(transaction: Transaction, publicKey: Uint8Array): KeyRow | undefined {
  const row = transaction.one("SELECT * FROM keys WHERE public_key = ?", publicKey);
  return row === undefined ? undefined : keyOf(row);
}

/** Reads a key that this change wrote, and tells the snapshot of it. */
export function changedKey(transaction: Transaction, publicKey: Uint8Array): KeyRow {
  const row = keyOf(transaction.one("SELECT * FROM keys WHERE public_key = ?", publicKey) ?? {});
  transaction.changes.push({ table: "keys", row });
  return row;
}

/**
 * Who stands behind `by` at this moment.
 *
 * @returns The owner of that key; undefined for the owner of the edge.
 * @throws TunlError `NOT_ALLOWED` for a key that is not in force: it was revoked while the change waited for the disk.
 */
export function callerOf(transaction: Transaction, by: By): Owner | undefined {
  if (by === undefined) return undefined;
  const key = findKey(transaction, by);
  if (key !== undefined && !isEnded(key, transaction.now)) return key.owner;
  throw new TunlError("NOT_ALLOWED", "The key that asks is not in force any more");
}

/** @throws TunlError `TUNNEL_NOT_FOUND` for one that was deleted while a change of it waited for the disk. */
export function assertLives(transaction: Transaction, tunnel: string): void {
  const sql = "SELECT 1 FROM tunnels WHERE id = ? AND deleted_at IS NULL";
  if (transaction.one(sql, tunnel) === undefined)
    throw new TunlError("TUNNEL_NOT_FOUND", `There is no tunnel "${tunnel}"`);
}

/**
 * The tunnel that `by` may change.
 *
 * @throws TunlError `TUNNEL_NOT_FOUND`, also for one of another account: nobody learns of those.
 */
export function assertTunnel(transaction: Transaction, by: By, tunnel: string): void {
  const caller = callerOf(transaction, by);
  const row = transaction.one(
    "SELECT account FROM tunnels WHERE id = ? AND deleted_at IS NULL",
    tunnel,
  );
  const isOwn =
    caller === undefined ||
    (caller.kind === "account" ? row?.["account"] === caller.id : caller.id === tunnel);
  if (row === undefined || !isOwn)
    throw new TunlError("TUNNEL_NOT_FOUND", `There is no tunnel "${tunnel}"`);
}

/** Adds a key to a tunnel; the same key again changes nothing, its reply was lost. */
export function addKey(transaction: Transaction, body: Calls["addKey"]["body"]): KeyRow {
  assertTunnel(transaction, body.by, body.tunnel);
  const owner: Owner = { kind: "tunnel", id: body.tunnel };
  const known = findKey(transaction, body.publicKey);
  if (known !== undefined) return assertSame(known, owner, transaction.now);
  return insertKey(transaction, owner, body);
}

/** What a new key of a tunnel is; its label is numbered where it is in use. */
export type NewKey = {
  readonly publicKey: Uint8Array;
  readonly label: string;
  readonly kind: KeyRow["kind"];
  readonly scope: readonly string[];
  readonly expiresAt: number | undefined;
};

/** @throws TunlError `KEY_LIMIT`. */
export function insertKey(transaction: Transaction, owner: Owner, key: NewKey): KeyRow {
  assertRoom(transaction, owner);
  const keyId = freeName(
    transaction,
    `SELECT 1 FROM keys WHERE ${owner.kind} = ?2 AND key_id = ?1`,
    key.label,
    owner.id,
  );
  transaction.run(
    `INSERT INTO keys (public_key, ${owner.kind}, key_id, kind, scope, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
    ...[key.publicKey, owner.id, keyId, key.kind],
    ...[JSON.stringify(key.scope), transaction.now, key.expiresAt ?? null],
  );
  transaction.audit("key.added", { [owner.kind]: owner.id, keyId, kind: key.kind });
  return changedKey(transaction, key.publicKey);
}

/**
 * Puts a new key in the place of another, which ends a while later or at once. What the old one was bound to binds the
 * new one: a key cannot prolong its own time by it.
 *
 * @throws TunlError `KEY_NOT_FOUND` for one that has ended or was replaced already, `KEY_LIMIT`.
 */
export function rotateKey(transaction: Transaction, body: Calls["rotateKey"]["body"]): Rotated {
  const caller = callerOf(transaction, body.by);
  const old = findKey(transaction, body.publicKey);
  if (old === undefined) throw new TunlError("KEY_NOT_FOUND", "There is no such key");
  if (old.owner.kind === "tunnel") {
    if (caller?.kind !== "tunnel") assertTunnel(transaction, body.by, old.owner.id);
    else if (Buffer.compare(body.by ?? NO_KEY, old.publicKey) !== 0)
      throw new TunlError("NOT_ALLOWED", "The key of a tunnel may rotate itself only");
  }
  const known = findKey(transaction, body.next);
  const isRepeat =
    known !== undefined &&
    old.replacedBy !== undefined &&
    Buffer.compare(old.replacedBy, body.next) === 0;
  if (isRepeat && !isEnded(known, transaction.now)) return { key: known, old };
  if (old.replacedBy !== undefined || isEnded(old, transaction.now)) {
    throw new TunlError("KEY_NOT_FOUND", `Key "${old.keyId}" has ended or was rotated already`, {
      hint: "Make another key: tunl tunnel token NAME --output FILE, or ask the edge's owner for a join line, tunl edge invite --name NAME",
    });
  }
  if (known !== undefined) throw registered();
  const key = insertKey(transaction, old.owner, {
    publicKey: body.next,
    label: old.keyId.replace(/-\d{1,4}$/, ""),
    kind: old.kind,
    scope: old.scope,
    expiresAt: old.expiresAt,
  });
  const endsAt = Math.min(body.endsAt, old.expiresAt ?? Number.POSITIVE_INFINITY);
  transaction.run(
    "UPDATE keys SET replaced_by = ?, expires_at = ?, revoked_at = ? WHERE public_key = ?",
    ...[body.next, endsAt, endsAt <= transaction.now ? transaction.now : null, old.publicKey],
  );
  moveNames(transaction, old.publicKey, body.next);
  transaction.audit("key.rotated", {
    [old.owner.kind]: old.owner.id,
    keyId: old.keyId,
    next: key.keyId,
    endsAt,
  });
  return { key, old: changedKey(transaction, old.publicKey) };
}

/** Random names are remembered for a key: they go over to the one in its place, so that a rotation costs nobody a name. */
function moveNames(transaction: Transaction, old: Uint8Array, next: Uint8Array): void {
  transaction.run("UPDATE hosts SET public_key = ? WHERE public_key = ?", next, old);
  for (const row of transaction.all("SELECT * FROM hosts WHERE public_key = ?", next))
    transaction.changes.push({ table: "hosts", row: hostOf(row) });
}

/** Revokes keys for ever; those that were revoked before stay as they are. */
export function revokeKeys(
  transaction: Transaction,
  body: Calls["revokeKeys"]["body"],
): readonly KeyRow[] {
  callerOf(transaction, body.by);
  const revoked: KeyRow[] = [];
  for (const publicKey of body.publicKeys) {
    const key = findKey(transaction, publicKey);
    if (key === undefined) continue;
    if (body.by !== undefined) assertTunnel(transaction, body.by, key.owner.id);
    revoked.push(revoke(transaction, key));
  }
  return revoked;
}

export function revoke(transaction: Transaction, key: KeyRow): KeyRow {
  const isNew =
    transaction.run(
      "UPDATE keys SET revoked_at = ? WHERE public_key = ? AND revoked_at IS NULL",
      transaction.now,
      key.publicKey,
    ) > 0;
  if (isNew)
    transaction.audit("key.revoked", { kind: key.owner.kind, id: key.owner.id, keyId: key.keyId });
  return changedKey(transaction, key.publicKey);
}

const NO_KEY = new Uint8Array(0);

/** @returns The key as it is. @throws TunlError `USAGE` for a key that something else has, `NOT_ALLOWED` for one that ended. */
export function assertSame(known: KeyRow, owner: Owner, now: number): KeyRow {
  if (known.owner.kind !== owner.kind || known.owner.id !== owner.id) throw registered();
  if (!isEnded(known, now)) return known;
  throw new TunlError("NOT_ALLOWED", `Key "${known.keyId}" has ended and is never taken again`, {
    hint: "Make another key: tunl tunnel token NAME --output FILE, or ask the edge's owner for a join line, tunl edge invite --name NAME",
  });
}

export function registered(): TunlError {
  return new TunlError("USAGE", "That public key is registered already, expected a new one");
}

function assertRoom(transaction: Transaction, owner: Owner): void {
  if (owner.kind === "account") return; // One for each line of the owner's.
  const inForce = count(
    transaction,
    "SELECT count(*) AS count FROM keys WHERE tunnel = ?1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?2)",
    owner.id,
    transaction.now,
  );
  if (inForce >= MAX_KEYS_OF_TUNNEL)
    throw full(`Tunnel has ${inForce} keys`, "Revoke keys that nobody uses");
  const ever = count(transaction, "SELECT count(*) AS count FROM keys WHERE tunnel = ?1", owner.id);
  if (ever >= MAX_KEYS_EVER.tunnel)
    throw full(`Tunnel had ${ever} keys in its life`, "Make another tunnel for what follows");
  const ofAccount = count(
    transaction,
    "SELECT count(*) AS count FROM keys WHERE tunnel IN (SELECT id FROM tunnels WHERE account = (SELECT account FROM tunnels WHERE id = ?1))",
    owner.id,
  );
  if (ofAccount >= MAX_KEYS_EVER.account)
    throw full(`Tunnels of this account had ${ofAccount} keys`, "Log in again with a new line");
}

function count(transaction: Transaction, sql: string, ...values: (string | number)[]): number {
  return transaction.one(sql, ...values)?.["count"] as number;
}

function full(what: string, hint: string): TunlError {
  return new TunlError("KEY_LIMIT", `${what}, which is as many as it may`, { hint });
}
