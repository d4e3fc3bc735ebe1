// This file is signatures on DNS messages: a request with one, its reply checked against it. RFC 8945.
import { createHmac, timingSafeEqual } from "node:crypto";
import { TunlError } from "../../errors.ts";
import type { Reply } from "./exchange.ts";
import { CODES, decodeName, encodeName, TYPES } from "./message.ts";

/** The two that every server has; MD5 and SHA-1 are not offered. */
export const TSIG_ALGORITHMS = ["hmac-sha256", "hmac-sha512"] as const;
export type TsigAlgorithm = (typeof TSIG_ALGORITHMS)[number];

/** What both ends know. */
export interface TsigKey {
  readonly name: string;
  readonly algorithm: TsigAlgorithm;
  readonly secret: Uint8Array;
}

/** Seconds that the clocks may differ (§10). */
const FUDGE_S = 300;
const CLASS_ANY = 255;
/** Errors inside a TSIG record (§3). */
const BADSIG = 16;
const BADKEY = 17;
const BADTIME = 18;

export interface Signed {
  readonly bytes: Uint8Array;
  readonly mac: Uint8Array;
}

/**
 * Signs a message that has no additional records yet.
 *
 * @param nowMs Wall clock: it is part of the signature, against replays.
 */
export function sign(message: Uint8Array, key: TsigKey, nowMs: number): Signed {
  const seconds = Math.floor(nowMs / 1_000);
  const mac = hmac(key, [message, variables(key, seconds, FUDGE_S, 0, NOTHING)]);
  const id = message.subarray(0, 2);
  const data = Buffer.concat([
    ...[encodeName(key.algorithm), u48(seconds), u16(FUDGE_S)],
    ...[u16(mac.length), mac, id, u16(0), u16(0)],
  ]);
  const record = Buffer.concat([
    ...[encodeName(key.name), u16(TYPES.TSIG), u16(CLASS_ANY), u32(0), u16(data.length), data],
  ]);
  return { bytes: withAdditionals(Buffer.concat([message, record]), 1), mac };
}

/**
 * Checks the reply to a signed request.
 *
 * @throws TunlError `DNS_REFUSED` when the server did not accept the key, the signature or the time; `DNS_FAILED` when the
 *   reply itself is not signed as it must be: then it may be anybody's, and nothing in it is believed.
 */
export function verify(reply: Reply, requestMac: Uint8Array, key: TsigKey, nowMs: number): void {
  const { message, bytes } = reply;
  const record = message.additionals.at(-1);
  const found =
    record?.type === "TSIG" && record.data !== undefined ? readData(record.data) : undefined;
  if (record === undefined || found === undefined) {
    if (message.code === CODES.NOTAUTH)
      throw refused("does not accept the signature of the update", NO_KEY_HINT);
    throw unsigned("it has no signature");
  }
  // Without a signature: the server has no key, or not this one, so it cannot sign what it says about that (§5.2).
  if (found.error === BADKEY)
    throw refused(
      `does not know the key "${key.name}" with ${key.algorithm} (BADKEY)`,
      NO_KEY_HINT,
    );
  if (found.error === BADSIG)
    throw refused(`knows the key "${key.name}", but with another secret (BADSIG)`, NO_KEY_HINT);
  if (record.name !== key.name.toLowerCase() || found.algorithm !== key.algorithm)
    throw unsigned("it is signed with another key");
  const stripped = withAdditionals(
    Buffer.from(bytes.subarray(0, record.offset)),
    message.additionals.length - 1,
  );
  stripped.set(found.originalId, 0);
  const expected = hmac(key, [
    ...[u16(requestMac.length), requestMac, stripped],
    variables(key, found.seconds, found.fudge, found.error, found.other),
  ]);
  if (found.mac.length !== expected.length || !timingSafeEqual(found.mac, expected))
    throw unsigned("its signature is wrong");
  const now = nowMs / 1_000;
  if (found.error === BADTIME) {
    const there = found.other.length === 6 ? readU48(found.other, 0) : now;
    throw clockError(now - there);
  }
  if (Math.abs(now - found.seconds) > found.fudge) throw clockError(now - found.seconds);
}

const NOTHING = new Uint8Array(0);
const NO_KEY_HINT =
  "Compare dns.rfc2136.keyName, algorithm and keyFile with the key of the name server";

function readData(data: Uint8Array): TsigData | undefined {
  let algorithm: string;
  try {
    algorithm = decodeName(data);
  } catch {
    // No name: no record of this type.
    return undefined;
  }
  const at = encodeName(algorithm).length;
  const macLength = readU16(data, at + 8);
  const end = at + 10 + macLength;
  const otherLength = readU16(data, end + 4);
  if (data.length !== end + 6 + otherLength) return undefined;
  return {
    algorithm,
    seconds: readU48(data, at),
    fudge: readU16(data, at + 6),
    mac: data.subarray(at + 10, end),
    originalId: data.subarray(end, end + 2),
    error: readU16(data, end + 2),
    other: data.subarray(end + 6),
  };
}

interface TsigData {
  readonly algorithm: string;
  readonly seconds: number;
  readonly fudge: number;
  readonly mac: Uint8Array;
  readonly originalId: Uint8Array;
  readonly error: number;
  readonly other: Uint8Array;
}

/** What is signed besides the message (§4.3.3). */
function variables(
  key: TsigKey,
  seconds: number,
  fudge: number,
  error: number,
  other: Uint8Array,
): Uint8Array {
  return Buffer.concat([
    ...[encodeName(key.name), u16(CLASS_ANY), u32(0), encodeName(key.algorithm)],
    ...[u48(seconds), u16(fudge), u16(error), u16(other.length), other],
  ]);
}

function hmac(key: TsigKey, parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHmac(key.algorithm.slice("hmac-".length), key.secret);
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** Sets the count of additional records in the header. */
function withAdditionals(message: Buffer, count: number): Buffer {
  message.writeUInt16BE(count, 10);
  return message;
}

function refused(what: string, hint: string): TunlError {
  return new TunlError("DNS_REFUSED", `The name server ${what}`, { hint });
}

function unsigned(why: string): TunlError {
  return new TunlError("DNS_FAILED", `The name server's reply is not believed: ${why}`, {
    retryable: true,
  });
}

/** @param ahead Seconds that this machine is ahead. */
function clockError(ahead: number): TunlError {
  const seconds = Math.round(Math.abs(ahead));
  const text = `The clocks of this machine and of the name server differ by ${seconds} s, allowed ${FUDGE_S} s (BADTIME)`;
  return new TunlError("DNS_REFUSED", text, {
    hint: `This machine is ${ahead > 0 ? "ahead" : "behind"}: run timedatectl set-ntp true here, or there`,
  });
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}

function u32(value: number): Uint8Array {
  return Buffer.concat([u16(value >>> 16), u16(value & 0xffff)]);
}

function u48(value: number): Uint8Array {
  return Buffer.concat([u16(Math.floor(value / 0x1_0000_0000)), u32(value % 0x1_0000_0000)]);
}

/** NaN beyond the end, which no comparison of lengths accepts. */
function readU16(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? Number.NaN) * 256 + (bytes[at + 1] ?? Number.NaN);
}

function readU48(bytes: Uint8Array, at: number): number {
  return (
    (readU16(bytes, at) * 0x1_0000 + readU16(bytes, at + 2)) * 0x1_0000 + readU16(bytes, at + 4)
  );
}
