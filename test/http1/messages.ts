// This file is messages made up at random, written by the writer, and what any reader must find in them. S-05.
import {
  type FramingToWrite,
  type HeadToWrite,
  interimHead,
  requestWriter,
  responseWriter,
  type Writer,
} from "../../src/http1/index.ts";
import { bytes, type Random } from "./support.ts";

const TOKEN = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ALL = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join("");
const VALUE = ALL.replace(/[\0-\x08\n-\x1f\x7f]/g, "");
const TARGET = "!\"$&'()*+,-./:;<=>@[]^_`{|}~0123456789abcXYZ";

/** Content that a reader which loses count takes for the end of the body, or for the next message. */
const LURES = [
  "0\r\n\r\n",
  "\r\n0\r\n\r\nGET /lure HTTP/1.1\r\nHost: lure\r\n\r\n",
  "GET /lure HTTP/1.1\r\nHost: lure\r\nContent-Length: 5\r\n\r\n",
  "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlure",
  "\r\n\r\n",
  "5;x=y\r\nhello\r\n",
];

/** A field as it stands between name and line end, blanks at the ends of the value left out. */
export type Field = [name: string, value: string];

/** One message: its bytes in the pieces they were written in, and what it says. */
export interface Made {
  readonly line: string;
  /** Requests only. */
  readonly method: string;
  readonly target: string;
  readonly status: number;
  /** Every field in order, those of the writer among them. */
  readonly fields: readonly Field[];
  readonly body: string;
  readonly trailers: readonly Field[];
  readonly framing: FramingToWrite;
  /** Interim responses in front of it. */
  readonly interim: readonly number[];
  readonly pieces: readonly Uint8Array[];
}

export const wholeOf = (made: Made): Uint8Array => new Uint8Array(Buffer.concat(made.pieces));

const section = (fields: readonly Field[]): Uint8Array =>
  bytes(fields.map(([name, value]) => `${name}: ${value}\r\n`).join(""));

function randomFields(random: Random, most: number): Field[] {
  return Array.from({ length: random.below(most) }, () => [
    // Never a name that means something to a reader.
    `X${random.text(TOKEN, 1 + random.below(20))}`,
    random.text(VALUE, random.below(60)).replace(/^[\t ]+|[\t ]+$/g, ""),
  ]);
}

const content = (random: Random, length: number): string =>
  random.below(3) === 0
    ? random.pick(LURES).repeat(length).slice(0, length)
    : random.text(ALL, length);

/** What the writer itself has to add, by the one rule there is: exactly one field frames a body. */
function framingField(framing: FramingToWrite, method: string | undefined): Field[] {
  if (framing.kind === "chunked") return [["Transfer-Encoding", "chunked"]];
  const isNamed = method === undefined || ["POST", "PUT", "PATCH"].includes(method);
  const length = "length" in framing ? framing.length : 0;
  if (framing.kind === "untilClose" || length < 0) return [];
  if (framing.kind === "none" && !(method !== undefined && isNamed)) return [];
  return length > 0 || isNamed ? [["Content-Length", String(length)]] : [];
}

function write(
  random: Random,
  writer: Writer,
  head: HeadToWrite,
  own: readonly Field[],
): Pick<Made, "body" | "trailers" | "pieces"> {
  const { framing } = head;
  const pieces = [writer.head({ ...head, fields: section(own) })];
  const hasBody = framing.kind !== "none" && framing.kind !== "announced";
  let left = !hasBody ? 0 : framing.kind === "length" ? framing.length : random.below(400);
  let body = "";
  while (left > 0) {
    const part = content(random, 1 + random.below(left));
    left -= part.length;
    body += part;
    pieces.push(...writer.body(bytes(part)));
  }
  const trailers = framing.kind === "chunked" ? randomFields(random, 4) : [];
  const end = writer.end(section(trailers));
  if (end === false) throw new Error("The writer misses bytes");
  pieces.push(...end);
  return { body, trailers, pieces };
}

const NO_FIELDS = new Uint8Array(0);

/**
 * @param methods What the reader knows.
 * @param connections What may become of the connection behind it.
 */
export function makeRequest(
  random: Random,
  methods: readonly string[],
  connections: readonly HeadToWrite["connection"][] = ["keep-alive"],
): Made {
  const connection = random.pick(connections);
  const method = random.pick(methods);
  const target =
    method === "OPTIONS" && random.below(2) === 0
      ? "*"
      : `/${random.text(TARGET, random.below(40))}`;
  const framing = random.pick<FramingToWrite>(
    connection === "upgrade"
      ? [{ kind: "none" }]
      : [{ kind: "none" }, { kind: "chunked" }, { kind: "length", length: random.below(500) }],
  );
  const host = random.pick(["a.example", "a.example:8443", "x-1.a.b.c.example"]);
  const own = randomFields(random, 12);
  const line = { method, target: bytes(target) };
  const head: HeadToWrite = {
    ...{ line, host, fields: NO_FIELDS, framing, connection },
    ...(connection === "upgrade" && { upgrade: "raw" }),
  };
  return {
    line: `${method} ${target}`,
    method,
    target,
    status: 0,
    framing,
    interim: [],
    fields: [
      ["Host", host],
      ...own,
      ...framingField(framing, method),
      ["Connection", connection],
      ...(connection === "upgrade" ? ([["Upgrade", "raw"]] as Field[]) : []),
    ],
    ...write(random, requestWriter(), head, own),
  };
}

/** @param isLast May last until the connection closes. */
export function makeResponse(random: Random, method: string, isLast: boolean): Made {
  const status = random.pick([200, 201, 204, 304, 404, 500, 599, 200 + random.below(400)]);
  const framing: FramingToWrite =
    method === "HEAD" || status === 204 || status === 304
      ? { kind: "announced", length: status === 204 ? -1 : random.below(99) - 1 }
      : random.pick<FramingToWrite>([
          { kind: "chunked" },
          { kind: "length", length: random.below(500) },
          ...(isLast ? [{ kind: "untilClose" } as const] : []),
        ]);
  const reason = random.text(VALUE, random.below(20)).replace(/^[\t ]+|[\t ]+$/g, "");
  const own = randomFields(random, 12);
  const interim = Array.from({ length: random.below(3) }, () => random.pick([102, 103]));
  const connection = isLast ? "close" : "keep-alive";
  const line = { status, reason: bytes(reason) };
  const written = write(
    random,
    responseWriter(),
    { line, fields: NO_FIELDS, framing, connection },
    own,
  );
  return {
    line: `${status} ${reason}`,
    method,
    target: "",
    status,
    framing,
    interim,
    fields: [...own, ...framingField(framing, undefined), ["Connection", connection]],
    ...written,
    pieces: [...interim.map((code) => interimHead(code, NO_FIELDS)), ...written.pieces],
  };
}

/** The bytes of several messages in pieces of random size. */
export function* scattered(random: Random, pieces: readonly Uint8Array[]): Iterable<Uint8Array> {
  const all = new Uint8Array(Buffer.concat(pieces));
  for (let at = 0; at < all.length;) {
    const size = 1 + random.below(90);
    yield all.slice(at, at + size);
    at += size;
  }
}

/** Any token is a method here. */
export const anyMethod = (random: Random): string[] => [
  "GET",
  "HEAD",
  "POST",
  "PUT",
  "DELETE",
  "PATCH",
  "OPTIONS",
  `M${random.text(TOKEN, 8)}`,
];
