// This file is about the executable under test: where it is, and that it is as new as its sources.
import { statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "../build.ts";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const OUTFILE = "dist/tunl";
export const TUNL = `${ROOT}${OUTFILE}`;

/** What the executable is made of. */
const SOURCES = ["src/**", "package.json", "scripts/build.ts"];

/**
 * Builds `dist/tunl` where it is missing or older than its sources.
 *
 * @returns What was done; `failed`: the bundler's words are on stderr.
 */
export async function ensureBuilt(): Promise<"built" | "up to date" | "failed"> {
  const builtAt = statSync(TUNL, { throwIfNoEntry: false })?.mtimeMs ?? Number.NEGATIVE_INFINITY;
  if (builtAt > newestSource()) return "up to date";
  return (await build(OUTFILE)) ? "built" : "failed";
}

function newestSource(): number {
  let newest = Number.NEGATIVE_INFINITY;
  for (const pattern of SOURCES)
    for (const path of new Bun.Glob(pattern).scanSync({ cwd: ROOT, absolute: true }))
      newest = Math.max(newest, statSync(path).mtimeMs);
  return newest;
}
