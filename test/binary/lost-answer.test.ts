// This file is `tunl tunnel create` and `rotate` against an edge of the test whose answers are lost: the same command means the same key. product.md §2.3, §5.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CallDesk, HOST } from "../connector/call-desk.ts";
import { type Credentials, formatJoinLine, parseTunnel } from "../../src/identity/index.ts";
import { Home, IS_BUILT, Running, tunl } from "./tunl.ts";
import { within } from "../within.ts";

const ID = "0b8e5c1d-93a7-4f5e-9d21-6c4b7f0a2e58";

describe.skipIf(!IS_BUILT)("a call whose answer is lost", () => {
  let desk: CallDesk;
  let home: Home;
  /** What becomes of the next answer. */
  let fate: "arrives" | "link" | "silence" | "unsaved";
  /** Keys that the edge of the test registered, by name of the tunnel. */
  let registered: Map<string, string>;
  let heard: PromiseWithResolvers<void>;

  beforeEach(async () => {
    desk = await CallDesk.listen();
    home = new Home();
    fate = "arrives";
    registered = new Map([["taken", "another key"]]);
    heard = Promise.withResolvers<void>();
    const settle = (
      call: Parameters<(typeof desk.answers)[string]>[0],
      code: string,
      body: object,
    ): void => {
      if (fate === "arrives") call.result(code, { ...body });
      if (fate === "unsaved") call.result("NOT_BACKED_UP", { text: "The backup failed" });
      if (fate === "link") desk.sockets.at(-1)?.destroy();
      heard.resolve();
    };
    desk.answers = {
      "tunnel.list": (call) => {
        if (registered.has("app")) call.event("tunnel", { id: ID, name: "app" });
        call.result("");
      },
      "tunnel.create": (call) => {
        const [name, key] = [String(call.body["name"]), String(call.body["key"])];
        const known = registered.get(name) ?? key;
        if (known !== key)
          return settle(call, "NAME_TAKEN", { text: `A tunnel named "${name}" exists already` });
        registered.set(name, key);
        settle(call, "", { tunnel: { id: ID, name }, keyId: "laptop", hosts: [] });
      },
      "tunnel.info": (call) => {
        if (registered.has("app")) call.result("", { id: ID, name: "app" });
        else call.result("TUNNEL_NOT_FOUND", { text: "There is no tunnel of yours" });
      },
      "tunnel.delete": (call) => {
        registered.delete("app");
        settle(call, "", { id: ID, name: "app", hosts: [], keys: 1 });
      },
      "key.rotate": (call) => {
        registered.set("rotated", String(call.body["key"]));
        settle(call, "", { keyId: "laptop-2", oldEndsAt: new Date().toISOString() });
      },
    };
    const line = formatJoinLine({
      host: HOST,
      port: desk.port,
      fingerprint: desk.fingerprint,
      code: desk.code,
    });
    expect((await tunl(["login", line], { home: home.path })).code).toBe(0);
  });
  afterEach(async () => {
    home[Symbol.dispose]();
    await desk[Symbol.asyncDispose]();
  });

  const create = (name = "app"): ReturnType<typeof tunl> =>
    tunl(["tunnel", "create", name], { home: home.path });
  const directory = (): string => join(home.path, "edges", `${HOST}_${desk.port}`);
  const files = (): string[] => readdirSync(directory()).toSorted();
  const own = (): Credentials => {
    const path = join(directory(), `${ID}.json`);
    return parseTunnel(readFileSync(path, "utf8"), path);
  };
  const publicKey = (): string => Buffer.from(own().key.publicKey).toString("base64url");
  const keysOf = (name: string): unknown[] =>
    desk.calls.filter((call) => call.name === name).map(({ body }) => body["key"]);

  test("the link breaks: the same command again has the same key, and nothing is left over", async () => {
    fate = "link";
    const lost = await create();
    expect([lost.code, lost.stderr]).toEqual([
      5,
      expect.stringContaining("run the same command again"),
    ]);
    expect(files().filter((name) => name === `${ID}.json`)).toEqual([]);
    fate = "arrives";
    expect((await create()).code).toBe(0);
    const keys = keysOf("tunnel.create");
    expect([keys.length, new Set(keys).size]).toEqual([2, 1]);
    expect([publicKey(), files()]).toEqual([
      String(keys[0]),
      [`${ID}.json`, "account.json", "edge.json"].toSorted(),
    ]);
  }, 30_000);

  test("kill -9 while the edge is silent: the same", async () => {
    fate = "silence";
    {
      await using waiting = new Running(["tunnel", "create", "app"], { home: home.path });
      await within(heard.promise, "the call");
      waiting.signal("SIGKILL");
      await waiting.ended;
    }
    fate = "arrives";
    expect((await create()).code).toBe(0);
    expect([new Set(keysOf("tunnel.create")).size, publicKey()]).toEqual([
      1,
      registered.get("app") ?? "",
    ]);
  }, 30_000);

  test("a name that is taken leaves nothing behind, the next try has a key of its own", async () => {
    const before = files();
    for (let count = 0; count < 2; count++) {
      const { code, stderr } = await create("taken");
      expect([code, stderr]).toEqual([
        7,
        expect.stringContaining('A tunnel named "taken" exists already'),
      ]);
      expect(files()).toEqual(before);
    }
    expect(new Set(keysOf("tunnel.create")).size).toBe(2);
  }, 30_000);

  test("rotate: the old key stays in its file until the edge has answered for the new one", async () => {
    expect((await create()).code).toBe(0);
    const before = publicKey();
    fate = "link";
    const rotate = ["tunnel", "rotate", "app"];
    expect((await tunl(rotate, { home: home.path })).code).toBe(5);
    expect(publicKey()).toBe(before);
    fate = "arrives";
    expect((await tunl(rotate, { home: home.path })).code).toBe(0);
    const keys = keysOf("key.rotate");
    expect([keys.length, new Set(keys).size, publicKey(), own().keyId]).toEqual([
      2,
      1,
      String(keys[0]),
      "laptop-2",
    ]);
    expect(files()).toEqual([`${ID}.json`, "account.json", "edge.json"].toSorted());
  }, 30_000);

  test("delete: a key that opens nothing is removed, or named where nobody knows", async () => {
    const remove = (): ReturnType<typeof tunl> =>
      tunl(["tunnel", "delete", "app", "--yes"], { home: home.path });
    expect((await create()).code).toBe(0);
    fate = "unsaved";
    expect((await remove()).code).toBe(6);
    expect(files()).toEqual(["account.json", "edge.json"]);

    fate = "arrives";
    expect((await create()).code).toBe(0);
    fate = "link";
    expect((await remove()).code).toBe(5);
    const { code, stderr } = await remove();
    expect([code, stderr]).toEqual([
      7,
      expect.stringContaining(`remove ~/edges/${HOST}_${desk.port}/${ID}.json`),
    ]);
  }, 30_000);
});
