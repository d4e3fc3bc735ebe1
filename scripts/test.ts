// This file is `npm test`: types, format, build, every ring in its commit form; under six minutes on two cores. style.md §2, reliability.md §7.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "./build.ts";
import { checkLimits } from "./limits.ts";
import { add, folderRing, pureRing, runChecks, runRing, summary } from "./rings.ts";

const isSlow = process.argv.includes("--slow");
/** Night forms may take an hour. */
const factor = isSlow ? 20 : 1;
const reached = mkdtempSync(join(tmpdir(), "tunl-limits-"));
/** What every ring gets: where the reached limits are written down, and in which form to run. */
const counted = { TUNL_REACHED_LIMITS: reached };
const forms = {
  ...counted,
  TUNL_SIM_SEEDS: isSlow ? "1000000" : "2000",
  ...(isSlow && { TUNL_SLOW: "1" }),
};

// Limits are for hangs: a good run stays far below each, and under six minutes in all.
const RINGS = [
  pureRing(180_000 * factor, counted),
  folderRing("sim", 180_000 * factor, forms),
  folderRing("e2e", 480_000 * factor, forms),
  folderRing("binary", 360_000 * factor, forms),
  folderRing("platform", 60_000 * factor, forms),
  folderRing("rig", 90_000 * factor, forms),
];

const startedAt = performance.now();
let totals = { passed: 0, failed: runChecks(), skipped: 0 };
const isBuilt = await build("dist/tunl");
console.log(isBuilt ? "✔ built        dist/tunl" : "✖ build");
if (!isBuilt) totals = add(totals, { passed: 0, failed: 1, skipped: 0 });
const failures: string[] = [];
for (const ring of RINGS) {
  const outcome = await runRing(ring);
  totals = add(totals, outcome);
  failures.push(...outcome.failures);
}
if (!checkLimits(reached)) totals = add(totals, { passed: 0, failed: 1, skipped: 0 });
rmSync(reached, { recursive: true });
// Said again where a log that was cut to its end still has it.
for (const failure of failures) console.log(`\n✖ ${failure}`);
console.log(`took ${Math.round((performance.now() - startedAt) / 1_000)} s`);
console.log(summary(totals));
process.exit(totals.failed === 0 ? 0 : 1);
