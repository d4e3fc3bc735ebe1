import { describe, expect, test } from "bun:test";
import { FAULTS, REQUEST_LIMITS } from "../../src/http1/index.ts";
import { bytes, faultOf, lines, readRequests } from "./support.ts";

const HOST = "Host: a.example";
const get = (...fields: string[]): string => lines("GET / HTTP/1.1", HOST, ...fields);
const withLine = (line: string): string => lines(line, HOST);

describe("request head", () => {
  test("gives method, target, version and fields exactly as received", () => {
    const { messages, fault, eof } = readRequests([
      bytes(
        lines(
          "PROPFIND /a%2Fb/../c?q=\\% HTTP/1.1",
          "hOsT:\t A.example:8443 \t",
          "X-Empty:",
          "x-twice: 1",
          "X-TWICE:2",
        ),
      ),
    ]);
    expect(fault).toBeUndefined();
    expect(eof).toBe("clean");
    expect(messages).toEqual([
      {
        line: "PROPFIND /a%2Fb/../c?q=\\%",
        version: "1.1",
        framing: "none",
        persistent: true,
        upgrade: undefined,
        expectContinue: false,
        fields: [
          ["hOsT", "A.example:8443"],
          ["X-Empty", ""],
          ["x-twice", "1"],
          ["X-TWICE", "2"],
        ],
        body: "",
        trailers: [],
        ended: true,
      },
    ]);
  });

  // Element of http.md §3.1, message, refusal (undefined: read).
  const ROWS: [string, string, string | undefined][] = [
    ["line end", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", undefined],
    ["line end", "GET / HTTP/1.1\nHost: a\r\n\r\n", "BARE_LINE_FEED"],
    ["line end", "GET / HTTP/1.1\r\nHost: a\n\r\n", "BARE_LINE_FEED"],
    ["line end", "GET / HTTP/1.1\r\nHost: a\r\n\n", "BARE_LINE_FEED"],
    ["line end", "GET / HTTP/1.1\rHost: a\r\n\r\n", "BARE_CARRIAGE_RETURN"],
    ["line end", "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", "BARE_CARRIAGE_RETURN"],
    ["line end", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", "BARE_CARRIAGE_RETURN"],
    ["line end", "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", "BARE_CARRIAGE_RETURN"],
    ["line end", "GET / HTTP/1.1\r\nHost: a\r\n\r\r\n", "BARE_CARRIAGE_RETURN"],
    ["empty line", `\r\n${get()}`, undefined],
    ["empty line", `\r\n\r\n${get()}`, "BAD_METHOD"],
    ["empty line", `\n${get()}`, "BARE_LINE_FEED"],
    ["empty line", `\r${get()}`, "BARE_CARRIAGE_RETURN"],
    ["empty line", ` ${get()}`, "BAD_METHOD"],
    ["request line", withLine("GET  / HTTP/1.1"), "BAD_TARGET"],
    ["request line", withLine("GET /  HTTP/1.1"), "BAD_VERSION"],
    ["request line", withLine("GET / HTTP/1.1 "), "BAD_VERSION"],
    ["request line", withLine("GET\t/ HTTP/1.1"), "BAD_METHOD"],
    ["request line", withLine("GET /\tHTTP/1.1"), "BAD_TARGET"],
    ["request line", withLine("GET / HTTP/1.1 HTTP/1.1"), "BAD_VERSION"],
    ["request line", "GET /\r\n\r\n", "BAD_VERSION"],
    ["request line", "GET\r\n\r\n", "BAD_METHOD"],
    ["request line", "GET /\n", "BARE_LINE_FEED"],
    ["request line", withLine("GET / HTTP/0.9"), "VERSION_REFUSED"],
    ["request line", withLine("GET / HTTP/1.2"), "VERSION_REFUSED"],
    ["request line", withLine("OPTIONS * HTTP/2.0"), "VERSION_REFUSED"],
    ["request line", withLine("GET / HTTP/1.10"), "BAD_VERSION"],
    ["request line", withLine("GET / HTTP/1"), "BAD_VERSION"],
    ["request line", withLine("GET / HTTP/1,1"), "BAD_VERSION"],
    ["request line", withLine("GET / http/1.1"), "BAD_VERSION"],
    ["request line", withLine("GET / HTTP/ 1.1"), "BAD_VERSION"],
    ["request line", withLine("GET / RTSP/1.0"), "BAD_VERSION"],
    ["method", withLine(`${"M".repeat(64)} / HTTP/1.1`), undefined],
    ["method", withLine(`${"M".repeat(65)} / HTTP/1.1`), "BAD_METHOD"],
    ["method", withLine("get / HTTP/1.1"), undefined],
    ["method", withLine("M-SEARCH / HTTP/1.1"), undefined],
    ["method", withLine("G(T / HTTP/1.1"), "BAD_METHOD"],
    ["method", withLine(" / HTTP/1.1"), "BAD_METHOD"],
    ["method", withLine("CONNECT a.example:443 HTTP/1.1"), "METHOD_REFUSED"],
    ["method", withLine("connect / HTTP/1.1"), "METHOD_REFUSED"],
    ["method", withLine("TRACE / HTTP/1.1"), "METHOD_REFUSED"],
    ["method", withLine("TRACK / HTTP/1.1"), "METHOD_REFUSED"],
    ["method", withLine("TRACES / HTTP/1.1"), undefined],
    ["target", withLine("GET http://A.EXAMPLE/x HTTP/1.1"), undefined],
    ["target", withLine("GET HTTPS://a.example?x HTTP/1.1"), undefined],
    ["target", withLine("GET http://b.example/ HTTP/1.1"), "HOST_MISMATCH"],
    ["target", withLine("GET http://a.example:80/ HTTP/1.1"), "HOST_MISMATCH"],
    ["target", withLine("GET http://u@a.example/ HTTP/1.1"), "HOST_MISMATCH"],
    ["target", withLine("GET http:///x HTTP/1.1"), "BAD_TARGET"],
    ["target", withLine("GET http:// HTTP/1.1"), "BAD_TARGET"],
    ["target", withLine("GET ftp://a.example/ HTTP/1.1"), "BAD_TARGET"],
    ["target", withLine("GET a.example HTTP/1.1"), "BAD_TARGET"],
    ["target", withLine("GET ?x HTTP/1.1"), "BAD_TARGET"],
    ["target", withLine("OPTIONS * HTTP/1.1"), undefined],
    ["target", withLine("GET * HTTP/1.1"), "BAD_TARGET"],
    ["target", withLine("OPTIONS ** HTTP/1.1"), "BAD_TARGET"],
    ["Host", lines("GET / HTTP/1.1"), "MISSING_HOST"],
    ["Host", lines("GET / HTTP/1.0"), "MISSING_HOST"],
    ["Host", lines("GET / HTTP/1.0", HOST), undefined],
    ["Host", get("HOST: a.example"), "REPEATED_HOST"],
    ["Host", lines("GET / HTTP/1.1", "Host : a.example"), "BLANK_BEFORE_COLON"],
    ["name", get(`${"n".repeat(256)}: 1`), undefined],
    ["name", get(`${"n".repeat(257)}: 1`), "NAME_TOO_LONG"],
    ["name", get(": 1"), "EMPTY_NAME"],
    ["name", get("X\t: 1"), "BLANK_BEFORE_COLON"],
    ["name", get("X Y: 1"), "BLANK_BEFORE_COLON"],
    ["name", get("X"), "BARE_CARRIAGE_RETURN"],
    ["name", get("X\u00e9: 1"), "BAD_NAME"],
    ["name", get("X@: 1"), "BAD_NAME"],
    ["fields", get(...Array.from({ length: 127 }, (_, n) => `X-${n}: 1`)), undefined],
    ["fields", get(...Array.from({ length: 128 }, (_, n) => `X-${n}: 1`)), "TOO_MANY_FIELDS"],
    ["value", get("X: \t a\tb \u0080\u00ff\t "), undefined],
    ["value", get("X: a\0b"), "BAD_VALUE"],
    ["value", get("X: a\u007fb"), "BAD_VALUE"],
    ["value", get("X: a", " folded"), "OBS_FOLD"],
    ["value", get("X: a", "\tfolded"), "OBS_FOLD"],
    ["value", lines("GET / HTTP/1.1", ` ${HOST}`), "OBS_FOLD"],
    [
      "Expect",
      lines("POST / HTTP/1.1", HOST, "Content-Length: 0", "Expect: 100-Continue"),
      undefined,
    ],
    ["Expect", get("Expect: 100-continue"), undefined],
    ["Expect", get("Expect: 100-continue, x"), "EXPECTATION_REFUSED"],
    ["Expect", get("Expect:"), "EXPECTATION_REFUSED"],
    ["Expect", get("Expect: 100-continue", "Expect: 100-continue"), "EXPECTATION_REFUSED"],
  ];

  test.each(ROWS)("%s: %j is %s", (_, message, expected) => {
    expect(faultOf(message)).toBe(expected);
  });

  test("answers each fault with its status", () => {
    const status = (message: string): number =>
      FAULTS[faultOf(message) as keyof typeof FAULTS].status;
    expect(status(get(": 1"))).toBe(400);
    expect(status(withLine("TRACE / HTTP/1.1"))).toBe(405);
    expect(status(withLine(`GET /${"x".repeat(8192)} HTTP/1.1`))).toBe(414);
    expect(status(get("Expect: x"))).toBe(417);
    expect(status(get(`X: ${"x".repeat(32 * 1024)}`))).toBe(431);
    expect(status(withLine("GET / HTTP/3.0"))).toBe(505);
  });

  test("takes targets up to 8 KiB and heads up to 32 KiB, not a byte more", () => {
    const target = (size: number): string => withLine(`GET /${"x".repeat(size - 1)} HTTP/1.1`);
    expect(faultOf(target(8192))).toBeUndefined();
    expect(faultOf(target(8193))).toBe("TARGET_TOO_LONG");
    const head = (size: number): string => get(`X: ${"x".repeat(size - get("X: ").length)}`);
    expect(head(32 * 1024)).toHaveLength(32 * 1024);
    expect(faultOf(head(32 * 1024))).toBeUndefined();
    expect(faultOf(head(32 * 1024 + 1))).toBe("SECTION_TOO_LARGE");
  });

  test("refuses an endless target or name before its end comes", () => {
    expect(faultOf(`GET /${"x".repeat(8192)}`)).toBe("TARGET_TOO_LONG");
    expect(faultOf(`GET / HTTP/1.1\r\n${"n".repeat(257)}`)).toBe("NAME_TOO_LONG");
    expect(faultOf("M".repeat(65))).toBe("BAD_METHOD");
  });

  test("follows configured limits", () => {
    const limits = { headerBytes: 64, targetBytes: 4, headerFields: 2 };
    expect(REQUEST_LIMITS).toEqual({ headerBytes: 32_768, targetBytes: 8_192, headerFields: 128 });
    expect(faultOf(withLine("GET /abc HTTP/1.1"), readRequests, { limits })).toBeUndefined();
    expect(faultOf(withLine("GET /abcd HTTP/1.1"), readRequests, { limits })).toBe(
      "TARGET_TOO_LONG",
    );
    expect(faultOf(get("A: 1", "B: 2"), readRequests, { limits })).toBe("TOO_MANY_FIELDS");
    expect(faultOf(get(`A: ${"1".repeat(40)}`), readRequests, { limits })).toBe(
      "SECTION_TOO_LARGE",
    );
  });

  test("names the offset of the byte that is refused", () => {
    expect(readRequests([bytes("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b")]).fault).toBe(
      "BAD_VALUE@29",
    );
    expect(readRequests([bytes("\r\nGET / HTTP/1.1\nHost")]).fault).toBe("BARE_LINE_FEED@16");
  });

  test("knows whether the connection lives on", () => {
    const persistent = (version: string, ...fields: string[]): boolean | undefined =>
      readRequests([bytes(lines(`GET / HTTP/${version}`, HOST, ...fields))]).messages[0]
        ?.persistent;
    expect(persistent("1.1")).toBe(true);
    expect(persistent("1.1", "Connection: CLOSE")).toBe(false);
    expect(persistent("1.1", "Connection: keep-alive,\t close ,x")).toBe(false);
    expect(persistent("1.1", "Connection: keep-alive", "Connection: close")).toBe(false);
    expect(persistent("1.1", "Connection: closed")).toBe(true);
    expect(persistent("1.0")).toBe(false);
    expect(persistent("1.0", "Connection: ,Keep-Alive")).toBe(true);
    expect(persistent("1.0", "Connection: Keep-Alive, close")).toBe(false);
  });

  test("waits for 100 only when a body is to come", () => {
    const expects = (version: string, ...fields: string[]): boolean | undefined =>
      readRequests([
        bytes(lines(`POST / HTTP/${version}`, HOST, "Expect: 100-continue", ...fields)),
      ]).messages[0]?.expectContinue;
    expect(expects("1.1", "Content-Length: 1")).toBe(true);
    expect(expects("1.1", "Transfer-Encoding: chunked")).toBe(true);
    expect(expects("1.1", "Content-Length: 0")).toBe(false);
    expect(expects("1.1")).toBe(false);
    expect(expects("1.0", "Content-Length: 1")).toBe(false);
  });
});
