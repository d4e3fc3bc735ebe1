import { describe, expect, test } from "bun:test";
import { FieldParser, HeaderBlock, NO_FIELDS, parseLines } from "../../src/headers/index.ts";

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));
const text = (value: Uint8Array): string => Buffer.from(value).toString("latin1");
const LIMITS = { bytes: 64 * 1024, fields: 400 };

function block(...lines: string[]): HeaderBlock {
  const parsed = parseLines(bytes(lines.map((line) => `${line}\r\n`).join("")), LIMITS);
  if (typeof parsed === "string") throw new Error(parsed);
  return parsed;
}

describe("header block", () => {
  test("keeps order, case, duplicates and bytes, and trims values", () => {
    const fields = block("X-One: \t a\tb \t", "x-ONE:c", "Empty:", "Blank: \t ", "High: \u00e9");
    expect(
      Array.from({ length: fields.count }, (_, index) => [fields.name(index), fields.text(index)]),
    ).toEqual([
      ["x-one", "a\tb"],
      ["x-one", "c"],
      ["empty", ""],
      ["blank", ""],
      ["high", "\u00e9"],
    ]);
    expect(text(fields.value(4))).toBe("\u00e9");
    expect(text(fields.lines)).toBe(
      "X-One: \t a\tb \t\r\nx-ONE:c\r\nEmpty:\r\nBlank: \t \r\nHigh: \u00e9\r\n",
    );
  });

  test("finds a field by its lower-case name, from an index on", () => {
    const fields = block("Host: a", "X-A: 1", "X-B: 2", "x-a: 3", "Y-A: 4");
    expect(fields.find("x-a")).toBe(1);
    expect(fields.find("x-a", 2)).toBe(3);
    expect(fields.find("x-a", 4)).toBe(-1);
    expect(fields.find("host")).toBe(0);
    // Same length, first and last byte as x-a and x-b: the key alone does not decide.
    expect(fields.find("x_a")).toBe(-1);
    expect(fields.find("")).toBe(-1);
    expect(NO_FIELDS.find("host")).toBe(-1);
    expect(NO_FIELDS.lines).toHaveLength(0);
  });

  test("finds names of every length among many", () => {
    const names = Array.from({ length: 256 }, (_, at) => `a${"b".repeat(at)}`.slice(0, at + 1));
    const fields = block(...names.map((name) => `${name.toUpperCase()}: ${name.length}`));
    let found = 0;
    for (const [index, name] of names.entries()) {
      expect(fields.find(name)).toBe(index);
      found++;
    }
    expect(found).toBe(256);
  });

  test("says where each part of a line stands", () => {
    const source = bytes("GET\r\nA: b\r\nCc:\td \r\n\r\nrest");
    const parser = new FieldParser();
    parser.start(5, LIMITS);
    expect(parser.parse(source, source.length)).toBe("end");
    expect(parser.position).toBe(21);
    const fields = parser.block(source, parser.position - 2);
    expect([
      fields.lineStart(1),
      fields.nameEnd(1),
      fields.valueStart(1),
      fields.valueEnd(1),
      fields.lineEnd(1),
    ]).toEqual([11, 13, 15, 16, 19]);
    expect(fields.lineEnd(0)).toBe(11);
    expect(text(fields.lines)).toBe("A: b\r\nCc:\td \r\n");
    expect(fields.lines.buffer).toBe(source.buffer);
  });

  test("knows odd names and compares values in any case", () => {
    const fields = block("x-a: Close", "x_a: 1", "x.a: 1", "x~a: 1");
    expect([0, 1, 2, 3].map((index) => fields.hasOddName(index))).toEqual([
      false,
      true,
      true,
      true,
    ]);
    expect(fields.valueIs(0, "close")).toBe(true);
    expect(fields.valueIs(0, "clos")).toBe(false);
  });
});
