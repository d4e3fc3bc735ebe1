// This file is strace on a running process: it holds, fails or delays calls as its words say. reliability.md §3.
import { within } from "../within.ts";

/** A tracer and what it writes about calls. */
export type Tracer = Bun.Subprocess<"ignore", "pipe", "pipe">;

/** Why nothing can be traced here; undefined: it can. */
export function whyNoTracing(): string | undefined {
  if (process.platform !== "linux") return "needs Linux";
  if (Bun.which("strace") === null) return "needs strace, Debian package strace";
  const { exitCode } = Bun.spawnSync(["strace", "-o", "/dev/null", "true"], { stderr: "ignore" });
  return exitCode === 0 ? undefined : "strace may not trace processes here";
}

/** Attaches to all threads of a process; from its return on the words are in force. */
export async function trace(pid: number, words: readonly string[]): Promise<Tracer> {
  const tracer = Bun.spawn(
    ["strace", "-f", "-y", "-s0", "-o", "|cat", ...words, "-p", String(pid)],
    { stdin: "ignore", stdout: "pipe", stderr: "pipe" },
  );
  const attached = Promise.withResolvers<void>();
  void (async () => {
    let text = "";
    for await (const chunk of tracer.stderr) {
      text += Buffer.from(chunk).toString();
      if (/attached/.test(text)) attached.resolve();
    }
    attached.reject(new Error(`strace ended: ${text}`));
  })();
  await within(attached.promise, "strace to attach");
  return tracer;
}

/** A disk that fails in one way for one process, until it is disposed. */
export class Fault implements AsyncDisposable {
  readonly #tracer: Tracer;

  private constructor(tracer: Tracer) {
    this.#tracer = tracer;
    void tracer.stdout.pipeTo(new WritableStream());
  }

  /**
   * @param calls Names of system calls, with commas.
   * @param how `error=EIO`, `delay_enter=5000000`.
   * @param paths Only calls on these files; all if absent.
   */
  static async start(
    pid: number,
    calls: string,
    how: string,
    paths: readonly string[] = [],
  ): Promise<Fault> {
    const words = ["-e", `trace=${calls}`, "-e", `inject=${calls}:${how}`];
    return new Fault(await trace(pid, [...words, ...paths.flatMap((path) => ["-P", path])]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#tracer.kill("SIGINT");
    await within(this.#tracer.exited, "strace to let go");
  }
}
