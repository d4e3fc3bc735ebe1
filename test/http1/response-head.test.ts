import { describe, expect, test } from "bun:test";
import { RESPONSE_LIMITS } from "../../src/http1/index.ts";
import {
  bytes,
  faultOf,
  lines,
  type ReadOptions,
  readResponses,
  type Transcript,
} from "./support.ts";

const refusal = (message: string, options: ReadOptions = {}): string | undefined =>
  faultOf(message, readResponses, options);
const read = (message: string, options: ReadOptions = {}): Transcript =>
  readResponses([bytes(message)], options);
const ok = (...fields: string[]): string =>
  lines("HTTP/1.1 200 OK", "Content-Length: 0", ...fields);

describe("response head", () => {
  const ROWS: [string, string | undefined][] = [
    [ok(), undefined],
    [lines("HTTP/1.0 200 OK", "Content-Length: 0"), undefined],
    [lines("HTTP/1.1 200 ", "Content-Length: 0"), undefined],
    [lines("HTTP/1.1 200", "Content-Length: 0"), undefined],
    [lines("HTTP/1.1 999 Odd \u00e9 \t", "Content-Length: 0"), undefined],
    [lines("HTTP/1.1 099 Low", "Content-Length: 0"), "BAD_STATUS"],
    [lines("HTTP/1.1 20 OK"), "BAD_STATUS"],
    [lines("HTTP/1.1 2000 OK"), "BAD_STATUS"],
    [lines("HTTP/1.1  200 OK"), "BAD_STATUS"],
    [lines("HTTP/1.1\t200 OK"), "BAD_VERSION"],
    [lines("HTTP/1.1 200 O\0K"), "BAD_REASON"],
    [lines("HTTP/1.2 200 OK"), "VERSION_REFUSED"],
    [lines("HTTP/2.0 200 OK"), "VERSION_REFUSED"],
    [lines("ICY 200 OK"), "BAD_VERSION"],
    [`\r\n${ok()}`, "BAD_VERSION"],
    ["HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", "BARE_LINE_FEED"],
    ["HTTP/1.1 200 OK\rContent-Length: 0\r\n\r\n", "BARE_CARRIAGE_RETURN"],
    ["HTTP/1.1 200\nContent-Length: 0\r\n\r\n", "BARE_LINE_FEED"],
    [ok("X : 1"), "BLANK_BEFORE_COLON"],
    [ok(" X: 1"), "OBS_FOLD"],
    [ok(": 1"), "EMPTY_NAME"],
    [ok("X: a\nb"), "BARE_LINE_FEED"],
    [ok("Content_Length: 1"), "FRAMING_ALIAS"],
    [ok("Content-Length: 0"), "REPEATED_LENGTH"],
    [ok("Transfer-Encoding: chunked"), "FRAMING_CONFLICT"],
    [ok(...Array.from({ length: 255 }, (_, n) => `X-${n}: 1`)), undefined],
    [ok(...Array.from({ length: 256 }, (_, n) => `X-${n}: 1`)), "TOO_MANY_FIELDS"],
  ];

  test.each(ROWS)("%j is %s", (message, expected) => {
    expect(refusal(message)).toBe(expected);
  });

  test("takes 40 KiB and not a byte more", () => {
    const head = (size: number): string => ok(`X: ${"x".repeat(size - ok("X: ").length)}`);
    expect(RESPONSE_LIMITS.headerBytes).toBe(40 * 1024);
    expect(refusal(head(40 * 1024))).toBeUndefined();
    expect(refusal(head(40 * 1024 + 1))).toBe("SECTION_TOO_LARGE");
  });

  test("lasts until close without framing, and only then", () => {
    const seen = read(`${lines("HTTP/1.1 200 OK")}hello`);
    expect(seen.messages[0]).toMatchObject({
      framing: "untilClose",
      persistent: false,
      body: "hello",
    });
    expect(seen.eof).toBe("finished");
    expect(read(`${lines("HTTP/1.1 200 OK", "Content-Length: 6")}hello`).eof).toBe("truncated");
    expect(
      read(`${lines("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")}5\r\nhello\r\n`).eof,
    ).toBe("truncated");
  });

  test.each([
    ["GET", "204 No Content"],
    ["GET", "304 Not Modified"],
    ["HEAD", "200 OK"],
    ["HEAD", "404 Not Found"],
  ])("%s answered by %s has no body, whatever is announced", (method, status) => {
    for (const field of ["Content-Length: 5", "Transfer-Encoding: chunked", "X: none"]) {
      const seen = read(lines(`HTTP/1.1 ${status}`, field), { methods: [method] });
      expect(seen.messages).toHaveLength(1);
      expect(seen.messages[0]).toMatchObject({ framing: "none", ended: true, persistent: true });
    }
  });

  test("swallows 100 and shows other interim responses in front of the final one", () => {
    const seen = read(
      lines("HTTP/1.1 100 Continue") +
        lines("HTTP/1.1 103 Early Hints", "Link: </a>") +
        lines("HTTP/1.1 100 Continue") +
        lines("HTTP/1.1 199 Odd", "Content-Length: 5") +
        lines("HTTP/1.1 200 OK", "Content-Length: 2") +
        "ok",
    );
    expect(seen.fault).toBeUndefined();
    expect(seen.messages.map((message) => message.line)).toEqual([
      "103 Early Hints",
      "199 Odd",
      "200 OK",
    ]);
    expect(seen.messages[2]).toMatchObject({ body: "ok", ended: true });
  });

  test("takes 16 interim responses and not one more", () => {
    const interim = lines("HTTP/1.1 100 Continue");
    expect(refusal(interim.repeat(16) + ok())).toBeUndefined();
    expect(refusal(interim.repeat(17) + ok())).toBe("TOO_MANY_INTERIM");
    expect(refusal(lines("HTTP/1.1 102 Processing").repeat(17) + ok())).toBe("TOO_MANY_INTERIM");
  });

  test("is truncated when the origin closes behind an interim response", () => {
    expect(read("").eof).toBe("clean");
    expect(read(lines("HTTP/1.1 100 Continue")).eof).toBe("truncated");
    expect(read("HTTP/1.").eof).toBe("truncated");
  });

  const SWITCH = lines(
    "HTTP/1.1 101 Switching Protocols",
    "Connection: Upgrade",
    "Upgrade: WebSocket",
  );

  test("changes protocol on the 101 that was asked for", () => {
    const seen = read(`${SWITCH}raw\r\n\r\n`, { upgrade: "websocket" });
    expect(seen.messages[0]?.line).toBe("101 Switching Protocols");
    expect(seen.raw).toBe("raw\r\n\r\n");
    expect(seen.fault).toBeUndefined();
  });

  test.each([
    ["nothing was asked for", SWITCH, undefined],
    ["another protocol was asked for", SWITCH, "h3"],
    ["Connection does not name it", lines("HTTP/1.1 101 X", "Upgrade: websocket"), "websocket"],
    ["Upgrade is missing", lines("HTTP/1.1 101 X", "Connection: upgrade"), "websocket"],
    [
      "Upgrade has two members",
      lines("HTTP/1.1 101 X", "Connection: upgrade", "Upgrade: websocket, x"),
      "websocket",
    ],
    [
      "there are two Upgrade",
      lines("HTTP/1.1 101 X", "Connection: upgrade", "Upgrade: websocket", "Upgrade: websocket"),
      "websocket",
    ],
    [
      "it is HTTP/1.0",
      lines("HTTP/1.0 101 X", "Connection: upgrade", "Upgrade: websocket"),
      "websocket",
    ],
  ])("refuses a 101 when %s", (_, message, upgrade) => {
    expect(refusal(message, upgrade === undefined ? {} : { upgrade })).toBe("WRONG_UPGRADE");
  });

  test("reads any other answer to an upgrade as an ordinary response", () => {
    const seen = read(`${lines("HTTP/1.1 426 Upgrade Required", "Content-Length: 2")}no`, {
      upgrade: "websocket",
    });
    expect(seen.messages[0]).toMatchObject({
      line: "426 Upgrade Required",
      body: "no",
      ended: true,
    });
  });
});
