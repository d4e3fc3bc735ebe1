// This file is both ends at a terminal: marks and colour, a join line at once, a line per request, and nothing that moves the cursor. product.md §8.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CAN_RUN, curl, DOMAIN } from "../e2e/rig.ts";
import { expectGolden } from "../golden.ts";
import { eventually, isInstalled, Program, SEARCH_PATH } from "./program.ts";
import { steady } from "./steady.ts";
import { EDGE, Home, TUNL } from "./tunl.ts";

const CAN_PRETEND = isInstalled("script", "bsdutils") && CAN_RUN;
const ON_SCREEN = EDGE.filter((word) => !["--log-format", "json"].includes(word));

/** The executable on a terminal of its own. */
class AtTerminal extends Program {
  readonly #pidPath: string;

  constructor(
    words: readonly string[],
    home: string,
    environment: Readonly<Record<string, string>> = {},
  ) {
    const pidPath = join(home, "pid");
    const line = [TUNL, ...words].map((word) => `'${word}'`).join(" ");
    super(["script", "-qefc", `echo $$ > '${pidPath}'; exec ${line}`, "/dev/null"], {
      directory: home,
      environment: {
        PATH: SEARCH_PATH,
        HOME: home,
        TUNL_HOME: home,
        TERM: "xterm",
        ...environment,
      },
    });
    this.#pidPath = pidPath;
  }

  /** A signal to the program itself: one to `script` would leave it behind without a terminal. */
  override signal(signal: Parameters<Program["signal"]>[0]): void {
    process.kill(Number(readFileSync(this.#pidPath, "utf8")), signal);
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.signal("SIGKILL");
    } catch (error) {
      // It ended by itself, or never came so far as to write its id.
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (code !== "ESRCH" && code !== "ENOENT") throw error;
    }
    await super[Symbol.asyncDispose]();
  }
}

describe.skipIf(!CAN_PRETEND)("at a terminal", () => {
  test("a first start and a first tunnel look as in their golden files", async () => {
    using home = new Home();
    using inner = new Home();
    await using edge = new AtTerminal(ON_SCREEN, home.path);
    const line = await edge.find((text) => /--join (tunl:\S+)/.exec(text)?.[1], "a join line");
    const port = Number(/:(\d+)\//.exec(line)?.[1]);
    const words = ["connect", "hello_world", "--name", "hello", "--label", "home", "--join", line];
    await using connector = new AtTerminal(words, inner.path);
    await connector.line(/^https:/);
    const ca = join(home.path, "state", "ca", "root.pem");
    for (const name of ["hello", "nobody"])
      await curl({ ca, port }, [`https://${name}.${DOMAIN}:${port}/a?token=hidden`]);
    await Promise.all([connector.line(/GET \/a/), edge.line(/nobody/)]);
    connector.signal("SIGINT");
    const inside = await connector.ended;
    await eventually(() => /disconnected/.test(edge.output) || undefined, "the goodbye");
    edge.signal("SIGINT");
    const outside = await edge.ended;
    expect([inside.code, outside.code]).toEqual([0, 0]);
    for (const [name, { stdout }] of [
      ["connector", inside],
      ["edge", outside],
    ] as const) {
      // Colours and nothing else: no movement, no title, no clearing.
      expect(stdout.replaceAll(/\u001b\[\d*m/g, "")).not.toContain("\u001b");
      expect(stdout).toContain("\u001b[32m✔\u001b[0m connected");
      const text = steady(stdout, [home.path, inner.path], { PORT: port })
        .replaceAll("\r\n", "\n")
        .replaceAll("\u001b", "\\e")
        // The names come from the machine.
        .replaceAll(/(Key|tunnel) "[^"]*"/g, '$1 "NAME"');
      expectGolden(`terminal/${name}.txt`, text);
    }
  });

  test.each([
    [{ NO_COLOR: "1" }, false],
    [{ TUNL_COLOR: "false" }, false],
    [{ NO_COLOR: "" }, true],
  ] as const)("with %p colour is %p", async (environment, isColored) => {
    using home = new Home();
    await using program = new AtTerminal(["conect"], home.path, environment);
    const { code, stdout } = await program.ended;
    expect([code, stdout.includes("✖"), stdout.includes("\u001b")]).toEqual([2, true, isColored]);
  });

  test("--log-format json at a terminal has neither colour nor a join line", async () => {
    using home = new Home();
    await using edge = new AtTerminal(EDGE, home.path, { FORCE_COLOR: "1" });
    await edge.line(/"event":"next"/);
    expect(edge.output).not.toMatch(/\u001b|tunl:\/\//);
    for (const line of edge.output.trimEnd().split("\r\n")) JSON.parse(line);
    edge.signal("SIGTERM");
    expect((await edge.ended).code).toBe(0);
  });
});
