// This file is the rows of hostnames: first come, one tunnel each. The rules that come before stand in route/grants.ts.
// product.md §6; A-08.
import { withoutWildcard } from "../../address/index.ts";
import { TunlError } from "../../errors.ts";
import { assertLives, callerOf } from "./keys.ts";
import type { Calls, HostRow } from "./records.ts";
import { hostOf } from "./rows.ts";
import type { Transaction } from "./transaction.ts";

/** Names of one tunnel: a connector may claim whatever is free, so something must end it. */
export const MAX_HOSTS_OF_TUNNEL = 1_000;

/** @throws TunlError `NOT_ALLOWED`, `TUNNEL_NOT_FOUND`, `HOSTNAME_TAKEN`, `HOSTNAME_LIMIT`. */
export function insertHost(transaction: Transaction, body: Calls["insertHost"]["body"]): HostRow {
  callerOf(transaction, body.by);
  const row = transaction.one("SELECT * FROM hosts WHERE host = ?", body.host);
  if (row !== undefined) {
    const held = hostOf(row);
    if (held.tunnel !== body.tunnel) throw taken(body.host);
    return body.how === "granted" ? keepGranted(transaction, held) : held;
  }
  assertLives(transaction, body.tunnel);
  // A race with another change that the caller's snapshot did not show yet; exact rows are settled above.
  if (isOverlapping(transaction, body.host, body.tunnel)) throw taken(body.host);
  return insert(transaction, body.host, body.tunnel, body.how);
}

/** A name that its tunnel had by claiming it, and is given now: it stays for good. */
function keepGranted(transaction: Transaction, held: HostRow): HostRow {
  if (held.how === "granted") return held;
  transaction.run(
    "UPDATE hosts SET how = 'granted', public_key = NULL, target = NULL WHERE host = ?",
    held.host,
  );
  transaction.audit("host.granted", { host: held.host, tunnel: held.tunnel });
  const row = readHost(transaction, held.host);
  transaction.changes.push({ table: "hosts", row });
  return row;
}

export function nameHost(
  transaction: Transaction,
  body: Calls["nameHost"]["body"],
): HostRow | undefined {
  const { tunnel, publicKey, target } = body;
  callerOf(transaction, body.by);
  const row = transaction.one(
    "SELECT * FROM hosts WHERE public_key = ? AND target = ?",
    publicKey,
    target,
  );
  if (row !== undefined) return hostOf(row);
  assertLives(transaction, tunnel);
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

/**
 * Frees claimed and random names that nobody used for a while (`names.keep`); what was granted stays, whoever uses it.
 *
 * @returns The names that are free now.
 */
export function removeUnused(
  transaction: Transaction,
  { usedBefore, kept }: Calls["removeUnused"]["body"],
): readonly string[] {
  const inUse = new Set(kept);
  const names = transaction
    .all("SELECT host FROM hosts WHERE how <> 'granted' AND used_at < ? ORDER BY host", usedBefore)
    .map((row) => row["host"] as string)
    .filter((host) => !inUse.has(host));
  for (const host of names) removeHost(transaction, { host });
  return names;
}

/**
 * Makes the fixed grants those of the configuration: one that is no longer there is withdrawn, a new one is made. A name
 * that another tunnel has stays with it, for its owner to decide.
 *
 * @returns Those names.
 */
export function fixHosts(
  transaction: Transaction,
  { grants }: Calls["fixHosts"]["body"],
): readonly string[] {
  const wanted = new Map(grants.map(({ host, tunnel }) => [host, tunnel]));
  for (const row of transaction.all("SELECT host, tunnel FROM hosts WHERE is_fixed = 1")) {
    const host = row["host"] as string;
    if (wanted.get(host) !== row["tunnel"]) removeHost(transaction, { host });
  }
  const others: string[] = [];
  for (const { host, tunnel } of grants) {
    try {
      insertHost(transaction, { by: undefined, host, tunnel, how: "granted" });
    } catch (error) {
      const code = error instanceof TunlError ? error.code : "";
      // Deleted behind the look at the snapshot: the names wait for the next tunnel of that name.
      if (code === "TUNNEL_NOT_FOUND") continue;
      if (code !== "HOSTNAME_TAKEN") throw error;
      others.push(host);
      continue;
    }
    const sql = "UPDATE hosts SET how = 'granted', is_fixed = 1, public_key = NULL, target = NULL";
    if (transaction.run(`${sql} WHERE host = ? AND is_fixed = 0`, host) > 0)
      transaction.changes.push({ table: "hosts", row: readHost(transaction, host) });
  }
  return others;
}

/** The refusal of a name that another tunnel has. */
export function taken(host: string): TunlError {
  return new TunlError("HOSTNAME_TAKEN", `${host} belongs to another tunnel`, {
    hint: `Choose another name, or have it taken back first: tunl route delete ${host} by the account that has it, or on the edge tunl edge revoke ${host}`,
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
        hint: "Free some with tunl route delete HOST, or on the edge: tunl edge revoke HOST",
      },
    );
  }
  transaction.run(
    "INSERT INTO hosts (host, tunnel, how, public_key, target, created_at, used_at) VALUES (?, ?, ?, ?, ?, ?6, ?6)",
    ...[host, tunnel, how, random?.publicKey ?? null, random?.target ?? null, transaction.now],
  );
  transaction.audit("host.taken", { host, tunnel, how });
  const row = readHost(transaction, host);
  transaction.changes.push({ table: "hosts", row });
  return row;
}

function readHost(transaction: Transaction, host: string): HostRow {
  return hostOf(transaction.one("SELECT * FROM hosts WHERE host = ?", host) ?? {});
}

/** True when another tunnel has a `*.x` above the name, or the name is a `*.x` above one of another tunnel. */
function isOverlapping(transaction: Transaction, host: string, tunnel: string): boolean {
  const name = withoutWildcard(host);
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
