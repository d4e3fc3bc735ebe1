// This file is the DNS of an edge put together: whom it asks, who edits zones for it, what it keeps an eye on. product.md §6.
import type { DnsOptions } from "../../config/index.ts";
import type { Deadlines } from "../../deadlines.ts";
import type { Logger } from "../../log.ts";
import type { Store } from "../store/index.ts";
import { Cloudflare } from "./cloudflare.ts";
import { CustomNames } from "./custom-names.ts";
import { DomainCheck } from "./domain-check.ts";
import { Exchanges } from "./exchange.ts";
import { Here } from "./here.ts";
import type { LeadOptions } from "./lead.ts";
import { Lookup } from "./lookup.ts";
import { MadeRecords } from "./made-records.ts";
import type { DnsProvider } from "./provider.ts";
import { Rfc2136 } from "./rfc2136.ts";
import { findNameServers } from "./servers.ts";
import { checkZones } from "./zone-check.ts";

export interface StartDnsOptions {
  readonly dns: DnsOptions;
  readonly domains: readonly string[];
  readonly store: Store;
  readonly deadlines: Deadlines;
  readonly log: Logger;
  readonly port: () => number;
  /** PEM of the certificate that links are shown. */
  readonly linkCertificate: string;
  readonly linkProtocol: string;
  /** A domain of the edge leads here now. */
  readonly onLed: (domain: string) => void;
}

export interface EdgeDns extends LeadOptions, Disposable {
  readonly names: CustomNames;
  /** Looks whether the domains lead here, and says so, until they do; once everything listens. As `Edge` has it. */
  checkDomains(withinMs: number): Promise<void>;
}

/** @throws TunlError `USAGE` for a list of name servers that is none; those of the store. */
export async function startDns(options: StartDnsOptions): Promise<EdgeDns> {
  const { dns, domains, store, deadlines, log } = options;
  const exchanges = new Exchanges();
  const client = new Lookup({ servers: await findNameServers(dns.servers), exchanges });
  const provider = makeProvider(dns, exchanges);
  const here = new Here({
    ...{ publicAddresses: dns.publicAddresses, port: options.port },
    ...{ linkCertificate: options.linkCertificate, protocol: options.linkProtocol },
    deadlines,
  });
  const records = new MadeRecords({ store, provider, deadlines, log });
  await records.start();
  const names = new CustomNames({ store, client, domains, deadlines, log });
  names.start();
  const localhostIsHere = dns.servers === undefined;
  const check = new DomainCheck({
    client,
    here,
    localhostIsHere,
    domains,
    deadlines,
    log,
    onLed: options.onLed,
  });
  return {
    ...{ client, provider, here, localhostIsHere, records, names, domains },
    checkDomains: (withinMs) => {
      // Nobody waits for it: it is told when the provider has answered.
      if (provider !== undefined)
        checkZones(provider, domains, log).catch((error: unknown) =>
          log.error("bug", `The zones were not looked at: ${String(error)}`),
        );
      return check.start(withinMs);
    },
    [Symbol.dispose]: () => {
      check[Symbol.dispose]();
      names[Symbol.dispose]();
      records[Symbol.dispose]();
    },
  };
}

function makeProvider(
  { provider, cloudflareApi }: DnsOptions,
  exchanges: Exchanges,
): DnsProvider | undefined {
  if (provider === undefined) return undefined;
  if (provider.name === "cloudflare") {
    const { token, ttl } = provider;
    return new Cloudflare({ token, ttl, ...(cloudflareApi && { api: cloudflareApi }) });
  }
  const { server, keyName, algorithm, secret, ttl } = provider;
  return new Rfc2136({ server, key: { name: keyName, algorithm, secret }, ttl, exchanges });
}
