import { describe, expect, test } from "bun:test";
import {
  byteByByte,
  bytes,
  corpus,
  decode,
  readRequests,
  readResponses,
  text,
  type Transcript,
  verdict,
} from "./support.ts";

interface Message {
  method?: string;
  target?: string;
  status?: number;
  reason?: string;
  version: string;
  headers: [string, string][];
  trailers: [string, string][];
  body: string;
  headersComplete: boolean;
  complete: boolean;
}

interface Row {
  id: string;
  type: string;
  meta: { skipBody?: boolean };
  input: string;
  error: { code: number; reason: string } | null;
  messages: Message[];
}

const rows = corpus<Row>("llhttp.jsonl");

/** Valid for llhttp and refused here: by row the rule that is stricter. */
const STRICTER: Readonly<Record<string, string>> = {
  "request/connection.md:156": "BAD_METHOD", // §3.1: two empty lines before a request
  "request/connection.md:542": "BAD_TARGET", // http.md §9: no valid WebSocket, so the raw bytes are read as a request
  "request/connection.md:753": "BAD_TARGET", // the same: keys of a draft
  "request/connection.md:812": "BAD_TARGET", // the same: an upgrade to HTTP/2.0, with a body
  "request/method.md:27": "METHOD_REFUSED", // S-06
  "request/method.md:62": "METHOD_REFUSED",
  "request/method.md:96": "METHOD_REFUSED",
  "request/method.md:135": "BAD_TARGET", // §3.1: * is for OPTIONS
  "request/method.md:372": "BAD_VERSION", // ICE
  "request/method.md:400": "BAD_VERSION", // RTSP
  "request/method.md:430": "BAD_VERSION", // RTSP
  "request/method.md:458": "BAD_TARGET", // PRI *
  "request/sample.md:314": "BAD_VERSION", // HTTP/0.9
  "request/transfer-encoding.md:186": "BAD_TRAILER", // S-04: Content-Type in trailers
  "request/transfer-encoding.md:751": "BAD_TARGET", // S-36: #
  "request/transfer-encoding.md:793": "BAD_TARGET", // S-36: #
  "request/uri.md:165": "BAD_TARGET", // S-36: #
  "request/uri.md:188": "METHOD_REFUSED", // S-06
  "response/connection.md:293": "WRONG_UPGRADE", // S-50: h2c was not asked for
  "response/connection.md:331": "WRONG_UPGRADE",
  "response/connection.md:492": "BAD_VERSION", // S-08: bytes behind a response that are not a response
  "response/connection.md:586": "BAD_VERSION", // S-08: an empty line before a response
  "response/pipelining.md:4": "BAD_VERSION",
  "response/sample.md:695": "BAD_VERSION",
  "response/sample.md:40": "BAD_VERSION", // RTSP
  "response/sample.md:60": "BAD_VERSION", // ICE
  "response/sample.md:645": "VERSION_REFUSED", // HTTP/0.9
  "response/transfer-encoding.md:43": "BAD_CODING", // S-01: not exactly chunked
  "response/transfer-encoding.md:74": "BAD_CODING",
  "response/transfer-encoding.md:110": "BAD_CODING",
};

/** Refused by llhttp and read here. */
const READ: Readonly<Record<string, string>> = {
  "request/invalid.md:66": "any token is a method",
};

/** Refused by llhttp before the head is over: by row the refusal once the input is completed by a blank line. */
const UNFINISHED: Readonly<Record<string, string | undefined>> = {
  "request/content-length.md:75": "BAD_LENGTH",
  "request/content-length.md:100": "REPEATED_LENGTH",
  "request/invalid.md:490": "VERSION_REFUSED",
};

/** Invalid for llhttp because bytes follow `Connection: close`. Here the reader says `persistent: false`, and the caller stops. */
const AFTER_CLOSE = "response/connection.md:164";

/** The source has no Host in most requests: without one, every row would be refused for that. */
function prepared(row: Row): string {
  let input = text(decode(row.input));
  if (!row.type.startsWith("request")) return input;
  const added = new Set<string>();
  for (const message of row.messages) {
    if (message.headers.some(([name]) => name.toLowerCase() === "host")) continue;
    const line = `${message.method} ${message.target} HTTP/${message.version}\r\n`;
    if (added.has(line)) continue;
    added.add(line);
    const authority = /^https?:\/\/([^/?]*)/.exec(message.target ?? "")?.[1] ?? "a.example";
    input = input.replaceAll(line, `${line}Host: ${authority}\r\n`);
  }
  return input;
}

const withoutHost = (fields: [string, string][]): [string, string][] =>
  // llhttp leaves blanks at the end of a value to its caller.
  fields
    .filter(([name]) => name.toLowerCase() !== "host")
    .map(([name, value]) => [name, value.replace(/[ \t]+$/, "")]);

const ours = (seen: Transcript): unknown[] =>
  seen.messages.map((message) => [
    message.line,
    message.version,
    withoutHost(message.fields),
    message.body,
    message.trailers,
    // An interim response is over with its head.
    message.ended || /^1\d\d /.test(message.line),
  ]);

const theirs = (row: Row): unknown[] =>
  row.messages
    .filter((message) => message.headersComplete)
    .map((message) => [
      message.method === undefined
        ? `${message.status} ${message.reason ?? ""}`
        : `${message.method} ${message.target}`,
      message.version,
      withoutHost(message.headers),
      text(decode(message.body)),
      message.trailers,
      message.complete,
    ]);

function outcome(row: Row, seen: Transcript): string {
  const code = seen.fault?.replace(/@.*/, "");
  const isWhole = code === undefined && seen.eof !== "truncated";
  if (row.error !== null) {
    if (code !== undefined) return "refused";
    if (row.id === AFTER_CLOSE)
      return seen.messages[0]?.persistent === false ? "closed" : "KEPT OPEN";
    if (!isWhole) return UNFINISHED[row.id] === undefined ? "UNFINISHED" : "unfinished";
    return READ[row.id] === undefined ? "READ ALTHOUGH INVALID" : "read";
  }
  if (code !== undefined) return STRICTER[row.id] === code ? "stricter" : `REFUSED AS ${code}`;
  if (row.meta.skipBody === true) return "input only";
  return JSON.stringify(ours(seen)) === JSON.stringify(theirs(row))
    ? "same"
    : `READ AS ${JSON.stringify(ours(seen))}`;
}

describe.skipIf(rows === undefined)("llhttp", () => {
  const read = (row: Row): typeof readRequests =>
    row.type.startsWith("request") ? readRequests : readResponses;

  test("gives the same messages, or a stricter rule of ours refuses", () => {
    const counts: Record<string, number> = {};
    const wrong: string[] = [];
    for (const row of rows ?? []) {
      if (row.type !== "request" && row.type !== "response") continue;
      const result = outcome(row, read(row)([bytes(prepared(row))]));
      if (/^[A-Z]/.test(result)) wrong.push(`${row.id}: ${result}`);
      else counts[result] = (counts[result] ?? 0) + 1;
    }
    expect(wrong).toEqual([]);
    expect(counts).toEqual({
      same: 99,
      stricter: 30,
      refused: 74,
      unfinished: 3,
      closed: 1,
      read: 1,
      "input only": 2,
    });
  });

  test("refuses what is invalid already when its head is over", () => {
    let completed = 0;
    for (const row of rows ?? []) {
      const expected = UNFINISHED[row.id];
      if (expected === undefined) continue;
      expect(read(row)([bytes(`${prepared(row)}\r\n\r\n`)]).fault).toStartWith(`${expected}@`);
      completed++;
    }
    expect(completed).toBe(3);
  });

  test("reads every row alike whole, cut anywhere, and byte by byte", () => {
    let cuts = 0;
    for (const row of rows ?? []) {
      const input = bytes(prepared(row));
      const whole = JSON.stringify(verdict(read(row)([input])));
      const differs = (pieces: Iterable<Uint8Array>): boolean =>
        JSON.stringify(verdict(read(row)(pieces))) !== whole;
      if (differs(byteByByte(input))) throw new Error(`${row.id} differs byte by byte`);
      for (let cut = 1; cut < input.length; cut++, cuts++) {
        if (differs([input.slice(0, cut), input.slice(cut)]))
          throw new Error(`${row.id} differs when cut at ${cut}`);
      }
    }
    expect(cuts).toBeGreaterThan(10_000);
  });

  test("a switch that makes another parser lenient does not exist here", () => {
    let refused = 0;
    for (const row of rows ?? []) {
      if (!row.type.includes("-lenient-")) continue;
      const seen = read(row)([bytes(prepared(row))]);
      expect([row.id, seen.fault === undefined && seen.eof !== "truncated"]).toEqual([
        row.id,
        false,
      ]);
      refused++;
    }
    expect(refused).toBeGreaterThan(30);
  });
});
