// This file is what somebody sees who does it wrong: the commonest mistakes of a first day, made with the executable, kept as a golden file.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { freePort } from "../../scripts/rig/ports.ts";
import { curl, DOMAIN, TestEdge } from "../e2e/rig.ts";
import { expectGolden } from "../golden.ts";
import { isInstalled } from "./program.ts";
import { steady } from "./steady.ts";
import { connectedOnce, EDGE, Home, IS_BUILT, Running, tunl } from "./tunl.ts";

const HAS_CURL = isInstalled("curl");
const PRETTY = EDGE.map((word) => (word === "json" ? "pretty" : word));

describe.skipIf(!IS_BUILT)("mistakes of a first day", () => {
  let edge: TestEdge;
  let other: Server;
  const homes: Home[] = [];

  beforeAll(async () => {
    edge = await TestEdge.start();
    other = createServer((_, response) => response.end("not an edge"));
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  });

  afterAll(async () => {
    await edge?.[Symbol.asyncDispose]();
    other?.close();
    for (const home of homes) home[Symbol.dispose]();
  });

  function home(): string {
    const made = new Home();
    homes.push(made);
    return made.path;
  }

  /** One attempt as people see it: what they typed, what they read, how it ended. */
  async function attempt(
    title: string,
    words: readonly string[],
    options: { readonly home?: string; readonly ports?: Readonly<Record<string, number>> } = {},
  ): Promise<string> {
    const at = options.home ?? home();
    const shown = words
      .filter((word) => !["--log-format", "pretty"].includes(word))
      .map((word) => (word.startsWith("tunl://") ? "LINE" : word))
      .join(" ");
    const { code, stdout, stderr } = await tunl(words, { home: at });
    const ports = { PORT: edge.port, ...options.ports };
    return steady(
      `# ${title}\n$ tunl ${shown}\n${stdout}${stderr}[exit ${code}]\n`,
      [at, edge.home],
      ports,
    );
  }

  const connect = (...flags: string[]): string[] => [
    "connect",
    "8000",
    "--log-format",
    "pretty",
    ...flags,
  ];

  test("each says what happened and what to do", async () => {
    const free = await freePort();
    const foreign = (other.address() as AddressInfo).port;
    const [fresh, used, named, again, narrow, label] = [
      await edge.invite(),
      await edge.invite(),
      await edge.invite(),
      await edge.invite(),
      await edge.invite(["--host", `shop.${DOMAIN}`]),
      await edge.invite(),
    ];
    const at = (port: number): string => fresh.replace(`:${edge.port}/`, `:${port}/`);
    const owner = home();
    const taken = connect("--join", named, "--name", "taken");
    expect((await connectedOnce(taken, { home: owner }, /^https:/)).code).toBe(0);
    expect((await connectedOnce(connect("--join", used), { home: home() })).code).toBe(0);
    // Files that are not as they should be.
    const credentials = home();
    const [directory = ""] = readdirSync(join(owner, "edges"));
    const [file = ""] = readdirSync(join(owner, "edges", directory)).filter((name) =>
      /^[0-9a-f-]{36}\.json$/.test(name),
    );
    cpSync(join(owner, "edges", directory, file), join(credentials, "open.json"));
    writeFileSync(join(credentials, "cut.json"), '{"version": 1, "kind": "tun', { mode: 0o600 });
    writeFileSync(join(credentials, "cloudflare.json"), '{"TunnelSecret": "c2VjcmV0"}', {
      mode: 0o600,
    });
    writeFileSync(join(credentials, "open.json"), "{}", { mode: 0o644 });
    Bun.spawnSync(["/bin/chmod", "644", join(credentials, "open.json")]);
    const damaged = home();
    mkdirSync(join(damaged, "state"), { mode: 0o700 });
    writeFileSync(join(damaged, "state", "state.db"), "this was a database".repeat(500), {
      mode: 0o600,
    });
    const withFile = (name: string): string[] => connect("--credentials", join(credentials, name));
    const on = (words: readonly string[], port: number): string[] =>
      words.map((word) => (word === "127.0.0.1:0" ? `127.0.0.1:${port}` : word));
    const blocks = await Promise.all([
      attempt("nobody listens at that port", connect("--join", at(free), "--wait", "1ms"), {
        ports: { FREE: free },
      }),
      attempt("another server listens there", connect("--join", at(foreign), "--wait", "1ms"), {
        ports: { OTHER: foreign },
      }),
      attempt(
        "no such name",
        connect("--join", fresh.replace(DOMAIN, "edge.invalid"), "--wait", "1ms"),
      ),
      attempt("a line that another machine used", connect("--join", used)),
      attempt(
        "a line with a wrong code",
        connect("--join", `${fresh.slice(0, -26)}${"a".repeat(26)}`),
      ),
      attempt(
        "a line with its end mistyped",
        connect("--join", `${fresh.slice(0, -1)}${fresh.endsWith("w") ? "x" : "w"}`),
      ),
      attempt(
        "a line of another edge",
        connect("--join", fresh.replace(/[a-z2-7]{26}(?=\/)/, "a".repeat(26))),
      ),
      attempt("a machine that has not joined", connect()),
      attempt("an edge that this machine does not know", connect("--edge", "example.com")),
      attempt("a name that belongs to somebody else", connect("--join", again, "--name", "taken")),
      attempt("a name outside of the line", connect("--join", narrow, "--name", "app")),
      attempt("a label in place of a name", connect("--join", label, "--host", "app")),
      attempt("a key that others may read", withFile("open.json"), { home: credentials }),
      attempt("half a key file", withFile("cut.json"), { home: credentials }),
      attempt("a key file of cloudflared", withFile("cloudflare.json"), { home: credentials }),
      attempt("a key file that is not there", withFile("nowhere.json"), { home: credentials }),
      attempt("an origin on no port", ["connect", "localhost", "--log-format", "pretty"]),
      attempt("no edge runs here", ["edge", "invite"]),
      attempt("nothing runs here", ["status"]),
      attempt(
        "a first start without a domain",
        PRETTY.filter((word) => !["--domain", DOMAIN].includes(word)),
      ),
      attempt("a port that is in use", on(PRETTY, edge.port)),
      attempt("a state that is in use", PRETTY, { home: edge.home }),
      attempt("a damaged state", PRETTY, { home: damaged }),
      attempt(
        "an address of another machine",
        PRETTY.map((word) => (word === "127.0.0.1:0" ? "192.0.2.1:8443" : word)),
      ),
      attempt("a log file where none can be", [...PRETTY, "--log-file", "/nowhere/tunl.log"]),
    ]);
    expectGolden("errors/mistakes.txt", blocks.join("\n"));
    for (const block of blocks) {
      expect(block).toMatch(/\[exit [2-7]\]/);
      expect(block).toMatch(/✖ (?:usage|config|refused|unreachable|local|not found|taken) /);
      // The line below the error says what to do.
      expect(block).toMatch(/✖ [^\n]+\n {15}[A-Z][^\n]+\n/);
    }
  }, 60_000);

  test.skipIf(!HAS_CURL)(
    "an app that does not run: its owner and the visitor read what to do",
    async () => {
      const port = await freePort();
      const line = await edge.invite();
      const words = ["connect", String(port), "--name", "app", "--join", line];
      await using connector = new Running(
        [...words, "--log-format", "pretty", "--access-log", "on"],
        { home: home() },
      );
      await connector.line(/^https:/);
      const { stdout } = await curl(edge, [`https://app.${DOMAIN}:${edge.port}/a?b`]);
      await connector.line(/Start your app/);
      connector.signal("SIGTERM");
      const ended = await connector.ended;
      const [{ path }] = [homes.at(-1) as Home];
      const text = `$ tunl connect APP --name app --join LINE\n${ended.stderr}$ curl https://app.${DOMAIN}:PORT/a?b\n${stdout}`;
      expectGolden("errors/origin-down.txt", steady(text, [path], { APP: port, PORT: edge.port }));
      expect(ended.code).toBe(0);
    },
  );
});
