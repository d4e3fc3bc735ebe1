// This file is whether the provider edits the zones of the edge's own domains: a token that lacks a right looks like one for other zones. product.md §6 item 4.
import { TunlError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import type { DnsProvider } from "./provider.ts";

const CURES: Readonly<Record<DnsProvider["name"], string>> = {
  cloudflare: "Give the token Zone Read and DNS Edit for that zone, or leave dns.provider out",
  rfc2136: "Set dns.rfc2136.server to the primary server of that zone, or leave dns.provider out",
};

/** Tells of each domain that the provider does not edit, or cannot be asked about. Rejects with a bug only. */
export async function checkZones(
  provider: Pick<DnsProvider, "name" | "zoneOf">,
  domains: readonly string[],
  log: Logger,
): Promise<void> {
  await Promise.all(domains.map((domain) => checkZone(provider, domain, log)));
}

async function checkZone(
  provider: Pick<DnsProvider, "name" | "zoneOf">,
  domain: string,
  log: Logger,
): Promise<void> {
  const { name } = provider;
  try {
    if ((await provider.zoneOf(domain)) !== undefined) return;
    const text = `dns.provider ${name} edits no zone that holds ${domain}: records of names below it are added by hand`;
    log.warn("dns", text, { names: domain, hint: CURES[name] });
  } catch (error) {
    if (!(error instanceof TunlError)) throw error;
    const text = `dns.provider ${name} cannot be asked for the zone of ${domain}: ${error.message}`;
    log.warn("dns", text, { names: domain, hint: error.hint });
  }
}
