// This file is updates of a zone as bytes: what they demand of the zone and what they change in it. RFC 2136 §2.
import { parseIp } from "../../address/index.ts";
import { TunlError } from "../../errors.ts";
import { encodeName, TYPES } from "./message.ts";
import type { DnsRecord, RecordType } from "./provider.ts";

const CLASS_IN = 1;
/** Deletes exactly the record it stands on (§2.5.4); in a demand: there is none of this type (§2.4.3). */
const CLASS_NONE = 254;
const CLASS_ANY = 255;
const TYPE_ANY = 255;
/** Opcode UPDATE in the flags of a header. */
const UPDATE = 5 << 11;
const NO_DATA = new Uint8Array(0);

/** Types that `RecordType` does not have and zones do: none of them may stand beside an alias. RFC 1034 §3.6.2. */
const STRANGE_TYPES: readonly number[] = [
  // NS, SOA, PTR, HINFO, MX, RP, AFSDB, LOC, SRV, NAPTR, CERT, DNAME, DS, SSHFP, TLSA, SMIMEA
  ...[2, 6, 12, 13, 15, 17, 18, 29, 33, 35, 37, 39, 43, 44, 52, 53],
  // CDS, CDNSKEY, OPENPGPKEY, ZONEMD, SVCB, HTTPS, SPF, EUI48, URI, CAA
  ...[59, 60, 61, 63, 64, 65, 99, 108, 256, 257],
];

/** A record with its data as the server keeps it: a text may be cut into strings in many ways. */
export interface Found {
  readonly record: DnsRecord;
  readonly data: Uint8Array;
}

/** Done whole, and only where every demand is met; else nothing of it is (§3.4). Both are records as bytes. */
export interface Update {
  readonly demands: readonly Uint8Array[];
  readonly changes: readonly Uint8Array[];
}

/** The message without its signature. @param id Of its header. */
export function encodeUpdate(id: number, zone: string, { demands, changes }: Update): Uint8Array {
  const counts = [u16(1), u16(demands.length), u16(changes.length), u16(0)];
  const zoneSection = [encodeName(zone), u16(TYPES.SOA), u16(CLASS_IN)];
  return Buffer.concat([u16(id), u16(UPDATE), ...counts, ...zoneSection, ...demands, ...changes]);
}

/** Demands any record at the name itself (§2.4.4). */
export function inUse(name: string): Uint8Array {
  return resource({ name, type: TYPE_ANY, class: CLASS_ANY, ttl: 0, data: NO_DATA });
}

/** Demands that the records of a type at a name are these and no others (§2.4.2, §2.4.3). */
export function exactly(name: string, type: RecordType, found: readonly Found[]): Uint8Array[] {
  const set = found.filter(({ record }) => record.type === type);
  if (set.length === 0) return [absent(name, TYPES[type])];
  return set.map(({ data }) =>
    resource({ name, type: TYPES[type], class: CLASS_IN, ttl: 0, data }),
  );
}

/** Demands that no alias stands at the name. */
export function noAlias(name: string): Uint8Array {
  return absent(name, TYPES.CNAME);
}

/** Demands that nothing stands at the name that `find` does not show. */
export function nothingStrange(name: string): Uint8Array[] {
  return STRANGE_TYPES.map((type) => absent(name, type));
}

export function addition(record: DnsRecord, ttl: number): Uint8Array {
  const { name, type } = record;
  return resource({ name, type: TYPES[type], class: CLASS_IN, ttl, data: dataOf(record) });
}

/** Takes exactly this record away. @param data As the server has it. */
export function deletion(record: DnsRecord, data: Uint8Array = dataOf(record)): Uint8Array {
  const { name, type } = record;
  return resource({ name, type: TYPES[type], class: CLASS_NONE, ttl: 0, data });
}

/** The data of a record of ours. */
export function dataOf({ type, value }: DnsRecord): Uint8Array {
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

function absent(name: string, type: number): Uint8Array {
  return resource({ name, type, class: CLASS_NONE, ttl: 0, data: NO_DATA });
}

interface Parts {
  readonly name: string;
  readonly type: number;
  readonly class: number;
  readonly ttl: number;
  readonly data: Uint8Array;
}

function resource({ name, type, class: class_, ttl, data }: Parts): Uint8Array {
  return Buffer.concat([
    ...[encodeName(name), u16(type), u16(class_)],
    ...[u16(ttl >>> 16), u16(ttl & 0xffff), u16(data.length), data],
  ]);
}

function u16(value: number): Uint8Array {
  return Uint8Array.of((value >> 8) & 0xff, value & 0xff);
}
