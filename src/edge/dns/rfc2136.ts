// This file is the provider `rfc2136`: signed updates to the primary server of a zone. RFC 2136; product.md §6 item 4.
import { randomInt } from "node:crypto";
import { isBelow, withoutWildcard } from "../../address/index.ts";
import { TunlError } from "../../errors.ts";
import type { ServerAddress } from "./client.ts";
import { Exchanges, formatServer, type Reply } from "./exchange.ts";
import { CODES, encodeQuestion, type Message, type TypeName } from "./message.ts";
import {
  type DnsProvider,
  type DnsRecord,
  isSameRecord,
  type RecordType,
  type Replacement,
} from "./provider.ts";
import { sign, type TsigKey, verify } from "./tsig.ts";
import {
  addition,
  dataOf,
  deletion,
  encodeUpdate,
  exactly,
  type Found,
  inUse,
  noAlias,
  nothingStrange,
  type Update,
} from "./update.ts";

const TCP_WAIT_MS = 5_000;
const UDP_WAITS_MS = [2_000, 4_000] as const;
const KINDS: readonly RecordType[] = ["A", "AAAA", "CNAME", "TXT"];
/** A demand of an update was not met (RFC 2136 §3.2). */
const UNMET: readonly number[] = [CODES.NXDOMAIN, CODES.YXDOMAIN, CODES.YXRRSET, CODES.NXRRSET];

export interface Rfc2136Options {
  /** The primary server. */
  readonly server: ServerAddress;
  readonly key: TsigKey;
  /** Of the records it makes, seconds. */
  readonly ttl: number;
  /** Wall clock, ms. */
  readonly clock?: () => number;
  readonly exchanges?: Exchanges;
}

export class Rfc2136 implements DnsProvider {
  readonly name = "rfc2136";
  readonly #options: Rfc2136Options;
  readonly #exchanges: Exchanges;

  constructor(options: Rfc2136Options) {
    this.#options = options;
    this.#exchanges = options.exchanges ?? new Exchanges();
  }

  async zoneOf(name: string): Promise<string | undefined> {
    let at = withoutWildcard(name);
    for (;;) {
      const message = await this.#ask(at, "SOA");
      const isAlias = message.answers.some((each) => each.type === "CNAME" && each.name === at);
      const soa = [...message.answers, ...message.authorities].find(
        (each) => each.type === "SOA" && (each.name === at || isBelow(at, each.name)),
      );
      if (soa !== undefined && message.isAuthoritative && !isAlias) return soa.name;
      const dot = at.indexOf(".");
      if (dot === -1) return undefined;
      at = at.slice(dot + 1);
    }
  }

  async find(name: string): Promise<readonly DnsRecord[]> {
    const zone = await this.zoneOf(name);
    if (zone === undefined) return [];
    return (await this.#look(zone, name)).map(({ record }) => record);
  }

  async add(record: DnsRecord): Promise<void> {
    const zone = await this.#assertZone(record.name);
    await this.#update(zone, { demands: [], changes: [addition(record, this.#options.ttl)] });
    // A server that finds an alias beside other records drops one of them without a word (RFC 2136 §3.4.2.2).
    await this.#assertShown([record]);
  }

  async remove(record: DnsRecord): Promise<void> {
    const zone = await this.#assertZone(record.name);
    await this.#update(zone, { demands: [], changes: [deletion(record)] });
  }

  async replace(change: Replacement): Promise<void> {
    const { name, gone, added } = change;
    const zone = await this.#assertZone(name);
    const seen = await this.#look(zone, name);
    const isGone = ({ record }: Found): boolean => gone.some((each) => isSameRecord(each, record));
    const stays = seen.filter((each) => !isGone(each));
    const isAlias = added.some((each) => each.type === "CNAME" && each.name === name);
    if (stays.some(({ record }) => isAlias || record.type === "CNAME")) throw changed(name);
    const beside = new Set(added.map((each) => each.name)).difference(new Set([name]));
    // A server drops what cannot stand beside an alias and does the rest, unless that is demanded not to be so.
    const { code, isFirst } = await this.#sendSigned(zone, {
      demands: [
        ...KINDS.flatMap((type) => exactly(name, type, seen)),
        ...(isAlias ? nothingStrange(name) : []),
        ...[...beside].map(noAlias),
      ],
      changes: [
        ...seen.filter(isGone).map(({ record, data }) => deletion(record, data)),
        ...added.map((record) => addition(record, this.#options.ttl)),
      ],
    });
    if (code === CODES.NOERROR) return await this.#assertShown(added);
    if (!UNMET.includes(code)) throw updateError(code, zone);
    const now = await this.#look(zone, name);
    // Sent again after its answer was lost: the first one did it.
    if (!isFirst && !now.some(isGone) && (await this.#isShown(added))) return;
    const isAsSeen = now.length === seen.length && now.every((each) => isAmong(each, seen));
    throw isAsSeen && isAlias ? strange(name) : changed(name);
  }

  /** What stands at the name itself. */
  async #look(zone: string, name: string): Promise<readonly Found[]> {
    // What a wildcard makes of a question looks like a record of the name, and is none.
    if (!(await this.#isInUse(zone, name))) return [];
    const messages = await Promise.all(KINDS.map((type) => this.#ask(name, type)));
    return messages.flatMap(({ answers }, index) => {
      const type = KINDS[index] as RecordType;
      return answers
        .filter((each) => each.name === name && each.type === type)
        .map(({ value, data }) => {
          const record = { name, type, value };
          return { record, data: data ?? dataOf(record) };
        });
    });
  }

  /** @throws TunlError `DNS_REFUSED` where the server took records and does not show them. */
  async #assertShown(records: readonly DnsRecord[]): Promise<void> {
    for (const record of records) {
      const found = await this.find(record.name);
      if (found.some((each) => isSameRecord(each, record))) continue;
      const there = found.map(({ type, value }) => `${type} ${value}`).join(", ");
      throw new TunlError(
        "DNS_REFUSED",
        `The name server took ${record.name} ${record.type} and does not show it; there is ${there === "" ? "nothing" : there}`,
        { hint: "Remove what stands there, then repeat the command" },
      );
    }
  }

  async #isShown(records: readonly DnsRecord[]): Promise<boolean> {
    for (const record of records) {
      const found = await this.find(record.name);
      if (!found.some((each) => isSameRecord(each, record))) return false;
    }
    return true;
  }

  /** True where records stand at the name itself: an update that changes nothing and demands that (RFC 2136 §2.4.4). */
  async #isInUse(zone: string, name: string): Promise<boolean> {
    const { code } = await this.#sendSigned(zone, { demands: [inUse(name)], changes: [] });
    if (code === CODES.NOERROR) return true;
    if (code === CODES.NXDOMAIN) return false;
    throw updateError(code, zone);
  }

  async #assertZone(name: string): Promise<string> {
    const zone = await this.zoneOf(name);
    if (zone !== undefined) return zone;
    throw new TunlError(
      "DNS_REFUSED",
      `Name server ${formatServer(this.#options.server)} is not in charge of ${name}`,
      { hint: "Set dns.rfc2136.server to the primary server of the zone" },
    );
  }

  async #update(zone: string, update: Update): Promise<void> {
    const { code } = await this.#sendSigned(zone, update);
    if (code !== CODES.NOERROR) throw updateError(code, zone);
  }

  /** @returns The code of the reply, whose signature was checked; `isFirst`: the server had the update once, for certain. */
  async #sendSigned(zone: string, update: Update): Promise<{ code: number; isFirst: boolean }> {
    const { key, clock = Date.now } = this.#options;
    const message = encodeUpdate(randomInt(0x1_0000), zone, update);
    const { bytes, mac } = sign(message, key, clock());
    const { reply, isFirst } = await this.#send(bytes);
    verify(reply, mac, key, clock());
    return { code: reply.message.code, isFirst };
  }

  /** By TCP; by UDP where nobody listens there. An update that arrives twice changes nothing the second time. */
  async #send(bytes: Uint8Array): Promise<{ reply: Reply; isFirst: boolean }> {
    const { server } = this.#options;
    let failure: unknown;
    const tries = [
      { by: "tcp", timeoutMs: TCP_WAIT_MS } as const,
      ...UDP_WAITS_MS.map((timeoutMs) => ({ by: "udp", timeoutMs }) as const),
    ];
    for (const each of tries) {
      try {
        const reply = await this.#exchanges.send({ server, bytes, ...each });
        return { reply, isFirst: failure === undefined };
      } catch (error) {
        failure ??= error;
      }
    }
    throw failure;
  }

  async #ask(name: string, type: TypeName): Promise<Message> {
    const { server } = this.#options;
    const bytes = encodeQuestion(randomInt(0x1_0000), name, type, false);
    let failure: unknown;
    for (const timeoutMs of UDP_WAITS_MS) {
      try {
        const { message } = await this.#exchanges.send({ server, bytes, by: "udp", timeoutMs });
        if (!message.isTruncated) return message;
        break;
      } catch (error) {
        failure = error;
      }
    }
    try {
      return (await this.#exchanges.send({ server, bytes, by: "tcp", timeoutMs: TCP_WAIT_MS }))
        .message;
    } catch (error) {
      throw failure ?? error;
    }
  }
}

function updateError(code: number, zone: string): TunlError {
  if (code === CODES.REFUSED) {
    return new TunlError("DNS_REFUSED", `The name server refuses updates of ${zone} by this key`, {
      hint: "Allow the key in the update policy of the zone",
    });
  }
  if (code === CODES.NOTAUTH || code === CODES.NOTZONE || code === CODES.NOTIMP) {
    return new TunlError("DNS_REFUSED", `The name server takes no updates of ${zone}`, {
      hint: "Set dns.rfc2136.server to the primary server of the zone, and allow updates there",
    });
  }
  return new TunlError("DNS_FAILED", `The name server failed to update ${zone} (code ${code})`, {
    retryable: true,
    hint: "Its log says why; it must be able to write its journal",
  });
}

/** What stands there is not what was seen. */
function changed(name: string): TunlError {
  return new TunlError("RECORD_IN_THE_WAY", `The records of ${name} were changed meanwhile`, {
    hint: "Repeat the command",
  });
}

function strange(name: string): TunlError {
  const text = `${name} has a record of another type, such as MX, beside which no CNAME can stand`;
  return new TunlError("RECORD_IN_THE_WAY", text, {
    hint: "Remove it at the name server, or repeat with --proof txt",
  });
}

function isAmong({ record, data }: Found, all: readonly Found[]): boolean {
  return all.some(
    (each) => isSameRecord(each.record, record) && Buffer.compare(each.data, data) === 0,
  );
}
