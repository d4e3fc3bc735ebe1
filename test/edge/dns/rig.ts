// This file is the DNS of an edge for the tests of its calls: real name servers, a real store, a certificate source that is always ready.
import { Deadlines } from "../../../src/deadlines.ts";
import type { CallContext } from "../../../src/edge/admin/index.ts";
import type { CertificateSource } from "../../../src/edge/certificates/index.ts";
import { loadLinkCertificate } from "../../../src/edge/certificates/index.ts";
import { CustomNames } from "../../../src/edge/dns/custom-names.ts";
import { Here } from "../../../src/edge/dns/here.ts";
import type { EdgeDns } from "../../../src/edge/dns/index.ts";
import { Lookup } from "../../../src/edge/dns/lookup.ts";
import { MadeRecords } from "../../../src/edge/dns/made-records.ts";
import type { DnsProvider } from "../../../src/edge/dns/provider.ts";
import { Rfc2136 } from "../../../src/edge/dns/rfc2136.ts";
import { type Answer, AccountDesk, type Caller } from "../account-desk.ts";
import { Directory, makeLog } from "../store/fixture.ts";
import { KEYS, type Named, PATIENT_MS } from "./named.ts";

/** The address that this edge says it has. */
export const EDGE_ADDRESS = "192.0.2.1";

export interface DnsRigOptions {
  readonly servers: readonly Named[];
  /** Absent: nobody edits zones. */
  readonly provider?: DnsProvider;
  /** What the account may claim. */
  readonly scope?: readonly string[];
}

/** Certificates that are there as soon as they are wanted. */
class Ready implements CertificateSource {
  readonly wanted: string[] = [];

  want(name: string): void {
    if (!this.wanted.includes(name)) this.wanted.push(name);
  }

  unwant(): void {
    // Names of these tests are not taken away from their certificates.
  }

  retry(): void {
    // None of them fails.
  }

  async ready(): Promise<void> {
    // At once.
  }

  arriving(): undefined {
    return undefined;
  }

  state(name: string): ReturnType<CertificateSource["state"]> {
    return this.wanted.includes(name)
      ? { state: "ready", notAfter: Date.now() + 89.5 * 86_400_000 }
      : { state: "none" };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Holds nothing.
  }
}

export class DnsRig implements AsyncDisposable {
  readonly source = new Ready();
  readonly log = makeLog();
  readonly deadlines = new Deadlines((error) => {
    throw error;
  });
  desk!: AccountDesk;
  dns!: EdgeDns;
  account!: Caller;
  /** UUID of `my-tunnel`. */
  tunnel!: string;
  readonly #directory = new Directory();

  static async start(options: DnsRigOptions): Promise<DnsRig> {
    const rig = new DnsRig();
    const { deadlines, source } = rig;
    const { log } = rig.log;
    const link = await loadLinkCertificate(rig.#directory.path, log);
    rig.desk = await AccountDesk.open(async (store): Promise<Partial<CallContext>> => {
      const resolvers = options.servers.map(({ port }) => ({ host: "127.0.0.1", port }));
      const client = new Lookup({
        servers: { resolvers, areWholeDns: true },
        ...{ lookAgainMs: 50, udpWaitsMs: [PATIENT_MS] },
      });
      const domains = ["example.com"];
      const { provider } = options;
      const records = new MadeRecords({ store, provider, deadlines, log });
      await records.start();
      const names = new CustomNames({ store, client, domains, deadlines, log });
      const here = new Here({
        ...{ publicAddresses: [EDGE_ADDRESS], port: () => 1, protocol: "tunl/1", deadlines },
        linkCertificate: link.cert,
      });
      rig.dns = {
        ...{ client, provider, records, names, here, domains, lookAgainMs: 50 },
        checkDomains: async () => undefined,
        [Symbol.dispose]: () => {
          names[Symbol.dispose]();
          records[Symbol.dispose]();
        },
      };
      return { dns: rig.dns, source };
    });
    rig.account = await rig.desk.login("you", options.scope);
    const key = Buffer.alloc(32, 9).toString("base64url");
    const made = await rig.account.call("tunnel.create", { name: "my-tunnel", key, label: "home" });
    rig.tunnel = (made.body["tunnel"] as { id: string }).id;
    return rig;
  }

  route(host: string, more: object = {}): Promise<Answer> {
    return this.account.call("route.dns", {
      tunnel: "my-tunnel",
      host,
      timeoutMs: 10_000,
      ...more,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dns[Symbol.dispose]();
    await this.desk[Symbol.asyncDispose]();
    this.deadlines[Symbol.dispose]();
    this.#directory[Symbol.dispose]();
  }
}

/** Updates at a name server that takes them. */
export function providerAt(named: Named): DnsProvider {
  const { algorithm, secret } = KEYS["tunl-256"];
  return new Rfc2136({
    server: { host: "127.0.0.1", port: named.port },
    key: { name: "tunl-256", algorithm, secret: Buffer.from(secret, "base64") },
    ttl: 60,
  });
}
