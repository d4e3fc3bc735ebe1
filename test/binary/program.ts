// This file is one process of a test: captured output, waits with a deadline, ended by its own id. style.md §10.
import { readFileSync } from "node:fs";

/** What a process is given besides its command. */
export interface ProgramOptions {
  readonly directory?: string;
  /** The whole environment of the process, not an addition to ours. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Killed when it runs longer, ms. */
  readonly deadlineMs?: number;
}

/** How a process ended. A process that a signal ended has the code 128 plus the number of that signal. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Which lines a wait looks at. */
export interface Wait {
  /** Lines before this count are not looked at: what `lineCount` was at some moment. Default 0. */
  readonly after?: number;
  readonly withinMs?: number;
}

const DEADLINE_MS = 20_000;
const WAIT_MS = 15_000;
/** Lines of output that the text of a failed wait shows. */
const SHOWN_LINES = 40;

/** One process: killed at its deadline, and when it leaves the scope. */
export class Program implements AsyncDisposable {
  readonly ended: Promise<Ended>;
  readonly #name: string;
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #lines: string[] = [];
  #wakers: (() => void)[] = [];
  #isOver = false;

  constructor(command: readonly string[], options: ProgramOptions = {}) {
    this.#name = command.slice(0, 3).join(" ");
    this.#child = Bun.spawn([...command], {
      ...(options.directory !== undefined && { cwd: options.directory }),
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { ...options.environment },
      timeout: options.deadlineMs ?? DEADLINE_MS,
      killSignal: "SIGKILL",
    });
    this.ended = this.#end();
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Lines written so far, stdout and stderr in the order in which they were read. */
  get lineCount(): number {
    return this.#lines.length;
  }

  /** What it wrote so far. */
  get output(): string {
    return this.#lines.join("\n");
  }

  signal(signal: "SIGINT" | "SIGTERM" | "SIGHUP" | "SIGKILL" | "SIGSTOP" | "SIGCONT"): void {
    this.#child.kill(signal);
  }

  /** Resolves when it stands still; its sockets stay open. The signal alone has no effect before the process is scheduled. */
  async freeze(): Promise<void> {
    this.signal("SIGSTOP");
    await eventually(
      () =>
        /^State:\tT/m.test(readFileSync(`/proc/${this.pid}/status`, "latin1")) ? true : undefined,
      `the stop of "${this.#name}"`,
    );
  }

  thaw(): void {
    this.signal("SIGCONT");
  }

  /** Waits for a line that matches. @throws when the process ends or the time passes before. */
  line(pattern: RegExp, wait: Wait = {}): Promise<string> {
    return this.find(
      (line) => (pattern.test(line) ? line : undefined),
      `a line like ${pattern}`,
      wait,
    );
  }

  /** Waits for a line of which `look` makes something. @throws when the process ends or the time passes before. */
  async find<Found>(
    look: (line: string) => Found | undefined,
    what: string,
    { after = 0, withinMs = WAIT_MS }: Wait = {},
  ): Promise<Found> {
    const until = performance.now() + withinMs;
    for (let index = after; ; index++) {
      while (index >= this.#lines.length) {
        if (this.#isOver) throw new Error(this.#complaint(`ended before ${what}`));
        if (performance.now() >= until)
          throw new Error(this.#complaint(`did not write ${what} within ${withinMs} ms`));
        await this.#nextLine(until - performance.now());
      }
      const found = look(this.#lines[index] as string);
      if (found !== undefined) return found;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.ended;
  }

  #complaint(what: string): string {
    return `"${this.#name}" ${what}:\n${this.#lines.slice(-SHOWN_LINES).join("\n")}`;
  }

  #nextLine(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, withinMs);
      this.#wakers.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  async #end(): Promise<Ended> {
    const [stdout, stderr] = await Promise.all([
      this.#read(this.#child.stdout),
      this.#read(this.#child.stderr),
    ]);
    const code = await this.#child.exited;
    this.#isOver = true;
    this.#wake();
    return { code, stdout, stderr };
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<string> {
    const decoder = new TextDecoder();
    let text = "";
    let rest = "";
    for await (const bytes of stream) {
      const piece = decoder.decode(bytes, { stream: true });
      text += piece;
      const lines = (rest + piece).split("\n");
      rest = lines.pop() as string;
      if (lines.length === 0) continue;
      this.#lines.push(...lines);
      this.#wake();
    }
    if (rest !== "") this.#lines.push(rest);
    return text;
  }

  #wake(): void {
    const wakers = this.#wakers;
    this.#wakers = [];
    for (const wake of wakers) wake();
  }
}

/** Runs to the end. */
export async function run(
  command: readonly string[],
  options: ProgramOptions = {},
): Promise<Ended> {
  await using program = new Program(command, options);
  return await program.ended;
}

/** Programs of the system live here even where the tester's PATH has no /usr/sbin. */
export const SEARCH_PATH = `${process.env["PATH"] ?? ""}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin`;

/** True if the program is there; else one line names the Debian package, and its tests skip. */
export function isInstalled(program: string, debianPackage = program): boolean {
  if (Bun.which(program, { PATH: SEARCH_PATH }) !== null) return true;
  console.warn(`Skipped: ${program} is missing, Debian package ${debianPackage}`);
  return false;
}

/** Looks again every few ms. @throws when the time passes before, or what `look` throws. */
export async function eventually<Found>(
  look: () => Found | undefined | Promise<Found | undefined>,
  what: string,
  withinMs = WAIT_MS,
): Promise<Found> {
  const until = performance.now() + withinMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > until) throw new Error(`${what} did not come within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
