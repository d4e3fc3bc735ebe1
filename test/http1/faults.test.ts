import { describe, expect, test } from "bun:test";
import { FAULTS, Http1Error } from "../../src/http1/index.ts";
import { faultOf, lines, readRequests, readResponses } from "./support.ts";

const get = (...fields: string[]): string => lines("GET / HTTP/1.1", "Host: a", ...fields);
const chunked = (body: string): string =>
  lines("PUT / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") + body;
const startLine = (line: string): string => lines(line, "Host: a");

/** One message for each fault; answers are told by their start line. `UNSOLICITED` needs no message: see reader.test.ts. */
const REACHED: Record<Exclude<keyof typeof FAULTS, "UNSOLICITED">, string> = {
  BARE_LINE_FEED: "GET / HTTP/1.1\n",
  BARE_CARRIAGE_RETURN: "GET / HTTP/1.1\r\r",
  BAD_METHOD: "@",
  METHOD_REFUSED: startLine("TRACE / HTTP/1.1"),
  BAD_TARGET: startLine("GET x HTTP/1.1"),
  TARGET_TOO_LONG: startLine(`GET /${"x".repeat(8192)} HTTP/1.1`),
  BAD_VERSION: startLine("GET / HTTP/1.1x"),
  VERSION_REFUSED: startLine("GET / HTTP/2.0"),
  BAD_STATUS: "HTTP/1.1 000",
  BAD_REASON: "HTTP/1.1 200 \0",
  OBS_FOLD: get(" x"),
  EMPTY_NAME: get(":"),
  NAME_TOO_LONG: get("x".repeat(257)),
  BLANK_BEFORE_COLON: get("x :"),
  BAD_NAME: get("@: x"),
  BAD_VALUE: get("x: \0"),
  TOO_MANY_FIELDS: get(...Array.from({ length: 128 }, () => "x: y")),
  SECTION_TOO_LARGE: get(`x: ${"y".repeat(32_768)}`),
  MISSING_HOST: lines("GET / HTTP/1.1"),
  REPEATED_HOST: get("host: a"),
  HOST_MISMATCH: startLine("GET http://b/ HTTP/1.1"),
  EXPECTATION_REFUSED: get("Expect: x"),
  BAD_LENGTH: get("Content-Length: x"),
  REPEATED_LENGTH: get("Content-Length: 1", "Content-Length: 1"),
  BAD_CODING: get("Transfer-Encoding: gzip"),
  CODING_IN_1_0: lines("GET / HTTP/1.0", "Host: a", "Transfer-Encoding: chunked"),
  FRAMING_CONFLICT: get("Transfer-Encoding: chunked", "Content-Length: 1"),
  FRAMING_ALIAS: get("Content_Length: 1"),
  BAD_CHUNK_SIZE: chunked("x"),
  BAD_CHUNK_EXTENSION: chunked("1;;"),
  CHUNK_EXTENSION_TOO_LARGE: chunked(`1;${"x".repeat(256)}`),
  BAD_CHUNK_END: chunked("1\r\nxx"),
  BAD_TRAILER: chunked(`0\r\n${lines("Host: a")}`),
  TOO_MANY_TRAILERS: chunked(`0\r\n${lines(...Array.from({ length: 33 }, () => "x: y"))}`),
  TRAILERS_TOO_LARGE: chunked(`0\r\nx: ${"y".repeat(8192)}`),
  TOO_MANY_INTERIM: lines("HTTP/1.1 102 Wait").repeat(17),
  WRONG_UPGRADE: lines("HTTP/1.1 101 Switch"),
};

describe("faults", () => {
  test.each(Object.entries(REACHED))("%s is reached", (code, message) => {
    expect(faultOf(message, message.startsWith("HTTP/") ? readResponses : readRequests)).toBe(code);
  });

  test("each has a requirement and a sentence without a period", () => {
    for (const fault of Object.values(FAULTS)) {
      expect(fault.rule).toMatch(/^S-\d\d$/);
      expect(fault.text).toMatch(/^[A-Z].*[^.]$/);
    }
  });

  test("an error carries code, status and offset", () => {
    const error = new Http1Error("TARGET_TOO_LONG", 17);
    expect(error).toMatchObject({
      name: "Http1Error",
      code: "TARGET_TOO_LONG",
      status: 414,
      at: 17,
      retryable: false,
    });
    expect(error.message).toBe("The target is longer than allowed, at byte 17");
  });
});
