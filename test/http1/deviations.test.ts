import { describe, expect, test } from "bun:test";
import { Comparison } from "./comparison.ts";
import { DEVIATIONS } from "./deviations.ts";

describe("deviations from foreign corpora", () => {
  test("each row is listed once, and each reason names a rule or what the row asks for", () => {
    const rows = DEVIATIONS.flatMap(({ corpus, rows }) => rows.map((row) => `${corpus} ${row}`));
    expect(rows.length).toBeGreaterThan(100);
    expect(new Set(rows).size).toBe(rows.length);
    const unfounded = DEVIATIONS.filter(
      ({ reason }) => !/\b(S-\d\d|RFC \d+ §|the row tells)/.test(reason),
    );
    expect(unfounded).toEqual([]);
    expect(
      DEVIATIONS.filter(({ rows, theirs, ours }) => rows.length === 0 || theirs === ours),
    ).toEqual([]);
  });

  test("a row that is not listed, listed otherwise, or no longer deviates is told", () => {
    const [first] = DEVIATIONS.filter(({ corpus }) => corpus === "llhttp-url");
    const row = first?.rows[0] ?? "";
    const comparison = new Comparison("llhttp-url");
    comparison.differs("new", "read", "BAD_NAME");
    comparison.differs(row, "read", "BAD_NAME");
    expect(comparison.unlisted).toEqual([
      "new: read there, BAD_NAME here",
      `${row}: read there, BAD_NAME here`,
    ]);
    expect(comparison.stale).toContain(`${row}: ${first?.theirs} there, ${first?.ours} here`);
    const listed = DEVIATIONS.filter(({ corpus }) => corpus === "llhttp-url");
    expect(comparison.stale).toHaveLength(listed.flatMap(({ rows }) => rows).length);
  });
});
