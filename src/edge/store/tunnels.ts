// This file is the tunnels of accounts: made with their first key and names in one change, deleted with everything of theirs.
// http.md §5.4; product.md §2.3.
import { TunlError } from "../../errors.ts";
import { endCodesOf } from "./enrolment.ts";
import { insertHost } from "./hostnames.ts";
import { assertSame, assertTunnel, callerOf, findKey, insertKey, revoke } from "./keys.ts";
import type { By, Calls, Change, KeyRow, MadeTunnel } from "./records.ts";
import { hostOf, keyOf, tunnelOf } from "./rows.ts";
import type { Transaction } from "./transaction.ts";

/** Tunnels of one account, and those it ever made: rows of deleted ones stay for their keys. */
export const MAX_TUNNELS_OF_ACCOUNT = 1_000;
export const MAX_TUNNELS_EVER = 10_000;

/**
 * Makes a tunnel with its first key and its names, all or nothing. The same key and name again give the same answer:
 * the first one was lost on its way.
 *
 * @throws TunlError `NOT_ALLOWED`, `NAME_TAKEN`, `HOSTNAME_TAKEN`, `HOSTNAME_LIMIT`, `TUNNEL_LIMIT`.
 */
export function createTunnel(
  transaction: Transaction,
  body: Calls["createTunnel"]["body"],
): MadeTunnel {
  const account = callerOf(transaction, body.by);
  if (account?.kind !== "account")
    throw new TunlError("NOT_ALLOWED", "Only the key of an account makes tunnels");
  const named = transaction.one("SELECT * FROM tunnels WHERE name = ?", body.name);
  const known = findKey(transaction, body.publicKey);
  const isOwn = named !== undefined && named["account"] === account.id;
  if (isOwn && known !== undefined && known.owner.id === named["id"]) {
    const tunnel = tunnelOf(named);
    const key = assertSame(known, { kind: "tunnel", id: tunnel.id }, transaction.now);
    return { tunnel, key, hosts: takeHosts(transaction, body.by, tunnel.id, body.hosts) };
  }
  if (named !== undefined) throw nameTaken(body.name);
  if (known !== undefined)
    throw new TunlError("USAGE", "That public key is registered already, expected a new one");
  assertRoom(transaction, account.id);

  transaction.run(
    "INSERT INTO tunnels (id, name, account, created_at) VALUES (?, ?, ?, ?)",
    ...[body.id, body.name, account.id, transaction.now],
  );
  const tunnel = tunnelOf(transaction.one("SELECT * FROM tunnels WHERE id = ?", body.id) ?? {});
  transaction.changes.push({ table: "tunnels", row: tunnel });
  transaction.audit("tunnel.created", { tunnel: body.id, name: body.name, account: account.id });
  const { publicKey, label, scope } = body;
  const key = insertKey(
    transaction,
    { kind: "tunnel", id: body.id },
    { publicKey, label, scope, kind: "key", expiresAt: undefined },
  );
  return { tunnel, key, hosts: takeHosts(transaction, body.by, body.id, body.hosts) };
}

/**
 * Deletes a tunnel: its keys are revoked, its names free, its codes over. The row stays under its id as name, for the keys
 * that refer to it.
 *
 * @throws TunlError `NOT_ALLOWED`, `TUNNEL_NOT_FOUND`.
 */
export function deleteTunnel(
  transaction: Transaction,
  { by, tunnel }: Calls["deleteTunnel"]["body"],
): Calls["deleteTunnel"]["value"] {
  assertTunnel(transaction, by, tunnel);
  const keys = shutTunnel(transaction, { tunnel });
  const hosts = transaction
    .all("SELECT * FROM hosts WHERE tunnel = ? ORDER BY host", tunnel)
    .map((row) => hostOf(row).host);
  transaction.run("DELETE FROM hosts WHERE tunnel = ?", tunnel);
  transaction.run(
    "UPDATE tunnels SET name = id, deleted_at = ? WHERE id = ?",
    transaction.now,
    tunnel,
  );
  transaction.audit("tunnel.deleted", { tunnel, hosts: hosts.length, keys: keys.length });
  const gone = hosts.map((host): Change => ({ table: "hosts", gone: host }));
  transaction.changes.push(...gone, { table: "tunnels", gone: tunnel });
  return { hosts, keys: keys.length };
}

/** Nobody serves the tunnel any more, by a key it has or by one that a code would make; its names stay its own. */
export function shutTunnel(
  transaction: Transaction,
  { tunnel }: Calls["shutTunnel"]["body"],
): readonly KeyRow[] {
  endCodesOf(transaction, tunnel);
  return transaction
    .all("SELECT * FROM keys WHERE tunnel = ? AND revoked_at IS NULL", tunnel)
    .map((row) => revoke(transaction, keyOf(row)));
}

function takeHosts(
  transaction: Transaction,
  by: By,
  tunnel: string,
  hosts: readonly string[],
): MadeTunnel["hosts"] {
  return hosts.map((host) => insertHost(transaction, { by, host, tunnel, how: "claimed" }));
}

export function nameTaken(name: string): TunlError {
  return new TunlError("NAME_TAKEN", `A tunnel named "${name}" exists already`, {
    hint: "Choose another name, or run tunl tunnel list to see yours",
  });
}

function assertRoom(transaction: Transaction, account: string): void {
  const sql =
    "SELECT count(*) AS ever, count(*) FILTER (WHERE deleted_at IS NULL) AS now FROM tunnels WHERE account = ?";
  const row = transaction.one(sql, account);
  const [ever, now] = [row?.["ever"] as number, row?.["now"] as number];
  if (now < MAX_TUNNELS_OF_ACCOUNT && ever < MAX_TUNNELS_EVER) return;
  const isNow = now >= MAX_TUNNELS_OF_ACCOUNT;
  throw new TunlError(
    "TUNNEL_LIMIT",
    isNow
      ? `Account has ${now} tunnels, allowed ${MAX_TUNNELS_OF_ACCOUNT}`
      : `Account made ${ever} tunnels, allowed ${MAX_TUNNELS_EVER} with those it deleted`,
    {
      hint: isNow
        ? "Delete those that nobody uses: tunl tunnel delete NAME"
        : "Log in again with a new line of tunl edge invite --account",
    },
  );
}
