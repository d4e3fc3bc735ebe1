// This file is `npm run soak`: mixed load with restarts for minutes, then whether everything is back where it was. reliability.md R-13.
import { ensureBuilt, TUNL } from "./rig/executable.ts";
import { soak, type SoakResult } from "./soak/run.ts";
import { resolve } from "node:path";

const HELP = `Mixed load on an edge and two tunnels, one of which is disturbed; exit 1 if anything is not as it was.

  --minutes N       how long (default 10)
  --seconds N       the same in seconds
  --disturb N       seconds between two restarts (default 15)
  --seed N          sizes and order of the load (default 1)
  --executable PATH another tunl than dist/tunl
`;

/** memory that grows faster than this, and faster than the noise explains, grows. Bytes per hour. */
const SLOPE_MOST = 1e6;
const MIB = 1 << 20;

interface Words {
  seconds: number;
  disturb: number;
  seed: number;
  executable: string | undefined;
}

function parse(words: readonly string[]): Words {
  const found: Words = { seconds: 600, disturb: 15, seed: 1, executable: undefined };
  for (let index = 0; index < words.length; index += 2) {
    const [flag, value] = [words[index], words[index + 1]];
    const number = Number(value);
    if (flag === "--executable" && value !== undefined) found.executable = resolve(value);
    else if (!(number > 0)) usage();
    else if (flag === "--minutes") found.seconds = number * 60;
    else if (flag === "--seconds") found.seconds = number;
    else if (flag === "--disturb") found.disturb = number;
    else if (flag === "--seed") found.seed = number;
    else usage();
  }
  return found;
}

function usage(): never {
  console.error(HELP);
  process.exit(2);
}

const { seconds, disturb, seed, executable } = parse(process.argv.slice(2));
if (executable === undefined && (await ensureBuilt()) === "failed") process.exit(1);
const result = await soak({
  executable: executable ?? TUNL,
  seconds,
  disturbMs: disturb * 1_000,
  seed,
  tell: (text) => console.log(text),
});
report(result);

function report({
  done,
  resumed,
  disturbances,
  expected,
  unexpected,
  left,
  marks,
  limits,
  memory,
}: SoakResult): void {
  const line = (label: string, value: unknown): void =>
    console.log(`${label.padEnd(11)} ${JSON.stringify(value)}`);
  line("done", { ...done, "TLS sessions taken up": resumed });
  line("disturbed", disturbances);
  line("expected", expected);
  for (const [end, found] of Object.entries(marks)) line(`${end} most`, found);
  line("limits", limits);
  let isGrowing = false;
  for (const [end, { slope, error, parts }] of Object.entries(memory)) {
    const isAbove = slope > SLOPE_MOST && slope > 2 * error;
    isGrowing ||= isAbove;
    console.log(
      `${isAbove ? "✖" : "✔"} ${end} RSS slope ${(slope / 1e6).toFixed(1)} ± ${(error / 1e6).toFixed(1)} MB/h; in MiB ${parts.map((part) => (part / MIB).toFixed(0)).join(" ")}`,
    );
  }
  console.log(
    left.length === 0 ? "✔ every table and descriptor is back" : `✖ left: ${left.join("; ")}`,
  );
  for (const { failed, at, text } of unexpected)
    console.log(`✖ ${failed} at ${new Date(at).toISOString()}: ${text}`);
  if (unexpected.length === 0) console.log("✔ no failure outside of a restart");
  process.exit(left.length > 0 || unexpected.length > 0 || isGrowing ? 1 : 0);
}
