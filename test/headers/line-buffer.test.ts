import { describe, expect, test } from "bun:test";
import { LineBuffer, ListCursor } from "../../src/headers/index.ts";

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));
const text = (value: Uint8Array): string => Buffer.from(value).toString("latin1");

describe("line buffer", () => {
  test("joins kept runs and new lines, however small it began", () => {
    const lines = new LineBuffer(1);
    const source = bytes(`-${"k".repeat(300)}\r\n-`);
    lines.append(source, 1, source.length - 1);
    lines.appendField("X-A", "b c");
    lines.append(bytes("D: e\r\n"));
    lines.appendField("F", bytes("\u00e9"));
    expect(lines.length).toBe(302 + 10 + 6 + 6);
    expect(text(lines.take())).toBe(`${"k".repeat(300)}\r\nX-A: b c\r\nD: e\r\nF: \u00e9\r\n`);
    expect(lines.length).toBe(0);
  });

  test("gives a copy that later lines do not change", () => {
    const lines = new LineBuffer();
    lines.appendField("A", "1");
    const first = lines.take();
    lines.appendField("B", "2");
    expect(text(first)).toBe("A: 1\r\n");
    lines.clear();
    expect(lines.take()).toHaveLength(0);
  });

  test("refuses a name or value that could end the line, and appends nothing of it", () => {
    const lines = new LineBuffer();
    lines.appendField("A", "1");
    for (const [name, value] of [
      ["B", "x\r\ny"],
      ["B", "x\u010d\u010ay"],
      ["B", "\u00e9"],
      ["B:", "x"],
      ["B C", "x"],
      ["", "x"],
      ["B\n", "x"],
    ] as const) {
      expect(() => lines.appendField(name, value)).toThrow();
      expect(lines.length).toBe(6);
    }
    expect(text(lines.take())).toBe("A: 1\r\n");
  });
});

describe("list cursor", () => {
  test.each([
    ["", []],
    [" ,\t, ", []],
    ["a", ["a"]],
    [" a ,b\t,,c d , ", ["a", "b", "c d"]],
  ])("%j has members %j", (value, expected) => {
    const cursor = new ListCursor();
    const all = bytes(`x${value}x`);
    cursor.open(all, 1, all.length - 1);
    const members: string[] = [];
    while (cursor.next()) members.push(text(all.subarray(cursor.start, cursor.end)));
    expect(members).toEqual(expected);
    expect(cursor.next()).toBe(false);
  });
});
