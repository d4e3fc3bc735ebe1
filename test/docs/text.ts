// This file is what the tests of docs/ share: the texts, their tables, and every id of a requirement that a text cites.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT: string = fileURLToPath(new URL("../..", import.meta.url));

/** A file below the repository. */
export function textOf(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

export function isThere(path: string): boolean {
  return existsSync(join(ROOT, path));
}

/** Files below a folder of the repository that end so, as paths below the repository. */
export function filesIn(folder: string, ending: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(ending))
    .map((path) => `${folder}/${path}`)
    .sort();
}

/** The rows of every table behind `<!-- compared with the code: NAME -->`, cells trimmed, without head lines. */
export function tablesOf(text: string, name: string): string[][] {
  const marker = `<!-- compared with the code: ${name} -->\n`;
  const parts = text.split(marker).slice(1);
  if (parts.length === 0) throw new Error(`There is no table "${name}"`);
  return parts.flatMap((part) => {
    const lines = part.split("\n");
    const start = lines.findIndex((line) => line.startsWith("|"));
    const end = lines.findIndex((line, index) => index > start && !line.startsWith("|"));
    return lines.slice(start + 2, end === -1 ? undefined : end).map(cellsOf);
  });
}

/** Cells of one row; `\|` is a bar inside a cell. */
export function cellsOf(row: string): string[] {
  return row
    .replaceAll("\\|", "\u0000")
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim().replaceAll("\u0000", "|"));
}

export function withoutTicks(cell: string | undefined): string {
  return (cell ?? "").replace(/^`|`$/g, "");
}

/** Ids of requirements, ranges such as `A-01 to A-03` written out. `P-256` is a curve. */
export function idsIn(text: string): string[] {
  const pattern = /(?<![\w-])([SAPR])-(\d\d)(?!\d)(?:(?: to |\.\.)\1-(\d\d)(?!\d))?/g;
  return [...text.matchAll(pattern)].flatMap(([, letter, first, last]) => {
    const from = Number(first);
    return Array.from(
      { length: Number(last ?? first) - from + 1 },
      (_, index) => `${letter}-${String(from + index).padStart(2, "0")}`,
    );
  });
}

/** What stands between backticks, code blocks left out. */
export function quoted(text: string): string[] {
  const prose = text.replace(/^```[^]*?^```/gm, "");
  return [...prose.matchAll(/`([^`\n]+)`/g)].map((match) => match[1] as string);
}
