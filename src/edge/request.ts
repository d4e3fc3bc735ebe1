// This file is the canonical request: computed once, the only input of routing, log and forwarding (S-29, http.md §6).
import { canonicalHost } from "../address/index.ts";
import { cloneBytes } from "../bytes.ts";
import { TunlError } from "../errors.ts";
import {
  equalsFolded,
  type HeaderBlock,
  LineBuffer,
  ListCursor,
  trimBlanks,
} from "../headers/index.ts";
import {
  keepRequestFields,
  REQUEST_FIELD_RULES,
  type RequestFieldRules,
} from "../exchange/index.ts";
import { originForm, type RequestHead } from "../http1/index.ts";
import type { AnswerCode, AnswerContext } from "./reply.ts";

/**
 * A visitor's request, frozen with everything in it but the bytes themselves, which no runtime can freeze. Strings are
 * ASCII and canonical; bytes are exactly what is forwarded.
 */
export interface CanonicalRequest {
  /** 16 random bytes. */
  readonly id: Uint8Array;
  readonly method: string;
  /** Lower case, without port and trailing dot. */
  readonly host: string;
  /** Authority forwarded as Host: host, and the port where the visitor named one. */
  readonly authority: string;
  readonly scheme: "https" | "http";
  readonly target: Uint8Array;
  /** Fields after http.md §7 steps 1 to 7: validated lines, no framing, no hop-by-hop, no Host, ours added. */
  readonly fields: Uint8Array;
  readonly upgrade: string | undefined;
  readonly acceptsTrailers: boolean;
  readonly visitor: {
    readonly address: string;
    readonly bytes: Uint8Array;
    readonly port: number;
    readonly protocol: string;
  };
  readonly tls: { readonly version: string; readonly serverName: string } | undefined;
  /** Value of Accept and Sec-Fetch-Mode, for answers made by tunl only. */
  readonly accept: string;
  readonly fetchMode: string;
}

/** What a connection knows about its visitor; the same for all requests on it. */
export interface VisitorPeer {
  readonly scheme: "https" | "http";
  readonly tls: { readonly version: string; readonly serverName: string } | undefined;
  /** Source address in its canonical text form and as 4 or 16 bytes (v4-mapped folded), and the source port. */
  readonly remote: { readonly address: string; readonly bytes: Uint8Array; readonly port: number };
  /** True when the certificate served on this connection covers the canonical host (S-23). */
  covers(host: string): boolean;
  /** Ports a Host may name: those under which the listener is reached from outside. */
  readonly publicPorts: readonly number[];
  /** `tunl-` and the fingerprint of the edge's key, lower case: our member of CDN-Loop (S-28). */
  readonly loopMark: string;
  /** Names with `_` or `.`, identity headers (S-30, S-31); undefined is the default. */
  readonly fieldRules?: RequestFieldRules;
}

/** A request that is answered instead of forwarded. */
export interface Refusal extends AnswerContext {
  readonly code: AnswerCode;
}

const NO_BYTES = new Uint8Array(0);
const SEMICOLON = 0x3b;
/** 32 hex digits and CRLF. */
const ID_LINE_BYTES = 34;
const ID_BYTES = 16;

/**
 * Makes the canonical requests of one connection.
 *
 * What depends only on the connection and the host is computed when the host changes; a request then costs one pass
 * over its fields. Nothing behind this class sees the head of a request again (S-29).
 */
export class CanonicalRequests {
  readonly #peer: VisitorPeer;
  readonly #visitor: CanonicalRequest["visitor"];
  readonly #tls: CanonicalRequest["tls"];
  readonly #loopMark: string;
  readonly #rules: RequestFieldRules;
  /** End of our last line: the digits of the request id. */
  readonly #idLine = new Uint8Array(ID_LINE_BYTES);
  /** The Host value that the three members below belong to. */
  #hostValue: Uint8Array = NO_BYTES;
  #host = "";
  #authority = "";
  /** Our lines, up to the request id. */
  #ours: Uint8Array = NO_BYTES;

  constructor(peer: VisitorPeer) {
    this.#peer = peer;
    this.#visitor = Object.freeze({ ...peer.remote, protocol: "http/1.1" });
    this.#tls = peer.tls === undefined ? undefined : Object.freeze({ ...peer.tls });
    this.#loopMark = peer.loopMark.toLowerCase();
    this.#rules = peer.fieldRules ?? REQUEST_FIELD_RULES;
    this.#idLine.set([0x0d, 0x0a], ID_LINE_BYTES - 2);
  }

  /**
   * @param head A head as `requestReader` gave it: one Host, valid target and fields.
   * @returns The canonical request, or why it is answered instead: `BAD_HOST`, `WRONG_CONNECTION`, `LOOP`, `BAD_REQUEST`.
   */
  build(head: RequestHead): CanonicalRequest | Refusal {
    const { fields } = head;
    const id = newRequestId();
    const host = fields.find("host");
    if (!this.#isHost(fields, host)) {
      const code = this.#changeHost(fields.value(host));
      if (code !== undefined) return this.#refuse(code, id, fields, undefined);
    }
    if (hasLoopMark(fields, this.#loopMark)) return this.#refuse("LOOP", id, fields, this.#host);
    lines.clear();
    const acceptsTrailers = this.#keepFields(fields);
    if (acceptsTrailers === undefined) return this.#refuse("BAD_REQUEST", id, fields, this.#host);
    lines.append(this.#ours);
    writeHex(id, this.#idLine);
    lines.append(this.#idLine);
    return Object.freeze({
      id,
      method: head.method,
      host: this.#host,
      authority: this.#authority,
      scheme: this.#peer.scheme,
      // A copy: a view would keep the whole head, as long as the request lasts.
      target: cloneBytes(originForm(head.target, head.method)),
      fields: lines.take(),
      upgrade: head.upgrade,
      acceptsTrailers,
      visitor: this.#visitor,
      tls: this.#tls,
      accept: textOf(fields, "accept"),
      fetchMode: textOf(fields, "sec-fetch-mode"),
    });
  }

  /** Steps 1 to 3 and 5 of http.md §7. @returns Whether trailers are accepted; undefined when the request is refused. */
  #keepFields(fields: HeaderBlock): boolean | undefined {
    try {
      return keepRequestFields(fields, lines, this.#rules);
    } catch (error) {
      if (error instanceof TunlError && error.code === "BAD_REQUEST") return undefined;
      throw error;
    }
  }

  /** True when the Host value is the one of the request before. */
  #isHost(fields: HeaderBlock, index: number): boolean {
    const start = fields.valueStart(index);
    const length = fields.valueEnd(index) - start;
    if (length === 0 || length !== this.#hostValue.length) return false;
    for (let at = 0; at < length; at++)
      if (fields.bytes[start + at] !== this.#hostValue[at]) return false;
    return true;
  }

  #changeHost(value: Uint8Array): AnswerCode | undefined {
    const { scheme, remote, publicPorts } = this.#peer;
    this.#hostValue = NO_BYTES;
    const named = canonicalHost(value);
    if (named === undefined) return "BAD_HOST";
    if (named.port !== undefined && !publicPorts.includes(named.port)) return "BAD_HOST";
    if (!this.#peer.covers(named.host)) return "WRONG_CONNECTION";
    this.#host = named.host;
    this.#authority = named.port === undefined ? named.host : `${named.host}:${named.port}`;
    const port = named.port ?? (scheme === "https" ? 443 : 80);
    this.#ours = Buffer.from(
      `X-Forwarded-For: ${remote.address}\r\n` +
        `X-Forwarded-Host: ${this.#authority}\r\n` +
        `X-Forwarded-Proto: ${scheme}\r\n` +
        `X-Forwarded-Port: ${port}\r\n` +
        `X-Real-IP: ${remote.address}\r\n` +
        `CDN-Loop: ${this.#loopMark}\r\n` +
        `X-Tunl-Request-Id: `,
      "latin1",
    );
    this.#hostValue = cloneBytes(value);
    return undefined;
  }

  #refuse(
    code: AnswerCode,
    requestId: Uint8Array,
    fields: HeaderBlock,
    host: string | undefined,
  ): Refusal {
    return {
      code,
      requestId,
      host,
      accept: textOf(fields, "accept"),
      fetchMode: textOf(fields, "sec-fetch-mode"),
    };
  }
}

const cursor = new ListCursor();
/** Fields of the request that is built, of any connection: building is one step, and the result is a copy. */
const lines = new LineBuffer();

/** True when a member of CDN-Loop is our own (RFC 8586): the request was here before. */
function hasLoopMark(fields: HeaderBlock, mark: string): boolean {
  const { bytes } = fields;
  for (
    let index = fields.find("cdn-loop");
    index >= 0;
    index = fields.find("cdn-loop", index + 1)
  ) {
    // Quoted parameters are not read: a comma inside one can only make a member more, never hide ours.
    cursor.open(bytes, fields.valueStart(index), fields.valueEnd(index));
    while (cursor.next()) {
      const parameters = bytes.indexOf(SEMICOLON, cursor.start);
      const end = parameters < 0 || parameters > cursor.end ? cursor.end : parameters;
      if (equalsFolded(bytes, cursor.start, trimBlanks(bytes, cursor.start, end), mark))
        return true;
    }
  }
  return false;
}

function textOf(fields: HeaderBlock, name: string): string {
  const index = fields.find(name);
  return index < 0 ? "" : fields.text(index);
}

const HEX_DIGITS = new TextEncoder().encode("0123456789abcdef");

/** Writes two lower-case digits per byte. */
function writeHex(bytes: Uint8Array, target: Uint8Array): void {
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] as number;
    target[2 * at] = HEX_DIGITS[byte >> 4] as number;
    target[2 * at + 1] = HEX_DIGITS[byte & 15] as number;
  }
}

/** Random ids are drawn by the page: one call of the generator per 256 requests. */
const ID_PAGE = 256 * ID_BYTES;
const idPage = new Uint8Array(ID_PAGE);
let idAt = ID_PAGE;

/** A request id: 16 random bytes of their own. */
export function newRequestId(): Uint8Array {
  if (idAt === ID_PAGE) {
    crypto.getRandomValues(idPage);
    idAt = 0;
  }
  const id = idPage.slice(idAt, idAt + ID_BYTES);
  // A spent id stands in logs and in responses; the page must not serve it twice.
  idAt += ID_BYTES;
  return id;
}
