import { describe, expect, test } from "bun:test";
import { FieldParser, MAX_NAME_BYTES, parseLines } from "../../src/headers/index.ts";

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));
const LIMITS = { bytes: 200, fields: 3 };

/** The outcome of a section, given as far as each of `ends` in turn. */
function outcome(section: string, ends: Iterable<number>): string {
  const all = bytes(section);
  const parser = new FieldParser();
  parser.start(0, LIMITS);
  for (const end of ends) {
    const step = parser.parse(all, end);
    if (step === "fault") return `${parser.fault}@${parser.position}`;
    if (step === "end") return `end@${parser.position}`;
  }
  return `needBytes@${parser.position}`;
}

describe("field parser", () => {
  test.each([
    ["\r\n", "end@2"],
    ["A: b\r\n\r\nrest", "end@8"],
    ["A:\r\n\r\n", "end@6"],
    ["A: b", "needBytes@4"],
    ["A: b\r\n", "needBytes@6"],
    ["\n", "BARE_LINE_FEED@0"],
    ["\r\r\n", "BARE_CARRIAGE_RETURN@0"],
    ["A: b\n", "BARE_LINE_FEED@4"],
    ["A: b\rc", "BARE_CARRIAGE_RETURN@4"],
    [" A: b\r\n", "OBS_FOLD@0"],
    ["A: b\r\n\tc\r\n", "OBS_FOLD@6"],
    [":\r\n", "EMPTY_NAME@0"],
    ["A : b\r\n", "BLANK_BEFORE_COLON@1"],
    ["A\n", "BARE_LINE_FEED@1"],
    ["A\r\n", "BARE_CARRIAGE_RETURN@1"],
    ["A\0: b\r\n", "BAD_NAME@1"],
    ["A: \0\r\n", "BAD_VALUE@3"],
    ["A:1\r\nB:2\r\nC:3\r\n\r\n", "end@17"],
    ["A:1\r\nB:2\r\nC:3\r\nD", "TOO_MANY_FIELDS@15"],
    [`${"n".repeat(MAX_NAME_BYTES)}`, "SECTION_TOO_LARGE@200"],
    [`A:${"v".repeat(194)}\r\n\r\n`, "end@200"],
    [`A:${"v".repeat(195)}\r\n\r\n`, "SECTION_TOO_LARGE@200"],
  ])("%j ends as %s, whole and byte by byte", (section, expected) => {
    expect(outcome(section, [section.length])).toBe(expected);
    expect(
      outcome(
        section,
        Array.from({ length: section.length }, (_, at) => at + 1),
      ),
    ).toBe(expected);
  });

  test("is reused, and a block outlives its next section", () => {
    const parser = new FieldParser();
    const blocks = ["A: 1\r\nB: 2\r\n\r\n", "C: 3\r\n\r\n"].map((section) => {
      const all = bytes(section);
      parser.start(0, LIMITS);
      parser.parse(all, all.length);
      return parser.block(all, parser.position - 2);
    });
    expect(
      blocks.map((block) => Array.from({ length: block.count }, (_, at) => block.name(at))),
    ).toEqual([["a", "b"], ["c"]]);
  });
});

describe("lines without a blank line", () => {
  test.each([
    ["", 0],
    ["A: b\r\n", 1],
    [`A:${"v".repeat(196)}\r\n`, 1],
  ])("%j has %d fields", (lines, count) => {
    expect(parseLines(bytes(lines), LIMITS)).toMatchObject({ count });
  });

  test.each([
    ["A: b", "UNFINISHED"],
    ["A: b\r", "UNFINISHED"],
    ["A", "UNFINISHED"],
    ["\r\n", "UNFINISHED"],
    ["A: b\r\n\r\n", "UNFINISHED"],
    ["A: b\r\n\r\nC: d\r\n", "UNFINISHED"],
    ["A: b\r\n\r", "UNFINISHED"],
    ["A: b\n", "BARE_LINE_FEED"],
    [`A:${"v".repeat(197)}\r\n`, "SECTION_TOO_LARGE"],
    ["A:\r\nB:\r\nC:\r\nD:\r\n", "TOO_MANY_FIELDS"],
  ])("%j is refused as %s", (lines, fault) => {
    expect(parseLines(bytes(lines), LIMITS)).toBe(fault as "UNFINISHED");
  });
});
