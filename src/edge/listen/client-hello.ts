// This file is the reader of a ClientHello: pure, strict, over any split into segments and records. http.md §1; compare RFC 8446 §4.1.2, §5.1.
import { canonicalName } from "../../address/index.ts";

/** The largest ClientHello read, record headers included. A hybrid post-quantum key share makes about 1.5 KB. */
export const MAX_HELLO_BYTES = 16_384;
/** The most TLS records one ClientHello may be cut into. */
export const MAX_HELLO_RECORDS = 16;

/** Alert descriptions that a refused first flight is answered with (RFC 8446 §6.2, RFC 6066 §9). */
export const ALERT = {
  unexpectedMessage: 10,
  recordOverflow: 22,
  illegalParameter: 47,
  decodeError: 50,
  unrecognizedName: 112,
} as const;

export type Alert = (typeof ALERT)[keyof typeof ALERT];

/** What the front door needs to know of a ClientHello. */
export interface ClientHello {
  /** Canonical: lower case, no trailing dot. `undefined` when the visitor sent no name. */
  readonly serverName: string | undefined;
  /** Protocol names in the order of preference sent, one character per byte; empty without the extension. */
  readonly alpn: readonly string[];
  /** Version numbers (0x0304 is TLS 1.3) as offered, unknown ones included. */
  readonly versions: readonly number[];
}

export type ClientHelloReading =
  /** At least `total` bytes from the start of the connection are needed before asking again. */
  | { readonly kind: "needBytes"; readonly total: number }
  | { readonly kind: "hello"; readonly hello: ClientHello }
  /** `reason` is for the log, at level debug; `limit` is the one the hello is beyond. */
  | {
      readonly kind: "refused";
      readonly alert: Alert;
      readonly reason: string;
      readonly limit?: HelloLimit;
    };

export type HelloLimit = "helloBytes" | "helloRecords";

const HANDSHAKE_RECORD = 22;
const RECORD_HEADER = 5;
const MAX_FRAGMENT = 16_384;
const CLIENT_HELLO = 1;
const MESSAGE_HEADER = 4;
const EXTENSION = { serverName: 0, alpn: 16, supportedVersions: 43 } as const;

/** Thrown inside this file only; `readClientHello` turns it into a refusal. */
class Refusal extends Error {
  readonly alert: Alert;
  readonly limit: HelloLimit | undefined;
  constructor(alert: Alert, reason: string, limit?: HelloLimit) {
    super(reason);
    this.alert = alert;
    this.limit = limit;
  }
}

/**
 * Reads the ClientHello that a connection begins with.
 *
 * @param bytes Everything received so far, from the first byte on. Bytes after the hello's last record are not looked at.
 * @returns `needBytes` while it is incomplete, the hello, or the alert to refuse it with. Never throws.
 * @see RFC 8446 §4.1.2
 */
export function readClientHello(bytes: Uint8Array): ClientHelloReading {
  try {
    const message = gatherMessage(bytes);
    if (typeof message === "number") return { kind: "needBytes", total: message };
    return { kind: "hello", hello: readMessage(new Cursor(message)) };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const { alert, message: reason, limit } = error;
    return { kind: "refused", alert, reason, ...(limit !== undefined && { limit }) };
  }
}

/** The handshake message out of its records, header included; or the number of bytes that must be there to go on. */
function gatherMessage(bytes: Uint8Array): Uint8Array | number {
  const fragments: Uint8Array[] = [];
  let gathered = 0;
  let end = 0;
  let message = MESSAGE_HEADER;
  while (gathered < message) {
    if (fragments.length === MAX_HELLO_RECORDS) {
      const reason = `More than ${MAX_HELLO_RECORDS} records`;
      throw new Refusal(ALERT.illegalParameter, reason, "helloRecords");
    }
    const length = checkRecordHeader(bytes, end, gathered === 0);
    if (length === undefined) return end + RECORD_HEADER;
    const start = end + RECORD_HEADER;
    end = start + length;
    if (end > MAX_HELLO_BYTES) throw tooLarge(end);
    const fragment = bytes.subarray(start, end);
    fragments.push(fragment);
    // The message header may itself be cut by a record; what arrived of a record is enough to judge it.
    const header = fragments.length === 1 ? fragment : join(fragments, MESSAGE_HEADER);
    if (header.length > 0 && header[0] !== CLIENT_HELLO) {
      throw new Refusal(ALERT.unexpectedMessage, `Handshake message ${header[0]}, expected 1`);
    }
    if (header.length >= MESSAGE_HEADER) message = MESSAGE_HEADER + uint24(header, 1);
    // The rest needs at least the bytes missing here and in further records.
    const least = end + Math.max(0, message - gathered - length);
    if (least > MAX_HELLO_BYTES) throw tooLarge(least);
    if (fragment.length < length) return end;
    gathered += length;
  }
  if (gathered > message) {
    throw new Refusal(
      ALERT.unexpectedMessage,
      `${gathered - message} bytes follow the hello in its record`,
    );
  }
  return fragments.length === 1 ? (fragments[0] as Uint8Array) : join(fragments, message);
}

/** Length of the record at `at`, `undefined` while its header is incomplete. Refuses each header byte as soon as it is there. */
function checkRecordHeader(bytes: Uint8Array, at: number, isFirst: boolean): number | undefined {
  const type = bytes[at];
  if (type !== undefined && type !== HANDSHAKE_RECORD) {
    throw new Refusal(
      isFirst ? ALERT.decodeError : ALERT.unexpectedMessage,
      `Record type ${type}, expected 22`,
    );
  }
  const major = bytes[at + 1];
  if (major !== undefined && major !== 3) {
    throw new Refusal(ALERT.decodeError, `Record version ${major}, expected 3`);
  }
  const high = bytes[at + 3];
  const low = bytes[at + 4];
  if (high === undefined || low === undefined) return undefined;
  const length = high * 256 + low;
  if (length === 0) throw new Refusal(ALERT.unexpectedMessage, "An empty record");
  if (length > MAX_FRAGMENT) throw new Refusal(ALERT.recordOverflow, `A record of ${length} bytes`);
  return length;
}

function tooLarge(least: number): Refusal {
  const reason = `At least ${least} bytes, allowed ${MAX_HELLO_BYTES}`;
  return new Refusal(ALERT.illegalParameter, reason, "helloBytes");
}

/** The first `length` bytes of the fragments, fewer when there are fewer. */
function join(fragments: readonly Uint8Array[], length: number): Uint8Array {
  const available = fragments.reduce((sum, fragment) => sum + fragment.length, 0);
  const joined = new Uint8Array(Math.min(length, available));
  let at = 0;
  for (const fragment of fragments) {
    const part = fragment.subarray(0, joined.length - at);
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

function readMessage(cursor: Cursor): ClientHello {
  cursor.take(MESSAGE_HEADER, "message header");
  const legacyVersion = cursor.uint16("legacy_version");
  cursor.take(32, "random");
  if (cursor.vector8("session id").length > 32) {
    throw new Refusal(ALERT.decodeError, "A session id above 32 bytes");
  }
  const suites = cursor.vector16("cipher suites");
  if (suites.length < 2 || suites.length % 2 !== 0) {
    throw new Refusal(ALERT.decodeError, `Cipher suites of ${suites.length} bytes`);
  }
  if (cursor.vector8("compression methods").length < 1) {
    throw new Refusal(ALERT.decodeError, "No compression method");
  }
  let serverName: string | undefined;
  let alpn: readonly string[] = [];
  let versions: readonly number[] = [legacyVersion];
  // TLS 1.2 allows a hello without the extensions field at all (RFC 5246 §7.4.1.2).
  if (cursor.isAtEnd) return { serverName, alpn, versions };

  const extensions = new Cursor(cursor.vector16("extensions"));
  cursor.finish("hello");
  const seen = new Set<number>();
  while (!extensions.isAtEnd) {
    const type = extensions.uint16("extension type");
    const content = new Cursor(extensions.vector16("extension"));
    if (seen.has(type)) throw new Refusal(ALERT.illegalParameter, `Extension ${type} twice`);
    seen.add(type);
    if (type === EXTENSION.serverName) serverName = readServerName(content);
    else if (type === EXTENSION.alpn) alpn = readAlpn(content);
    else if (type === EXTENSION.supportedVersions) versions = readVersions(content);
  }
  return { serverName, alpn, versions };
}

/** RFC 6066 §3, with one name only: no other name type was ever defined. */
function readServerName(content: Cursor): string {
  const list = new Cursor(content.vector16("server name list"));
  content.finish("server_name");
  const type = list.uint8("name type");
  const bytes = list.vector16("server name");
  if (type !== 0) throw new Refusal(ALERT.illegalParameter, `Server name type ${type}, expected 0`);
  if (!list.isAtEnd) throw new Refusal(ALERT.illegalParameter, "More than one server name");
  const name = canonicalName(latin1(bytes));
  if (name === undefined) {
    throw new Refusal(ALERT.unrecognizedName, "The server name is not a hostname");
  }
  return name;
}

/** RFC 7301 §3.1. */
function readAlpn(content: Cursor): readonly string[] {
  const list = new Cursor(content.vector16("protocol name list"));
  content.finish("application_layer_protocol_negotiation");
  const names: string[] = [];
  do {
    const name = list.vector8("protocol name");
    if (name.length === 0) throw new Refusal(ALERT.decodeError, "An empty protocol name");
    names.push(latin1(name));
  } while (!list.isAtEnd);
  return names;
}

/** RFC 8446 §4.2.1. */
function readVersions(content: Cursor): readonly number[] {
  const list = new Cursor(content.vector8("version list"));
  content.finish("supported_versions");
  const versions: number[] = [];
  do versions.push(list.uint16("version"));
  while (!list.isAtEnd);
  return versions;
}

/** At most 16 KiB, one call per name of a hello: no hot path. */
function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

function uint24(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) * 65_536 + (bytes[at + 1] as number) * 256 + (bytes[at + 2] as number)
  );
}

/** A position in bytes that must hold exactly what their inner lengths announce. */
class Cursor {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  take(length: number, what: string): Uint8Array {
    const end = this.#at + length;
    if (end > this.#bytes.length) {
      throw new Refusal(ALERT.decodeError, `The ${what} runs past its end`);
    }
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }

  uint8(what: string): number {
    return this.take(1, what)[0] as number;
  }

  uint16(what: string): number {
    const bytes = this.take(2, what);
    return (bytes[0] as number) * 256 + (bytes[1] as number);
  }

  /** A vector with a length of one byte. */
  vector8(what: string): Uint8Array {
    return this.take(this.uint8(what), what);
  }

  /** A vector with a length of two bytes. */
  vector16(what: string): Uint8Array {
    return this.take(this.uint16(what), what);
  }

  finish(what: string): void {
    if (!this.isAtEnd) throw new Refusal(ALERT.decodeError, `Bytes left over in ${what}`);
  }
}
