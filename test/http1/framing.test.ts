import { describe, expect, test } from "bun:test";
import { bytes, faultOf, lines, readRequests } from "./support.ts";

const post = (...fields: string[]): string => lines("POST / HTTP/1.1", "Host: a", ...fields);
const post10 = (...fields: string[]): string => lines("POST / HTTP/1.0", "Host: a", ...fields);
const framing = (message: string): string | undefined =>
  readRequests([bytes(message)]).messages[0]?.framing;

describe("framing", () => {
  test.each([
    [post(), "none"],
    [post("Content-Length: 0"), "length 0"],
    [post("Content-Length: 1"), "length 1"],
    [post("content-length:\t042 \t"), "length 42"],
    [post("Content-Length: 999999999999999"), "length 999999999999999"],
    [post10("Content-Length: 3"), "length 3"],
    [post("Transfer-Encoding: chunked"), "chunked"],
    [post("TRANSFER-ENCODING:  Chunked\t"), "chunked"],
    [lines("GET / HTTP/1.1", "Host: a", "Content-Length: 3"), "length 3"],
    [lines("DELETE / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked"), "chunked"],
  ])("%j is %s", (message, expected) => {
    expect(framing(message)).toBe(expected);
  });

  test.each([
    [post("Content-Length: 5", "Content-Length: 5"), "REPEATED_LENGTH"],
    [post("Content-Length: 5, 5"), "BAD_LENGTH"],
    [post("Content-Length: 5,"), "BAD_LENGTH"],
    [post("Content-Length: +5"), "BAD_LENGTH"],
    [post("Content-Length: -5"), "BAD_LENGTH"],
    [post("Content-Length: 0x5"), "BAD_LENGTH"],
    [post("Content-Length: 5 5"), "BAD_LENGTH"],
    [post("Content-Length: 5.0"), "BAD_LENGTH"],
    [post("Content-Length: \u00b2"), "BAD_LENGTH"],
    [post("Content-Length: 1000000000000000"), "BAD_LENGTH"],
    [post("Content-Length: 0000000000000005"), "BAD_LENGTH"],
    [post("Transfer-Encoding:"), "BAD_CODING"],
    [post("Transfer-Encoding: identity"), "BAD_CODING"],
    [post("Transfer-Encoding: gzip, chunked"), "BAD_CODING"],
    [post("Transfer-Encoding: chunked, chunked"), "BAD_CODING"],
    [post("Transfer-Encoding: chunked,"), "BAD_CODING"],
    [post("Transfer-Encoding: chunked;q=1"), "BAD_CODING"],
    [post('Transfer-Encoding: "chunked"'), "BAD_CODING"],
    [post("Transfer-Encoding: xchunked"), "BAD_CODING"],
    [post("Transfer-Encoding: \u00a0chunked"), "BAD_CODING"],
    [post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), "BAD_CODING"],
    [post("Transfer-Encoding:", "Transfer-Encoding: chunked"), "BAD_CODING"],
    [post10("Transfer-Encoding: chunked"), "CODING_IN_1_0"],
    [post("Content-Length: 5", "Transfer-Encoding: chunked"), "FRAMING_CONFLICT"],
    [post("Transfer-Encoding: chunked", "Content-Length: 5"), "FRAMING_CONFLICT"],
    [post("Transfer-Encoding: identity", "Content-Length: 5"), "FRAMING_CONFLICT"],
    [post("Content_Length: 5"), "FRAMING_ALIAS"],
    [post("Transfer.Encoding: chunked"), "FRAMING_ALIAS"],
    [post("Transfer---Encoding: chunked"), "FRAMING_ALIAS"],
    [post("TRANSFER_ENCODING: chunked"), "FRAMING_ALIAS"],
    [post("ContentLength: 5"), "FRAMING_ALIAS"],
    [post("-Content-Length-: 5"), "FRAMING_ALIAS"],
    [post("Content|Length: 5"), "FRAMING_ALIAS"],
  ])("refuses %j as %s", (message, expected) => {
    expect(faultOf(message)).toBe(expected);
  });

  test.each([
    "Content-Length-X: 5",
    "X-Content-Length: 5",
    "Transfer-Encodings: chunked",
    "Content-Lengt: 5",
    "Contents-Length: 5",
  ])("reads %s as an ordinary field", (field) => {
    expect(faultOf(post(field))).toBeUndefined();
  });
});
