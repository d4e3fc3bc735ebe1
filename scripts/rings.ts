// This file is the rings of tests (style.md §10): which folders, how they run, how long they may take, what they counted.
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** One call of the test runner. */
export interface Ring {
  readonly name: string;
  /** Files or folders below the repository. */
  readonly paths: readonly string[];
  /** Options of `bun test`: rings without sockets share the cores, the others run file by file. */
  readonly options: readonly string[];
  /** Wall clock; a ring that takes longer is killed and counts as failed (bun#39987: a parallel run may stand still). */
  readonly limitMs: number;
  readonly environment?: Readonly<Record<string, string>>;
}

/** Lines of one failure that are said again at the end. */
const FAILURE_LINES = 40;

/** What happened, in tests. */
export interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** What one ring came to. */
export interface Outcome extends Totals {
  /** Each failure as it was told: what a reader of the last lines needs to know. */
  readonly failures: readonly string[];
}

const OWN_RINGS = ["sim", "e2e", "binary", "platform", "rig"];

/** Every test file or folder that no other ring runs: the mirrors of `src`. */
export function pureRing(
  limitMs: number,
  environment: Readonly<Record<string, string>> = {},
): Ring {
  const entries = readdirSync(`${ROOT}test`, { withFileTypes: true });
  const mirrors = entries.filter((entry) =>
    entry.isDirectory() ? !OWN_RINGS.includes(entry.name) : entry.name.endsWith(".test.ts"),
  );
  return {
    name: "pure",
    paths: mirrors.map(({ name }) => `./test/${name}`),
    options: ["--parallel"],
    limitMs,
    environment,
  };
}

/** The ring of one folder. */
export function folderRing(
  name: string,
  limitMs: number,
  environment: Readonly<Record<string, string>> = {},
): Ring {
  return { name, paths: [`./test/${name}`], options: ["--isolate"], limitMs, environment };
}

/**
 * Runs one ring; its words go to stderr as they come.
 *
 * @returns Totals; a run without any test, past its limit, or broken outside of a test counts as one failure.
 */
export async function runRing({
  name,
  paths,
  options,
  limitMs,
  environment,
}: Ring): Promise<Outcome> {
  const startedAt = performance.now();
  const child = Bun.spawn(
    [process.execPath, "test", "--randomize", "--timeout=30000", ...options, ...paths],
    {
      cwd: ROOT,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: "0", ...environment },
      // A process group of its own: what the tests started ends with them.
      detached: true,
    },
  );
  const end = (): void => endGroup(child.pid);
  const timer = setTimeout(end, limitMs);
  // Ctrl-C reaches this group only.
  const onSignal = (): void => {
    end();
    process.exit(130);
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, onSignal);
  const [out, errors] = await Promise.all([relay(child.stdout), relay(child.stderr)]);
  const exitCode = await child.exited;
  clearTimeout(timer);
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, onSignal);
  const told = `${out}\n${errors}`;
  const counted = parseTotals(told);
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
  const wrong = fault(counted, exitCode, child.signalCode ?? undefined, limitMs);
  if (wrong !== undefined) console.error(`✖ ${name.padEnd(12)} ${wrong}`);
  const failed = counted.failed + (wrong === undefined ? 0 : 1);
  const skipped = counted.skipped > 0 ? `, ${counted.skipped} skipped` : "";
  console.log(
    `${failed === 0 ? "✔" : "✖"} ${name.padEnd(12)} ${counted.passed} passed, ${failed} failed${skipped}, ${seconds} s`,
  );
  const failures = failuresIn(told).map((text) => `${name}: ${text}`);
  if (wrong !== undefined) failures.push(`${name}: ${wrong}`);
  return { passed: counted.passed, failed, skipped: counted.skipped, failures };
}

/** The failed tests of a run, each with its file and the last lines before its `(fail)`. */
export function failuresIn(text: string): string[] {
  const failures: string[] = [];
  let file = "";
  let lines: string[] = [];
  for (const line of text.split("\n")) {
    // The runner repeats the names at the end, without a word on why.
    if (/^\d+ tests? failed:/.test(line)) break;
    if (/^\S+\.test\.ts:$/.test(line)) {
      file = line;
      lines = [];
    } else if (line.startsWith("(fail) ")) {
      failures.push([file, ...lines.slice(-FAILURE_LINES), line].join("\n"));
      lines = [];
    } else if (/^\((?:pass|skip|todo)\) /.test(line)) lines = [];
    else lines.push(line);
  }
  return failures;
}

/**
 * Reads the totals that `bun test` prints at its end: ` 3 pass`, ` 1 skip`, ` 0 fail`, ` 2 errors`.
 *
 * @param text Everything it wrote, without colours. A test may print such a line too: the last one counts.
 */
export function parseTotals(text: string): Totals {
  const last = (word: string): number => {
    const found = [...text.matchAll(new RegExp(`^ *(\\d+) ${word}\\r?$`, "gm"))].at(-1);
    return found === undefined ? 0 : Number(found[1]);
  };
  // A run that was killed has no totals, only the tests it came to.
  if (!/^Ran \d+ tests? /m.test(text)) {
    const count = (word: string): number =>
      [...text.matchAll(new RegExp(`^\\(${word}\\) `, "gm"))].length;
    return { passed: count("pass"), failed: count("fail"), skipped: count("skip") };
  }
  return {
    passed: last("pass"),
    failed: last("fail") + last("errors?"),
    skipped: last("skip") + last("todo"),
  };
}

/** What is wrong with a run beyond its failed tests. */
export function fault(
  { passed, failed, skipped }: Totals,
  exitCode: number,
  signal: string | number | undefined,
  limitMs: number,
): string | undefined {
  if (signal !== undefined) return `was ended by ${signal}, allowed ${limitMs / 1_000} s`;
  if (passed + failed + skipped === 0) return `ran no test (exit ${exitCode})`;
  if (passed + failed === 0) return "skipped every test";
  if (exitCode !== 0 && failed === 0) return `ended with ${exitCode} though no test failed`;
  return undefined;
}

/** A step that is no test, such as the type check. @returns True if it went well; its words are shown if not. */
export function runStep(name: string, command: readonly string[]): boolean {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...command], {
    cwd: ROOT,
    stdin: "ignore",
    env: { ...process.env, NO_COLOR: "1" },
  });
  if (exitCode !== 0) process.stderr.write(`${stdout.toString()}${stderr.toString()}`);
  console.log(`${exitCode === 0 ? "✔" : "✖"} ${name}`);
  return exitCode === 0;
}

/** Types and format. `--no-script`: a package script of that name would run instead. */
export function runChecks(): number {
  const sources = ["src", "test", ...new Bun.Glob("scripts/**/*.ts").scanSync({ cwd: ROOT })];
  const areTypesGood = runStep("types", [process.execPath, "check", "--no-script"]);
  const isFormatGood = runStep("format", [
    process.execPath,
    "fmt",
    "--check",
    "--no-script",
    ...sources,
  ]);
  return [areTypesGood, isFormatGood].filter((isGood) => !isGood).length;
}

/** The last line of every run. */
export function summary({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}

/** Sums. */
export function add(left: Totals, right: Totals): Totals {
  return {
    passed: left.passed + right.passed,
    failed: left.failed + right.failed,
    skipped: left.skipped + right.skipped,
  };
}

/** Ends a group of processes that this script started. */
function endGroup(leader: number): void {
  try {
    process.kill(-leader, "SIGKILL");
  } catch (error) {
    // ESRCH: it ended by itself in the meantime.
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

async function relay(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of stream) {
    process.stderr.write(bytes);
    text += decoder.decode(bytes, { stream: true });
  }
  return text + decoder.decode();
}
