// This file is the table of precedents held against the titles of all tests: none without a test, no test without a row.
import { describe, expect, test } from "bun:test";
import { LATER, PRECEDENTS } from "./precedents.ts";
import { filesIn, idsIn, textOf } from "./text.ts";

interface Title {
  readonly path: string;
  readonly sentence: string;
  readonly ids: readonly string[];
}

/** Titles that end in brackets, as they stand in the source: quoted or a template. */
const TITLE = /(["'`])((?:(?!\1)[^\\\n]|\\.)*?) \[([^[\]\n]+)\]\1,/g;
/** What can only be an identifier of somebody's report. */
const REPORT = /^(CVE|GHSA|VU)[-#]/;

const known = new Set(PRECEDENTS.map(({ id }) => id));
const later = new Set(Object.values(LATER).flat());

const titles: Title[] = filesIn("test", ".test.ts").flatMap((path) =>
  [...textOf(path).matchAll(TITLE)]
    .map(([, , sentence = "", ids = ""]) => ({ path, sentence, ids: ids.split(", ") }))
    .filter(({ ids }) => ids.some((id) => known.has(id) || REPORT.test(id))),
);

describe("precedents", () => {
  test("each has a test whose title ends in its identifier", () => {
    const found = new Set(titles.flatMap(({ ids }) => ids));
    expect(PRECEDENTS.map(({ id }) => id).filter((id) => !found.has(id))).toEqual([]);
    expect(PRECEDENTS.length).toBeGreaterThan(40);
  });

  test("no title names one that has no row, or one of a later version", () => {
    const strays = titles.flatMap(({ path, ids }) =>
      ids.filter((id) => !known.has(id)).map((id) => `${path}: ${id}`),
    );
    expect(strays).toEqual([]);
  });

  test("each title is a sentence", () => {
    for (const { path, sentence } of titles)
      expect([path, sentence, sentence.split(" ").length >= 4]).toEqual([path, sentence, true]);
  });

  test("each is listed once, with a requirement that has a row, or with a word", () => {
    const ids = [...PRECEDENTS.map(({ id }) => id), ...later];
    expect(new Set(ids).size).toBe(ids.length);
    const rows = textOf("docs/REQUIREMENTS.md");
    for (const { id, rule } of PRECEDENTS) {
      expect([id, idsIn(rule)]).toEqual([id, [rule]]);
      expect([id, rows.includes(`| ${rule} |`)]).toEqual([id, true]);
    }
    for (const word of Object.keys(LATER)) expect(word).toMatch(/^[a-zA-Z0-9]+$/);
  });
});
