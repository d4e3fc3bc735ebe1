// This file is tags as header lines: nothing of them may break out of its line. product.md §3.2.
import { describe, expect, test } from "bun:test";
import { tagFields } from "../../src/connector/tags.ts";

const textOf = (tags: readonly [string, string][]): string =>
  Buffer.from(tagFields(tags.map(([name, value]) => ({ name, value })))).toString("latin1");

describe("tags", () => {
  test("each is one line", () => {
    expect(textOf([])).toBe("");
    expect(
      textOf([
        ["site", "berlin"],
        ["rack", "a b=c"],
        ["empty", ""],
      ]),
    ).toBe("X-Tunl-Tag-site: berlin\r\nX-Tunl-Tag-rack: a b=c\r\nX-Tunl-Tag-empty: \r\n");
  });

  test.each([
    ["", "x"],
    ["a b", "x"],
    ["a:", "x"],
    ["\u00e4", "x"],
    ["a", "x\r\nHost: y"],
    ["a", "x\ny"],
    ["a", " x"],
    ["a", "x "],
    ["a", "\u00e9"],
    ["a", "\0"],
  ])("%j=%j is refused", (name, value) => {
    expect(() => textOf([[name, value]])).toThrow(expect.objectContaining({ code: "TAG_INVALID" }));
  });

  test("all of them together are bounded", () => {
    expect(textOf([["a", "x".repeat(2_000)]])).toHaveLength(2_016);
    expect(() =>
      textOf([
        ["a", "x".repeat(1_500)],
        ["b", "x".repeat(1_500)],
      ]),
    ).toThrow("allowed");
  });
});
