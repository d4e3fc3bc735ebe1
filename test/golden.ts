// This file is golden files: texts that users see, committed below test/golden and compared byte for byte.
// `TUNL_GOLDEN=write node scripts/bun.mjs test ./test/PATH` writes them anew; what changed is then read in the diff.
import { expect } from "bun:test";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("golden/", import.meta.url));
const IS_WRITING = process.env["TUNL_GOLDEN"] === "write";

/**
 * Compares a text with its golden file.
 *
 * @param name Path below test/golden, such as `help/connect.txt`. Files end in .txt: no formatter touches them.
 */
export function expectGolden(name: string, text: string): void {
  const path = `${ROOT}${name}`;
  if (IS_WRITING) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return;
  }
  if (!existsSync(path))
    throw new Error(`There is no test/golden/${name}; write it with TUNL_GOLDEN=write and read it`);
  const golden = readFileSync(path, "utf8");
  // The name stands in both, so that a difference says which file it is.
  expect(`${name}\n${text}`).toBe(`${name}\n${golden}`);
}
