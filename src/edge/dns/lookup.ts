// This file is the client: it finds the zone of a name and its servers, and asks each of them itself. product.md §6 item 4; dependencies.md §0 trap 2; R-20.
import { randomInt } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { isBelow, withoutWildcard } from "../../address/index.ts";
import { TunlError } from "../../errors.ts";
import { reached } from "../../limits.ts";
import type { Answer, DnsClient, ServerAddress, Zone, ZoneServer } from "./client.ts";
import { Exchanges, formatServer } from "./exchange.ts";
import { CODES, encodeQuestion, type Message, type Resource, type TypeName } from "./message.ts";
import type { DnsRecord, RecordType } from "./provider.ts";
import type { NameServers } from "./servers.ts";

/** Waits for a reply by UDP, one after the other, and for one by TCP, ms. */
const UDP_WAITS_MS = [1_000, 2_000] as const;
const TCP_WAIT_MS = 3_000;
/** After this nothing more is tried with one server, whatever addresses it has, ms. */
const SERVER_MS = 8_000;
/** Servers of a zone and addresses of each that are asked; the root has 13. */
const MAX_SERVERS = 13;
const MAX_ADDRESSES = 4;
/** Aliases in a row; as many as large resolvers follow, about. */
const MAX_ALIASES = 8;
/** Aliases followed for one question in all: servers of one zone that each name another could fork it without end. */
const MAX_FOLLOWED = 16;
/** How often a record that is waited for is asked for, ms (product.md §6 item 4). */
const LOOK_AGAIN_MS = 5_000;

export interface LookupOptions {
  readonly servers: NameServers;
  readonly exchanges?: Exchanges;
  readonly lookAgainMs?: number;
  readonly udpWaitsMs?: readonly number[];
}

export class Lookup implements DnsClient {
  readonly #servers: NameServers;
  readonly #exchanges: Exchanges;
  readonly #lookAgainMs: number;
  readonly #udpWaitsMs: readonly number[];

  constructor(options: LookupOptions) {
    this.#servers = options.servers;
    this.#exchanges = options.exchanges ?? new Exchanges();
    this.#lookAgainMs = options.lookAgainMs ?? LOOK_AGAIN_MS;
    this.#udpWaitsMs = options.udpWaitsMs ?? UDP_WAITS_MS;
  }

  async authoritative(name: string, signal?: AbortSignal): Promise<Zone | undefined> {
    try {
      return await this.#zoneOf(name, signal);
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof TunlError) return undefined;
      throw error;
    }
  }

  async askAll(name: string, type: RecordType, signal?: AbortSignal): Promise<readonly Answer[]> {
    return await this.#askAll(name, type, [], { left: MAX_FOLLOWED }, signal);
  }

  async query(name: string, type: RecordType, signal?: AbortSignal): Promise<Answer> {
    return consensus(await this.askAll(name, type, signal));
  }

  async seen(
    record: DnsRecord,
    signal: AbortSignal,
  ): Promise<{ readonly server: string; readonly ms: number }> {
    const startedAt = performance.now();
    for (;;) {
      const answers = await this.askAll(record.name, record.type, signal);
      const inCharge = answers.filter(({ state }) => state !== "unknown");
      const last = inCharge.at(-1);
      if (last !== undefined && inCharge.every(({ records }) => holds(records, record)))
        return { server: last.server, ms: performance.now() - startedAt };
      // A rejection is the abort, whose reason is thrown by the next line.
      await sleep(this.#lookAgainMs, undefined, { signal }).catch(() => undefined);
      signal.throwIfAborted();
    }
  }

  async #askAll(
    name: string,
    type: RecordType,
    chain: readonly DnsRecord[],
    following: { left: number },
    signal: AbortSignal | undefined,
  ): Promise<readonly Answer[]> {
    let zone: Zone | undefined;
    try {
      zone = await this.#zoneOf(name, signal);
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof TunlError)) throw error;
      return [unknown(formatServer(this.#servers.resolvers[0] as ServerAddress), error.message)];
    }
    if (zone === undefined || zone.servers.length === 0) {
      const server = formatServer(this.#servers.resolvers[0] as ServerAddress);
      return [unknown(server, `No name server is known for ${zone?.name ?? name}`)];
    }
    // Asked once for all servers that name the same alias.
    const followed = new Map<string, Promise<Answer>>();
    const follow = (alias: DnsRecord, server: string): Promise<Answer> => {
      const all = [...chain, alias];
      if (all.length > MAX_ALIASES || all.some((each) => each.name === alias.value)) {
        const text = `${(all[0] as DnsRecord).name} is an alias that leads nowhere: a ring, or more than ${MAX_ALIASES} in a row`;
        return Promise.resolve({ state: "noData", records: [], chain: all, server, text });
      }
      const known = followed.get(alias.value);
      if (known !== undefined) return known;
      if (following.left === 0) {
        reached("dnsAliases");
        const text = `The servers of ${name} name more than ${MAX_FOLLOWED} aliases, and they do not agree`;
        return Promise.resolve({ state: "noData", records: [], chain: all, server, text });
      }
      following.left -= 1;
      const answer = this.#askAll(alias.value, type, all, following, signal).then(consensus);
      followed.set(alias.value, answer);
      return answer;
    };
    return await Promise.all(
      zone.servers.map((server) =>
        this.#askServer(zone.name, server, name, type, chain, follow, signal),
      ),
    );
  }

  /** One server of the zone, by the first of its addresses that answers. */
  async #askServer(
    zone: string,
    server: ZoneServer,
    name: string,
    type: RecordType,
    chain: readonly DnsRecord[],
    follow: (alias: DnsRecord, server: string) => Promise<Answer>,
    signal: AbortSignal | undefined,
  ): Promise<Answer> {
    const until = performance.now() + SERVER_MS;
    let text = `${server.name} has no address`;
    for (const address of server.addresses) {
      if (performance.now() > until) break;
      let message: Message;
      try {
        message = await this.#ask(address, name, type, false, signal);
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof TunlError)) throw error;
        text = error.message;
        continue;
      }
      const alias = recordsOf(message, name, "CNAME")[0];
      if (!isAnswer(message) || !message.isAuthoritative) {
        const code = isAnswer(message) ? "" : ` (${codeName(message.code)})`;
        text = `${server.name} does not answer for ${zone}${code}`;
        continue;
      }
      if (alias !== undefined && type !== "CNAME") {
        const answer = await follow(alias, server.name);
        return { ...answer, server: server.name };
      }
      const records = recordsOf(message, name, type);
      const state =
        records.length > 0 ? "found" : message.code === CODES.NXDOMAIN ? "noName" : "noData";
      return { state, records, chain, server: server.name, text: "" };
    }
    return { ...unknown(server.name, text), chain };
  }

  /** @throws TunlError `DNS_FAILED` where no resolver answers, or none as it should. */
  async #zoneOf(name: string, signal: AbortSignal | undefined): Promise<Zone | undefined> {
    let at = withoutWildcard(name);
    let failure: TunlError | undefined;
    for (;;) {
      const message = await this.#resolve(at, "SOA", signal);
      // A ring of aliases is a failure to some resolvers, and its zone is well above it.
      if (!isAnswer(message))
        failure = failed(`The DNS answered ${codeName(message.code)} for ${at}`);
      // An alias is never the top of a zone, and what follows it in the answer is about another name.
      const isAlias = recordsOf(message, at, "CNAME").length > 0;
      const soa = isAlias
        ? undefined
        : [...message.answers, ...message.authorities].find(
            (each) => each.type === "SOA" && (each.name === at || isBelow(at, each.name)),
          );
      if (soa !== undefined) return await this.#serversOf(soa.name, signal);
      const dot = at.indexOf(".");
      if (dot === -1 && failure !== undefined) throw failure;
      if (dot === -1) return undefined;
      at = at.slice(dot + 1);
    }
  }

  async #serversOf(zone: string, signal: AbortSignal | undefined): Promise<Zone> {
    if (this.#servers.areWholeDns) {
      const inCharge = await Promise.all(
        this.#servers.resolvers.map((server) => this.#isInCharge(server, zone, signal)),
      );
      const servers = this.#servers.resolvers.filter((_, index) => inCharge[index]);
      return {
        name: zone,
        servers: servers.map((each) => ({ name: formatServer(each), addresses: [each] })),
      };
    }
    const names = valuesOf(await this.#resolve(zone, "NS", signal), "NS").slice(0, MAX_SERVERS);
    const servers = await Promise.all(
      names.map(async (name) => ({ name, addresses: await this.#addressesOf(name, signal) })),
    );
    return { name: zone, servers };
  }

  async #isInCharge(
    server: ServerAddress,
    zone: string,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    try {
      const message = await this.#ask(server, zone, "SOA", false, signal);
      return message.isAuthoritative && message.code === CODES.NOERROR;
    } catch (error) {
      signal?.throwIfAborted();
      // A silent server may well be in charge: it is asked again, and found silent, by whoever asks for a record.
      if (error instanceof TunlError) return true;
      throw error;
    }
  }

  /** Empty where it has none, or the resolver fails: the other servers of the zone are asked all the same. */
  async #addressesOf(name: string, signal: AbortSignal | undefined): Promise<ServerAddress[]> {
    const ask = async (type: "A" | "AAAA"): Promise<string[]> => {
      try {
        return valuesOf(await this.#resolve(name, type, signal), type);
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof TunlError) return [];
        throw error;
      }
    };
    const [four, six] = await Promise.all([ask("A"), ask("AAAA")]);
    const hosts = [...four.slice(0, MAX_ADDRESSES / 2), ...six.slice(0, MAX_ADDRESSES / 2)];
    return hosts.map((host) => ({ host, port: 53 }));
  }

  /**
   * Asks the resolvers, in turn.
   *
   * @returns The first answer, else the last failure that one of them told.
   * @throws TunlError `DNS_FAILED` where none says anything.
   */
  async #resolve(name: string, type: TypeName, signal: AbortSignal | undefined): Promise<Message> {
    let refusal: Message | undefined;
    let failure = failed("No name server is known");
    for (const server of this.#servers.resolvers) {
      try {
        const message = await this.#ask(server, name, type, true, signal);
        if (isAnswer(message)) return message;
        refusal = message;
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof TunlError)) throw error;
        failure = error;
      }
    }
    if (refusal === undefined) throw failure;
    return refusal;
  }

  /** One question to one address. @throws TunlError `DNS_FAILED`. */
  async #ask(
    server: ServerAddress,
    name: string,
    type: TypeName,
    isRecursive: boolean,
    signal: AbortSignal | undefined,
  ): Promise<Message> {
    let failure: unknown;
    for (const timeoutMs of this.#udpWaitsMs) {
      // A new id and a new port each time: late replies to the last one are nobody's.
      const bytes = encodeQuestion(randomInt(0x1_0000), name, type, isRecursive);
      try {
        const { message } = await this.#exchanges.send({
          ...{ server, bytes, by: "udp", timeoutMs, signal },
        });
        if (!message.isTruncated) return message;
        return (
          await this.#exchanges.send({ server, bytes, by: "tcp", timeoutMs: TCP_WAIT_MS, signal })
        ).message;
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof TunlError)) throw error;
        failure = error;
      }
    }
    throw failure;
  }
}

/** True where a record of this value is among them; the name may be another where an alias was followed. */
export function holds(records: readonly DnsRecord[], { type, value }: DnsRecord): boolean {
  return records.some((each) => each.type === type && each.value === value);
}

/** All answers in one: `found` where all who are in charge and answer say so, else what the first other one says. */
function consensus(answers: readonly Answer[]): Answer {
  const inCharge = answers.filter(({ state }) => state !== "unknown");
  return inCharge.find(({ state }) => state !== "found") ?? inCharge[0] ?? (answers[0] as Answer);
}

/** True for what is said about the name; everything else is said about the server. */
function isAnswer({ code }: Message): boolean {
  return code === CODES.NOERROR || code === CODES.NXDOMAIN;
}

function failed(text: string): TunlError {
  return new TunlError("DNS_FAILED", text, { retryable: true });
}

function unknown(server: string, text: string): Answer {
  return { state: "unknown", records: [], chain: [], server, text };
}

function recordsOf(message: Message, name: string, type: RecordType): DnsRecord[] {
  return message.answers
    .filter((each) => each.type === type && each.name === name && each.value !== "")
    .map((each) => ({ name, type, value: each.value }));
}

function valuesOf(message: Message, type: Resource["type"]): string[] {
  return message.answers
    .filter((each) => each.type === type && each.value !== "")
    .map(({ value }) => value);
}

function codeName(code: number): string {
  const found = Object.entries(CODES).find(([, value]) => value === code);
  return found?.[0] ?? `code ${code}`;
}
