// This file is a process of the soak that talks in lines: an origin, or visitors.

const LINE_MS = 20_000;

/** One running process; killed when it leaves the scope. */
export class LineProgram implements AsyncDisposable {
  readonly lines: string[] = [];
  readonly #child: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #over: Promise<void>;
  #isOver = false;
  #waiters: (() => void)[] = [];

  constructor(command: readonly string[]) {
    this.#child = Bun.spawn([...command], { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
    process.on("exit", this.#kill);
    this.#over = this.#read();
  }

  /** Waits for a line, from the first one on. @throws Error if the process ends or the time passes before. */
  async line(
    isIt: (line: string) => boolean,
    what: string,
    withinMs: number = LINE_MS,
  ): Promise<string> {
    const deadline = performance.now() + withinMs;
    for (let index = 0; ; index++) {
      while (index >= this.lines.length) {
        const leftMs = deadline - performance.now();
        if (this.#isOver || leftMs <= 0)
          throw new Error(
            `A process of the soak ${this.#isOver ? "ended" : "was silent"} before ${what}: ${this.lines.slice(-5).join("\n")}`,
          );
        await this.#change(leftMs);
      }
      const line = this.lines[index] as string;
      if (isIt(line)) return line;
    }
  }

  endInput(): void {
    void this.#child.stdin.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#kill();
    await this.#over;
    process.off("exit", this.#kill);
  }

  readonly #kill = (): void => this.#child.kill("SIGKILL");

  #change(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, withinMs);
      this.#waiters.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const bytes of this.#child.stdout) {
      const found = (rest + decoder.decode(bytes, { stream: true })).split("\n");
      rest = found.pop() ?? "";
      this.lines.push(...found);
      this.#wake();
    }
    await this.#child.exited;
    this.#isOver = true;
    this.#wake();
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}
