// This file is docs/REQUIREMENTS.md held against what sources and tests cite: every id has a row, every row its tests.
import { describe, expect, test } from "bun:test";
import { cellsOf, filesIn, idsIn, isThere, quoted, textOf } from "./text.ts";

const rows = textOf("docs/REQUIREMENTS.md")
  .split("\n")
  .filter((line) => /^\| [SAPR]-\d\d \|/.test(line))
  .map(cellsOf);
const ids = rows.map(([id]) => id as string);

/** Every id that a text cites, and the texts. */
function citations(): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const paths = [...filesIn("src", ".ts"), ...filesIn("test", ".ts"), ...filesIn("docs", ".md")];
  for (const path of paths) {
    for (const id of new Set(idsIn(textOf(path)))) found.set(id, [...(found.get(id) ?? []), path]);
  }
  return found;
}

describe("docs/REQUIREMENTS.md", () => {
  test("has one row for each id, in order of letter and number within a section", () => {
    expect(ids.length).toBeGreaterThan(50);
    expect(new Set(ids).size).toBe(ids.length);
    for (const letter of ["S", "A", "R"]) {
      const own = ids.filter((id) => id.startsWith(letter));
      expect(own).toEqual([...own].sort());
    }
  });

  test("has a row for every id that a source, a test or a document cites", () => {
    const cited = citations();
    expect(cited.size).toBeGreaterThan(50);
    const missing = [...cited].filter(([id]) => !ids.includes(id));
    expect(missing.map(([id, paths]) => `${id} in ${paths.join(", ")}`)).toEqual([]);
  });

  test("says in one sentence what is required, and names tests that exist", () => {
    for (const [id, sentence, tests] of rows) {
      expect([id, /^[A-Z`].*\.$/.test(sentence ?? "")]).toEqual([id, true]);
      const paths = quoted(tests ?? "");
      expect([id, paths.length > 0]).toEqual([id, true]);
      expect([id, paths.filter((path) => !isThere(path) || !path.endsWith(".test.ts"))]).toEqual([
        id,
        [],
      ]);
    }
  });

  test("finds ids and ranges, and no curve", () => {
    expect(idsIn("S-01..S-03, A-01 to A-02; P-256 and XS-04")).toEqual([
      "S-01",
      "S-02",
      "S-03",
      "A-01",
      "A-02",
    ]);
  });
});
