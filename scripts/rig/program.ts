// This file is a process that demo, bench and tests start: its log events with deadlines, its last lines, its end.

/** Lines of stderr that are kept for an error message. */
const MAX_TAIL_LINES = 40;
/** How long a process may take to say what is awaited. */
const EVENT_MS = 20_000;
/** How long a process may take to stop after SIGTERM before it is killed. */
const STOP_MS = 5_000;

/** One JSON line of a log. */
export type LogEvent = Readonly<Record<string, unknown>>;

/** What to start. */
export interface ProgramOptions {
  /** What error messages call it. */
  readonly name: string;
  readonly command: readonly string[];
  /** All of the environment: a variable of the caller such as TUNL_LOG_LEVEL must not change what is shown or measured. */
  readonly environment: Readonly<Record<string, string>>;
}

/** A process that ended before it said what was awaited. */
export class ProgramError extends Error {
  /** `code` of its event `failed`, such as `PORT_IN_USE`. */
  readonly code: string | undefined;

  constructor(message: string, code: string | undefined) {
    super(message);
    this.name = "ProgramError";
    this.code = code;
  }
}

/** One running process; it ends with this one at the latest. */
export class Program implements AsyncDisposable {
  /** Resolves with the exit code; a signal counts as 128 + its number. */
  readonly ended: Promise<number>;
  readonly #name: string;
  readonly #child: Bun.Subprocess<"ignore", "ignore", "pipe">;
  readonly #events = new Map<string, LogEvent>();
  readonly #tail: string[] = [];
  readonly #kill = (): void => this.#child.kill("SIGKILL");
  #waiters: (() => void)[] = [];
  #exitCode: number | undefined;

  constructor({ name, command, environment }: ProgramOptions) {
    this.#name = name;
    this.#child = Bun.spawn([...command], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
      env: { ...environment },
    });
    process.on("exit", this.#kill);
    this.ended = this.#end();
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Its last lines, for an error message. */
  get tail(): string {
    return this.#tail.join("\n");
  }

  /**
   * Waits for the first JSON line with this event; one that was seen already answers at once.
   *
   * @throws ProgramError if the process ends or 20 s pass before.
   */
  async event(name: string): Promise<LogEvent> {
    const deadline = performance.now() + EVENT_MS;
    for (;;) {
      const found = this.#events.get(name);
      if (found !== undefined) return found;
      if (this.#exitCode !== undefined) throw this.#error(`ended with ${this.#exitCode}`, name);
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) throw this.#error(`was silent for ${EVENT_MS / 1_000} s`, name);
      await this.#change(leftMs);
    }
  }

  /** Asks it to stop, and kills it if it does not. */
  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    const timer = setTimeout(this.#kill, STOP_MS);
    await this.ended;
    clearTimeout(timer);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #error(what: string, event: string): ProgramError {
    const code = this.#events.get("failed")?.["code"];
    return new ProgramError(
      `${this.#name} ${what} before its event "${event}":\n${this.tail}`,
      typeof code === "string" ? code : undefined,
    );
  }

  #change(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, withinMs);
      this.#waiters.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }

  async #end(): Promise<number> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const bytes of this.#child.stderr) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#take(line);
      this.#wake();
    }
    if (rest !== "") this.#take(rest);
    this.#exitCode = await this.#child.exited;
    process.off("exit", this.#kill);
    this.#wake();
    return this.#exitCode;
  }

  #take(line: string): void {
    this.#tail.push(line);
    if (this.#tail.length > MAX_TAIL_LINES) this.#tail.shift();
    if (!line.startsWith("{")) return;
    const record: LogEvent = JSON.parse(line);
    const name = record["event"];
    if (typeof name === "string" && !this.#events.has(name)) this.#events.set(name, record);
  }
}

/** How a command ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end; killed at the deadline, which then shows as code 137. */
export async function run(
  command: readonly string[],
  withinMs: number,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Promise<Ended> {
  const child = Bun.spawn([...command], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...environment },
    timeout: withinMs,
    killSignal: "SIGKILL",
  });
  const kill = (): void => child.kill("SIGKILL");
  process.on("exit", kill);
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  process.off("exit", kill);
  return { code, stdout, stderr };
}
