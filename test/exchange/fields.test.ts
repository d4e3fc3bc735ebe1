import { describe, expect, test } from "bun:test";
import {
  keepAliveSeconds,
  keepRequestFields,
  keepResponseFields,
  keepVisitorFields,
  MESSAGE_LIMITS,
  REQUEST_FIELD_RULES,
  type RequestFieldRules,
  validateFields,
  validateTrailers,
} from "../../src/exchange/fields.ts";
import {
  FieldParser,
  type HeaderBlock,
  LineBuffer,
  ReservedNames,
} from "../../src/headers/index.ts";
import { requestWriter, responseWriter } from "../../src/http1/index.ts";

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));
const text = (value: Uint8Array): string => Buffer.from(value).toString("latin1");
const joined = (fields: readonly string[]): string =>
  fields.map((field) => `${field}\r\n`).join("");

/** A block in the middle of a larger buffer, as a head leaves it. */
function block(...fields: string[]): HeaderBlock {
  const source = bytes(`GET / HTTP/1.1\r\n${joined(fields)}\r\nbody`);
  const parser = new FieldParser();
  parser.start(16, { bytes: 64 * 1024, fields: 400 });
  if (parser.parse(source, source.length) !== "end") throw new Error(parser.fault);
  return parser.block(source, parser.position - 2);
}

function request(
  fields: string[],
  rules: RequestFieldRules = REQUEST_FIELD_RULES,
): { kept: string[]; trailers: boolean } {
  const into = new LineBuffer();
  const trailers = keepRequestFields(block(...fields), into, rules);
  return { kept: text(into.take()).split("\r\n").slice(0, -1), trailers };
}

describe("request fields at the edge", () => {
  test("keep order, case, duplicates and blanks of everything that is the visitor's own (S-34)", () => {
    const own = [
      "Accept:  a,b ",
      "X-A:1",
      "accept: c",
      "Cookie: a=b",
      "Trailer: x",
      "Sec-WebSocket-Key: k",
      "Authorization: x",
    ];
    expect(request(own).kept).toEqual(own);
    expect(request([]).kept).toEqual([]);
  });

  test.each([
    "Host: a",
    "Content-Length: 1",
    "Transfer-Encoding: chunked",
    "Expect: 100-continue",
    "Connection: close",
    "Keep-Alive: timeout=5",
    "Proxy-Connection: keep-alive",
    "Proxy-Authorization: x",
    "Proxy-Authenticate: x",
    "TE: gzip",
    "Upgrade: websocket",
    "HTTP2-Settings: x",
  ])("%s does not go on, wherever it stands", (field) => {
    expect(request([field, "A: 1", field.toUpperCase(), "B: 2", field.toLowerCase()]).kept).toEqual(
      ["A: 1", "B: 2"],
    );
  });

  test("TE: trailers is remembered", () => {
    expect(request(["TE: gzip;q=0.5, Trailers"]).trailers).toBe(true);
    expect(request(["TE: gzip", "TE: trailers", "TE: deflate"]).trailers).toBe(true);
    expect(request(["TE: trailersx"]).trailers).toBe(false);
    expect(request(["X: trailers"]).trailers).toBe(false);
  });

  test("what Connection names goes, in any case and from any of its lines", () => {
    expect(
      request([
        "X-Hop: 1",
        "Connection: close, x-hop ,,Keep-Alive",
        "A: 1",
        "CONNECTION: X-Two, upgrade, TE",
        "x-two: 2",
        "X-Hops: 3",
      ]).kept,
    ).toEqual(["A: 1", "X-Hops: 3"]);
    expect(request(["Connection: Trailer", "Trailer: x", "A: 1"]).kept).toEqual(["A: 1"]);
    expect(request(["Connection:", "A: 1"]).kept).toEqual(["A: 1"]);
  });

  test.each([
    "Host",
    "Content-Length",
    "content-type",
    "Content-Anything",
    "Authorization",
    "Cookie",
    "Accept",
    "Date",
    "CDN-Loop",
    "Via",
    "Expect",
    "Forwarded",
    "X-Real-IP",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Port",
    "X-Tunl-Request-Id",
    "X-Tunl-User",
    "Tunl-Client-Id",
    "X_Forwarded.For",
    "Content_Length",
    "Sec-WebSocket-Key",
  ])("Connection cannot delete %s [CVE-2024-45410]", (name) => {
    for (const value of [name, `close, ${name.toLowerCase()}`, `${name.toUpperCase()},x`]) {
      expect(() => request([`Connection: ${value}`])).toThrow("which belongs to the message");
    }
  });

  test("Connection must be a short list of tokens (S-32)", () => {
    for (const value of ["a b", "close;q=1", '"x"', "(close)", "close, @"]) {
      expect(() => request([`Connection: ${value}`])).toThrow("Connection is not a list of tokens");
    }
    const names = (count: number): string =>
      Array.from({ length: count }, (_, n) => `x-${n}`).join(",");
    expect(request([`Connection: ${names(32)}`, "x-31: 1", "x-32: 1"]).kept).toEqual(["x-32: 1"]);
    expect(() => request([`Connection: ${names(33)}`])).toThrow("more than 32 fields");
    expect(() => request([`Connection: ${names(20)}`, `Connection: ${names(20)}`])).toThrow(
      "more than 32 fields",
    );
    try {
      request(["Connection: host"]);
      throw new Error("accepted");
    } catch (error) {
      expect(error).toMatchObject({ code: "BAD_REQUEST" });
    }
  });

  const RESERVED = [
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Real-IP",
    "X-Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "CF-IPCountry",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-Envoy-Internal",
    "Proxy",
    "X-Tunl-Email",
    "Tunl-Client-Secret",
  ];
  const aliases = (separators: string): string[] =>
    RESERVED.flatMap((name) =>
      [...separators].map((separator) => `${name.replaceAll("-", separator)}: 1`),
    );

  test("reserved names never arrive, not even with `keep` [CVE-2026-33433]", () => {
    const spelled = aliases("-_.");
    expect(spelled).toHaveLength(42);
    expect(
      request([...spelled, "A: 1"], { ...REQUEST_FIELD_RULES, underscores: "keep" }).kept,
    ).toEqual(["A: 1"]);
  });

  test("an underscore is no way around the reserved names [GHSA-5m6w-wvh7-57vm]", () => {
    const mixed = ["X_Forwarded-For: 1", "x-forwarded_for: 1", "X__Forwarded: 1", "X-Real_IP: 1"];
    expect(request([...mixed, ...aliases("_")]).kept).toEqual([]);
  });

  test("neither is any other separator [dot alias]", () => {
    expect(
      request([...aliases(".!#$%&'*+^`|~"), "B: 1"], {
        ...REQUEST_FIELD_RULES,
        underscores: "keep",
      }).kept,
    ).toEqual(["B: 1"]);
  });

  test("names with _ or . are dropped, kept or refused (S-31)", () => {
    const fields = ["My_Header: 1", "my.header: 2", "my~header: 3", "A: 4"];
    expect(request(fields).kept).toEqual(["my~header: 3", "A: 4"]);
    expect(request(fields, { ...REQUEST_FIELD_RULES, underscores: "keep" }).kept).toEqual(fields);
    expect(() => request(fields, { ...REQUEST_FIELD_RULES, underscores: "reject" })).toThrow(
      '"my_header" has an underscore',
    );
  });

  test("configured identity headers are reserved, too", () => {
    const rules: RequestFieldRules = {
      underscores: "keep",
      reserved: new ReservedNames(["X-Auth-User"]),
    };
    expect(
      request(["x_auth.user: me", "X-Auth-User: me", "X-Real-IP: 1", "A: 1"], rules).kept,
    ).toEqual(["A: 1"]);
    expect(() => request(["Connection: x-auth-user"], rules)).toThrow(
      "which belongs to the message",
    );
  });

  test("the caller's own lines follow in the same buffer", () => {
    const into = new LineBuffer();
    keepRequestFields(block("A: 1", "X-Forwarded-For: evil"), into);
    into.appendField("X-Forwarded-For", "192.0.2.1");
    expect(text(into.take())).toBe("A: 1\r\nX-Forwarded-For: 192.0.2.1\r\n");
  });
});

describe("response fields at the connector", () => {
  const response = (...fields: string[]): string[] => {
    const into = new LineBuffer();
    keepResponseFields(block(...fields), into);
    return text(into.take()).split("\r\n").slice(0, -1);
  };

  test("lose what belongs to the connection and keep the rest as it is", () => {
    expect(
      response(
        "Server: x",
        "Connection: keep-alive, X-Hop",
        "Keep-Alive: timeout=5",
        "x-hop: 1",
        "Set-Cookie: a",
        "Set-Cookie: b",
        "Content-Length: 3",
        "Transfer-Encoding: chunked",
        "Trailer: t",
        "my_header: 1",
      ),
    ).toEqual(["Server: x", "Set-Cookie: a", "Set-Cookie: b", "Trailer: t", "my_header: 1"]);
  });

  test("an origin cannot delete end-to-end fields by naming them", () => {
    expect(
      response("Connection: set-cookie, content-type", "Set-Cookie: a", "Content-Type: b"),
    ).toEqual(["Set-Cookie: a", "Content-Type: b"]);
    expect(() => response("Connection: a b")).toThrow("Connection is not a list of tokens");
  });

  test.each<[string | undefined, number | undefined]>([
    [undefined, undefined],
    ["timeout=5, max=100", 5],
    ["max=100, Timeout = 30", 30],
    ['timeout="7"', 7],
    ["5", undefined],
    ["timeout=x", undefined],
    ["timeout=9999999999", undefined],
    ["xtimeout=5", undefined],
  ])("Keep-Alive %j lasts %p seconds", (value, seconds) => {
    expect(
      keepAliveSeconds(value === undefined ? block("A: 1") : block("A: 1", `keep-alive: ${value}`)),
    ).toBe(seconds as number);
  });
});

describe("response fields at the edge", () => {
  const visible = (...fields: string[]): string[] => {
    const into = new LineBuffer();
    keepVisitorFields(block(...fields), "Tue, 24 Nov 2026 07:24:26 GMT", into);
    return text(into.take()).split("\r\n").slice(0, -1);
  };
  const DATE = "Date: Tue, 24 Nov 2026 07:24:26 GMT";

  test("get a Date only when there is none", () => {
    expect(visible("A: 1")).toEqual(["A: 1", DATE]);
    expect(visible("date: x", "A: 1")).toEqual(["date: x", "A: 1"]);
  });

  test.each([
    "X-Tunl-User: x",
    "X-Tunl-Anything: x",
    "Tunl-Error: x",
    "TUNL_ERROR: x",
    'Alt-Svc: h3=":443"',
  ])("%s is dropped (S-35)", (field) => {
    expect(visible("A: 1", field, "B: 2")).toEqual(["A: 1", "B: 2", DATE]);
  });

  test.each([
    "__Host-tunl=x",
    "__Host-tunl_session=x; Path=/",
    "  __host-TUNL=x",
    "=__Host-tunl=x",
    "= \t=__Host-tunl=x",
  ])("the cookie %j is dropped (S-35)", (cookie) => {
    expect(visible(`Set-Cookie: ${cookie}`, "set-cookie: a=b")).toEqual(["set-cookie: a=b", DATE]);
  });

  test("other cookies and names stay", () => {
    const fields = [
      "Set-Cookie: __Host-x=__Host-tunl",
      "Set-Cookie: tunl=1",
      "Set-Cookie: __Host-tun",
      "X-Forwarded-For: 1",
      "X-Tunnel: 1",
      DATE,
    ];
    expect(visible(...fields)).toEqual(fields);
  });
});

describe("framing on the way through", () => {
  const count = (head: Uint8Array): number =>
    text(head).match(/^(content.?length|transfer.?encoding)\s*:/gim)?.length ?? 0;
  const FRAMINGS = [{ kind: "length", length: 7 }, { kind: "chunked" }] as const;
  const RECEIVED = [
    "Content-Length: 5",
    "CONTENT-LENGTH: 5",
    "Transfer-Encoding: chunked",
    "content_length: 5",
  ];

  test("exactly one framing field reaches the origin, whatever the visitor sent [CVE-2026-1525]", () => {
    let written = 0;
    for (const framing of FRAMINGS) {
      for (const received of RECEIVED) {
        const into = new LineBuffer();
        keepRequestFields(block("A: 1", received, "B: 2"), into);
        const line = { method: "POST", target: bytes("/") };
        const head = requestWriter().head({
          line,
          host: "a",
          fields: into.take(),
          framing,
          connection: "keep-alive",
        });
        expect([received, count(head)]).toEqual([received, 1]);
        written++;
      }
    }
    expect(written).toBe(8);
  });

  test("exactly one framing field reaches the visitor, whatever the origin sent [OpenLiteSpeed issue 392]", () => {
    let written = 0;
    for (const framing of FRAMINGS) {
      for (const received of RECEIVED.slice(0, 3)) {
        const into = new LineBuffer();
        keepResponseFields(block("A: 1", received, received, "B: 2"), into);
        const checked = validateFields(into.take());
        if (typeof checked === "string") throw new Error(checked);
        keepVisitorFields(checked, "now", into);
        const line = { status: 200, reason: bytes("OK") };
        const head = responseWriter().head({
          line,
          fields: into.take(),
          framing,
          connection: "keep-alive",
        });
        expect([received, count(head)]).toEqual([received, 1]);
        written++;
      }
    }
    expect(written).toBe(6);
  });
});

describe("validator of both ends", () => {
  test("takes what the edits leave", () => {
    const into = new LineBuffer();
    keepRequestFields(
      block("Host: a", "A:  1 ", "X~Y:", "Connection: close", "High: \u00e9"),
      into,
    );
    const lines = into.take();
    const checked = validateFields(lines);
    if (typeof checked === "string") throw new Error(checked);
    expect(checked.count).toBe(3);
    expect(checked.lines).toBe(lines);
    expect(validateFields(new Uint8Array(0))).toMatchObject({ count: 0 });
  });

  test.each([
    ["Host: a\r\n", "FORBIDDEN_FIELD"],
    ["Content-Length: 1\r\n", "FORBIDDEN_FIELD"],
    ["content_length: 1\r\n", "FORBIDDEN_FIELD"],
    ["Transfer-Encoding: chunked\r\n", "FORBIDDEN_FIELD"],
    ["Transfer--Encoding: chunked\r\n", "FORBIDDEN_FIELD"],
    ["Connection: close\r\n", "FORBIDDEN_FIELD"],
    ["Keep-Alive: x\r\n", "FORBIDDEN_FIELD"],
    ["Upgrade: x\r\n", "FORBIDDEN_FIELD"],
    ["TE: trailers\r\n", "FORBIDDEN_FIELD"],
    ["Proxy-Authorization: x\r\n", "FORBIDDEN_FIELD"],
    ["Expect: 100-continue\r\n", "FORBIDDEN_FIELD"],
    ["A: 1\r\n\r\n", "UNFINISHED"],
    ["A: 1\r\n\r\nGET /evil HTTP/1.1\r\n", "UNFINISHED"],
    ["A: 1", "UNFINISHED"],
    ["A: 1\nHost: b\r\n", "BARE_LINE_FEED"],
    ["A: 1\rHost: b\r\n", "BARE_CARRIAGE_RETURN"],
    ["A: 1\r\n folded\r\n", "OBS_FOLD"],
    [": 1\r\n", "EMPTY_NAME"],
    ["A : 1\r\n", "BLANK_BEFORE_COLON"],
    ["A: \0\r\n", "BAD_VALUE"],
  ])("refuses %j as %s (S-64)", (lines, fault) => {
    expect(validateFields(bytes(lines))).toBe(fault as "UNFINISHED");
  });

  test("takes 40 KiB and 288 fields, not one more", () => {
    const many = (count: number): Uint8Array => bytes("A: 1\r\n".repeat(count));
    expect(MESSAGE_LIMITS).toEqual({ bytes: 40_960, fields: 288 });
    expect(validateFields(many(288))).toMatchObject({ count: 288 });
    expect(validateFields(many(289))).toBe("TOO_MANY_FIELDS");
    const large = (size: number): Uint8Array => bytes(`A: ${"x".repeat(size - 5)}\r\n`);
    expect(validateFields(large(40_960))).toMatchObject({ count: 1 });
    expect(validateFields(large(40_961))).toBe("SECTION_TOO_LARGE");
    expect(validateFields(bytes("A: 1\r\n"), { bytes: 5, fields: 1 })).toBe("SECTION_TOO_LARGE");
  });

  test("refuses trailers that no message may have", () => {
    expect(validateTrailers(bytes("Grpc-Status: 0\r\n"))).toMatchObject({ count: 1 });
    for (const name of ["Host", "Content-Length", "Cookie", "X-Forwarded-For", "content_length"]) {
      expect(validateTrailers(bytes(`${name}: 1\r\n`))).toBe("FORBIDDEN_FIELD");
    }
    expect(validateTrailers(bytes("A: 1\r\n".repeat(33)))).toBe("TOO_MANY_FIELDS");
    expect(validateTrailers(bytes("A: 1\r\n\r\n"))).toBe("UNFINISHED");
  });
});
