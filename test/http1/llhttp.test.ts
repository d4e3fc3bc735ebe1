import { describe, expect, test } from "bun:test";
import type { FaultCode } from "../../src/http1/index.ts";
import { Comparison, stopAtClose, verdictOf } from "./comparison.ts";
import { inputOf, isRequest, readerOf, type Row, rows, withoutFragment } from "./llhttp-rows.ts";
import { byteByByte, bytes, decode, text, type Transcript, verdict } from "./support.ts";

/** Which faults of ours are the same finding, by the error code of llhttp. 5, data behind a close, is a deviation. */
const SAME_FAULT: Readonly<Record<number, readonly FaultCode[]>> = {
  2: ["BARE_CARRIAGE_RETURN", "BAD_CHUNK_EXTENSION", "BAD_CHUNK_END"],
  3: ["BARE_CARRIAGE_RETURN"],
  4: ["REPEATED_LENGTH"],
  7: ["BAD_TARGET"],
  8: ["BAD_VERSION"],
  9: ["BAD_VERSION", "VERSION_REFUSED", "BARE_LINE_FEED"],
  10: [
    "BAD_NAME",
    "BAD_VALUE",
    "BARE_CARRIAGE_RETURN",
    "BARE_LINE_FEED",
    "BLANK_BEFORE_COLON",
    "EMPTY_NAME",
    "OBS_FOLD",
  ],
  11: ["BAD_LENGTH", "FRAMING_CONFLICT"],
  12: ["BAD_CHUNK_SIZE"],
  13: ["BAD_STATUS"],
  15: ["BAD_CODING", "FRAMING_CONFLICT"],
  25: ["BARE_LINE_FEED"],
  30: ["OBS_FOLD"],
};

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

/** Judges one input and gives the verdict to `comparison`. */
function judge(comparison: Comparison, row: Row, input: string): void {
  const read = (whole: string) => stopAtClose(readerOf(row)([bytes(whole)]));
  let outcome = read(input);
  if (row.error !== null) {
    // What only the end of a head tells is told when it comes.
    if (verdictOf(outcome) === "truncated") outcome = read(`${input}\r\n\r\n`);
    const found = verdictOf(outcome);
    if (SAME_FAULT[row.error.code]?.includes(found as FaultCode) === true)
      return comparison.same("refused");
    return comparison.differs(row.id, "refused", found);
  }
  const found = verdictOf(outcome);
  // A row may end inside a message: then both say how far they came.
  if (found !== "read" && found !== "truncated") return comparison.differs(row.id, "read", found);
  const isSame = JSON.stringify(ours(outcome.seen)) === JSON.stringify(theirs(row));
  if (isSame) return comparison.same("read");
  return comparison.differs(row.id, "read", found === "truncated" ? "truncated" : "otherwise");
}

describe.skipIf(rows === undefined)("llhttp", () => {
  test("says of every row what tunl says, or the deviation is listed with its reason (S-01)", () => {
    const comparison = new Comparison("llhttp");
    for (const row of rows ?? []) {
      judge(comparison, row, inputOf(row));
      const bare = withoutFragment(row);
      if (bare !== undefined) judge(comparison, bare.row, bare.input);
    }
    expect(comparison.unlisted).toEqual([]);
    expect(comparison.stale).toEqual([]);
    expect(comparison.counts).toEqual({ read: 105, refused: 76, deviates: 81 });
  });

  test("is read alike whole, cut anywhere, and byte by byte", () => {
    let cuts = 0;
    for (const row of rows ?? []) {
      const input = bytes(inputOf(row));
      const read = readerOf(row);
      const whole = JSON.stringify(verdict(read([input])));
      const differs = (pieces: Iterable<Uint8Array>): boolean =>
        JSON.stringify(verdict(read(pieces))) !== whole;
      if (differs(byteByByte(input))) throw new Error(`${row.id} differs byte by byte`);
      for (let cut = 1; cut < input.length; cut++, cuts++) {
        if (differs([input.slice(0, cut), input.slice(cut)]))
          throw new Error(`${row.id} differs when cut at ${cut}`);
      }
    }
    expect(cuts).toBeGreaterThan(10_000);
    expect((rows ?? []).filter(isRequest)).toHaveLength(166);
  });
});
