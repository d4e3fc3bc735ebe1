// This file is the last step of `npm test`: every named limit of `src/limits.ts` was reached by some test. S-44.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { LIMITS } from "../src/limits.ts";

/** The names in the table that no counter of the directory has, as `test/reached.ts` writes them. */
export function unreachedLimits(directory: string): string[] {
  const reached = new Set<string>();
  for (const file of readdirSync(directory)) {
    for (const line of readFileSync(join(directory, file), "utf8").split("\n")) {
      if (line === "") continue;
      const counts: Readonly<Record<string, number>> = JSON.parse(line);
      for (const [name, count] of Object.entries(counts)) if (count > 0) reached.add(name);
    }
  }
  return Object.keys(LIMITS).filter((name) => !reached.has(name));
}

/** Says how it went. @returns True if every limit was reached. */
export function checkLimits(directory: string): boolean {
  const names = Object.keys(LIMITS);
  const missing = unreachedLimits(directory);
  if (missing.length === 0)
    console.log(`✔ limits       ${names.length} of ${names.length} reached`);
  else console.log(`✖ limits       no test reached ${missing.join(", ")}`);
  return missing.length === 0;
}
