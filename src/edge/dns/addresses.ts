// This file is whether a name has an address at all, asked of its zone's own servers: before a CA looks and counts a failure. R-19.
import type { DnsClient } from "./client.ts";

/** True or false where the zone's servers are of one mind; undefined where nobody could say. */
export type HasAddress = (name: string, signal: AbortSignal) => Promise<boolean | undefined>;

/** Names of this machine alone, in no DNS (RFC 6761 §6.3). */
const LOCAL = /(?:^|\.)localhost$/;

export function addressesBy(client: DnsClient): HasAddress {
  return async (name, signal) => {
    if (LOCAL.test(name)) return undefined;
    const answers = await Promise.all(
      (["A", "AAAA"] as const).map((type) => client.query(name, type, signal)),
    );
    if (answers.some(({ state }) => state === "found")) return true;
    return answers.some(({ state }) => state === "unknown") ? undefined : false;
  };
}
