import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, renameSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { freePort } from "../../scripts/rig/ports.ts";
import { EDGE, Home, IS_BUILT, Running, tunl } from "./tunl.ts";

describe.skipIf(!IS_BUILT)("tunl", () => {
  test("prints help on stdout, and on stderr with exit 2 where a command is missing", async () => {
    using home = new Home();
    const help = await tunl(["--help"], { home: home.path });
    expect([help.code, help.stderr, help.stdout.startsWith("tunl: public HTTPS names")]).toEqual([
      0,
      "",
      true,
    ]);
    const nothing = await tunl([], { home: home.path });
    expect([nothing.code, nothing.stdout, nothing.stderr]).toEqual([2, "", help.stdout]);
    for (const command of ["edge", "edge invite", "connect", "status", "version"]) {
      const { code, stdout } = await tunl([...command.split(" "), "--help"], { home: home.path });
      expect([command, code, stdout.includes(`Usage: tunl ${command}`)]).toEqual([
        command,
        0,
        true,
      ]);
    }
  });

  test("prints its version", async () => {
    using home = new Home();
    expect(await tunl(["--version"], { home: home.path })).toEqual({
      code: 0,
      stdout: `tunl ${manifest.version}\n`,
      stderr: "",
    });
    const { stdout } = await tunl(["version", "--json"], { home: home.path });
    expect(JSON.parse(stdout)).toEqual({
      version: manifest.version,
      commit: expect.stringMatching(/^(?:[0-9a-f]{12}\+?|unknown)$/),
      platform: `${process.platform}-${process.arch}`,
      runtime: `bun ${Bun.version}`,
    });
  });

  test.each([
    [
      "edge --domian x",
      2,
      "✖ usage        Unknown flag --domian, nearest is --domain\n               Run tunl edge --help\n",
    ],
    [
      "edge --acme-ca http://ca.example.com/dir",
      2,
      '✖ usage        --acme-ca is "http://ca.example.com/dir", expected letsencrypt, letsencrypt-staging, zerossl or the https URL of a directory\n               Run tunl edge --help\n',
    ],
    [
      "connect 8000 --grace 30",
      2,
      "✖ usage        --grace is 30, expected a duration with a unit such as 30s\n               Run tunl connect --help\n",
    ],
    [
      "connect 8000 --links 2",
      2,
      "✖ usage        --links is not in this build yet\n               Run tunl connect --help for what is\n",
    ],
    [
      "doctor x",
      2,
      "✖ usage        tunl doctor is not in this build yet\n               Run tunl status, and --log-level debug where something fails\n",
    ],
  ])("%s: exit %d", async (line, code, stderr) => {
    using home = new Home();
    expect(await tunl(line.split(" "), { home: home.path })).toEqual({ code, stdout: "", stderr });
  });

  test("a configuration with mistakes: exit 3, each with its place", async () => {
    using home = new Home();
    writeFileSync(
      join(home.path, "edge.yml"),
      "domains: [example.com]\nlistne: ':1'\nmetrics: on\n",
      { mode: 0o600 },
    );
    const { code, stderr } = await tunl(["edge"], { home: home.path });
    expect(code).toBe(3);
    expect(stderr).toBe(
      [
        '✖ ~/edge.yml:2:1 Unknown key "listne", nearest is "listen"',
        "    2 | listne: ':1'",
        "      | ^^^^^^",
        "✖ ~/edge.yml:3:1 metrics is not in this build yet",
        "    3 | metrics: on",
        "      | ^^^^^^^",
        "    Remove it",
        "",
      ].join("\n"),
    );
  });

  test("errors follow --log-format, before anything starts and after", async () => {
    using home = new Home();
    const lines = async (words: string[], environment = {}): Promise<Record<string, unknown>[]> => {
      const { stdout, stderr } = await tunl(words, { home: home.path, environment });
      expect(stdout).toBe("");
      return stderr
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line));
    };
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    const failed = { time, level: "error", event: "failed" };
    expect(await lines(["edge", "--domian", "x", "--log-format", "json"])).toEqual([
      {
        ...failed,
        msg: "Unknown flag --domian, nearest is --domain",
        code: "USAGE",
        hint: "Run tunl edge --help",
      },
    ]);
    const json = { TUNL_LOG_FORMAT: "json" };
    const notJoined = (await lines(["connect", "8000"], json)).at(-1);
    expect(notJoined).toMatchObject({ ...failed, code: "NOT_JOINED" });
    writeFileSync(join(home.path, "edge.yml"), "listne: ':1'\nlimits: {concurrent: 0}\n", {
      mode: 0o600,
    });
    const rejected = { time, level: "error", event: "config.rejected", file: "~/edge.yml" };
    expect(await lines(["edge", "--log-format=json"])).toEqual([
      {
        ...rejected,
        ...{ msg: 'Unknown key "listne", nearest is "listen"', code: "UNKNOWN_KEY" },
        ...{ line: 1, column: 1, severity: "error" },
      },
      {
        ...rejected,
        ...{ msg: "limits.concurrent is 0, expected 1 to 1000000", code: "BAD_VALUE" },
        ...{ line: 2, column: 22, severity: "error" },
      },
    ]);
    const text = await tunl(["edge", "--log-format", "text"], { home: home.path });
    expect(text.stderr).toMatch(
      /^\S+Z ERROR config\.rejected Unknown key "listne".* line=1 column=1 /,
    );
    expect(text.code).toBe(3);
  });

  test("nobody runs here: invite exits 5, status 7, and both say where they looked", async () => {
    using home = new Home();
    const invite = await tunl(["edge", "invite"], { home: home.path });
    expect([
      invite.code,
      invite.stdout,
      invite.stderr.includes(join(home.path, "run", "edge.sock")),
    ]).toEqual([5, "", true]);
    const status = await tunl(["status", "--json"], { home: home.path });
    expect([status.code, JSON.parse(status.stdout)]).toEqual([7, { connectors: [] }]);
  });

  test("a control socket path above 107 bytes: exit 6, names --admin", async () => {
    using home = new Home();
    const { code, stderr } = await tunl(
      [...EDGE, "--admin", `unix:${home.path}/${"x".repeat(107)}`],
      { home: home.path },
    );
    expect([code, stderr.includes("--admin")]).toEqual([6, true]);
  });

  test("a connector says what it does not use, and what to look at when the edge does not answer", async () => {
    using home = new Home();
    const port = await freePort();
    const line = `tunl://edge.localhost:${port}/${"a".repeat(26)}/${"a".repeat(26)}`;
    const words = ["connect", "8000", "--join", line, "--wait", "1ms"];
    const environment = { HTTPS_PROXY: "http://user:hunter2@proxy.invalid:3128" };
    const { code, stderr } = await tunl(words, { home: home.path, environment });
    expect(code).toBe(5);
    expect(stderr.match(/HTTPS_PROXY is set, but a proxy .* is not in this build/g)?.length).toBe(
      1,
    );
    expect(stderr).toContain(
      "Is tunl edge running there, and does a firewall let its port through?",
    );
    expect(stderr).not.toContain("hunter2");
  });

  test("a target's user name and password are in no text, with or without its command", async () => {
    using home = new Home();
    for (const words of [
      ["connect", "http://user:hunter2@localhost:8000"],
      ["connect", "8000", "http://user:hunter2@localhost:8000"],
      ["http://user:hunter2@localhost:8000"],
    ]) {
      const { code, stdout, stderr } = await tunl([...words, "--log-level", "trace"], {
        home: home.path,
      });
      expect([code, stdout, stderr.includes("localhost:8000")]).toEqual([2, "", true]);
      expect(stderr).not.toMatch(/user:|hunter2/);
    }
  });

  test("status ignores the sockets of connectors that are gone", async () => {
    using home = new Home();
    mkdirSync(join(home.path, "run"));
    const path = join(home.path, "run", "connect-4194302.sock");
    const script = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
    await Bun.spawn([process.execPath, "-e", script]).exited;
    expect(existsSync(path)).toBe(true);
    const status = await tunl(["status", "--json"], { home: home.path });
    expect([status.code, JSON.parse(status.stdout)]).toEqual([7, { connectors: [] }]);
  });

  test("colour only where it is asked for", async () => {
    using home = new Home();
    const plain = await tunl(["conect"], { home: home.path });
    const forced = await tunl(["conect"], { home: home.path, environment: { FORCE_COLOR: "1" } });
    const refused = await tunl(["conect"], {
      home: home.path,
      environment: { FORCE_COLOR: "1", NO_COLOR: "1" },
    });
    expect([
      plain.stderr.includes("\u001b"),
      forced.stderr.includes("\u001b"),
      refused.stderr.includes("\u001b"),
    ]).toEqual([false, true, false]);
  });

  test("an edge starts, answers status and invite, and SIGTERM drains it: exit 0", async () => {
    using home = new Home();
    await using edge = new Running(EDGE, { home: home.path });
    expect((await edge.event("ready"))["port"]).toBeNumber();
    const invite = await tunl(["edge", "invite", "--json", "--ttl", "1h"], { home: home.path });
    expect([invite.code, invite.stderr]).toEqual([0, ""]);
    const { line, expiresAt } = JSON.parse(invite.stdout);
    expect(line).toMatch(/^tunl:\/\/tunl\.localhost:\d+\/[a-z2-7]{26}\/[a-z2-7]{26}$/);
    expect(Math.abs(Date.parse(expiresAt) - Date.now() - 3_600_000)).toBeLessThan(60_000);
    const status = await tunl(["status", "--json"], { home: home.path });
    expect([status.code, JSON.parse(status.stdout).edge.pid]).toEqual([0, edge.pid]);
    edge.signal("SIGTERM");
    const { code, stdout, stderr } = await edge.ended;
    expect([code, stdout]).toEqual([0, ""]);
    expect(stderr.trimEnd().split("\n").at(-1)).toContain('"event":"stopped"');
    // The first start of an edge without a terminal tells how to get a line, not a line: logs keep no secrets.
    expect([stderr.includes("tunl edge invite"), stderr.includes("tunl://")]).toEqual([
      true,
      false,
    ]);
  });

  test("a log file is reopened on SIGHUP", async () => {
    using home = new Home();
    mkdirSync(join(home.path, "log"));
    const path = join(home.path, "log", "edge.log");
    await using edge = new Running([...EDGE, "--log-file", path], { home: home.path });
    await waitFor(() => readFileSync(path, "utf8").includes('"event":"ready"'), "the line ready");
    renameSync(path, `${path}.1`);
    edge.signal("SIGHUP");
    await waitFor(() => readFileSync(path, "utf8") === "", "the new file");
    edge.signal("SIGTERM");
    expect((await edge.ended).code).toBe(0);
    expect([
      readFileSync(path, "utf8").includes('"event":"stopped"'),
      readFileSync(`${path}.1`, "utf8").includes('"event":"stopped"'),
    ]).toEqual([true, false]);
  }, 30_000);
});

/** Looks again every few turns; a file that is not there yet is no error. */
async function waitFor(isTrue: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 15_000;
  for (;;) {
    try {
      if (isTrue()) return;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
    }
    if (performance.now() > deadline) throw new Error(`${what} did not come within 15 s`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
