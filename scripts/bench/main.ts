// This file is `npm run bench`: tunl against nginx on loopback, interleaved, with processor time and memory. benchmarks.md; the small form.
import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { ensureBuilt, ROOT, TUNL } from "../rig/executable.ts";
import { ScratchDirectory } from "../rig/pair.ts";
import { run } from "../rig/program.ts";
import { EDGE_CONFIG, startDirect, startTunl } from "./candidates.ts";
import type { Candidate } from "./candidates.ts";
import { layoutOf, machine, noise } from "./layout.ts";
import { MemoryWatch } from "./memory-watch.ts";
import { HELP, parseOptions, UsageError } from "./options.ts";
import type { BenchOptions, Scenario } from "./options.ts";
import { align, cells, comparison, markdown, memoryLines, NOTES, summarise } from "./report.ts";
import type { Report, Skip } from "./report.ts";
import { runRounds, warmUp } from "./rounds.ts";
import {
  bulkBytes,
  findTools,
  makePayload,
  missingLimits,
  obstacle,
  payloadParent,
  RunLock,
  VERIFY_BYTES,
} from "./setup.ts";
import type { Found } from "./setup.ts";

const COMPARED = "compared";
const VERSION_MS = 10_000;
/** Idle before the first look at memory, and after the last load. benchmarks.md §7. */
const IDLE_BEFORE_MS = 2_000;
const IDLE_AFTER_MS = 10_000;

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
const EXIT_INTERRUPTED = 130;

function tell(label: string, text: string): void {
  console.log(`${label.padEnd(10)} ${text}`);
}

/** What the report says of an executable. */
async function describeTunl(name: string, path: string): Promise<Record<string, string>> {
  const { code, stdout, stderr } = await run([path, "version", "--json"], VERSION_MS);
  if (code !== 0) throw new Error(`"${path} version" ended with ${code}:\n${stderr}`);
  const { version, commit }: { version: string; commit: string } = JSON.parse(stdout);
  return { name, version, commit, size: `${(statSync(path).size / 1e6).toFixed(0)} MB` };
}

/** Measures what can be measured here. @returns Exit code. */
async function bench(options: BenchOptions, scope: AsyncDisposableStack): Promise<number> {
  const out = resolve(ROOT, options.out);
  mkdirSync(out, { recursive: true });
  scope.use(new RunLock(out));
  const found = await findTools();
  const skipped: Skip[] = missingLimits(found);
  const scenarios: Scenario[] = [];
  for (const scenario of options.only) {
    const reason = obstacle(scenario, found);
    if (reason === undefined) scenarios.push(scenario);
    else skipped.push({ id: scenario.id, candidate: "all", reason });
  }
  for (const { id, candidate, reason } of skipped) tell("skipped", `${id} ${candidate}: ${reason}`);
  if (scenarios.length === 0) return 0;
  const report = await measureAll(options, scenarios, found, skipped, scope);
  writeFileSync(join(out, "report.json"), `${JSON.stringify(report, undefined, 1)}\n`);
  writeFileSync(join(out, "report.md"), markdown(report));
  show(report, options);
  return report.failed.length === 0 ? 0 : EXIT_FAILED;
}

async function measureAll(
  options: BenchOptions,
  scenarios: readonly Scenario[],
  found: Found,
  skipped: readonly Skip[],
  scope: AsyncDisposableStack,
): Promise<Report> {
  const startedAt = new Date();
  if ((await ensureBuilt()) === "failed") throw new Error("Building dist/tunl failed");
  const executables: [name: string, path: string][] = [["tunl", TUNL]];
  if (options.compare !== undefined) executables.push([COMPARED, resolve(options.compare)]);
  const descriptions = await Promise.all(executables.map((one) => describeTunl(...one)));
  const layout = layoutOf(found.taskset);
  const noisy = [noise()].filter((text) => text !== undefined);
  const facts = { ...machine(), layout: layout.text };
  for (const [name, value] of Object.entries(facts)) tell(name, String(value));
  for (const { name = "", version, commit, size } of descriptions)
    tell(name, `${version} (${commit}), ${size}`);

  const bytes = bulkBytes(options.seconds);
  const scratch = scope.use(new ScratchDirectory("tunl-bench-", payloadParent(bytes)));
  const homes = scope.use(new ScratchDirectory("tunl-bench-")).path;
  const { originUrl, candidates } = await startDirect(
    { executable: found.nginx ?? "nginx", openssl: found.openssl, directory: scratch.path },
    layout,
    found.withUpload,
    scope,
  );
  if (scenarios.some(({ unit }) => unit === "Gbit/s"))
    for (const size of new Set([bytes, VERIFY_BYTES])) makePayload(scratch.path, size);
  const tunls: Candidate[] = [];
  for (const [name, path] of executables)
    tunls.push(await startTunl(name, path, join(homes, name), originUrl, layout, scope));

  const tools = {
    wrk: found.wrk ?? "wrk",
    curl: found.curl ?? "curl",
    prefix: layout.load,
    directory: scratch.path,
  };
  await Bun.sleep(IDLE_BEFORE_MS);
  const watches = tunls.map((tunl) => [tunl.name, scope.use(new MemoryWatch(tunl))] as const);
  tell("warm-up", `at least ${options.warmUpSeconds} s of load on each tunl`);
  for (const tunl of tunls) await warmUp(tunl, scenarios, options.warmUpSeconds, tools);
  const { measurements, failed } = await runRounds(
    options.isDuel ? tunls : [...candidates, ...tunls],
    scenarios,
    options,
    tools,
  );
  await Bun.sleep(IDLE_AFTER_MS);
  const results = summarise(measurements);
  return {
    version: 1,
    startedAt: startedAt.toISOString(),
    mode: "small",
    machine: { ...facts, loadAverageAtEnd: machine()["loadAverage"] ?? 0 },
    candidates: [
      ...descriptions.map((one) => ({ ...one, edgeConfig: EDGE_CONFIG.trim() })),
      { name: "nginx", version: await nginxVersion(found.nginx ?? "nginx") },
    ],
    results,
    comparison: comparison(results, "tunl", COMPARED),
    memory: Object.fromEntries(watches.map(([name, watch]) => [name, watch.finish()])),
    skipped,
    failed,
    noisy,
    warmUpSeconds: options.warmUpSeconds,
    rounds: options.rounds,
    secondsEach: options.seconds,
    seconds: Math.round((Date.now() - startedAt.getTime()) / 1_000),
  };
}

async function nginxVersion(path: string): Promise<string> {
  const { stderr } = await run([path, "-v"], VERSION_MS);
  return stderr.trim().replace(/^.*nginx\//, "");
}

function show(report: Report, { out }: BenchOptions): void {
  console.log(`\n${align(cells(report.results))}\n`);
  for (const line of report.comparison) tell(`by ${COMPARED}`, line);
  for (const line of memoryLines(report.memory)) console.log(line);
  console.log(`\n${NOTES.join("\n")}\n`);
  for (const text of report.noisy) tell("noisy", text);
  tell("report", `${out}/report.md, ${out}/report.json, ${report.seconds} s`);
}

function readOptions(): BenchOptions {
  const words = process.argv.slice(2);
  if (words.includes("--help") || words.includes("-h")) {
    process.stdout.write(HELP);
    process.exit(0);
  }
  try {
    return parseOptions(words);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`✖ usage        ${error.message}\n               Run npm run bench -- --help`);
    process.exit(EXIT_USAGE);
  }
}

const options = readOptions();
const { promise: interrupted, resolve: interrupt } = Promise.withResolvers<number>();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.on(signal, () => interrupt(EXIT_INTERRUPTED));
const scope = new AsyncDisposableStack();
let exitCode = EXIT_FAILED;
try {
  exitCode = await Promise.race([bench(options, scope), interrupted]);
} catch (error) {
  console.error(`✖ bench        ${error instanceof Error ? error.message : String(error)}`);
} finally {
  await scope.disposeAsync();
}
process.exit(exitCode);
