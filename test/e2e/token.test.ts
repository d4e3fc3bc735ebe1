// This file is static tokens with the executable: made once, used without any file, bound to names and time, ended at once. product.md §1.3, §5; S-65, S-72, A-10.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Program } from "../binary/program.ts";
import { Home, IS_BUILT, Running, TUNL, tunl } from "../binary/tunl.ts";
import { DOMAIN, TestEdge } from "./rig.ts";

const CONNECT = ["connect", "http_status:204", "--log-format", "json"];

describe.skipIf(!IS_BUILT)("static tokens", () => {
  let edge: TestEdge;
  let owner: Home;

  /** A command of the account that must succeed; what stdout has. */
  async function does(...words: string[]): Promise<string> {
    const { code, stdout, stderr } = await tunl(words, { home: owner.path });
    if (code !== 0) throw new Error(`tunl ${words.join(" ")} ended with ${code}: ${stderr}`);
    return stdout;
  }

  beforeAll(async () => {
    edge = await TestEdge.start();
    owner = new Home();
    await does("login", await edge.invite(["--account"]));
    await does("tunnel", "create", "app");
  });
  afterAll(async () => {
    owner?.[Symbol.dispose]();
    await edge?.[Symbol.asyncDispose]();
  });

  test("a container: TUNL_TOKEN_FILE, and nothing that could be written", async () => {
    const file = join(owner.path, "nas.token");
    await does("tunnel", "token", "app", "--label", "nas", "--output", file);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const token = readFileSync(file, "utf8");
    expect(token).toMatch(/^tunl_t1_[\w-]+\n$/);
    // It is not replaced by accident.
    const again = await tunl(["tunnel", "token", "app", "--output", file], { home: owner.path });
    expect([again.code, readFileSync(file, "utf8")]).toEqual([6, token]);
    expect(again.stderr).toContain("exists already, and may hold a token in use");

    using container = new Home();
    const home = join(container.path, "home");
    mkdirSync(home);
    chmodSync(home, 0o500);
    // Root may write everywhere: a home below a file is one that nobody can make.
    const nowhere = process.getuid?.() === 0 ? "/dev/null/home" : home;
    await using connector = new Running([...CONNECT, "--host", `nas.${DOMAIN}`], {
      home: nowhere,
      directory: "/",
      environment: { TUNL_TOKEN_FILE: file },
    });
    const { url } = await connector.event("route");
    expect(url).toBe(`https://nas.${DOMAIN}:${edge.port}`);
    expect((await connector.event("edge"))["msg"]).toEndWith("as in the token");
    expect(readdirSync(home)).toEqual([]);
    const info = JSON.parse(await does("tunnel", "info", "app", "--json"));
    expect(info.connectors).toMatchObject([{ keyId: "nas" }]);
    expect(info.keys).toContainEqual(expect.objectContaining({ keyId: "nas", kind: "token" }));

    // Ended by name: the connector that has it ends too, and it opens nothing any more.
    await does("tunnel", "rotate", "app", "--key", "nas");
    expect((await connector.ended).code).toBe(4);
    const late = await tunl(CONNECT, {
      home: container.path,
      environment: { TUNL_TOKEN: token.trim() },
    });
    expect([late.code, late.stderr.includes("KEY_REFUSED")]).toEqual([4, true]);
  }, 30_000);

  test("standard input and TUNL_TOKEN; stdout shows a token once, and --host binds it", async () => {
    const name = `bound.${DOMAIN}`;
    const token = (await does("tunnel", "token", "app", "--label", "bound", "--host", name)).trim();
    using machine = new Home();
    const environment = { HOME: machine.path, TUNL_HOME: machine.path, PATH: "/usr/bin:/bin" };
    const input = join(machine.path, "input");
    writeFileSync(input, `\n ${token}\n`);
    // The shell gives its place to tunl, with the file as standard input.
    const script = `exec "$0" ${CONNECT.join(" ")} --host ${name} --token-file - < "$1"`;
    await using piped = new Program(["sh", "-c", script, TUNL, input], { environment });
    await piped.find((line) => line.includes('"event":"route"') || undefined, "the name");
    const outside = await tunl([...CONNECT, "--host", `other.${DOMAIN}`], {
      home: machine.path,
      environment: { TUNL_TOKEN: token },
    });
    expect([outside.code, outside.stderr.includes("HOSTNAME_NOT_GRANTED")]).toEqual([4, true]);
    expect(existsSync(join(machine.path, "edges"))).toBe(false);
  }, 30_000);

  test("a token with a time ends by itself, and cuts who uses it", async () => {
    const token = (await does("tunnel", "token", "app", "--ttl", "5s")).trim();
    using machine = new Home();
    await using connector = new Running([...CONNECT, "--host", `ttl.${DOMAIN}`], {
      home: machine.path,
      environment: { TUNL_TOKEN: token },
    });
    await connector.event("connected");
    expect((await connector.ended).code).toBe(4);
  }, 30_000);

  test("a connector takes the key that tunl tunnel rotate put into its file, without a restart", async () => {
    await does("tunnel", "create", "renewed");
    await using connector = new Running([...CONNECT, "--tunnel", "renewed"], { home: owner.path });
    await connector.event("connected");
    const after = connector.lineCount;
    await does("tunnel", "rotate", "renewed", "--overlap", "0");
    await connector.event("connected", { after });
    const info = JSON.parse(await does("tunnel", "info", "renewed", "--json"));
    const [old, renewed] = info.keys as { keyId: string; revokedAt?: string }[];
    expect([old?.revokedAt === undefined, renewed?.revokedAt]).toEqual([false, undefined]);
    expect(info.connectors).toMatchObject([{ keyId: renewed?.keyId }]);
  }, 30_000);
});
