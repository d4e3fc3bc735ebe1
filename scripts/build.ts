// This file is the build: `dist/tunl` for this machine, with `--all` one executable for every target. platform.md §9.
import { mkdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import manifest from "../package.json" with { type: "json" };

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Targets of platform.md §9, as their release files are named. A target counts as supported once it ran its smoke test. */
const TARGETS = [
  "linux-x64",
  "linux-arm64",
  "linux-x64-musl",
  "darwin-arm64",
  "windows-x64",
] as const;

/** Modules that are loaded by address at run time: each is an entry of its own, embedded below the common folder `src`. */
const ENTRIES = ["src/main.ts", "src/edge/store/worker.ts"];

/**
 * Builds one executable.
 *
 * @param outfile Relative to the repository.
 * @param target Undefined for this machine.
 * @returns True if it was built; the bundler's own words are on stderr.
 */
export async function build(outfile: string, target?: string): Promise<boolean> {
  mkdirSync(`${ROOT}dist`, { recursive: true });
  // A failed build must not leave yesterday's executable to be tested.
  rmSync(`${ROOT}${outfile}`, { force: true });
  const command = [
    process.execPath,
    "build",
    ...ENTRIES,
    "--compile",
    // Without these two a lazy import() is paid at the start, even if it never happens.
    "--splitting",
    "--format=esm",
    // Otherwise the executable runs what .env and bunfig.toml of its working directory say (S-74).
    "--no-compile-autoload-dotenv",
    "--no-compile-autoload-bunfig",
    "--no-compile-autoload-tsconfig",
    "--no-compile-autoload-package-json",
    "--define",
    "COMPILED=true",
    "--define",
    `TUNL_VERSION=${JSON.stringify(manifest.version)}`,
    "--define",
    `TUNL_COMMIT=${JSON.stringify(await commit())}`,
    ...(target === undefined ? [] : [`--target=bun-${target}`]),
    `--outfile=${outfile}`,
  ];
  const { exitCode, stdout, stderr } = run(command);
  if (exitCode !== 0) process.stderr.write(`${stdout}${stderr}`);
  return exitCode === 0;
}

/** The commit that is built: `1a2b3c4d5e6f`, with `+` where files differ from it, "unknown" without git. */
async function commit(): Promise<string> {
  if (Bun.which("git") === null) return "unknown";
  const head = run(["git", "rev-parse", "--short=12", "HEAD"]);
  if (head.exitCode !== 0) return "unknown";
  const changes = run(["git", "status", "--porcelain"]);
  return `${head.stdout.trim()}${changes.exitCode === 0 && changes.stdout !== "" ? "+" : ""}`;
}

function run(command: readonly string[]): { exitCode: number; stdout: string; stderr: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...command], { cwd: ROOT, stdin: "ignore" });
  return { exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}

if (import.meta.main) {
  const unknown = process.argv.slice(2).find((argument) => argument !== "--all");
  if (unknown !== undefined) {
    console.error(`✖ usage        Unknown argument "${unknown}", expected --all or nothing`);
    process.exit(2);
  }
  const jobs = process.argv.includes("--all")
    ? TARGETS.map((target) => ({
        target,
        outfile: `dist/tunl-${target}${target.startsWith("windows") ? ".exe" : ""}`,
      }))
    : [{ target: undefined, outfile: "dist/tunl" }];
  let failures = 0;
  for (const { target, outfile } of jobs) {
    const isBuilt = await build(outfile, target);
    if (!isBuilt) failures += 1;
    console.log(isBuilt ? `✔ built        ${outfile}` : `✖ failed       ${outfile}`);
  }
  process.exit(failures === 0 ? 0 : 1);
}
