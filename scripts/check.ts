// This file is `npm run check`: format, types, pure, simulated (200 seeds) and e2e tests; under a minute, for every edit. style.md §2.
import { build } from "./build.ts";
import { add, folderRing, pureRing, runChecks, runRing, summary } from "./rings.ts";

const RINGS = [
  pureRing(60_000),
  folderRing("sim", 60_000, { TUNL_SIM_SEEDS: "200" }),
  folderRing("e2e", 60_000),
];

let totals = { passed: 0, failed: runChecks(), skipped: 0 };
// The e2e ring drives the executable: an old one would answer for code that is not in it.
if (!(await build("dist/tunl"))) totals = add(totals, { passed: 0, failed: 1, skipped: 0 });
for (const ring of RINGS) totals = add(totals, await runRing(ring));
console.log(summary(totals));
process.exit(totals.failed === 0 ? 0 : 1);
