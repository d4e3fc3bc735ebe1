// This file is DNS messages as bytes: questions out, replies in, bounded before anything is believed. RFC 1035 §4. The only importer of `dns2`.
import { Packet } from "dns2";
import type { Resource as DnsResource } from "dns2";
import { formatIp, parseIp } from "../../address/index.ts";

/** Types we ask for or read. TSIG has no codec in the library, its data stays bytes. */
export const TYPES = { A: 1, NS: 2, CNAME: 5, SOA: 6, TXT: 16, AAAA: 28, TSIG: 250 } as const;
export type TypeName = keyof typeof TYPES;

/** Codes of replies, as far as they have a meaning for us (RFC 1035 §4.1.1, RFC 2136 §2.2). */
export const CODES = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  YXDOMAIN: 6,
  YXRRSET: 7,
  NXRRSET: 8,
  NOTAUTH: 9,
  NOTZONE: 10,
} as const;

const CLASS_IN = 1;
/**
 * Steps that one message may cost: a byte, or two of a pointer. Real replies take about their length, of which TCP allows 64 KiB;
 * names of nothing but pointers could make it the square of that.
 */
const MAX_STEPS = 131_072;
/** Records of one message; a zone with all root servers and their addresses has 40. */
const MAX_RECORDS = 512;

/** A record as it stands in a message. */
export interface Resource {
  /** Lower case, without the last dot. */
  readonly name: string;
  readonly type: TypeName | undefined;
  /** A, AAAA: canonical address; NS, CNAME: a name; TXT: its strings joined; SOA: the primary server; else "". */
  readonly value: string;
  /** For types without a codec, and for TXT: the data as received. */
  readonly data: Uint8Array | undefined;
  readonly class: number;
  readonly ttl: number;
  /** Where it begins in the message. */
  readonly offset: number;
}

export interface Message {
  readonly id: number;
  readonly isReply: boolean;
  readonly opcode: number;
  /** The server is in charge of the zone. */
  readonly isAuthoritative: boolean;
  /** More did not fit: ask by TCP. */
  readonly isTruncated: boolean;
  readonly code: number;
  readonly question: { readonly name: string; readonly type: number } | undefined;
  readonly answers: readonly Resource[];
  readonly authorities: readonly Resource[];
  readonly additionals: readonly Resource[];
}

/**
 * Writes a question of class IN.
 *
 * @param isRecursive True: the server may ask others.
 * @throws Error for a name longer than the DNS allows; names come from us and are canonical.
 */
export function encodeQuestion(
  id: number,
  name: string,
  type: TypeName,
  isRecursive: boolean,
): Uint8Array {
  const packet = new Packet();
  packet.header = new Packet.Header({ id, rd: isRecursive ? 1 : 0 });
  packet.questions.push(new Packet.Question(name, TYPES[type], CLASS_IN));
  return packet.toBuffer();
}

/** A name as bytes, uncompressed, lower case: the form that signatures are made over. */
export function encodeName(name: string): Uint8Array {
  return Packet.Name.encode(name.toLowerCase());
}

/** Reads an uncompressed name at the beginning of `bytes`; its length is that of `encodeName`. */
export function decodeName(bytes: Uint8Array): string {
  return canonical(Packet.Name.decode(new BoundedReader(bufferOf(bytes))));
}

/**
 * Reads a reply.
 *
 * @returns undefined for what is no whole message, or costs more than an honest one. Records whose data is broken, or of
 *   another class, are left out.
 */
export function decodeMessage(bytes: Uint8Array): Message | undefined {
  const reader = new BoundedReader(bufferOf(bytes));
  try {
    return read(reader);
  } catch {
    // Whatever the library threw: it is not a message. The caller says from whom it came.
    return undefined;
  }
}

function read(reader: BoundedReader): Message | undefined {
  const header = Packet.Header.parse(reader);
  const { qdcount, ancount, nscount, arcount } = header;
  if (qdcount > 1 || ancount + nscount + arcount > MAX_RECORDS) return undefined;
  const question = qdcount === 1 ? Packet.Question.decode(reader) : undefined;
  const section = (count: number): Resource[] => {
    const resources: Resource[] = [];
    for (let index = 0; index < count; index += 1) {
      const offset = reader.offset / 8;
      try {
        const resource = Packet.Resource.decode(reader);
        const whole = reader.buffer.subarray(offset, reader.offset / 8);
        resources.push(resourceOf(resource, offset, whole));
      } catch (error) {
        // The library goes on behind a record whose data alone is broken, and says so.
        if (!(error instanceof Error && "recovered" in error && error.recovered === true))
          throw error;
      }
    }
    return resources;
  };
  return {
    id: header.id,
    isReply: header.qr === 1,
    opcode: header.opcode,
    isAuthoritative: header.aa === 1,
    isTruncated: header.tc === 1,
    code: header.rcode,
    question: question && { name: canonical(question.name), type: question.type },
    answers: section(ancount),
    authorities: section(nscount),
    additionals: section(arcount),
  };
}

/** @param whole The record as received, from its name to the end of its data. */
function resourceOf(resource: DnsResource, offset: number, whole: Uint8Array): Resource {
  const type = typeOf(resource.type);
  return {
    name: canonical(resource.name),
    type,
    value: valueOf(resource, type),
    data: dataOf(resource, type, whole),
    class: resource.class,
    ttl: resource.ttl,
    offset,
  };
}

function valueOf(resource: DnsResource, type: TypeName | undefined): string {
  switch (type) {
    case "A":
    case "AAAA": {
      const address = parseIp(resource.address ?? "");
      return address === undefined ? "" : formatIp(address);
    }
    case "NS":
      return canonical(resource.ns ?? "");
    case "CNAME":
      return canonical(resource.domain ?? "");
    case "SOA":
      return canonical(resource.primary ?? "");
    case "TXT":
      return [resource.data ?? []].flat().join("");
    case "TSIG":
    case undefined:
      return "";
  }
}

function dataOf(
  resource: DnsResource,
  type: TypeName | undefined,
  whole: Uint8Array,
): Uint8Array | undefined {
  if (type === undefined || type === "TSIG") return bytesOf(resource.data);
  if (type !== "TXT") return undefined;
  let at = 0;
  // Labels up to the root, or to a pointer of two bytes; then type, class, TTL and length.
  while ((whole[at] ?? 0) !== 0 && (whole[at] as number) < 0xc0) at += 1 + (whole[at] as number);
  at += (whole[at] ?? 0) >= 0xc0 ? 2 : 1;
  return Uint8Array.from(whole.subarray(at + 10));
}

function typeOf(code: number): TypeName | undefined {
  return (Object.keys(TYPES) as TypeName[]).find((name) => TYPES[name] === code);
}

function canonical(name: string): string {
  return name.toLowerCase();
}

function bytesOf(data: unknown): Uint8Array | undefined {
  return data instanceof Uint8Array ? data : undefined;
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The library's reader with an end: it guards against pointers in a ring, not against ever the same long chain. */
class BoundedReader extends Packet.Reader {
  #steps = 0;

  override read(size: number): number {
    this.#steps += 1;
    if (this.#steps > MAX_STEPS) throw new RangeError("The message costs too many steps");
    return super.read(size);
  }
}
