import { describe, expect, test } from "bun:test";
import { bytes, faultOf, lines, readRequests } from "./support.ts";

const HEAD = lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked");
const refusal = (body: string): string | undefined => faultOf(HEAD + body);
const END = "0\r\n\r\n";

describe("chunked body", () => {
  test.each([
    [END, ""],
    [`5\r\nhello\r\n${END}`, "hello"],
    [`000000000000005\r\nhello\r\n${END}`, "hello"],
    [`a\r\n0123456789\r\nA\r\n0123456789\r\n000\r\n\r\n`, "01234567890123456789"],
    [`2\r\n\r\n\r\n${END}`, "\r\n"],
    [`5;a\r\nhello\r\n${END}`, "hello"],
    [`5;a;b=c;d="e;\\" \t\\\\\u0080";f\r\nhello\r\n0;g=h\r\n\r\n`, "hello"],
    [`5;a=""\r\nhello\r\n${END}`, "hello"],
    [`1;${"n".repeat(255)}\r\nx\r\n${END}`, "x"],
  ])("%j is %j", (body, expected) => {
    const { messages, fault } = readRequests([bytes(HEAD + body)]);
    expect(fault).toBeUndefined();
    expect(messages[0]).toMatchObject({ body: expected, ended: true });
    expect(refusal(body)).toBeUndefined();
  });

  test.each([
    ["\r\n", "BAD_CHUNK_SIZE"],
    ["5", undefined],
    ["x\r\n", "BAD_CHUNK_SIZE"],
    ["-1\r\n", "BAD_CHUNK_SIZE"],
    ["0x5\r\nhello\r\n", "BAD_CHUNK_SIZE"],
    [" 5\r\nhello\r\n", "BAD_CHUNK_SIZE"],
    ["5 \r\nhello\r\n", "BAD_CHUNK_SIZE"],
    ["5\t;a\r\nhello\r\n", "BAD_CHUNK_SIZE"],
    ["5_0\r\n", "BAD_CHUNK_SIZE"],
    ["0000000000000005\r\nhello\r\n", "BAD_CHUNK_SIZE"],
    ["fffffffffffffff\r\n", "BAD_CHUNK_SIZE"],
    ["5\nhello\r\n", "BARE_LINE_FEED"],
    ["5\rhello\r\n", "BARE_CARRIAGE_RETURN"],
    ["5\r\r\nhello\r\n", "BARE_CARRIAGE_RETURN"],
    ["5\r\nhello\n", "BARE_LINE_FEED"],
    ["5\r\nhello0\r\n", "BAD_CHUNK_END"],
    ["5\r\nhello\rx", "BAD_CHUNK_END"],
    ["5\r\nhello!\r\n", "BAD_CHUNK_END"],
    ["5;\r\nhello\r\n", "BAD_CHUNK_EXTENSION"],
    ["5;;a\r\nhello\r\n", "BAD_CHUNK_EXTENSION"],
    ["5; a\r\nhello\r\n", "BAD_CHUNK_EXTENSION"],
    ["5;a =b\r\nhello\r\n", "BAD_CHUNK_EXTENSION"],
    ["5;a=\r\nhello\r\n", "BAD_CHUNK_EXTENSION"],
    ['5;a="b\r\nhello\r\n', "BAD_CHUNK_EXTENSION"],
    ['5;a="b"c\r\nhello\r\n', "BAD_CHUNK_EXTENSION"],
    ['5;a="\\\r\n"\r\nhello\r\n', "BAD_CHUNK_EXTENSION"],
    ["5;a=\0\r\nhello\r\n", "BAD_CHUNK_EXTENSION"],
    ["5;a\nhello\r\n", "BARE_LINE_FEED"],
    ["5;a=b\nhello\r\n", "BARE_LINE_FEED"],
    ['5;a="b\n"\r\nhello\r\n', "BARE_LINE_FEED"],
    [`1;${"n".repeat(256)}\r\nx\r\n`, "CHUNK_EXTENSION_TOO_LARGE"],
    [`1;a="${"n".repeat(256)}"\r\nx\r\n`, "CHUNK_EXTENSION_TOO_LARGE"],
    ["0\n\r\n", "BARE_LINE_FEED"],
    ["0\r\n\n", "BARE_LINE_FEED"],
    ["0\r\n\rx", "BARE_CARRIAGE_RETURN"],
  ])("refuses %j as %s", (body, expected) => {
    expect(refusal(body)).toBe(expected);
  });

  test("takes 4 KiB of extensions in a message and not a byte more", () => {
    const chunk = `1;${"n".repeat(255)}\r\nx\r\n`;
    expect(refusal(chunk.repeat(16) + END)).toBeUndefined();
    expect(refusal(chunk.repeat(16) + "1;n\r\nx\r\n")).toBe("CHUNK_EXTENSION_TOO_LARGE");
    expect(refusal(`1${";n".repeat(2049)}\r\nx\r\n`)).toBe("CHUNK_EXTENSION_TOO_LARGE");
  });

  test("gives each message its own 4 KiB of extensions", () => {
    const message = `${HEAD}${`1;${"n".repeat(255)}\r\nx\r\n`.repeat(16)}${END}`;
    expect(readRequests([bytes(message + message)]).messages.map((seen) => seen.ended)).toEqual([
      true,
      true,
    ]);
  });

  test("names the offset in the whole message", () => {
    expect(readRequests([bytes(`${HEAD}3\r\nabc!`)]).fault).toBe(
      `BAD_CHUNK_END@${HEAD.length + 6}`,
    );
    expect(readRequests([bytes(`${HEAD}0\r\nHost: a\r\n\r\n`)]).fault).toBe(
      `BAD_TRAILER@${HEAD.length + 3}`,
    );
  });
});

describe("trailers", () => {
  const withTrailers = (...trailers: string[]): string =>
    `${HEAD}1\r\nx\r\n0\r\n${lines(...trailers)}`;

  test("come behind the body, order and case kept", () => {
    const { messages } = readRequests([
      bytes(withTrailers("Grpc-Status: 0", 'ETag:  "x" ', "grpc-message: ")),
    ]);
    expect(messages[0]).toMatchObject({
      body: "x",
      ended: true,
      trailers: [
        ["Grpc-Status", "0"],
        ["ETag", '"x"'],
        ["grpc-message", ""],
      ],
    });
  });

  test.each([
    "Content-Length: 1",
    "Transfer-Encoding: chunked",
    "Transfer_Encoding: chunked",
    "Host: b",
    "Connection: close",
    "Keep-Alive: timeout=5",
    "Upgrade: x",
    "TE: trailers",
    "Trailer: x",
    "Expect: 100-continue",
    "Max-Forwards: 1",
    "Authorization: x",
    "Cookie: a=b",
    "Set-Cookie: a=b",
    "WWW-Authenticate: x",
    "Proxy-Authorization: x",
    "Content-Encoding: gzip",
    "Content-Type: text/html",
    "Content-Range: bytes 0-1/2",
    "X-Forwarded-For: 1.2.3.4",
    "X_Real.IP: 1.2.3.4",
    "Tunl-Client-Id: x",
  ])("refuses %s", (trailer) => {
    expect(faultOf(withTrailers("ETag: x", trailer))).toBe("BAD_TRAILER");
  });

  test("take 32 fields and 8 KiB, not one more", () => {
    const many = (count: number): string =>
      withTrailers(...Array.from({ length: count }, (_, n) => `X-${n}: 1`));
    expect(faultOf(many(32))).toBeUndefined();
    expect(faultOf(many(33))).toBe("TOO_MANY_TRAILERS");
    const large = (size: number): string => withTrailers(`X: ${"x".repeat(size - 7)}`);
    expect(faultOf(large(8192))).toBeUndefined();
    expect(faultOf(large(8193))).toBe("TRAILERS_TOO_LARGE");
  });

  test("obey the grammar of fields", () => {
    expect(faultOf(withTrailers("A : b"))).toBe("BLANK_BEFORE_COLON");
    expect(faultOf(withTrailers("A: b", " c"))).toBe("OBS_FOLD");
    expect(faultOf(withTrailers("A: b\nC: d"))).toBe("BARE_LINE_FEED");
  });
});
