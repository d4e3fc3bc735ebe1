// This file is the provider `rfc2136`: signed updates to the primary server of a zone. RFC 2136; product.md §6 item 4.
import { randomInt } from "node:crypto";
import { isBelow, parseIp, withoutWildcard } from "../../address/index.ts";
import { TunlError } from "../../errors.ts";
import type { ServerAddress } from "./client.ts";
import { Exchanges, formatServer, type Reply } from "./exchange.ts";
import {
  CODES,
  encodeName,
  encodeQuestion,
  type Message,
  type TypeName,
  TYPES,
} from "./message.ts";
import type { DnsProvider, DnsRecord, RecordType } from "./provider.ts";
import { sign, type TsigKey, verify } from "./tsig.ts";

const CLASS_IN = 1;
/** Deletes exactly the record it stands on (RFC 2136 §2.5.4). */
const CLASS_NONE = 254;
const CLASS_ANY = 255;
const TYPE_ANY = 255;
/** TTL and length of a record that only stands for its name. */
const NO_DATA = new Uint8Array(6);
/** Opcode UPDATE in the flags of a header. */
const UPDATE = 5 << 11;
const TCP_WAIT_MS = 5_000;
const UDP_WAITS_MS = [2_000, 4_000] as const;
const KINDS: readonly RecordType[] = ["A", "AAAA", "CNAME", "TXT"];

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
    // What a wildcard makes of a question looks like a record of the name, and is none.
    if (zone === undefined || !(await this.#isInUse(zone, name))) return [];
    const messages = await Promise.all(KINDS.map((type) => this.#ask(name, type)));
    return messages.flatMap(({ answers }, index) => {
      const type = KINDS[index] as RecordType;
      return answers
        .filter((each) => each.name === name && each.type === type)
        .map(({ value }) => ({ name, type, value }));
    });
  }

  async add(record: DnsRecord): Promise<void> {
    const { ttl } = this.#options;
    await this.#update(record, resource(record, CLASS_IN, ttl));
    // A server that finds an alias beside other records drops one of them without a word (RFC 2136 §3.4.2.2).
    const found = await this.find(record.name);
    if (found.some(({ type, value }) => type === record.type && value === record.value)) return;
    const there = found.map(({ type, value }) => `${type} ${value}`).join(", ");
    throw new TunlError(
      "DNS_REFUSED",
      `The name server took ${record.name} ${record.type} and does not show it; there is ${there === "" ? "nothing" : there}`,
      { hint: "Remove what stands there, then repeat the command" },
    );
  }

  async remove(record: DnsRecord): Promise<void> {
    await this.#update(record, resource(record, CLASS_NONE, 0));
  }

  /** True where records stand at the name itself: an update that changes nothing and demands that (RFC 2136 §2.4.4). */
  async #isInUse(zone: string, name: string): Promise<boolean> {
    const demand = Buffer.concat([encodeName(name), u16(TYPE_ANY), u16(CLASS_ANY), NO_DATA]);
    const code = await this.#sendSigned(zone, { demands: 1, changes: 0, body: demand });
    if (code === CODES.NOERROR) return true;
    if (code === CODES.NXDOMAIN) return false;
    throw updateError(code, zone);
  }

  async #update({ name }: DnsRecord, change: Uint8Array): Promise<void> {
    const { server } = this.#options;
    const zone = await this.zoneOf(name);
    if (zone === undefined) {
      throw new TunlError(
        "DNS_REFUSED",
        `Name server ${formatServer(server)} is not in charge of ${name}`,
        { hint: "Set dns.rfc2136.server to the primary server of the zone" },
      );
    }
    const code = await this.#sendSigned(zone, { demands: 0, changes: 1, body: change });
    if (code !== CODES.NOERROR) throw updateError(code, zone);
  }

  /** @returns The code of the reply, whose signature was checked. */
  async #sendSigned(zone: string, update: Update): Promise<number> {
    const { key, clock = Date.now } = this.#options;
    const zoneSection = [encodeName(zone), u16(TYPES.SOA), u16(CLASS_IN)];
    const head = header(randomInt(0x1_0000), update);
    const message = Buffer.concat([head, ...zoneSection, update.body]);
    const { bytes, mac } = sign(message, key, clock());
    const reply = await this.#send(bytes);
    verify(reply, mac, key, clock());
    return reply.message.code;
  }

  /** By TCP; by UDP where nobody listens there. An update that arrives twice changes nothing the second time. */
  async #send(bytes: Uint8Array): Promise<Reply> {
    const { server } = this.#options;
    let failure: unknown;
    const tries = [
      { by: "tcp", timeoutMs: TCP_WAIT_MS } as const,
      ...UDP_WAITS_MS.map((timeoutMs) => ({ by: "udp", timeoutMs }) as const),
    ];
    for (const each of tries) {
      try {
        return await this.#exchanges.send({ server, bytes, ...each });
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

/** What an update demands and changes: records of both sections, in this order. */
interface Update {
  readonly demands: 0 | 1;
  readonly changes: 0 | 1;
  readonly body: Uint8Array;
}

/** Header of an update of one zone (RFC 2136 §2.2). */
function header(id: number, { demands, changes }: Update): Uint8Array {
  return Buffer.concat([u16(id), u16(UPDATE), u16(1), u16(demands), u16(changes), u16(0)]);
}

/** One record as bytes, for the update section. */
function resource(record: DnsRecord, class_: number, ttl: number): Uint8Array {
  const data = dataOf(record);
  return Buffer.concat([
    ...[encodeName(record.name), u16(TYPES[record.type]), u16(class_)],
    ...[u16(ttl >>> 16), u16(ttl & 0xffff), u16(data.length), data],
  ]);
}

function dataOf({ type, value }: DnsRecord): Uint8Array {
  if (type === "CNAME") return encodeName(value);
  if (type === "TXT") {
    const text = Buffer.from(value);
    if (text.length > 255)
      throw new TunlError("BUG", `BUG: TXT has ${text.length} bytes, allowed 255`);
    return Buffer.concat([Uint8Array.of(text.length), text]);
  }
  const address = parseIp(value);
  if (address?.length !== (type === "A" ? 4 : 16))
    throw new TunlError("BUG", `BUG: "${value}" is no address for ${type}`);
  return address;
}

function u16(value: number): Uint8Array {
  return Uint8Array.of((value >> 8) & 0xff, value & 0xff);
}
