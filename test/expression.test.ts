import { describe, expect, test } from "bun:test";
import { TunlError } from "../src/errors.ts";
import { compileExpression } from "../src/expression.ts";

function reasonOf(source: string): string {
  try {
    compileExpression(source);
  } catch (error) {
    if (error instanceof TunlError && error.code === "EXPRESSION_INVALID") return error.message;
    throw error;
  }
  throw new Error(`${source} was taken`);
}

describe("expressions", () => {
  test.each([
    ["/blog", "/a/blog/b", true],
    ["^/blog", "/a/blog/b", false],
    ["^/blog$", "/blog", true],
    ["^/blog$", "/blog\n", false],
    ["\\.(jpg|png|css|js)$", "/a.b/c.png", true],
    ["\\.(jpg|png|css|js)$", "/a.png/c", false],
    ["(?i)^/ADMIN", "/admin", true],
    ["^/[\\pL-]+$", "/bücher", true],
    ["^/[[:alnum:]]+$", "/bücher", false],
    ["(?P<id>[0-9]+)", "/x/17", true],
    ["\\Q.*\\E", "/a.*", true],
    ["", "/", true],
  ])("%j finds %j: %p", (source, text, found) => {
    const expression = compileExpression(source);
    expect(expression.source).toBe(source);
    expect(expression.test(text)).toBe(found);
    expect(expression.test(text)).toBe(found);
  });

  test.each([
    ["(", "missing closing ): `(`"],
    ["*", "missing argument to repetition operator: `*`"],
    ["/a**", "invalid nested repetition operator: `**`"],
    ["[z-a]", "invalid character class range: `z-a`"],
    ["(?=x)", "invalid or unsupported Perl syntax: `(?=`"],
    ["(?!x)", "invalid or unsupported Perl syntax: `(?!`"],
    ["(a)\\1", "invalid escape sequence: `\\1`"],
    ["a{1001}", "invalid repeat count: `{1001}`"],
    ["((a{100}){100}){100}", "invalid repeat count: `{100}`"],
    ["(".repeat(1_024) + ")".repeat(1_024), "expression nests too deeply"],
    ["a".repeat(2_049), "2049 characters, allowed 2048"],
  ])("refuses %j", (source, reason) => {
    expect(reasonOf(source)).toBe(reason);
  });

  test("a hostile pair costs no more than its length (S-37)", () => {
    // A backtracking matcher needs 2^30 steps for the first text already.
    const expression = compileExpression("^/(a+)+$");
    for (const length of [30, 8_000])
      expect(expression.test(`/${"a".repeat(length)}!`)).toBe(false);
    const nested = compileExpression("(x+x+)+y");
    expect(nested.test("x".repeat(8_000))).toBe(false);
  });
});
