// The precedents of security.md §5 that are decided by HTTP/1.1 bytes alone.
import { describe, expect, test } from "bun:test";
import {
  REQUEST_LIMITS,
  requestReader,
  requestWriter,
  RESPONSE_LIMITS,
  responseReader,
} from "../../src/http1/index.ts";
import { bytes, faultOf, lines, readRequests, text } from "./support.ts";

const CHUNKED = lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked");
const get = (...fields: string[]): string => lines("GET / HTTP/1.1", "Host: a", ...fields);

describe("named regressions", () => {
  test("a bare LF ends no chunk extension, quoted or not [CVE-2025-55315]", () => {
    for (const line of ["2;\n", "2;a\n", "2;a=b\n", '2;a="\n', "2;\nxx\r\n"]) {
      expect([line, faultOf(`${CHUNKED}${line}xx\r\n0\r\n\r\n`)]).toEqual([line, "BARE_LINE_FEED"]);
    }
  });

  test("a bare LF ends no chunk size line [CVE-2025-22871]", () => {
    expect(faultOf(`${CHUNKED}2\nxx\r\n0\r\n\r\n`)).toBe("BARE_LINE_FEED");
    expect(faultOf(`${CHUNKED}2\r\nxx\r\n0\n\r\n`)).toBe("BARE_LINE_FEED");
  });

  test("an empty field name is refused and hides nothing behind it [CVE-2023-25725]", () => {
    expect(faultOf(get(": hidden", "Content-Length: 5"))).toBe("EMPTY_NAME");
    expect(faultOf(lines("GET / HTTP/1.1", ":", "Host: a"))).toBe("EMPTY_NAME");
  });

  test("an empty Content-Length is refused [CVE-2023-40225]", () => {
    expect(faultOf(get("Content-Length:"))).toBe("BAD_LENGTH");
    expect(faultOf(get("Content-Length: \t "))).toBe("BAD_LENGTH");
    expect(faultOf(get("Content-Length:", "Content-Length: 5"))).toBe("REPEATED_LENGTH");
  });

  test("an over-long field name is refused, no length wraps [CVE-2021-40346]", () => {
    for (const size of [257, 270, 512 + 14, 65_536 / 4 + 14]) {
      expect(faultOf(get(`Content-Length${"a".repeat(size - 14)}: 5`))).toBe("NAME_TOO_LONG");
    }
    const { messages } = readRequests([bytes(get(`${"a".repeat(256)}: 1`))]);
    expect(messages[0]?.fields[1]?.[0]).toHaveLength(256);
  });

  test("# in a target is refused [CVE-2023-45539]", () => {
    for (const target of ["/a#b", "/#", "/a?b#c", "http://a/#"]) {
      expect(faultOf(lines(`GET ${target} HTTP/1.1`, "Host: a"))).toBe("BAD_TARGET");
    }
  });

  test("bodies stay with their requests when a GET with Expect is followed by HEAD [CVE-2026-100666]", () => {
    const requests = requestReader(REQUEST_LIMITS);
    requests.feed(bytes(get("Expect: 100-continue", "Content-Length: 3")));
    expect([requests.next(), requests.head.expectContinue, requests.next()]).toEqual([
      "head",
      true,
      "needBytes",
    ]);
    requests.feed(bytes(`abc${lines("HEAD /h HTTP/1.1", "Host: a")}`));
    expect([
      requests.next(),
      text(requests.body),
      requests.next(),
      requests.next(),
      requests.head.method,
    ]).toEqual(["body", "abc", "end", "head", "HEAD"]);

    const responses = responseReader(RESPONSE_LIMITS);
    responses.expect("GET", undefined);
    responses.feed(
      bytes(`${lines("HTTP/1.1 100 Continue")}${lines("HTTP/1.1 200 OK", "Content-Length: 2")}ok`),
    );
    expect([
      responses.next(),
      responses.head.status,
      responses.next(),
      text(responses.body),
      responses.next(),
    ]).toEqual(["head", 200, "body", "ok", "end"]);
    responses.expect("HEAD", undefined);
    responses.feed(bytes(lines("HTTP/1.1 200 OK", "Content-Length: 2")));
    expect([
      responses.next(),
      responses.head.contentLength,
      responses.next(),
      responses.held,
    ]).toEqual(["head", 2, "end", 0]);
  });

  test("nothing of a CONNECT is read, with a body or without [Traefik 3.6.25]", () => {
    const connect = lines("CONNECT a:443 HTTP/1.1", "Host: a:443", "Content-Length: 27");
    const seen = readRequests([bytes(`${connect}GET /smuggled HTTP/1.1\r\n\r\n`)]);
    expect(seen.messages).toEqual([]);
    expect(seen.fault).toBe("METHOD_REFUSED@0");
  });

  test("a short body never completes its request (S-10)", () => {
    const writer = requestWriter();
    writer.head({
      line: { method: "POST", target: bytes("/") },
      host: "a",
      fields: new Uint8Array(0),
      framing: { kind: "length", length: 10 },
      connection: "keep-alive",
    });
    writer.body(bytes("short"));
    expect(writer.end()).toBe(false);
    expect(readRequests([bytes(`${get("Content-Length: 10")}short`)]).eof).toBe("truncated");
  });
});
