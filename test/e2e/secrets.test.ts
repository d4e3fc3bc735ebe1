// This file is what must not be in any output: every secret that was issued in a run of both ends, looked for in all they wrote, in the lists of arguments and in what passed between them. S-65, S-66.
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../binary/program.ts";
import { Home, IS_SLOW, Running, tunl } from "../binary/tunl.ts";
import { RecordingRelay } from "./recording-relay.ts";
import { App, CAN_RUN, curl, DOMAIN, TestEdge } from "./rig.ts";

/** What a visitor sends that nobody may find in a log: query, fields, body. */
const VISITOR = { query: "q7secretquery", field: "f7secretfield", body: "b7secretbody" };
/** A password in a target: the target is refused, and its text must not hold it. */
const PASSWORD = "p7secretpassword";

/** Every file below a directory. */
function files(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .map((name) => join(directory, name))
    .filter((path) => statSync(path).isFile());
}

/** Codes of a join line, in every form in which they could be written. */
function codesOf(lines: readonly string[]): string[] {
  return lines.map((line) => line.slice(line.lastIndexOf("/") + 1));
}

/** Private keys of both ends: of JSON files, PEM files, and the raw key of the edge. */
function keysOf(homes: readonly string[]): string[] {
  return homes.flatMap(files).flatMap((path) => {
    if (path.endsWith(".json")) {
      const found = /"privateKey":\s*"([^"]+)"/.exec(readFileSync(path, "utf8"))?.[1];
      if (found === undefined) return [];
      const seed = Buffer.from(found, "base64url");
      return [found, seed.toString("hex"), seed.toString("base64")];
    }
    if (!path.endsWith(".key")) return [];
    const text = readFileSync(path, "utf8");
    // Any line of a PEM body gives the key away, and so does a raw or encoded seed.
    return text.split("\n").filter((line) => line.length >= 20 && !line.startsWith("-----"));
  });
}

/** What any user of the machine can read about running processes. */
function argumentLists(): string {
  if (process.platform !== "linux") return "";
  const lists = readdirSync("/proc").flatMap((pid) => {
    if (!/^[0-9]+$/.test(pid)) return [];
    try {
      return [readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ")];
    } catch {
      // It ended in the meantime.
      return [];
    }
  });
  return lists.join("\n");
}

/**
 * Everything an account does, with its tokens used in every way and one of them refused.
 *
 * @returns Tokens and lines, and all that was written but the one answer that is a token.
 */
async function accountLife(
  line: string,
  home: string,
  noise: readonly string[],
): Promise<{
  readonly tokens: readonly string[];
  readonly lines: readonly string[];
  readonly outputs: readonly string[];
}> {
  const outputs: string[] = [];
  const runs = async (words: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await tunl([...words, ...noise], { home });
    expect([words.slice(0, 2), code, stderr]).toEqual([words.slice(0, 2), 0, stderr]);
    outputs.push(stderr);
    return stdout;
  };
  outputs.push(await runs(["login", line]));
  outputs.push(await runs(["tunnel", "create", "secrets", "--json"]));
  const shown = (await runs(["tunnel", "token", "secrets", "--label", "shown"])).trim();
  const file = join(home, "kept.token");
  outputs.push(await runs(["tunnel", "token", "secrets", "--label", "kept", "--output", file]));
  outputs.push(await runs(["tunnel", "rotate", "secrets"]));
  outputs.push(await runs(["tunnel", "info", "secrets", "--json"]));
  const used = [
    ["TUNL_TOKEN", shown],
    ["TUNL_TOKEN_FILE", file],
  ].map(async ([name = "", value = ""]) => {
    const environment = { [name]: value };
    const words = ["connect", "http_status:204", "--for", "1s", ...noise];
    const { stdout, stderr } = await tunl(words, { home, environment });
    outputs.push(stdout, stderr);
    expect(stderr).toContain("as in the token");
  });
  // While they run: whoever looks at the processes sees no token and no key.
  outputs.push(argumentLists().replaceAll(line, ""));
  await Promise.all(used);
  outputs.push(await runs(["tunnel", "rotate", "secrets", "--key", "shown"]));
  const words = ["connect", "http_status:204", ...noise];
  const refused = await tunl(words, { home, environment: { TUNL_TOKEN: shown } });
  expect(refused.code).toBe(4);
  outputs.push(refused.stdout, refused.stderr);
  const kept = readFileSync(file, "utf8").trim();
  outputs.push(await runs(["tunnel", "delete", "secrets", "--yes"]));
  return { tokens: [shown, kept], lines: [line], outputs };
}

describe.skipIf(!CAN_RUN)("no secret that was issued is in any output", () => {
  // Text differs from JSON in quotes only; the long form looks at it too.
  test.each(IS_SLOW ? ["json", "pretty", "text"] : ["json", "pretty"])(
    "%s, at log level trace",
    async (format) => {
      await using app = await App.start();
      const noise = ["--log-level", "trace"];
      using log = new Home();
      await using edge = await TestEdge.start({ flags: noise, settings: "log: {access: on}\n" });
      // Links go through somebody who writes everything down.
      await using relay = await RecordingRelay.to(edge.port);
      const through = (line: string): string => line.replace(`:${edge.port}/`, `:${relay.port}/`);
      const outputs: string[] = [];
      const lines: string[] = [];
      const invite = async (flags: readonly string[] = []): Promise<string> => {
        const line = await edge.invite(flags);
        lines.push(line);
        return line;
      };
      const collect = async (process: Running): Promise<void> => {
        const { stdout, stderr } = await process.ended;
        outputs.push(stdout, stderr);
      };
      // Joins, serves, stops; its log goes to a file, which is an output like the others.
      using home = new Home();
      const file = join(log.path, "connector.log");
      const flags = [
        ...["--name", "app", "--access-log", "on", "--pidfile", join(home.path, "pid")],
        ...[
          "--join",
          through(await invite()),
          "--log-format",
          format,
          ...noise,
          "--log-file",
          file,
        ],
      ];
      const connector = new Running(["connect", String(app.port), ...flags], { home: home.path });
      await eventually(async () => {
        const { stdout } = await curl(edge, [
          ...["-i", "-H", `Authorization: Bearer ${VISITOR.field}`],
          ...["-H", `Cookie: a=${VISITOR.field}`, "-d", VISITOR.body],
          `https://app.${DOMAIN}:${edge.port}/echo?token=${VISITOR.query}`,
        ]);
        // Nothing to read tells of the name: the log is in a file.
        return stdout.includes("HTTP/1.1 200") || undefined;
      }, "an answer of the app");
      const none = await curl(edge, [
        `https://none.${DOMAIN}:${edge.port}/?token=${VISITOR.query}`,
      ]);
      outputs.push(none.stdout);
      outputs.push((await tunl(["status", "--json"], { home: edge.home })).stdout);
      outputs.push((await tunl(["status"], { home: home.path })).stdout);
      connector.signal("SIGTERM");
      await collect(connector);
      outputs.push(readFileSync(file, "utf8"));
      // What an account does differs by form in the same way: the long form looks at all.
      const isLived = IS_SLOW || format === "json";
      const life = isLived
        ? await accountLife(through(await edge.invite(["--account"])), home.path, [
            ...noise,
            ...["--log-format", format],
          ])
        : { tokens: [`tunl_t1_${"s3cret".repeat(25)}`], lines: [], outputs: [] };
      const { tokens } = life;
      lines.push(...life.lines);
      outputs.push(...life.outputs);
      // Lines that are refused: used by somebody, of a wrong code, half of one, without its flag.
      const [first = ""] = lines;
      const wrong = `${first.slice(0, -26)}${"w".repeat(26)}`;
      lines.push(wrong);
      const refused = [
        ["connect", "8000", "--join", first],
        ["connect", "8000", "--join", wrong],
        ["connect", "8000", "--join", first.slice(0, -4)],
        ["connect", "8000", first],
        ["conect", first],
        ["connect", `http://user:${PASSWORD}@localhost:8000`],
        ["connect", "8000", "--token", first],
        ["connect", "8000", "--token", tokens[0] as string],
        ["connect", `http_status:204`, "--tokenfile", tokens[0] as string],
        ["login", first],
        ["login", wrong],
        ["login", first.slice(0, -4)],
        ["tunnel", "create", first],
        ["tunnel", "run", first],
      ].map(async (words) => {
        using stranger = new Home();
        const flags = ["--log-format", format, ...noise];
        const { code, stdout, stderr } = await tunl([...words, ...flags], { home: stranger.path });
        expect([words, code === 2 || code === 4]).toEqual([words, true]);
        outputs.push(stdout, stderr);
      });
      await Promise.all(refused);
      // The damaged half of a code is a secret too: most of the code.
      const codes = codesOf(lines);
      const ofTokens = tokens.flatMap((token) => [token, token.slice(-60), token.slice(20, 80)]);
      const keys = keysOf([edge.home, home.path]);
      expect([codes.length, keys.length >= (isLived ? 12 : 6), ofTokens.length]).toEqual(
        isLived ? [3, true, 6] : [2, true, 3],
      );
      edge.process.signal("SIGTERM");
      await collect(edge.process);
      expect(relay.captured.length).toBeGreaterThan(5_000);
      const all = [...outputs, relay.captured].join("\n");
      // The run did write what it should: this is no search in nothing.
      expect(all.length).toBeGreaterThan(3_000);
      expect(all).toMatch(/enrol|joined/);
      expect(all).toContain("/echo");
      const secrets = [
        ...ofTokens,
        ...codes,
        ...codes.map((code) => code.slice(0, 20)),
        ...keys,
        ...Object.values(VISITOR),
        PASSWORD,
      ];
      for (const secret of secrets) {
        expect(secret.length).toBeGreaterThan(10);
        const at = all.toLowerCase().indexOf(secret.toLowerCase());
        expect(at < 0 ? "" : all.slice(Math.max(0, at - 200), at + 10)).toBe("");
      }
    },
    60_000,
  );
});
