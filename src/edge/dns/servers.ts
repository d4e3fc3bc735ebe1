// This file is where questions to the DNS begin: the resolvers of this machine, or those that a test names. product.md §6 item 4.
import { readFile } from "node:fs/promises";
import { parseIp } from "../../address/index.ts";
import { TunlError } from "../../errors.ts";
import type { ServerAddress } from "./client.ts";

const RESOLV_CONF = "/etc/resolv.conf";
/** As in the system's own resolver, which reads no more. */
const MAX_RESOLVERS = 3;

/** Whom to ask. */
export interface NameServers {
  readonly resolvers: readonly ServerAddress[];
  /** True: these servers stand for the whole DNS, and are asked as the servers of every zone they are in charge of. */
  readonly areWholeDns: boolean;
}

/**
 * Finds the resolvers.
 *
 * @param override `TUNL_DNS_SERVERS`, for tests: `ip[:port]` and `[ipv6]:port`, separated by commas, in place of the whole DNS.
 * @throws TunlError `USAGE` for an override that is no such list.
 */
export async function findNameServers(override: string | undefined): Promise<NameServers> {
  if (override !== undefined && override !== "") {
    return { resolvers: override.split(",").map(readServer), areWholeDns: true };
  }
  return { resolvers: parseResolvConf(await readResolvConf()), areWholeDns: false };
}

/** Lines `nameserver ADDRESS`; a machine without any asks itself, as its system does. */
export function parseResolvConf(text: string): readonly ServerAddress[] {
  const found: ServerAddress[] = [];
  for (const line of text.split("\n")) {
    const host = /^\s*nameserver\s+(\S+)/.exec(line)?.[1];
    // A zone ("fe80::1%eth0") stays: the socket needs it.
    if (host !== undefined && parseIp(host.split("%")[0] as string) !== undefined)
      found.push({ host, port: 53 });
  }
  return found.length === 0 ? [{ host: "127.0.0.1", port: 53 }] : found.slice(0, MAX_RESOLVERS);
}

/** @throws TunlError `USAGE`. */
export function readServer(text: string): ServerAddress {
  const match = /^(?:\[([^\]]+)\]|([^:]+|[^[\]]*:[^[\]]*:[^[\]]*))(?::([1-9][0-9]{0,4}))?$/.exec(
    text.trim(),
  );
  const host = match?.[1] ?? match?.[2] ?? "";
  const port = match?.[3] === undefined ? 53 : Number(match[3]);
  if (parseIp(host) === undefined || port > 65_535) {
    throw new TunlError("USAGE", `"${text}" is no name server, expected ip:port`);
  }
  return { host, port };
}

async function readResolvConf(): Promise<string> {
  try {
    return await readFile(RESOLV_CONF, "utf8");
  } catch {
    // Absent on other systems and in bare containers: what then serves is asked.
    return "";
  }
}
