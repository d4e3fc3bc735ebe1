// This file is a person at a terminal of a world: what is typed and what is read goes to stdout.
import { Program, run, SEARCH_PATH } from "../../binary/program.ts";

/** One machine: its prompt, and where its files are. */
export interface Machine {
  readonly prompt: string;
  readonly home: string;
}

export interface Typing {
  /** What the program is started through, such as `faketime`. */
  readonly through?: readonly string[];
  readonly deadlineMs?: number;
  /** Exit code that is expected; 0 if absent. */
  readonly code?: number;
}

/** Flags that every command gets and nobody types: a person at a terminal has them without asking. */
const PRETTY = ["--log-format", "pretty"];
const COMMAND_MS = 60_000;
const LIFE_MS = 120_000;

/** Types a command and shows what it says. @throws if it ends with another code than expected. */
export async function type(
  at: Machine,
  words: readonly string[],
  typing: Typing = {},
): Promise<string> {
  const { code: expected = 0, deadlineMs = COMMAND_MS } = typing;
  show(at, words);
  const { code, stdout, stderr } = await run(command(words, typing), options(at, deadlineMs));
  process.stdout.write(stderr + stdout);
  if (expected !== 0) console.log(`[exit ${code}]`);
  if (code !== expected) throw new Error(`tunl ${words.join(" ")} ended with ${code}`);
  return stderr + stdout;
}

/**
 * Types a command that stays. Shows what it says until it is ready, and then the line that matches with what belongs to
 * it: what comes between depends on who is quicker.
 */
export async function start(
  at: Machine,
  words: readonly string[],
  until: RegExp,
  typing: Typing = {},
): Promise<Program> {
  show(at, words);
  const running = new Program(command(words, typing), options(at, LIFE_MS));
  await running.line(until, { withinMs: COMMAND_MS });
  const lines = running.output.split("\n");
  const ready = lines.findIndex((line) => READY.test(line));
  const found = lines.findIndex((line) => until.test(line));
  for (const line of lines.slice(0, Math.max(0, ready) + 1)) console.log(line);
  if (found > ready) {
    console.log(lines[found]);
    for (const line of lines.slice(found + 1)) {
      if (!line.startsWith(" ")) break;
      console.log(line);
    }
  }
  return running;
}

/** An edge is ready, a connector connected; what comes after is told as it happens. */
export const READY = /^. (?:ready|connected) /;

/** Asks as a visitor who trusts the CA, and shows the answer. */
export async function visit(rootFile: string, ...words: string[]): Promise<void> {
  console.log(`anybody:~$ curl ${words.join(" ")}`);
  const flags = ["-sS", "--cacert", rootFile, "--max-time", "20"];
  const { stdout, stderr } = await run(["curl", ...flags, ...words], {
    environment: { PATH: SEARCH_PATH },
  });
  console.log(`${stdout}${stderr}`.trim());
}

function show({ prompt }: Machine, words: readonly string[]): void {
  console.log(`${prompt} tunl ${words.join(" ")}`);
}

// The class for this in binary/tunl.ts counts limits, which belongs to the test runner.
function command(words: readonly string[], { through = [] }: Typing): string[] {
  return [...through, process.env["TUNL_EXECUTABLE"] ?? "", ...words, ...PRETTY];
}

function options({ home }: Machine, deadlineMs: number): object {
  const environment = { HOME: home, TUNL_HOME: home, PATH: SEARCH_PATH };
  return { directory: home, environment, deadlineMs };
}
