// This file is the commands that judge configuration, by the executable: what stands on which stream, and the exit code. product.md §2.3, §4.
import { describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Home, IS_BUILT, tunl } from "./tunl.ts";

const SAMPLES = fileURLToPath(new URL("../config/cloudflared/", import.meta.url));
const RULES = `ingress:
  - hostname: a.example.com
    path: ^/api/
    service: http://localhost:4000
  - hostname: "*.example.com"
    service: http://localhost:8000
  - service: http_status:404
`;

function put(home: Home, name: string, text: string): string {
  const path = join(home.path, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

describe.skipIf(!IS_BUILT)("tunl ingress, tunl config check", () => {
  test("a good file: OK alone on stdout, exit 0", async () => {
    using home = new Home();
    put(home, "config.yml", RULES);
    for (const words of [
      ["ingress", "validate"],
      ["tunnel", "ingress", "validate"],
      ["config", "check"],
    ]) {
      const { code, stdout, stderr } = await tunl(words, { home: home.path });
      expect([words, code, stdout]).toEqual([words, 0, "OK\n"]);
      expect(stderr).toContain("/config.yml");
      expect(stderr.trimEnd()).not.toContain("\n");
    }
  });

  test("a bad file: all of it on stderr, nothing on stdout, exit 3", async () => {
    using home = new Home();
    put(
      home,
      "config.yml",
      RULES.replace("http://localhost:4000", "localhost:4000").replace("^/api/", "'('"),
    );
    const { code, stdout, stderr } = await tunl(["ingress", "validate"], { home: home.path });
    expect([code, stdout]).toEqual([3, ""]);
    expect(stderr.match(/^✖ .*config\.yml:\d+:\d+ .*$/gm)).toHaveLength(2);
    const json = await tunl(["ingress", "validate", "--json"], { home: home.path });
    expect([json.code, json.stderr]).toEqual([3, ""]);
    expect(JSON.parse(json.stdout)).toMatchObject({
      ok: false,
      files: [
        {
          more: 0,
          problems: [
            { line: 3, column: 11, severity: "error", code: "EXPRESSION_INVALID" },
            {
              line: 4,
              column: 14,
              severity: "error",
              code: "SERVICE_INVALID",
              hint: "Write http://localhost:4000",
            },
          ],
        },
      ],
    });
  });

  test("warnings: OK, and with --strict exit 8", async () => {
    using home = new Home();
    const path = put(home, "config.yml", `protocl: quic\n${RULES}`);
    const mild = await tunl(["config", "check", path], { home: home.path });
    expect([mild.code, mild.stdout]).toEqual([0, "OK\n"]);
    expect(mild.stderr).toContain('Unknown key "protocl", nearest is "protocol"');
    const strict = await tunl(["config", "check", path, "--strict"], { home: home.path });
    expect([strict.code, strict.stdout]).toEqual([8, ""]);
  });

  test("an edge file is told from a connector file by its keys", async () => {
    using home = new Home();
    const edge = put(home, "some.yml", "domains: [example.com]\ncertificates: {mode: internal}\n");
    const connector = put(home, "other.yml", RULES);
    const kinds = await Promise.all(
      [edge, connector].map((path) => tunl(["config", "check", path], { home: home.path })),
    );
    expect(kinds.map(({ stderr, code }) => [stderr.trim().split(" ").at(-1), code])).toEqual([
      ["edge", 0],
      ["connector", 0],
    ]);
    const wrong = put(
      home,
      "edge.yml",
      "domains: [example.com]\nlisten: 443\ncertificates: {mode: internal}\n",
    );
    for (const words of [
      ["config", "check", wrong],
      ["edge", "check"],
      ["edge", "check", "--config", wrong],
    ]) {
      const { code, stderr } = await tunl(words, { home: home.path });
      expect([words, code]).toEqual([words, 3]);
      expect(stderr).toContain("edge.yml:2:9 listen is 443");
    }
  });

  test("ingress rule: the number from 0 and the rule, as the matcher of a connector has it", async () => {
    using home = new Home();
    put(home, "config.yml", RULES);
    const rule = async (url: string, ...flags: string[]) =>
      (await tunl(["ingress", "rule", url, ...flags], { home: home.path })).stdout;
    expect(await rule("https://A.example.com:8443/api/x?y=/other")).toBe(
      "Matched rule #0\n\thostname: a.example.com\n\tpath: ^/api/\n\tservice: http://localhost:4000\n",
    );
    expect(await rule("https://a.example.com/?x=/api/")).toBe(
      "Matched rule #1\n\thostname: *.example.com\n\tservice: http://localhost:8000\n",
    );
    expect(await rule("https://example.com")).toBe("Matched rule #2\n\tservice: http_status:404\n");
    expect(JSON.parse(await rule("https://x.y.example.com/", "--json"))).toMatchObject({
      number: 1,
      hostname: "*.example.com",
      service: "http://localhost:8000",
    });
    expect(JSON.parse(await rule("https://a.example.com/api%2fx", "--json"))).toMatchObject({
      status: 400,
    });
    const text = '{"ingress": [{"service": "http_status:410"}]}';
    expect(await rule("https://a.example.com/", "--rules", text)).toBe(
      "Matched rule #0\n\tservice: http_status:410\n",
    );
    const bare = await tunl(["ingress", "rule", "a.example.com/x"], { home: home.path });
    expect([bare.code, bare.stderr]).toEqual([
      2,
      expect.stringContaining("Write https://a.example.com/x"),
    ]);
  });

  test("a config.yml in the working directory is not read (S-76)", async () => {
    using home = new Home();
    const directory = join(home.path, "work");
    mkdirSync(directory);
    writeFileSync(join(directory, "config.yml"), RULES, { mode: 0o600 });
    for (const [words, exit] of [
      [["connect"], 2],
      [["tunnel", "run"], 2],
      [["ingress", "validate"], 7],
      [["config", "check"], 7],
    ] as const) {
      const { code, stderr } = await tunl([...words], { home: home.path, directory });
      expect([words, code]).toEqual([words, exit]);
      expect(stderr).toContain(
        "there is no config.yml in".replace(exit === 2 ? "" : "there", exit === 2 ? "" : "There"),
      );
    }
  });

  test("files in cloudflared's forms", async () => {
    using home = new Home();
    const config = (name: string) => ["ingress", "validate", "--config", join(SAMPLES, name)];
    const good = await tunl(config("05-origin-request.yml"), { home: home.path });
    expect([good.code, good.stdout]).toEqual([0, "OK\n"]);
    const bad = await tunl(config("29-url-beside-rules.yml"), { home: home.path });
    expect([bad.code, bad.stdout]).toEqual([3, ""]);
    expect(bad.stderr).toContain("url stands beside ingress");
  });
});
