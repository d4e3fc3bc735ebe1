import { describe, expect, test } from "bun:test";
import {
  Http1Error,
  REQUEST_LIMITS,
  requestReader,
  RESPONSE_LIMITS,
  responseReader,
} from "../../src/http1/index.ts";
import { byteByByte, bytes, lines, readRequests, readResponses, text, verdict } from "./support.ts";

const GET = lines("GET /a HTTP/1.1", "Host: a", "Accept: */*");
const UPLOAD = `${lines("PUT /b HTTP/1.1", "Host: a", "Content-Length: 11")}hello\r\nworld`.slice(
  0,
  -1,
);
const CHUNKED =
  lines("POST /c HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") +
  'b;x;y="\\"z"\r\nhello\r\nworl\r\n1\r\nd\r\n0;last=1\r\n' +
  lines("Checksum: 1", "Grpc-Status: 0");
const RESPONSES =
  lines("HTTP/1.1 103 Early Hints", "Link: </x>") +
  `${lines("HTTP/1.1 200 OK", "Content-Length: 5")}hello` +
  lines("HTTP/1.1 304 Not Modified", "ETag: x") +
  `${lines("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")}3\r\nabc\r\n0\r\n${lines("A: b")}` +
  `${lines("HTTP/1.0 200 OK")}until the end`;

describe("reader", () => {
  const MESSAGES: [string, typeof readRequests, string][] = [
    ["a request without body", readRequests, GET],
    ["a request with a length", readRequests, UPLOAD],
    ["a chunked request with extensions and trailers", readRequests, CHUNKED],
    [
      "pipelined requests behind an empty line",
      readRequests,
      `\r\n${CHUNKED}${GET}\r\n${UPLOAD}${GET}`,
    ],
    ["a refused chunk", readRequests, CHUNKED.replace("worl\r\n1", "worl\r\r\n1")],
    ["a refused second head", readRequests, `${GET}GET /\u00e9 HTTP/1.1\r\nHost: a\r\n\r\n`],
    ["responses of every framing", readResponses, RESPONSES],
    ["a refused response", readResponses, RESPONSES.replace("A: b", "A : b")],
  ];

  test.each(MESSAGES)(
    "reads %s alike whole, cut anywhere, and byte by byte",
    (_, read, message) => {
      const all = bytes(message);
      const whole = verdict(read([all]));
      expect(whole.messages.length).toBeGreaterThan(0);
      expect(verdict(read(byteByByte(all)))).toEqual(whole);
      let cuts = 0;
      for (let cut = 0; cut <= all.length; cut++, cuts++) {
        expect(verdict(read([all.slice(0, cut), all.slice(cut)]))).toEqual(whole);
      }
      expect(cuts).toBe(all.length + 1);
    },
  );

  test("reads the messages of these streams", () => {
    const seen = readRequests([bytes(`${GET}${CHUNKED}`)]);
    expect(seen.messages.map((message) => [message.line, message.body, message.trailers])).toEqual([
      ["GET /a", "", []],
      [
        "POST /c",
        "hello\r\nworld",
        [
          ["Checksum", "1"],
          ["Grpc-Status", "0"],
        ],
      ],
    ]);
    const responses = readResponses([bytes(RESPONSES)]);
    expect(
      responses.messages.map((message) => [message.line, message.body, message.ended]),
    ).toEqual([
      ["103 Early Hints", "", false],
      ["200 OK", "hello", true],
      ["304 Not Modified", "", true],
      ["200 OK", "abc", true],
      ["200 OK", "until the end", false],
    ]);
    expect(responses.eof).toBe("finished");
  });

  test("says of every prefix whether a message was open", () => {
    let truncated = 0;
    for (let cut = 0; cut <= UPLOAD.length; cut++) {
      const { eof } = readRequests([bytes(UPLOAD.slice(0, cut))]);
      expect(eof).toBe(cut === 0 || cut === UPLOAD.length ? "clean" : "truncated");
      if (eof === "truncated") truncated++;
    }
    expect(truncated).toBe(UPLOAD.length - 1);
    expect(readRequests([bytes("\r\n")]).eof).toBe("clean");
  });

  test("shows body bytes as views of the chunk", () => {
    const reader = requestReader(REQUEST_LIMITS);
    const chunk = bytes(UPLOAD);
    reader.feed(chunk);
    expect(reader.next()).toBe("head");
    expect(reader.next()).toBe("body");
    expect(reader.body.buffer).toBe(chunk.buffer);
    const more = bytes("abc");
    const second = requestReader(REQUEST_LIMITS);
    second.feed(bytes(lines("PUT / HTTP/1.1", "Host: a", "Content-Length: 3")));
    second.next();
    expect(second.next()).toBe("needBytes");
    second.feed(more);
    expect(second.next()).toBe("body");
    expect(second.body).toBe(more);
  });

  test("keeps a head in pieces only up to its limit", () => {
    const reader = requestReader(REQUEST_LIMITS);
    const piece = bytes("x".repeat(1000));
    reader.feed(bytes("GET / HTTP/1.1\r\nHost: a\r\nX: "));
    let held = 0;
    const run = (): void => {
      for (;;) {
        reader.next();
        held = Math.max(held, reader.held);
        reader.feed(piece);
      }
    };
    expect(run).toThrow(Http1Error);
    expect(held).toBeGreaterThan(31 * 1024);
    expect(held).toBeLessThanOrEqual(REQUEST_LIMITS.headerBytes);
  });

  test("a head in pieces outlives the next one", () => {
    const reader = requestReader(REQUEST_LIMITS);
    const heads = [];
    for (const path of ["/one", "/two"]) {
      const message = lines(`GET ${path} HTTP/1.1`, `Host: ${path.slice(1)}`);
      for (const piece of [message.slice(0, 9), message.slice(9)]) {
        reader.feed(bytes(piece));
        for (let step = reader.next(); step !== "needBytes"; step = reader.next()) {
          if (step === "head") heads.push(reader.head);
        }
      }
    }
    expect(heads.map((head) => [text(head.target), head.fields.text(0)])).toEqual([
      ["/one", "one"],
      ["/two", "two"],
    ]);
  });

  test("leaves what stands behind a message alone until it is asked for", () => {
    const reader = requestReader(REQUEST_LIMITS);
    reader.feed(bytes(`${GET}GET /next`));
    expect([reader.next(), reader.next()]).toEqual(["head", "end"]);
    expect(reader.held).toBe(9);
    expect(reader.eof()).toBe("clean");
    reader.feed(bytes(" HTTP/1.1\r\n"));
    reader.feed(bytes("Host: a\r\n\r\n"));
    expect(reader.held).toBe(31);
    expect([reader.next(), text(reader.head.target), reader.next(), reader.next()]).toEqual([
      "head",
      "/next",
      "end",
      "needBytes",
    ]);
    expect(reader.held).toBe(0);
  });

  test("hands over the bytes behind an upgrade request, or reads them as the next one", () => {
    const upgrade = lines("GET /w HTTP/1.1", "Host: a", "Connection: upgrade", "Upgrade: echo");
    const reader = requestReader(REQUEST_LIMITS);
    reader.feed(bytes(`${upgrade}raw`));
    expect([reader.next(), reader.head.upgrade, reader.next()]).toEqual(["head", "echo", "end"]);
    expect(text(reader.rest())).toBe("raw");
    expect(reader.held).toBe(0);
    expect(readRequests([bytes(upgrade + GET)]).messages.map((seen) => seen.line)).toEqual([
      "GET /w",
      "GET /a",
    ]);
  });

  test("is dead after a refusal and repeats it", () => {
    const reader = requestReader(REQUEST_LIMITS);
    reader.feed(bytes("GET / HTTP/1.1\n"));
    expect(() => reader.next()).toThrow("A line ends with LF alone, expected CRLF, at byte 14");
    reader.feed(bytes(GET));
    expect(() => reader.next()).toThrow("at byte 14");
    expect(reader.eof()).toBe("truncated");
  });

  test("refuses misuse as a bug of ours", () => {
    const reader = requestReader(REQUEST_LIMITS);
    expect(() => reader.head).toThrow("BUG");
    reader.feed(bytes("GET"));
    reader.next();
    expect(() => reader.rest()).toThrow("BUG");
    const responses = responseReader(RESPONSE_LIMITS);
    responses.expect("GET", undefined);
    expect(() => responses.expect("GET", undefined)).toThrow("BUG");
  });

  test("refuses a response that nobody asked for", () => {
    const reader = responseReader(RESPONSE_LIMITS);
    expect(reader.next()).toBe("needBytes");
    reader.feed(bytes("H"));
    expect(() => reader.next()).toThrow("Bytes came that answer no request");
  });

  test("does not expect a response while bytes are left", () => {
    const reader = responseReader(RESPONSE_LIMITS);
    reader.expect("GET", undefined);
    reader.feed(bytes(`${lines("HTTP/1.1 200 OK", "Content-Length: 1")}xy`));
    expect([reader.next(), reader.next(), reader.next()]).toEqual(["head", "body", "end"]);
    expect(reader.held).toBe(1);
    expect(() => reader.expect("GET", undefined)).toThrow(Http1Error);
  });
});
