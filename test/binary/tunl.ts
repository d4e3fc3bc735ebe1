// This file is what the tests of the executable share: where it is, a home of its own, and processes with deadlines.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const TUNL = fileURLToPath(new URL("../../dist/tunl", import.meta.url));

/** False: the tests skip; `bun run test` builds it first. */
export const IS_BUILT = existsSync(TUNL);
if (!IS_BUILT) console.warn("Skipped: dist/tunl is not built, run npm run build");

const DEADLINE_MS = 20_000;

/** A directory that is gone at the end; sockets in it stay short. */
export class Home implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "tunl-bin-"));

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** What a process is given besides its arguments. */
export interface Surroundings {
  readonly home: string;
  readonly directory?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** How a process ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs to the end. */
export async function tunl(
  arguments_: readonly string[],
  surroundings: Surroundings,
): Promise<Ended> {
  const running = new Running(arguments_, surroundings);
  return running.ended;
}

/** One process: killed at the deadline, and when it leaves the scope. */
export class Running implements AsyncDisposable {
  readonly ended: Promise<Ended>;
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #lines: string[] = [];
  #onLine: () => void = () => undefined;
  #isOver = false;

  constructor(arguments_: readonly string[], { home, directory, environment }: Surroundings) {
    this.#child = Bun.spawn([TUNL, ...arguments_], {
      cwd: directory ?? home,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      // Nothing of the tester's own surroundings: PATH is not needed either.
      env: { HOME: home, TUNL_HOME: home, ...environment },
      timeout: DEADLINE_MS,
      killSignal: "SIGKILL",
    });
    this.ended = this.#end();
  }

  get pid(): number {
    return this.#child.pid;
  }

  signal(signal: "SIGINT" | "SIGTERM" | "SIGHUP"): void {
    this.#child.kill(signal);
  }

  /** Waits for a log line with this event. @throws if the process ends or 20 s pass before. */
  async event(name: string): Promise<Readonly<Record<string, unknown>>> {
    for (let index = 0; ; index++) {
      while (index >= this.#lines.length) {
        if (this.#isOver)
          throw new Error(
            `The process ended before its event "${name}":\n${this.#lines.join("\n")}`,
          );
        await new Promise<void>((resolve) => (this.#onLine = resolve));
      }
      const line = this.#lines[index] as string;
      if (!line.startsWith("{")) continue;
      const record: Readonly<Record<string, unknown>> = JSON.parse(line);
      if (record["event"] === name) return record;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }

  async #end(): Promise<Ended> {
    const [stdout, stderr] = await Promise.all([
      new Response(this.#child.stdout).text(),
      this.#readErrors(),
    ]);
    const code = await this.#child.exited;
    return { code, stdout, stderr };
  }

  async #readErrors(): Promise<string> {
    const decoder = new TextDecoder();
    let text = "";
    let rest = "";
    for await (const bytes of this.#child.stderr) {
      const piece = decoder.decode(bytes, { stream: true });
      text += piece;
      const lines = (rest + piece).split("\n");
      rest = lines.pop() as string;
      this.#lines.push(...lines);
      this.#onLine();
    }
    this.#isOver = true;
    this.#onLine();
    return text;
  }
}

/** Arguments of an edge on ports of the system's choice, with JSON lines. */
export const EDGE = [
  "edge",
  "--domain",
  "tunl.localhost",
  "--tls",
  "internal",
  "--listen",
  "127.0.0.1:0",
  "--http",
  "off",
  "--log-format",
  "json",
];
