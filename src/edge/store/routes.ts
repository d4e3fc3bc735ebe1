// This file is the rows that tie names to the DNS: claims of accounts, proofs of foreign names, records the edge made. product.md §6.
import { removeHost, insertHost } from "./hostnames.ts";
import { assertTunnel } from "./keys.ts";
import type { Calls, HostRow, MadeRecord } from "./records.ts";
import { hostOf, recordOf } from "./rows.ts";
import type { Transaction } from "./transaction.ts";

/** @throws TunlError `NOT_ALLOWED`, `TUNNEL_NOT_FOUND`, `HOSTNAME_TAKEN`, `HOSTNAME_LIMIT`. */
export function claimRoute(
  transaction: Transaction,
  { by, tunnel, host }: Calls["claimRoute"]["body"],
): HostRow {
  assertTunnel(transaction, by, tunnel);
  return insertHost(transaction, { by, host, tunnel, how: "claimed" });
}

/** A name of somebody else is answered as one that nobody has. @throws TunlError `NOT_ALLOWED`, `TUNNEL_NOT_FOUND`. */
export function releaseRoute(
  transaction: Transaction,
  { by, host }: Calls["releaseRoute"]["body"],
): HostRow | undefined {
  const row = transaction.one("SELECT * FROM hosts WHERE host = ?", host);
  if (row === undefined) return undefined;
  const held = hostOf(row);
  assertTunnel(transaction, by, held.tunnel);
  removeHost(transaction, { host });
  return held;
}

export function setProof(
  transaction: Transaction,
  { host, tunnel, proof }: Calls["setProof"]["body"],
): HostRow | undefined {
  const before = transaction.one("SELECT proof FROM hosts WHERE host = ?", host)?.["proof"];
  const changed = transaction.run(
    "UPDATE hosts SET proof = ?, proof_at = ?, proof_failed_at = ? WHERE host = ? AND tunnel = ?",
    ...[proof.state, proof.at ?? null, proof.failedSince ?? null, host, tunnel],
  );
  if (changed === 0) return undefined;
  if (before !== proof.state) transaction.audit(`host.${proof.state}`, { host, tunnel });
  const row = hostOf(transaction.one("SELECT * FROM hosts WHERE host = ?", host) ?? {});
  transaction.changes.push({ table: "hosts", row });
  return row;
}

/** A record that was made for another name before serves the newer one. */
export function keepRecord(
  transaction: Transaction,
  { name, type, value, host, tunnel }: Calls["keepRecord"]["body"],
): undefined {
  transaction.run(
    "INSERT OR REPLACE INTO dns_records (name, type, value, host, tunnel, created_at) VALUES (?, ?, ?, ?, ?, ?)",
    ...[name, type, value, host, tunnel, transaction.now],
  );
  transaction.audit("dns.record.made", { name, type, host });
  return undefined;
}

export function forgetRecord(
  transaction: Transaction,
  { name, type, value }: Calls["forgetRecord"]["body"],
): undefined {
  const sql = "DELETE FROM dns_records WHERE name = ? AND type = ? AND value = ?";
  if (transaction.run(sql, name, type, value) > 0)
    transaction.audit("dns.record.removed", { name, type });
  return undefined;
}

export function listRecords(transaction: Transaction): readonly MadeRecord[] {
  return transaction.all("SELECT * FROM dns_records ORDER BY created_at, name").map(recordOf);
}
