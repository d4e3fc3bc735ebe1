// This file is both ends at a terminal: marks and colour, a join line at once, a line per request, and nothing that moves the cursor. product.md §8.
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { CAN_RUN, curl, DOMAIN } from "../e2e/rig.ts";
import { expectGolden } from "../golden.ts";
import { eventually, isInstalled, Program, SEARCH_PATH } from "./program.ts";
import { steady } from "./steady.ts";
import { EDGE, Home, tunl, TUNL } from "./tunl.ts";

const CAN_PRETEND = isInstalled("script", "bsdutils") && CAN_RUN;
const ON_SCREEN = EDGE.filter((word) => !["--log-format", "json"].includes(word));

/** Runs the executable on a terminal of its own. */
function atTerminal(
  words: readonly string[],
  home: string,
  environment: Readonly<Record<string, string>> = {},
): Program {
  const line = [TUNL, ...words].map((word) => `'${word}'`).join(" ");
  return new Program(["script", "-qefc", `exec ${line}`, "/dev/null"], {
    directory: home,
    environment: { PATH: SEARCH_PATH, HOME: home, TUNL_HOME: home, TERM: "xterm", ...environment },
  });
}

/** Asks the process itself to stop: a signal to `script` would end the terminal first. */
async function stop(home: string, end: "edge" | "connectors"): Promise<void> {
  const { stdout } = await tunl(["status", "--json"], { home });
  const status = JSON.parse(stdout);
  process.kill(end === "edge" ? status.edge.pid : status.connectors[0].pid, "SIGINT");
}

describe.skipIf(!CAN_PRETEND)("at a terminal", () => {
  test("a first start and a first tunnel look as in their golden files", async () => {
    using home = new Home();
    using inner = new Home();
    await using edge = atTerminal(ON_SCREEN, home.path);
    const line = await edge.find((text) => /--join (tunl:\S+)/.exec(text)?.[1], "a join line");
    const port = Number(/:(\d+)\//.exec(line)?.[1]);
    const words = ["connect", "hello_world", "--name", "hello", "--label", "home", "--join", line];
    await using connector = atTerminal(words, inner.path);
    await connector.line(/^https:/);
    const ca = join(home.path, "state", "ca", "root.pem");
    for (const name of ["hello", "nobody"])
      await curl({ ca, port }, [`https://${name}.${DOMAIN}:${port}/a?token=hidden`]);
    await Promise.all([connector.line(/GET \/a/), edge.line(/nobody/)]);
    await stop(inner.path, "connectors");
    const inside = await connector.ended;
    await eventually(() => /disconnected/.test(edge.output) || undefined, "the goodbye");
    await stop(home.path, "edge");
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
    const program = atTerminal(["conect"], home.path, environment);
    const { code, stdout } = await program.ended;
    expect([code, stdout.includes("✖"), stdout.includes("\u001b")]).toEqual([2, true, isColored]);
  });

  test("--log-format json at a terminal has neither colour nor a join line", async () => {
    using home = new Home();
    await using edge = atTerminal(EDGE, home.path, { FORCE_COLOR: "1" });
    await edge.line(/"event":"next"/);
    expect(edge.output).not.toMatch(/\u001b|tunl:\/\//);
    for (const line of edge.output.trimEnd().split("\r\n")) JSON.parse(line);
  });
});
