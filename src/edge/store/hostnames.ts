// This file is the rows of hostnames: first come, one tunnel each. The rules that come before stand in route/grants.ts.
// product.md §6; A-08.
import { TunlError } from "../../errors.ts";
import type { Calls, HostRow } from "./records.ts";
import { hostOf } from "./rows.ts";
import type { Transaction } from "./transaction.ts";

/** Names of one tunnel: a connector may claim whatever is free, so something must end it. */
export const MAX_HOSTS_OF_TUNNEL = 1_000;

export function insertHost(transaction: Transaction, body: Calls["insertHost"]["body"]): HostRow {
  const row = transaction.one("SELECT * FROM hosts WHERE host = ?", body.host);
  if (row !== undefined) {
    const held = hostOf(row);
    if (held.tunnel !== body.tunnel) throw taken(body.host);
    return held;
  }
  // A race with another change that the caller's snapshot did not show yet; exact rows are settled above.
  if (isOverlapping(transaction, body.host, body.tunnel)) throw taken(body.host);
  return insert(transaction, body.host, body.tunnel, body.how);
}

export function nameHost(
  transaction: Transaction,
  body: Calls["nameHost"]["body"],
): HostRow | undefined {
  const { tunnel, publicKey, target } = body;
  const row = transaction.one(
    "SELECT * FROM hosts WHERE public_key = ? AND target = ?",
    publicKey,
    target,
  );
  if (row !== undefined) return hostOf(row);
  for (const host of body.candidates) {
    if (transaction.one("SELECT 1 FROM hosts WHERE host = ?", host) !== undefined) continue;
    if (isOverlapping(transaction, host, tunnel)) continue;
    return insert(transaction, host, tunnel, "random", { publicKey, target });
  }
  return undefined;
}

export function removeHost(transaction: Transaction, body: Calls["removeHost"]["body"]): boolean {
  const isRemoved = transaction.run("DELETE FROM hosts WHERE host = ?", body.host) > 0;
  if (isRemoved) {
    transaction.changes.push({ table: "hosts", gone: body.host });
    transaction.audit("host.released", { host: body.host });
  }
  return isRemoved;
}

/** The refusal of a name that another tunnel has. */
export function taken(host: string): TunlError {
  return new TunlError("HOSTNAME_TAKEN", `${host} belongs to another tunnel`, {
    hint: "Choose another --name or --host, or connect with the key of that tunnel",
  });
}

function insert(
  transaction: Transaction,
  host: string,
  tunnel: string,
  how: HostRow["how"],
  random?: { readonly publicKey: Uint8Array; readonly target: string },
): HostRow {
  const count = transaction.one("SELECT count(*) AS count FROM hosts WHERE tunnel = ?", tunnel)?.[
    "count"
  ] as number;
  if (count >= MAX_HOSTS_OF_TUNNEL) {
    throw new TunlError(
      "HOSTNAME_LIMIT",
      `Tunnel has ${count} names, allowed ${MAX_HOSTS_OF_TUNNEL}`,
      {
        hint: "Join as another tunnel with a line of tunl edge invite; this build cannot release names",
      },
    );
  }
  transaction.run(
    "INSERT INTO hosts (host, tunnel, how, public_key, target, created_at, used_at) VALUES (?, ?, ?, ?, ?, ?6, ?6)",
    ...[host, tunnel, how, random?.publicKey ?? null, random?.target ?? null, transaction.now],
  );
  transaction.audit("host.taken", { host, tunnel, how });
  const row = hostOf(transaction.one("SELECT * FROM hosts WHERE host = ?", host) ?? {});
  transaction.changes.push({ table: "hosts", row });
  return row;
}

/** True when another tunnel has a `*.x` above the name, or the name is a `*.x` above one of another tunnel. */
function isOverlapping(transaction: Transaction, host: string, tunnel: string): boolean {
  const name = host.startsWith("*.") ? host.slice(2) : host;
  const labels = name.split(".");
  for (let index = 1; index < labels.length; index++) {
    const wildcard = `*.${labels.slice(index).join(".")}`;
    const owner = transaction.one("SELECT tunnel FROM hosts WHERE host = ?", wildcard)?.["tunnel"];
    if (owner !== undefined && owner !== tunnel) return true;
  }
  if (name === host) return false;
  // Canonical names hold neither of LIKE's wildcards.
  return (
    transaction.one(
      "SELECT 1 FROM hosts WHERE host LIKE ? AND tunnel <> ?",
      `%.${name}`,
      tunnel,
    ) !== undefined
  );
}
