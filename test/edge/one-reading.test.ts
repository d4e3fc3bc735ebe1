// One canonical request decides everything: nobody reads the head a second time, and nobody can change what was read. S-26, S-29, S-33, S-51.
import { describe, expect, test } from "bun:test";
import type { CanonicalRequest } from "../../src/edge/request.ts";
import type { Serve } from "../../src/edge/visit.ts";
import type { HeaderBlock } from "../../src/headers/index.ts";
import { Http1Error, type RequestHead } from "../../src/http1/index.ts";
import { filesIn, textOf } from "../docs/text.ts";
import { build, codeOf, head, linesOf, request, simple, valuesOf } from "./heads.ts";

/** True when a value of type T leads to an X by properties, parameters of methods left out. */
type LeadsTo<T, X> = T extends X
  ? true
  : T extends Uint8Array | string | number | boolean | undefined
    ? false
    : T extends (...parameters: never[]) => infer Result
      ? LeadsTo<Result, X>
      : true extends { [Key in keyof T]: LeadsTo<T[Key], X> }[keyof T]
        ? true
        : false;

type RawHead = RequestHead | HeaderBlock;
/** What the pipeline is given, all of it. */
const pipelineSeesRaw: LeadsTo<Parameters<Serve>[0], RawHead> = false;
/** The assertion above can fail. */
const headSeesRaw: LeadsTo<{ inner: { head: RequestHead } }, RawHead> = true;

describe("one reading of a request (S-29)", () => {
  test("nothing below the parser sees a raw head, by its types", () => {
    expect([pipelineSeesRaw, headSeesRaw]).toEqual([false, true]);
  });

  test("nothing of the edge but the listener and the canonical request names a raw head", () => {
    const files = filesIn("src/edge", ".ts").filter(
      (path) => !path.startsWith("src/edge/listen/") && path !== "src/edge/request.ts",
    );
    expect(files.length).toBeGreaterThan(10);
    for (const path of files) {
      const code = textOf(path);
      const fromHttp1 = /import (?:type )?\{([^}]*)\} from "[./]+http1\/index\.ts"/.exec(code);
      expect([path, /\b(RequestHead|Reader|requestReader)\b/.test(fromHttp1?.[1] ?? "")]).toEqual([
        path,
        false,
      ]);
      expect([path, /\bHeaderBlock\b/.test(code)]).toEqual([path, false]);
    }
  });

  test("the canonical request is frozen, with everything in it", () => {
    const built = request(simple("Accept: text/html", "Connection: upgrade", "Upgrade: raw"));
    let objects = 0;
    const check = (value: unknown, path: string): void => {
      // Bytes cannot be frozen; they are this request's own, or the chunk it came in.
      if (typeof value !== "object" || value === null || value instanceof Uint8Array) return;
      expect([path, Object.isFrozen(value)]).toEqual([path, true]);
      objects++;
      for (const [key, inner] of Object.entries(value)) check(inner, `${path}.${key}`);
    };
    check(built, "request");
    expect(objects).toBe(3);
    expect(() => Object.assign(built, { host: "evil.example" })).toThrow();
    expect(() => Object.assign(built.visitor, { address: "127.0.0.1" })).toThrow();
    // Everything is a value already: no accessor reads on later.
    const accessors = Object.entries(Object.getOwnPropertyDescriptors(built)).filter(
      ([, { get }]) => get !== undefined,
    );
    expect(accessors).toEqual([]);
  });
});

/** Values that somebody could read in two ways, and which of them is the only one here; undefined: refused. */
const DOUBLE: [string, string[], string | undefined][] = [
  ["two Hosts", ["GET / HTTP/1.1", "Host: app.example.com", "Host: other.example.com"], undefined],
  [
    "two equal Hosts",
    ["GET / HTTP/1.1", "Host: app.example.com", "host: app.example.com"],
    undefined,
  ],
  ["Hosts in one line", ["GET / HTTP/1.1", "Host: app.example.com, other.example.com"], undefined],
  [
    "a Host behind a user",
    ["GET / HTTP/1.1", "Host: other.example.com@app.example.com"],
    undefined,
  ],
  [
    "Host against the target",
    ["GET http://other.example.com/ HTTP/1.1", "Host: app.example.com"],
    undefined,
  ],
  [
    "a user in the target",
    ["GET http://other.example.com@app.example.com/ HTTP/1.1", "Host: app.example.com"],
    undefined,
  ],
  [
    "another port in the target",
    ["GET http://app.example.com:8443/ HTTP/1.1", "Host: app.example.com"],
    undefined,
  ],
  [
    "an alias of Host",
    [
      "GET / HTTP/1.1",
      "Host: app.example.com",
      "X-Host: other.example.com",
      "Ho_st: other.example.com",
    ],
    "app.example.com",
  ],
  [
    "a forwarded host",
    [
      "GET / HTTP/1.1",
      "Host: app.example.com",
      "X-Forwarded-Host: other.example.com",
      "X-Forwarded-Server: other.example.com",
      "Forwarded: host=other.example.com",
    ],
    "app.example.com",
  ],
  [
    "an original host",
    [
      "GET / HTTP/1.1",
      "Host: app.example.com",
      "X-Original-Host: other.example.com",
      "X-Rewrite-Host: other.example.com",
    ],
    "app.example.com",
  ],
  ["a spelled Host", ["GET / HTTP/1.1", "Host: APP.Example.com."], "app.example.com"],
  [
    "an equal authority",
    ["GET http://App.example.com/ HTTP/1.1", "Host: app.EXAMPLE.com"],
    "app.example.com",
  ],
  [
    "two lengths",
    ["POST / HTTP/1.1", "Host: app.example.com", "Content-Length: 1", "Content-Length: 1"],
    undefined,
  ],
  [
    "length and coding",
    ["POST / HTTP/1.1", "Host: app.example.com", "Content-Length: 1", "Transfer-Encoding: chunked"],
    undefined,
  ],
  [
    "two expectations",
    [
      "POST / HTTP/1.1",
      "Host: app.example.com",
      "Content-Length: 1",
      "Expect: 100-continue",
      "Expect: x",
    ],
    undefined,
  ],
];

function outcome(lines: readonly string[]): CanonicalRequest | undefined {
  try {
    const built = build(head(...lines));
    return "code" in built ? undefined : built;
  } catch (error) {
    if (error instanceof Http1Error) return undefined;
    throw error;
  }
}

describe("values that could be read twice", () => {
  test.each(DOUBLE)(
    "%s: route, origin and log get one value or none [CVE-2026-40910]",
    (_, lines, host) => {
      const built = outcome(lines);
      expect(built?.host).toBe(host);
      if (built === undefined) return;
      // The origin is told the same host as the route, in each of its places, and nothing of the other value.
      expect(built.authority).toBe(built.host);
      expect(valuesOf(built, "X-Forwarded-Host")).toEqual([built.host]);
      const forwarded = linesOf(built).filter((line) => !line.startsWith("X-Host:"));
      expect(forwarded.join("\n")).not.toContain("other.example.com");
    },
  );

  test("a check before the route would read what the route reads [CVE-2026-3209]", () => {
    for (const target of [
      "/admin",
      "/a%2Fdmin",
      "//admin",
      "/x/../admin",
      "/admin?x",
      "/%61dmin",
    ]) {
      const built = request(head(`GET ${target} HTTP/1.1`, "Host: app.example.com"));
      // There is one target, and it is the bytes that the origin gets.
      expect(Buffer.from(built.target).toString("latin1")).toBe(target);
    }
  });

  const URIS = [
    "X-Forwarded-Uri: /public",
    "X-Original-URL: /public",
    "X-Rewrite-URL: /public",
    "X_Original.URL: /public",
  ];

  test("a URI that a visitor claims is neither read nor forwarded, and no target has a fragment [CVE-2026-40575, CVE-2026-41059, GHSA-7rh7]", () => {
    const built = request(head("GET /private HTTP/1.1", "Host: app.example.com", ...URIS));
    expect(Buffer.from(built.target).toString("latin1")).toBe("/private");
    expect(linesOf(built).join("\n")).not.toContain("/public");
    expect(outcome(["GET /private#/public HTTP/1.1", "Host: app.example.com"])).toBeUndefined();
  });
});

const LOCAL = [
  "localhost",
  "localhost:443",
  "localhost.",
  "LOCALHOST",
  "127.0.0.1",
  "127.1",
  "[::1]",
  "0.0.0.0",
  "admin",
  "tunl.localhost",
  "unix",
  "::1",
  "0x7f000001",
  "2130706433",
];
const CLAIMS = [
  [
    "X-Forwarded-For: 127.0.0.1",
    "X-Real-IP: 127.0.0.1",
    "X-Client-IP: ::1",
    "Forwarded: for=127.0.0.1;host=localhost",
  ],
  ["X-Forwarded-Host: localhost", "X-Forwarded-Proto: http", "X-Forwarded-Port: 80"],
  ["X-Original-URL: /.tunl/", "X-Rewrite-URL: /admin", "X-Forwarded-Prefix: /admin"],
  ["X-Tunl-User: root", "Tunl-Client-Id: x", "X-Envoy-Internal: true"],
];

describe("own endpoints (S-26)", () => {
  test("`Host: localhost` opens nothing, whatever else is claimed [CVE-2026-49353]", () => {
    let tried = 0;
    for (const name of LOCAL) {
      for (const claims of [[], ...CLAIMS, CLAIMS.flat()]) {
        const built = build(head("GET /.tunl/ HTTP/1.1", `Host: ${name}`, ...claims));
        expect(["BAD_HOST", "WRONG_CONNECTION"]).toContain(codeOf(built) as string);
        tried++;
      }
    }
    expect(tried).toBe(LOCAL.length * 6);
  });

  test("no claim of a visitor changes host, scheme, target or address of a request", () => {
    const plain = request(head("GET /a HTTP/1.1", "Host: app.example.com"));
    for (const claims of [...CLAIMS, CLAIMS.flat()]) {
      const built = request(head("GET /a HTTP/1.1", "Host: app.example.com", ...claims));
      expect({ ...built, id: plain.id, fields: plain.fields }).toEqual(plain);
      const withoutId = (lines: string[]): string[] => lines.slice(0, -1);
      expect(withoutId(linesOf(built))).toEqual(withoutId(linesOf(plain)));
    }
  });
});

describe("the address of a visitor (S-33)", () => {
  test.each([
    "1.2.3.4",
    "127.0.0.1, 10.0.0.1",
    "unknown",
    "_hidden, 10.0.0.1",
    "[::1]:80, x",
    ",,,",
    "for=10.0.0.1",
    "10.0.0.1 10.0.0.2",
    "\xff",
  ])(
    "is that of its connection, whatever the forwarding chain %j says [CVE-2024-47070]",
    (chain) => {
      const built = request(
        simple(`X-Forwarded-For: ${chain}`, `x-forwarded-for: ${chain}`, `X-Real-IP: ${chain}`),
      );
      expect(valuesOf(built, "X-Forwarded-For")).toEqual(["192.0.2.7"]);
      expect(valuesOf(built, "X-Real-IP")).toEqual(["192.0.2.7"]);
      expect(built.visitor.address).toBe("192.0.2.7");
    },
  );
});

describe("upgrades (S-51)", () => {
  const WEBSOCKET = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  ];
  const HEADS: [string, string[]][] = [
    ["served", ["GET / HTTP/1.1", "Host: app.example.com"]],
    ["wrong certificate", ["GET / HTTP/1.1", "Host: stranger.example.net"]],
    ["no host", ["GET / HTTP/1.1", "Host: 127.0.0.1"]],
    ["foreign port", ["GET / HTTP/1.1", "Host: app.example.com:1"]],
    ["loop", ["GET / HTTP/1.1", "Host: app.example.com", "CDN-Loop: tunl-0123456789abcdef"]],
    ["protected field", ["GET / HTTP/1.1", "Host: app.example.com", "Connection: X-Forwarded-For"]],
    ["host against target", ["GET https://other.example.com/ HTTP/1.1", "Host: app.example.com"]],
    ["claims", ["GET / HTTP/1.1", "Host: app.example.com", ...CLAIMS.flat()]],
  ];

  test.each(HEADS)("meet the same rules as any request: %s [GHSA-c4j6-fc7j-m34r]", (_, lines) => {
    const plain = outcome(lines);
    const upgrade = outcome([...lines, ...WEBSOCKET]);
    expect(upgrade === undefined).toBe(plain === undefined);
    if (plain === undefined || upgrade === undefined) return;
    expect(upgrade.upgrade).toBe("websocket");
    const { id, fields, upgrade: __, ...rest } = plain;
    expect(upgrade).toMatchObject(rest);
    const ours = (built: CanonicalRequest): string[] =>
      linesOf(built).filter((line) => !/^(sec-websocket|x-tunl-request-id)/i.test(line));
    expect(ours(upgrade)).toEqual(ours(plain));
  });
});
