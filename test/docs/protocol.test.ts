// This file is what docs/PROTOCOL.md says of constants and files of this program, held against the code. PROTOCOL §4 to §8, §10.
import { describe, expect, test } from "bun:test";
import { FAST_PHASE_MS } from "../../src/wire/index.ts";
import * as wire from "../../src/wire/index.ts";
import * as addresses from "../../src/connector/addresses.ts";
import * as backoff from "../../src/connector/backoff.ts";
import * as race from "../../src/connector/race.ts";
import { filesIn, isThere, quoted, tablesOf, textOf, withoutTicks } from "./text.ts";

const text = textOf("docs/PROTOCOL.md");

function numberOf(cell: string | undefined): number {
  const match = /^([\d,.]+)(?: (KiB|MiB))?$/.exec(cell ?? "");
  if (match === null) throw new Error(`"${cell}" is no number`);
  const unit = { KiB: 2 ** 10, MiB: 2 ** 20 }[match[2] ?? ""] ?? 1;
  return Number((match[1] as string).replaceAll(",", "")) * unit;
}

function compare(table: string, constants: { readonly [name: string]: unknown }): string[] {
  const rows = tablesOf(text, table);
  for (const [name, value] of rows)
    expect([name, constants[withoutTicks(name)]]).toEqual([name, numberOf(value)]);
  return rows.map(([name]) => withoutTicks(name));
}

/** Sources that name a word, the list of constants left out. */
function usersOf(name: string): string[] {
  const word = new RegExp(`\\b${name}\\b`);
  return sources
    .filter(([path, code]) => path !== "src/wire/limits.ts" && word.test(code))
    .map(([path]) => path);
}

const sources = filesIn("src", ".ts").map((path) => [path, textOf(path)] as const);

describe("docs/PROTOCOL.md", () => {
  test("names the values of the constants of §4 to §8, all of them in use", () => {
    const names = compare("transport constants", { ...wire });
    expect(names.length).toBeGreaterThan(20);
    expect(names.filter((name) => usersOf(name).length === 0)).toEqual([]);
  });

  test("calls reserved what no source names", () => {
    const names = compare("reserved constants", { ...wire });
    expect(names.length).toBeGreaterThan(5);
    expect(names.flatMap((name) => usersOf(name).map((path) => `${name} in ${path}`))).toEqual([]);
  });

  test("names the values of dialling (§7.6)", () => {
    expect(compare("dialling constants", { ...backoff, ...race, ...addresses })).toHaveLength(10);
    expect(FAST_PHASE_MS).toBe(backoff.FAST_PHASE_MS);
  });

  test("names files that exist", () => {
    const paths = quoted(text).filter((word) => /^(?:src|test|docs)\/[\w./-]+$/.test(word));
    expect(paths.length).toBeGreaterThan(20);
    expect(paths.filter((path) => !isThere(path))).toEqual([]);
  });

  test("has the sections 1 to 12 in order", () => {
    const sections = [...text.matchAll(/^## (\d+)\. /gm)].map((match) => Number(match[1]));
    expect(sections).toEqual(Array.from({ length: 12 }, (_, index) => index + 1));
  });
});
