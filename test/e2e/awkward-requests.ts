// This file is requests that are legal and seldom: what one server in a chain may read differently from the next (S-12).
import { corpus } from "../http1/support.ts";

/** A request, and what every server has to take it for. */
export interface Item {
  readonly name: string;
  readonly method: string;
  /** As an origin sees it. */
  readonly target: string;
  /** One character per byte. */
  readonly content: string;
  /** True: the edge may refuse it; then no origin sees anything of it. */
  readonly isRefusable: boolean;
  /** The bytes to send, one character each. */
  bytes(authority: string, id: string): string;
}

interface Parts {
  readonly method?: string;
  readonly target?: string | ((authority: string) => string);
  /** What the origin sees, where it differs. */
  readonly seenTarget?: string;
  readonly version?: string;
  readonly fields?: readonly string[];
  /** Name and value of the Host line. */
  readonly host?: (authority: string) => string;
  /** The body as it is sent. */
  readonly body?: string;
  /** The body without its framing, where that differs. */
  readonly content?: string;
}

function item(name: string, parts: Parts = {}): Item {
  const { method = "GET", target = "/", version = "1.1", fields = [], body = "" } = parts;
  const { host = (authority) => `Host: ${authority}`, content = body } = parts;
  const seenTarget = parts.seenTarget ?? (typeof target === "string" ? target : "/");
  return {
    name,
    method,
    target: seenTarget,
    content,
    isRefusable: false,
    bytes: (authority, id) =>
      [
        `${method} ${typeof target === "string" ? target : target(authority)} HTTP/${version}`,
        host(authority),
        `X-Item: ${id}`,
        ...fields,
        "",
        body,
      ].join("\r\n"),
  };
}

/** With a length. */
function sized(name: string, content: string, parts: Parts = {}): Item {
  const fields = [...(parts.fields ?? []), `Content-Length: ${content.length}`];
  return item(name, { method: "POST", ...parts, fields, body: content });
}

/** In chunks as given; `last` is what ends it. */
function chunked(name: string, chunks: readonly string[], parts: Parts = {}, last = "0"): Item {
  const fields = [...(parts.fields ?? []), "Transfer-Encoding: chunked"];
  const pieces = chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`);
  return item(name, {
    method: "POST",
    ...parts,
    fields,
    body: `${pieces.join("")}${last}\r\n\r\n`,
    content: chunks.join(""),
  });
}

const SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: evil.example\r\nX-Item: smuggled\r\n\r\n";
const EVERY_BYTE = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join("");
const LARGE = EVERY_BYTE.repeat(400);

const METHODS = [
  ...["GET", "OPTIONS", "DELETE", "POST", "PUT", "PATCH"],
  ...["PROPFIND", "REPORT", "M-SEARCH", "MKCALENDAR", "PURGE", "LOCK"],
];

const TARGETS = [
  "/a%2Fb%2e%2e%5C",
  "/%00",
  "/%e2%82%ac",
  "/a//b///",
  "//double",
  "/./a/../b",
  "/a/%2e%2e/b",
  "/..",
  "/?",
  "/??a?b",
  "/a?b=%&c=%zz&d=\\",
  '/a?q=|^`{}"<>',
  "/a|b^c`d{e}",
  "/;v=1,2/:@!$&'()*+",
  "/a;b;c?d;e",
  "/~user/-_.",
  "/a?x=http://other.example/",
  "/http://other.example/",
  "/*",
  "/a%20b+c",
  `/${"long/".repeat(1_500)}`,
  `/?${"q".repeat(8_000)}`,
];

const PLAIN = item("plain");

const OWN: readonly Item[] = [
  ...METHODS.map((method) => item(`${method} without a body`, { method })),
  item("HEAD", { method: "HEAD", target: "/head?x" }),
  ...METHODS.map((method) => sized(`${method} with a body`, "twelve bytes", { method })),
  ...METHODS.map((method) => chunked(`${method} in chunks`, ["in ", "chunks"], { method })),
  ...TARGETS.map((target) => item(`target ${target.slice(0, 40)}`, { target })),
  item("absolute form", {
    target: (authority) => `https://${authority}/absolute?form`,
    seenTarget: "/absolute?form",
  }),
  item("absolute form without a path", { target: (authority) => `https://${authority}` }),
  item("OPTIONS *", { method: "OPTIONS", target: "*" }),
  item("Host in capitals", { host: (authority) => `HOST: ${authority.toUpperCase()}` }),
  item("blanks around the Host", { host: (authority) => `hOsT:\t ${authority} \t` }),
  item("1.0", { version: "1.0" }),
  item("1.0 that keeps its connection", { version: "1.0", fields: ["Connection: keep-alive"] }),
  sized("1.0 with a body", "old", { version: "1.0" }),
  item("Connection: close", { fields: ["Connection: close"] }),
  item("a hop-by-hop field of its own", { fields: ["Connection: X-Hop, close", "X-Hop: 1"] }),
  item("hop-by-hop fields", {
    fields: ["Connection: keep-alive, te", "TE: trailers", "Keep-Alive: timeout=1, max=1"],
  }),
  item("an upgrade that is none", { fields: ["Connection: Upgrade", "Upgrade: h2c"] }),
  item("half a WebSocket", { fields: ["Connection: Upgrade", "Upgrade: websocket"] }),
  item("no Accept, an empty field", { fields: ["X-Empty:", "Accept:", "X-Blank: \t "] }),
  item("fields that repeat", {
    fields: ["X-Same: 1", "x-same: 2", "X-SAME: 3", "Cookie: a=1", "Cookie: b=2"],
  }),
  item("look-alikes of framing", {
    fields: ["X-Content-Length: 5", "Content-Length-X: 5", "X-Transfer-Encoding: chunked"],
  }),
  item("names of ours", {
    fields: ["X-Tunl-Request-Id: 0", "X_Item: smuggled", "X.Item: smuggled", "Forwarded: for=x"],
  }),
  item("a name of every kind of byte", { fields: ["!#$%&'*+-^`|~0aZ: token"] }),
  item("a long name", { fields: [`X-${"n".repeat(254)}: v`] }),
  item("a value of every kind of byte", {
    fields: [`X-Bytes: a\tb ${EVERY_BYTE.slice(0x21, 0x7f)}${EVERY_BYTE.slice(0x80)}`],
  }),
  item("a value of 28 KB", { fields: [`X-Large: ${"v".repeat(28_000)}`] }),
  item("80 fields", { fields: Array.from({ length: 80 }, (_, index) => `X-${index}: ${index}`) }),
  item("a comma where none belongs", { fields: ["X-List: ,,a,,", "Accept: ,*/*,"] }),
  sized("an empty body", ""),
  item("POST without a length", { method: "POST" }),
  sized("a body that looks like a request", SMUGGLED),
  sized("GET whose body looks like a request", SMUGGLED, { method: "GET" }),
  sized("HEAD whose body looks like a request", SMUGGLED, { method: "HEAD" }),
  item("a length with zeros in front", {
    method: "POST",
    fields: ["Content-Length: 000005"],
    body: "12345",
  }),
  sized("a body of every byte", EVERY_BYTE),
  sized("a body of 100 KB", LARGE),
  sized("Expect", "expected", { fields: ["Expect: 100-continue"] }),
  sized("Expect in capitals", "expected", { fields: ["EXPECT: 100-CONTINUE"] }),
  chunked("Expect in chunks", ["expected"], { fields: ["Expect: 100-continue"] }),
  chunked("chunks that look like a request", [SMUGGLED, SMUGGLED]),
  chunked("chunks of nothing", []),
  chunked("chunks of one byte", [...EVERY_BYTE]),
  chunked("a chunk of 100 KB", [LARGE]),
  chunked("a last chunk of many zeros", ["x"], {}, "000000"),
  item("sizes in capitals, with zeros and extensions", {
    method: "POST",
    fields: ["Transfer-Encoding: CHUNKED"],
    body: `00A;name\r\n0123456789\r\n0b;a="q;\\"\\r";b=1\r\n0123456789a\r\n0;last\r\n\r\n`,
    content: "01234567890123456789a",
  }),
  item("trailers", {
    method: "POST",
    fields: ["Transfer-Encoding: chunked", "Trailer: X-Check, X-Other"],
    body: "5\r\nhello\r\n0\r\nX-Check: whole\r\nX-Other:\r\n\r\n",
    content: "hello",
  }),
  { ...PLAIN, name: "an empty line in front", bytes: (...of) => `\r\n${PLAIN.bytes(...of)}` },
];

interface Vector {
  readonly id: string;
  readonly type: string;
  readonly input: string;
  readonly error: unknown;
  readonly upgrade: boolean;
  readonly messages: readonly {
    readonly method: string;
    readonly target: string;
    readonly body: string;
    readonly complete: boolean;
  }[];
}

/** Whole single requests that llhttp accepts; the edge refuses some of them. */
function llhttpItems(): readonly Item[] {
  return (corpus<Vector>("llhttp.jsonl") ?? []).flatMap((vector) => {
    const { id, type, input, error, upgrade, messages } = vector;
    const [message] = messages;
    const isPlain = type === "request" && error === null && !upgrade && messages.length === 1;
    if (!isPlain || message?.complete !== true) return [];
    return [
      {
        name: id,
        method: message.method,
        target: message.target,
        content: Buffer.from(message.body, "base64").toString("latin1"),
        isRefusable: true,
        bytes: readdressed(Buffer.from(input, "base64").toString("latin1")),
      },
    ];
  });
}

interface Guarded {
  readonly id: string;
  readonly tier: string;
  readonly method: string;
  readonly target: string;
  readonly head: string;
}

/** Heads that a proxy may forward, each with the body it announces. */
function guardianItems(): readonly Item[] {
  return (corpus<Guarded>("guardian.jsonl") ?? []).flatMap(({ id, tier, method, target, head }) => {
    const text = Buffer.from(head, "base64").toString("latin1");
    if (tier !== "Compliant" && tier !== "Acceptable") return [];
    const length = Number(/^content-length: *(\d+)/im.exec(text)?.[1] ?? 0);
    const isChunked = /^transfer-encoding:/im.test(text);
    const content = isChunked ? "body" : "b".repeat(length);
    return [
      {
        name: id,
        method: Buffer.from(method, "base64").toString("latin1"),
        target: Buffer.from(target, "base64").toString("latin1"),
        content,
        isRefusable: true,
        bytes: readdressed(text + (isChunked ? "4\r\nbody\r\n0\r\n\r\n" : content)),
      },
    ];
  });
}

/** Gives a request of somebody else our Host and a mark. */
function readdressed(input: string): Item["bytes"] {
  return (authority, id) => {
    const end = input.indexOf("\r\n\r\n");
    const lines = input.slice(0, end).split("\r\n");
    const others = lines.filter((line) => !/^host *:/i.test(line));
    const [line = "", ...fields] = others;
    const head = [line, `Host: ${authority}`, `X-Item: ${id}`, ...fields].join("\r\n");
    return head + input.slice(end);
  };
}

export function awkwardRequests(): readonly Item[] {
  return [...OWN, ...llhttpItems(), ...guardianItems()];
}
