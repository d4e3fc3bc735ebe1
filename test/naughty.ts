// This file is the strings that break programs which join text to markup, of the corpus beside the checkout.
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

/** All of them; none, with one line that says so, where the corpus is not there. */
export function naughtyStrings(): string[] {
  const folder = process.env["TUNL_CORPORA"] ?? resolve(import.meta.dir, "../../shared/corpora");
  const path = join(folder, "naughty-strings.jsonl");
  if (!existsSync(path)) {
    console.warn(`skipped: ${path} is not there (set TUNL_CORPORA)`);
    return [];
  }
  const lines = readFileSync(path, "utf8").trimEnd().split("\n");
  return lines.map((line) => (JSON.parse(line) as { text: string }).text);
}
