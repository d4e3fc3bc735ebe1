import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Visitor } from "../../scripts/demo/visitor.ts";
import { canConnect } from "../../scripts/rig/ports.ts";
import { Program } from "./program.ts";
import { Home, IS_BUILT } from "./tunl.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** The demo with a directory for temporary files of its own, so that what it leaves can be seen. */
function demo(home: Home, ...words: string[]): Program {
  return new Program([process.execPath, join(ROOT, "scripts/demo.ts"), ...words], {
    directory: home.path,
    environment: { PATH: process.env["PATH"] ?? "", TMPDIR: home.path },
    deadlineMs: 40_000,
  });
}

const LINES = [
  /^✔ built {8}dist\/tunl(?:, up to date)?$/,
  /^✔ edge {9}127\.0\.0\.1:8[45]\d\d, domain tunl\.localhost, internal CA$/,
  /^✔ demo app {5}http:\/\/127\.0\.0\.1:\d+$/,
  /^✔ connected {4}1 link, [\d.]+ m?s$/,
  /^https:\/\/[a-z]+-[a-z]+\.tunl\.localhost:8[45]\d\d -> http:\/\/127\.0\.0\.1:\d+$/,
  /^✔ GET \/ {8}200, body as sent$/,
  /^✔ POST 8 MiB {3}200, same SHA-256$/,
  /^✔ WebSocket {4}3 of 3 messages came back$/,
];

function portOf(output: string): number {
  return Number(/127\.0\.0\.1:(\d+), domain/.exec(output)?.[1]);
}

describe.skipIf(!IS_BUILT)("demo", () => {
  test("--once checks the whole path, ends with 0 and leaves nothing", async () => {
    using home = new Home();
    await using running = demo(home, "--once");
    const { code, stdout, stderr } = await running.ended;
    expect([code, stderr]).toEqual([0, ""]);
    const lines = stdout.trimEnd().split("\n");
    expect(lines).toEqual(LINES.map((line) => expect.stringMatching(line)));
    expect(await canConnect(portOf(stdout))).toBe(false);
    expect([...new Bun.Glob("tunl-demo-*").scanSync({ cwd: home.path, onlyFiles: false })]).toEqual(
      [],
    );
  }, 45_000);

  test("stays for a look with the root it names, and Ctrl-C removes everything", async () => {
    using home = new Home();
    await using running = demo(home);
    const line = await running.line(/^Try it: /, { withinMs: 35_000 });
    const [, path = "", url = ""] =
      /^Try it: curl --cacert (dist\/demo\/ca(?:-\d+)?\.pem) (https:\S+) {6}\(Ctrl-C stops, files are removed\)$/.exec(
        line,
      ) ?? [];
    const visitor = new Visitor(new URL(url), readFileSync(join(ROOT, path), "utf8"));
    const seen = await visitor.send("GET", "/request");
    expect([seen.status, JSON.parse(seen.body.toString())["x-forwarded-proto"]]).toEqual([
      200,
      "https",
    ]);
    const stranger = new Visitor(new URL(url), "");
    await expect(stranger.send("GET", "/")).rejects.toThrow(/certificate/);
    await running.line(
      /^A browser distrusts the certificate until dist\/demo\/ca(?:-\d+)?\.pem is imported there$/,
    );
    running.signal("SIGINT");
    const { code, stdout } = await running.ended;
    expect(code).toBe(0);
    expect(stdout).toEndWith("\n✔ stopping     edge, connector and app; files are removed\n");
    expect([existsSync(join(ROOT, path)), await canConnect(Number(new URL(url).port))]).toEqual([
      false,
      false,
    ]);
  }, 45_000);

  test("does not know other words: exit 2", async () => {
    using home = new Home();
    await using running = demo(home, "--twice");
    expect(await running.ended).toMatchObject({
      code: 2,
      stderr: '✖ usage        Unknown argument "--twice", expected --once or nothing\n',
    });
  });
});
