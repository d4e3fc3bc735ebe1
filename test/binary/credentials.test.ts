// Every option that takes a credential demands it: none, a wrong one and a foreign one open nothing. S-72.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { OPTIONS } from "../../src/config/index.ts";
import { TestEdge } from "../e2e/rig.ts";
import type { Ended } from "./program.ts";
import { Home, IS_BUILT, Running } from "./tunl.ts";

/** Options with a credential, and what a connector shows that has the wrong one. */
const WRONG = {
  join: "JOIN_REFUSED",
  credentials: "KEY_REFUSED",
} as const;

/** Words that an option about a credential cannot do without. */
const CREDENTIAL = /\b(join line|key file|token|password|secret|credential)/i;

describe("credential options", () => {
  test("are the ones tested here (S-72)", () => {
    const found = OPTIONS.filter(
      ({ flag, about, isBuilt }) => isBuilt && flag !== undefined && CREDENTIAL.test(about),
    ).flatMap(({ flag, commands }) => (commands.includes("connect") ? [flag ?? ""] : []));
    expect(found.toSorted()).toEqual(Object.keys(WRONG).toSorted());
  });
});

/** Runs `tunl connect` until it is connected or ends by itself. */
async function connect(home: string, flags: readonly string[]): Promise<Ended & { isUp: boolean }> {
  const words = ["connect", "http_status:204", "--log-format", "json", ...flags];
  await using connector = new Running(words, { home });
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
});
