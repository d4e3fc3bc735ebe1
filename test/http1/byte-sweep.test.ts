// Every byte at every place of a head, a chunk line and a trailer: taken exactly where the grammar has it. S-02, S-03, S-04, S-08.
import { describe, expect, test } from "bun:test";
import { faultOf, lines, type ReadOptions, readRequests, readResponses } from "./support.ts";

const ALL = Array.from({ length: 256 }, (_, byte) => byte);
const among = (pattern: RegExp): number[] =>
  ALL.filter((byte) => pattern.test(String.fromCharCode(byte)));

const TCHAR = /[!#$%&'*+\-.^_`|~0-9A-Za-z]/;
/** A colon ends the name early, and what follows is the value. */
const NAME = /[!#$%&'*+\-.^_`|~0-9A-Za-z:]/;
const VALUE = /[\t\x20-\x7e\x80-\xff]/;

type Read = typeof readRequests;

function taken(read: Read, frame: (byte: string) => string, options: ReadOptions = {}): number[] {
  return ALL.filter(
    (byte) => faultOf(frame(String.fromCharCode(byte)), read, options) === undefined,
  );
}

const request = (...fields: string[]): string => lines("GET / HTTP/1.1", "Host: a", ...fields);
const response = (...fields: string[]): string =>
  lines("HTTP/1.1 200 OK", "Content-Length: 0", ...fields);
const chunked = (body: string): string =>
  `${lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked")}${body}`;
const trailer = (line: string): string => chunked(`0\r\n${line}\r\n\r\n`);

/** What takes the byte, how the message is made of it, and the bytes that the grammar allows there. */
const PLACES: readonly [string, Read, (byte: string) => string, RegExp][] = [
  // The first byte of a line: a blank would fold it, a colon leave the name empty.
  ["first of a name", readRequests, (byte) => request(`${byte}Y: 1`), TCHAR],
  ["inside a name", readRequests, (byte) => request(`X${byte}Y: 1`), NAME],
  ["last of a name", readRequests, (byte) => request(`X${byte}: 1`), NAME],
  ["first of a value", readRequests, (byte) => request(`X:${byte}b`), VALUE],
  ["inside a value", readRequests, (byte) => request(`X: a${byte}b`), VALUE],
  ["last of a value", readRequests, (byte) => request(`X: a${byte}`), VALUE],
  ["alone as a value", readRequests, (byte) => request(`X:${byte}`), VALUE],
  ["first of a method", readRequests, (byte) => lines(`${byte}Y / HTTP/1.1`, "Host: a"), TCHAR],
  ["last of a method", readRequests, (byte) => lines(`X${byte} / HTTP/1.1`, "Host: a"), TCHAR],
  ["first of a target", readRequests, (byte) => lines(`GET ${byte} HTTP/1.1`, "Host: a"), /\//],
  [
    "inside a path",
    readRequests,
    (byte) => lines(`GET /a${byte}b HTTP/1.1`, "Host: a"),
    /[!"$&-[\]-~]/,
  ],
  [
    "last of a path",
    readRequests,
    (byte) => lines(`GET /a${byte} HTTP/1.1`, "Host: a"),
    /[!"$&-[\]-~]/,
  ],
  [
    "inside a query",
    readRequests,
    (byte) => lines(`GET /?a${byte}b HTTP/1.1`, "Host: a"),
    /[!"$-~]/,
  ],
  [
    "last of a query",
    readRequests,
    (byte) => lines(`GET /?a${byte} HTTP/1.1`, "Host: a"),
    /[!"$-~]/,
  ],
  ["in a version", readRequests, (byte) => lines(`GET / HTTP/1${byte}1`, "Host: a"), /\./],
  ["behind a version", readRequests, (byte) => lines(`GET / HTTP/1.1${byte}`, "Host: a"), /^$/],
  ["in the name of a response", readResponses, (byte) => response(`X${byte}Y: 1`), NAME],
  ["in the value of a response", readResponses, (byte) => response(`X: a${byte}b`), VALUE],
  [
    "in a reason",
    readResponses,
    (byte) => lines(`HTTP/1.1 200 a${byte}b`, "Content-Length: 0"),
    VALUE,
  ],
  [
    "in a status",
    readResponses,
    (byte) => lines(`HTTP/1.1 2${byte}0 a`, "Content-Length: 0"),
    /[0-9]/,
  ],
  [
    "behind a status",
    readResponses,
    (byte) => lines(`HTTP/1.1 200${byte}`, "Content-Length: 0"),
    / /,
  ],
  ["in the name of a trailer", readRequests, (byte) => trailer(`X${byte}Y: 1`), NAME],
  ["in the value of a trailer", readRequests, (byte) => trailer(`X: a${byte}b`), VALUE],
  ["as a chunk size", readRequests, (byte) => chunked(byte), /[0-9A-Fa-f]/],
  [
    "behind a chunk size",
    readRequests,
    (byte) => chunked(`1${byte}\r\nx\r\n0\r\n\r\n`),
    /[0-9A-Fa-f]/,
  ],
  ["first of an extension", readRequests, (byte) => chunked(`1;${byte}\r\nx\r\n0\r\n\r\n`), TCHAR],
  [
    "in the value of an extension",
    readRequests,
    (byte) => chunked(`1;a=b${byte}c\r\nx\r\n0\r\n\r\n`),
    /[!#$%&'*+\-.^_`|~0-9A-Za-z;]/,
  ],
  [
    "in a quoted extension",
    readRequests,
    (byte) => chunked(`1;a="b${byte}"\r\nx\r\n0\r\n\r\n`),
    /[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]/,
  ],
  ["behind chunk data", readRequests, (byte) => chunked(`1\r\nx${byte}\n0\r\n\r\n`), /\r/],
  [
    "in a length",
    readRequests,
    (byte) => `${request(`Content-Length: ${byte}`)}123456789`.slice(0, -9),
    /[0-9]/,
  ],
];

describe("byte sweep (S-02)", () => {
  test.each(PLACES)(
    "%s: every byte that the grammar has, and no other",
    (_, read, frame, allowed) => {
      expect(taken(read, frame)).toEqual(among(allowed));
    },
  );
});

/** Everything that somebody could take for a line end. */
const ENDS = [
  "\n",
  "\r",
  "\r\r\n",
  "\n\r",
  "\n\n",
  " \r\n",
  "\0\r\n",
  "\v",
  "\f",
  "\x85",
  "\r\0\n",
];

/** A message with a place for a line end; true where a blank in front of it is none of the message. */
const LINES: readonly [string, Read, (end: string) => string, boolean][] = [
  ["a request line", readRequests, (end) => `GET / HTTP/1.1${end}Host: a\r\n\r\n`, false],
  [
    "a status line",
    readResponses,
    (end) => `HTTP/1.1 200 OK${end}Content-Length: 0\r\n\r\n`,
    false,
  ],
  ["a field", readRequests, (end) => `GET / HTTP/1.1\r\nHost: a${end}X: 1\r\n\r\n`, true],
  ["the last field", readRequests, (end) => `GET / HTTP/1.1\r\nHost: a${end}\r\n`, true],
  ["a head", readRequests, (end) => `GET / HTTP/1.1\r\nHost: a\r\n${end}`, false],
  [
    "a field of a response",
    readResponses,
    (end) => `HTTP/1.1 200 OK\r\nContent-Length: 0${end}X: 1\r\n\r\n`,
    true,
  ],
  ["a chunk size", readRequests, (end) => chunked(`1${end}x\r\n0\r\n\r\n`), false],
  ["an extension", readRequests, (end) => chunked(`1;a${end}x\r\n0\r\n\r\n`), false],
  ["an extension with a value", readRequests, (end) => chunked(`1;a=b${end}x\r\n0\r\n\r\n`), false],
  ["chunk data", readRequests, (end) => chunked(`1\r\nx${end}0\r\n\r\n`), false],
  ["the last chunk", readRequests, (end) => chunked(`0${end}\r\n`), false],
  ["a trailer", readRequests, (end) => chunked(`0\r\nX: 1${end}\r\n`), true],
  ["the trailers", readRequests, (end) => chunked(`0\r\n${end}`), false],
];

describe("line ends (S-03)", () => {
  test.each(LINES)("of %s are CRLF and nothing else", (_, read, frame, keepsBlank) => {
    const readBy = (end: string): string => {
      const { messages, fault } = read([Buffer.from(frame(end), "latin1")]);
      faultOf(frame(end), read);
      return JSON.stringify([messages, fault, messages[0]?.ended]);
    };
    const expected = readBy("\r\n");
    expect(JSON.parse(expected).slice(1)).toEqual([null, true]);
    for (const end of ENDS) {
      const isLegal = keepsBlank && end === " \r\n";
      expect([end, readBy(end) === expected]).toEqual([end, isLegal]);
    }
  });
});

/** Disagreements about chunk lines that were used against chains of servers: one reader stops where the other goes on. */
const FUNKY: [string, string][] = [
  [
    "TERM.EXT: a bare LF ends the line for one",
    "2;\nxx\r\n30\r\nAB\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n0\r\n\r\n",
  ],
  ["EXT.TERM: a bare LF belongs to the extension for one", "2;a\nxx\r\n0\r\n\r\n"],
  [
    "TERM.SPILL: the end of the data is two bytes for one, whatever they are",
    "5\r\nAAAAAXX2\r\n45\r\n0\r\n\r\n",
  ],
  ["SPILL.TERM: the data is longer than said", "5\r\nAAAAAAA\r\n0\r\n\r\n"],
  ["ONE.TWO: one byte ends the data for one", "2\nxx\r\n10\n\r\n0\r\n\r\n"],
  ["TWO.ONE: one byte ends the data for the other", "5\r\nAAAAA\n0\r\n\r\n"],
  ["ZERO.TWO: no byte ends the data for one", "5\r\nAAAAA0\r\n\r\n"],
  ["a size that wraps to nothing", "100000000000000000\r\n\r\n"],
  ["a size that wraps at 32 bits", "1000000005\r\nAAAAA\r\n0\r\n\r\n"],
  ["a negative size", "-5\r\nAAAAA\r\n0\r\n\r\n"],
  ["a size with a prefix", "0x5\r\nAAAAA\r\n0\r\n\r\n"],
  ["a size in quotes", '"5"\r\nAAAAA\r\n0\r\n\r\n'],
];

describe("chunk lines that two readers end at two places (S-03, S-04)", () => {
  test.each(FUNKY)("%s", (name, body) => {
    const message = chunked(body);
    const seen = readRequests([Buffer.from(message, "latin1")]);
    // Refused, or still waiting for the bytes it was promised; never whole, and nothing behind it is read as a request.
    const isWaiting = seen.fault === undefined && seen.eof === "truncated";
    expect([name, seen.fault !== undefined || isWaiting]).toEqual([name, true]);
    expect(seen.messages.filter(({ ended }) => ended)).toEqual([]);
    expect(seen.messages).toHaveLength(1);
  });
});
