// This file is the change of a zone that makes a name lead here: what stands in the way, what is there already, and the rest in one step. product.md §6 item 4.
import { TunlError } from "../../errors.ts";
import type { MadeRecords } from "./made-records.ts";
import { type DnsProvider, type DnsRecord, isSameRecord } from "./provider.ts";

export interface PutOptions {
  readonly provider: DnsProvider;
  readonly records: MadeRecords;
}

export interface PutOrder {
  /** Canonical name or `*.x`. */
  readonly host: string;
  /** UUID. */
  readonly tunnel: string;
  /** What is to stand there: at `host`, or beside it as its proof. */
  readonly wanted: readonly DnsRecord[];
  /** True: what stands in the way is replaced. */
  readonly overwrite: boolean;
  /** Ends it until its turn comes; from then on it is done whole. */
  readonly signal: AbortSignal;
}

/**
 * Puts records at a name, all or none, in the place of what stands in the way.
 *
 * @returns Those that are the edge's; the others were there, and are somebody else's.
 * @throws TunlError `RECORD_IN_THE_WAY`, those of the provider and of the store, and the reason of `signal`.
 */
export async function putRecords(
  { provider, records }: PutOptions,
  { host, tunnel, wanted, overwrite, signal }: PutOrder,
): Promise<readonly DnsRecord[]> {
  // In turn, from the first look on: what the edge left there may be about to be removed.
  return await records.inTurn(host, async () => {
    signal.throwIfAborted();
    const there = await provider.find(host);
    const gone = there.filter((each) => isInTheWay(each, wanted));
    if (gone.length > 0 && !overwrite)
      throw inTheWay(host, gone, "Repeat with --overwrite to put the new record in its place");
    const standing = [...there];
    for (const name of new Set(wanted.map((each) => each.name)).difference(new Set([host]))) {
      const beside = await provider.find(name);
      const alias = beside.find(({ type }) => type === "CNAME");
      if (alias !== undefined) throw inTheWay(name, [alias], "Remove it, then repeat the command");
      standing.push(...beside);
    }
    await records.forgetGone(host, [...standing, ...wanted]);
    const isThere = (record: DnsRecord): boolean =>
      standing.some((each) => isSameRecord(each, record));
    const added = wanted.filter((record) => !isThere(record));
    // What somebody else made is not ours to take away one day.
    const ours = wanted.filter((record) => !isThere(record) || records.has(record));
    await records.make({ name: host, gone, added }, ours, tunnel);
    return ours;
  });
}

/** A CNAME stands alone; addresses stand beside everything but a CNAME and addresses that lead elsewhere. */
function isInTheWay(there: DnsRecord, wanted: readonly DnsRecord[]): boolean {
  if (wanted.some((each) => isSameRecord(each, there))) return false;
  if (wanted.some(({ type, name }) => type === "CNAME" && name === there.name)) return true;
  return there.type !== "TXT";
}

function inTheWay(name: string, there: readonly DnsRecord[], hint: string): TunlError {
  const shown = there.map(({ type, value }) => `${type} ${value}`).join(", ");
  return new TunlError("RECORD_IN_THE_WAY", `${name} already has ${shown}`, { hint });
}
