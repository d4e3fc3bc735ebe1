// This file is how a name comes to lead to the edge: what stands in the DNS, the record to add, who adds it, and the wait until it is seen. product.md §6 item 4.
import { withoutWildcard } from "../../address/index.ts";
import { setTimeout as sleep } from "node:timers/promises";
import { TunlError } from "../../errors.ts";
import type { Answer, DnsClient } from "./client.ts";
import type { Here } from "./here.ts";
import type { MadeRecords } from "./made-records.ts";
import { aliasRecord, findProof, type Proof, textRecord } from "./proof.ts";
import type { DnsProvider, DnsRecord, RecordType } from "./provider.ts";
import { putRecords } from "./put-records.ts";

/** How often the zone's servers are asked while a person adds a record, ms. */
const LOOK_AGAIN_MS = 5_000;

/** Events of `route.dns` (http.md §5.4). */
export interface LeadEvent {
  /** `covered`: nothing to do; `made`: added by the edge; `seen`: it is there; `wait`: somebody has to add it. */
  readonly state: "covered" | "made" | "seen" | "wait";
  readonly record?: DnsRecord;
  readonly server?: string;
  /** The zone to add it in. */
  readonly zone?: string;
  readonly ms?: number;
  readonly text?: string;
}

export interface LeadOptions {
  readonly client: DnsClient;
  readonly provider: DnsProvider | undefined;
  readonly records: MadeRecords;
  readonly here: Here;
  /** Names below localhost need no DNS; not so where the configuration names the servers to ask. */
  readonly localhostIsHere?: boolean;
  readonly domains: readonly string[];
  readonly lookAgainMs?: number;
}

export interface LeadOrder {
  /** Canonical name or `*.x`. */
  readonly host: string;
  /** UUID. */
  readonly tunnel: string;
  /** True for a name outside of the domains: it needs a proof. */
  readonly isForeign: boolean;
  readonly overwrite: boolean;
  readonly proof: "auto" | "cname" | "txt";
  readonly tell: (event: LeadEvent) => void;
}

/** Where a name leads now. */
interface Leading {
  readonly isHere: boolean;
  /** What to do about it, where that is not a record: nobody says, or nobody answers there. */
  readonly cure?: string;
  /** Where else, or why nobody knows. */
  readonly text: string;
  readonly server: string;
}

/**
 * Makes a name lead here, or waits until somebody else has.
 *
 * @param signal Ends the waiting; its reason is thrown. What was done stays done, and a second call goes on from there.
 * @returns The proof that was seen, for a foreign name.
 * @throws TunlError `RECORD_IN_THE_WAY`, `USAGE`, `DNS_REFUSED`, `DNS_FAILED`.
 */
export async function leadHere(
  options: LeadOptions,
  order: LeadOrder,
  signal: AbortSignal,
): Promise<Proof | undefined> {
  return await new Lead(options, order, signal).run();
}

/** Asks where a name leads. */
export async function leadsWhere(
  { client, here, localhostIsHere }: Pick<LeadOptions, "client" | "here" | "localhostIsHere">,
  host: string,
  signal: AbortSignal,
): Promise<Leading> {
  // RFC 6761 §6.3: they are never asked for, and lead to the machine of whoever looks.
  if (localhostIsHere === true && host.endsWith(".localhost"))
    return {
      isHere: true,
      text: "this machine, as all names below localhost",
      server: "localhost",
    };
  const [four, six] = await Promise.all([
    client.query(host, "A", signal),
    client.query(host, "AAAA", signal),
  ]);
  const found = [...four.records, ...six.records].map(({ value }) => value);
  const { server } = four;
  if (found.length === 0) {
    const isKnown = four.state !== "unknown" && six.state !== "unknown";
    const text = nothingOf(host, four, six);
    return { isHere: false, text, server, ...(!isKnown && { cure: "Look at the name server" }) };
  }
  const places = await Promise.all(found.map((address) => here.place(address)));
  const astray = found.filter((_, index) => places[index] !== "here");
  if (astray.length === 0) return { isHere: true, text: found.join(", "), server };
  const where = `${host} leads to ${astray.join(", ")}`;
  const isSilent = places.every((place) => place === "unknown");
  const text = isSilent ? `${where}, where nobody answers from here` : `${where}, not to this edge`;
  const cure = "Behind a router, name the public address with --public-address IP";
  return { isHere: false, text, server, ...(isSilent && { cure }) };
}

function nothingOf(host: string, four: Answer, six: Answer): string {
  if (four.state === "unknown") return four.text;
  if (six.state === "unknown") return six.text;
  return four.text === "" ? `${host} has no address` : four.text;
}

class Lead {
  readonly #options: LeadOptions;
  readonly #order: LeadOrder;
  readonly #signal: AbortSignal;
  readonly #startedAt = performance.now();

  constructor(options: LeadOptions, order: LeadOrder, signal: AbortSignal) {
    this.#options = options;
    this.#order = order;
    this.#signal = signal;
  }

  async run(): Promise<Proof | undefined> {
    const { isForeign, host } = this.#order;
    let now = await this.#look();
    if (now.isDone && (await this.#settle())) now = await this.#look();
    if (now.isDone) {
      const made = this.#options.records.of(host)[0];
      const record =
        made === undefined
          ? this.#coveringRecord()
          : { name: made.name, type: made.type as RecordType, value: made.value };
      this.#order.tell({
        ...(isForeign ? { state: "seen" as const, ms: 0 } : { state: "covered" as const }),
        ...{ server: now.server, text: now.text },
        ...(record !== undefined && { record }),
      });
      return now.proof;
    }
    const { provider } = this.#options;
    const zone = await provider?.zoneOf(withoutWildcard(host));
    const records = await this.#wanted(zone);
    if (provider !== undefined && zone !== undefined) await this.#make(provider, records);
    else await this.#ask(records, now.text);
    return await this.#wait();
  }

  /**
   * Where a name leads here already: its records that another tunnel left become this one's before the edge removes them,
   * and those that an answer was lost for are looked at.
   *
   * @returns True where some became this one's: they may have been removed since the look.
   */
  async #settle(): Promise<boolean> {
    const { provider, records, here, domains } = this.#options;
    const { host, tunnel } = this.#order;
    if (records.of(host).length === 0) return false;
    return await records.inTurn(host, async () => {
      const isAdopted = await records.adopt(host, tunnel);
      const alias = aliasRecord(host, tunnel, domains[0] as string);
      const addresses = here.addresses.map((value) => ({ name: host, type: typeOf(value), value }));
      if (provider !== undefined && records.areInDoubt(host, [alias, ...addresses])) {
        const there = await provider.find(host);
        // One excludes the other: what was not there when the other came cannot come any more.
        const isAlias = there.some(({ type }) => type === "CNAME");
        const mayCome = isAlias ? [alias] : there.length > 0 ? addresses : [alias, ...addresses];
        await records.forgetGone(host, [...there, ...mayCome]);
      }
      return isAdopted;
    });
  }

  /** The record that covers a name of a domain without anybody's doing. */
  #coveringRecord(): DnsRecord | undefined {
    const { host } = this.#order;
    const { domains, here } = this.#options;
    const domain = domains.find((each) => host.endsWith(`.${each}`));
    const address = here.addresses[0];
    if (domain === undefined || address === undefined) return undefined;
    return { name: `*.${domain}`, type: typeOf(address), value: address };
  }

  /** The records that lead here, as the zone allows them. @throws TunlError `USAGE`. */
  async #wanted(zone: string | undefined): Promise<readonly DnsRecord[]> {
    const { host, tunnel, isForeign, proof } = this.#order;
    const { client, domains } = this.#options;
    if (!isForeign) return this.#addressRecords();
    const apex = zone ?? (await client.authoritative(withoutWildcard(host), this.#signal))?.name;
    const isApex = apex === host;
    if (isApex && proof === "cname") {
      throw new TunlError("USAGE", `${host} is the top of its zone, where no CNAME can stand`, {
        hint: "Repeat with --proof txt",
      });
    }
    if (!isApex && proof !== "txt") return [aliasRecord(host, tunnel, domains[0] as string)];
    return [...this.#addressRecords(), textRecord(host, tunnel)];
  }

  #addressRecords(): readonly DnsRecord[] {
    const { addresses } = this.#options.here;
    if (addresses.length === 0) {
      throw new TunlError(
        "USAGE",
        "The edge does not know by which address the Internet reaches it",
        {
          hint: "On the edge, set publicAddresses in edge.yml or start it with --public-address IP",
        },
      );
    }
    const name = this.#order.host;
    return addresses.map((value) => ({ name, type: typeOf(value), value }));
  }

  /** Adds what is not there yet, in the place of what stands in the way, or is ended by that. */
  async #make(provider: DnsProvider, wanted: readonly DnsRecord[]): Promise<void> {
    const { records, client } = this.#options;
    const { host, tunnel, overwrite, tell } = this.#order;
    const put = { host, tunnel, wanted, overwrite, signal: this.#signal };
    const made = await putRecords({ provider, records }, put);
    for (const record of made) tell({ state: "made", record, server: provider.name });
    for (const record of wanted) await client.seen(record, this.#signal);
  }

  async #ask(records: readonly DnsRecord[], text: string): Promise<void> {
    const { host, tell } = this.#order;
    const zone = (await this.#options.client.authoritative(withoutWildcard(host), this.#signal))
      ?.name;
    for (const record of records)
      tell({ state: "wait", record, text, ...(zone !== undefined && { zone }) });
  }

  async #wait(): Promise<Proof | undefined> {
    for (;;) {
      const now = await this.#look();
      if (now.isDone) {
        const ms = Math.round(performance.now() - this.#startedAt);
        this.#order.tell({ state: "seen", server: now.server, ms, text: now.text });
        return now.proof;
      }
      const pause = this.#options.lookAgainMs ?? LOOK_AGAIN_MS;
      // A rejection is the abort, whose reason is thrown by the next line.
      await sleep(pause, undefined, { signal: this.#signal }).catch(() => undefined);
      this.#signal.throwIfAborted();
    }
  }

  /** What the DNS says now: a name of ours leads here; a foreign one has its proof, and by a text also leads here. */
  async #look(): Promise<{ isDone: boolean; text: string; server: string; proof?: Proof }> {
    const { client, domains } = this.#options;
    const { host, tunnel, isForeign, proof: wished } = this.#order;
    if (!isForeign) {
      const { isHere, ...leading } = await leadsWhere(this.#options, host, this.#signal);
      return { isDone: isHere, ...leading };
    }
    const proof = await findProof(client, { host, tunnel, domains, by: "every" }, this.#signal);
    const { server } = proof;
    if (proof.state !== "proven") {
      const text = proof.state === "unknown" ? proof.text : `${host} has no proof yet`;
      return { isDone: false, text, server };
    }
    if (proof.by === "cname") {
      const isWished = wished !== "txt";
      return { isDone: isWished, text: "", server, proof };
    }
    const leading = await leadsWhere(this.#options, host, this.#signal);
    return { isDone: leading.isHere, text: leading.text, server, proof };
  }
}

function typeOf(address: string): "A" | "AAAA" {
  return address.includes(":") ? "AAAA" : "A";
}
