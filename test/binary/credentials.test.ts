// Every option that takes a credential demands it: none, a wrong one and a foreign one open nothing. S-72.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { COMMANDS } from "../../src/cli/commands.ts";
import { OPTIONS } from "../../src/config/index.ts";
import { formatToken, generateKey, parseToken } from "../../src/identity/index.ts";
import { TestEdge } from "../e2e/rig.ts";
import type { Ended } from "./program.ts";
import { Home, IS_BUILT, Running, tunl } from "./tunl.ts";

/** Options with a credential, and what is shown to whoever has the wrong one. */
const WRONG = {
  join: "JOIN_REFUSED",
  credentials: "KEY_REFUSED",
  "token-file": "KEY_REFUSED",
} as const;

/** Those that take a credential by a variable alone. */
const WRONG_VARIABLES = { token: "KEY_REFUSED" } as const;

/** Arguments that are a credential themselves, by command. */
const WRONG_ARGUMENTS = { login: "JOIN_REFUSED" } as const;

/** Words that an option about a credential cannot do without. */
const CREDENTIAL = /\b(join line|key file|token|password|secret|credential)/i;

/** Options whose sentence speaks of a credential that they do not take: they make one, or name a key. */
const NO_CREDENTIAL = new Set([
  "tunnel create --credentials",
  "tunnel token --output",
  "tunnel token --ttl",
]);

describe("credential options", () => {
  test("are the ones tested here (S-72)", () => {
    const found = OPTIONS.filter(
      ({ flag, about, isBuilt }) => isBuilt && flag !== undefined && CREDENTIAL.test(about),
    ).flatMap(({ flag = "", commands }) =>
      commands.includes("connect") ? [flag] : commands.map((command) => `${command} --${flag}`),
    );
    const taken = found.filter((name) => !NO_CREDENTIAL.has(name) && !name.startsWith("edge"));
    expect(taken.toSorted()).toEqual(
      [...Object.keys(WRONG), "tunnel rotate --credentials"].toSorted(),
    );
    expect(OPTIONS.filter(({ isVariableOnly }) => isVariableOnly).map(({ flag }) => flag)).toEqual(
      Object.keys(WRONG_VARIABLES),
    );
    const lines = COMMANDS.filter(({ positionals }) =>
      positionals.some(({ takesLine }) => takesLine),
    );
    // What an owner revokes lets nobody in.
    expect(lines.map(({ name }) => name).filter((name) => name !== "edge revoke")).toEqual(
      Object.keys(WRONG_ARGUMENTS) as ["login"],
    );
  });
});

/** Runs `tunl connect` until it is connected or ends by itself. */
async function connect(
  home: string,
  flags: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Ended & { isUp: boolean }> {
  const words = ["connect", "http_status:204", "--log-format", "json", ...flags];
  await using connector = new Running(words, { home, environment });
  const isUp = await Promise.race([
    connector.ended.then(() => false),
    connector.event("connected").then(
      () => true,
      () => false,
    ),
  ]);
  connector.signal("SIGTERM");
  return { ...(await connector.ended), isUp };
}

/** The key file of the one tunnel that was joined in a home. */
function keyFile(home: string): string {
  const edges = join(home, "edges");
  const found = readdirSync(edges, { recursive: true, encoding: "utf8" }).filter((path) =>
    /[0-9a-f]{8}-[0-9a-f-]{27}\.json$/.test(path),
  );
  expect(found).toHaveLength(1);
  return join(edges, found[0] ?? "");
}

describe.skipIf(!IS_BUILT)("credentials of a connector", () => {
  let edge: TestEdge;

  beforeAll(async () => {
    edge = await TestEdge.start();
  });
  afterAll(() => edge?.[Symbol.asyncDispose]());

  test("are demanded: without, with a wrong code and with a foreign key nobody is let in [CVE-2024-43798, CVE-2025-56332, sish 173]", async () => {
    const line = await edge.invite();
    const code = line.slice(line.lastIndexOf("/") + 1);
    const wrongCode = `${code.startsWith("a") ? "b" : "a"}${code.slice(1)}`;
    using none = new Home();
    using stranger = new Home();
    using friend = new Home();
    const [without, wrong, joined] = await Promise.all([
      connect(none.path, ["--edge", `127.0.0.1:${edge.port}`]),
      connect(stranger.path, ["--join", line.replace(code, wrongCode)]),
      connect(friend.path, ["--join", line]),
    ]);
    expect([without.isUp, without.code === 0]).toEqual([false, false]);
    expect([wrong.isUp, wrong.code]).toEqual([false, 4]);
    expect(wrong.stderr).toContain(WRONG.join);
    expect(joined.isUp).toBe(true);

    // Somebody who knows everything of the key file but the key.
    const own = JSON.parse(readFileSync(keyFile(friend.path), "utf8"));
    const seed = Buffer.from(own.privateKey, "base64url");
    expect(seed).toHaveLength(32);
    const file = join(stranger.path, "foreign.json");
    const text = JSON.stringify(own);
    const foreignSeed = Buffer.alloc(seed.length, 7).toString("base64url");
    writeFileSync(file, text.replaceAll(seed.toString("base64url"), foreignSeed), { mode: 0o600 });
    const foreign = await connect(stranger.path, ["--credentials", file]);
    expect([foreign.isUp, foreign.code]).toEqual([false, 4]);
    expect(foreign.stderr).toContain(WRONG.credentials);

    // The right one opens, so the refusals above were about the credential.
    writeFileSync(file, text, { mode: 0o600 });
    expect((await connect(stranger.path, ["--credentials", file])).isUp).toBe(true);
  });

  test("tokens, account keys and login lines are demanded as well (S-72)", async () => {
    // Ten failed proofs in a minute shut a source out: an edge of its own.
    await using edge = await TestEdge.start();
    using owner = new Home();
    using other = new Home();
    using nobody = new Home();
    const run = (words: readonly string[], home: Home = owner): Promise<Ended> =>
      tunl(words, { home: home.path });
    const accountLine = await edge.invite(["--account"]);
    const code = accountLine.slice(accountLine.lastIndexOf("/") + 1);
    const wrongLine = accountLine.replace(
      code,
      `${code.startsWith("a") ? "b" : "a"}${code.slice(1)}`,
    );
    // Without a login line, with a wrong one, with a join line: no account.
    const missing = await run(["tunnel", "list"], nobody);
    expect([missing.code, missing.stderr]).toEqual([2, expect.stringContaining("has no account")]);
    for (const line of [wrongLine, await edge.invite()]) {
      const { code: exit, stderr } = await run(["login", line, "--log-format", "json"], nobody);
      expect([exit, stderr]).toEqual([4, expect.stringContaining(WRONG_ARGUMENTS.login)]);
    }
    expect((await run(["login", accountLine])).code).toBe(0);
    expect((await run(["tunnel", "create", "secret"])).code).toBe(0);
    const token = (await run(["tunnel", "token", "secret"])).stdout.trim();

    // A token that says everything right but the key, and one that is missing.
    const forged = formatToken({ ...parseToken(token, "token"), key: generateKey() });
    const file = join(other.path, "token");
    for (const [text, isUp] of [
      [forged, false],
      [token, true],
    ] as const) {
      writeFileSync(file, text, { mode: 0o600 });
      const [byFile, byVariable] = await Promise.all([
        connect(other.path, ["--token-file", file]),
        connect(other.path, [], { TUNL_TOKEN: text }),
      ]);
      expect([byFile.isUp, byVariable.isUp]).toEqual([isUp, isUp]);
      if (isUp) continue;
      expect([byFile.code, byFile.stderr]).toEqual([
        4,
        expect.stringContaining(WRONG["token-file"]),
      ]);
      expect(byVariable.stderr).toContain(WRONG_VARIABLES.token);
    }
    const none = await connect(other.path, ["--token-file", join(other.path, "none")]);
    expect([none.isUp, none.code]).toEqual([false, 3]);

    // The account's file with another key in it, and a key file to rotate by: neither is believed.
    const [edgeName = ""] = readdirSync(join(owner.path, "edges"));
    const path = join(owner.path, "edges", edgeName, "account.json");
    const text = readFileSync(path, "utf8");
    const seed = Buffer.alloc(32, 9).toString("base64url");
    const withSeed = (json: string): string =>
      json.replace(/"privateKey": "[^"]+"/, `"privateKey": "${seed}"`);
    writeFileSync(path, withSeed(text), { mode: 0o600 });
    const stolen = await run(["tunnel", "list", "--log-format", "json"]);
    expect([stolen.code, stolen.stderr]).toEqual([4, expect.stringContaining("KEY_REFUSED")]);
    const key = readFileSync(keyFile(owner.path), "utf8");
    const foreign = join(owner.path, "foreign.json");
    writeFileSync(foreign, withSeed(key), { mode: 0o600 });
    const rotated = await run(["tunnel", "rotate", "secret", "--credentials", foreign], nobody);
    expect([rotated.code, readFileSync(foreign, "utf8")]).toEqual([4, withSeed(key)]);
    writeFileSync(path, text, { mode: 0o600 });
    expect((await run(["tunnel", "list"])).code).toBe(0);
  }, 30_000);
});
