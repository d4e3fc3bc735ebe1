// Calls of accounts, tunnels and the edge's owner on a real store: what is answered, to whom, and what stays hidden. http.md §5.4; A-07; A-08.
import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { isEnded } from "../../src/edge/store/index.ts";
import { AccountDesk, answerOf, type Caller, keyText } from "./account-desk.ts";
import { refusalOf } from "./store/fixture.ts";

/** Makes a tunnel; answers its UUID. */
async function created(caller: Caller, name: string, more: object = {}): Promise<string> {
  const { code, body } = await caller.call("tunnel.create", {
    name,
    key: keyText(),
    label: name,
    ...more,
  });
  expect([code, body["text"]]).toEqual(["", undefined]);
  return (body["tunnel"] as { id: string }).id;
}

describe("calls of an account", () => {
  test("are answered whatever they quote: a name as long as a body, or of what takes six bytes each", async () => {
    await using desk = await AccountDesk.open();
    const you = await desk.login("you");
    for (const host of ["x".repeat(16_340), "\u0001".repeat(2_700)]) {
      const { code, body } = await you.call("route.delete", { host });
      expect(code).toBe("HOSTNAME_NOT_FOUND");
      expect(String(body["text"]).length).toBeLessThan(1_100);
    }
  });

  test("make a tunnel, list it, tell of it, delete it", async () => {
    await using desk = await AccountDesk.open();
    const you = await desk.login("you");
    const key = keyText();
    const order = { name: "mine", key, label: "Laptop", hosts: ["app.example.com"] };
    const made = await you.call("tunnel.create", { ...order, unknown: "is ignored" });
    expect(made).toEqual({
      code: "",
      body: {
        tunnel: { id: expect.any(String), name: "mine" },
        keyId: "laptop",
        hosts: [{ host: "app.example.com", state: "granted" }],
      },
      events: [],
    });
    expect(await you.call("tunnel.create", order)).toEqual(made);
    const id = (made.body["tunnel"] as { id: string }).id;
    const token = await you.call("key.add", {
      ...{ tunnel: "mine", label: "nas", key: keyText(), kind: "token", ttlMs: 60_000 },
    });
    const expiresAt = new Date(desk.clock.now + 60_000).toISOString();
    expect(token.body).toEqual({ tunnel: { id, name: "mine" }, keyId: "nas", expiresAt });

    const publicKey = Uint8Array.from(Buffer.from(key, "base64url"));
    const connector = desk.session("tunnel", id, "mine", publicKey, "laptop");
    connector.live.announce(connector, { hosts: ["app.example.com"], takesRest: false });
    const createdAt = new Date(desk.clock.now).toISOString();
    expect((await you.call("tunnel.list")).events).toEqual([
      { event: "tunnel", id, name: "mine", createdAt, connectors: 1, keys: 2, hosts: 1 },
    ]);
    const info = await you.call("tunnel.info", { tunnel: id });
    expect(info.body).toEqual({ id, name: "mine", createdAt });
    expect(info.events).toEqual([
      { event: "key", keyId: "laptop", kind: "key", createdAt },
      { event: "key", keyId: "nas", kind: "token", createdAt, expiresAt },
      {
        ...{ event: "connector", label: "mine's machine", keyId: "laptop", version: "0.1.0" },
        ...{ platform: "linux-x64", since: createdAt, links: 1, streams: 0 },
      },
      { event: "host", host: "app.example.com", how: "claimed", state: "served" },
    ]);

    expect(await you.call("tunnel.delete", { tunnel: "mine" })).toMatchObject({
      code: "TUNNEL_CONNECTED",
      body: { text: 'Tunnel "mine" is in use: 1 connector is connected' },
    });
    expect(await you.call("tunnel.delete", { tunnel: "mine", force: true })).toEqual({
      code: "",
      body: { id, name: "mine", hosts: ["app.example.com"], keys: 2 },
      events: [],
    });
    expect((await you.call("tunnel.list")).events).toEqual([]);
    expect((await you.call("tunnel.info", { tunnel: "mine" })).code).toBe("TUNNEL_NOT_FOUND");
  });

  test("rotate and revoke its keys; the answer comes when a backup holds it", async () => {
    await using desk = await AccountDesk.open();
    const you = await desk.login("you");
    const id = await created(you, "mine");
    const next = { tunnel: "mine", keyId: "mine", key: keyText(), overlapMs: 600_000 };
    const before = desk.store.condition.backedUpAt;
    desk.clock.now += 1_000;
    const rotated = await you.call("key.rotate", next);
    const oldEndsAt = new Date(desk.clock.now + 600_000).toISOString();
    expect(rotated).toMatchObject({ code: "", body: { keyId: "mine-2", oldEndsAt } });
    expect(desk.store.condition.backedUpAt).toBe(desk.clock.now);
    expect(desk.store.condition.backedUpAt).not.toBe(before as never);
    expect(await you.call("key.rotate", next)).toEqual(rotated);
    const added = { tunnel: "mine", label: "nas", key: keyText() };
    expect((await you.call("key.add", added)).code).toBe("");
    expect((await you.call("key.revoke", { tunnel: "mine", keyId: "nas" })).body).toEqual({
      revoked: ["nas"],
    });
    expect((await you.call("key.revoke", { tunnel: "mine", keyId: "nobody" })).code).toBe(
      "KEY_NOT_FOUND",
    );
    expect((await you.call("key.revoke", { tunnel: "mine", all: true })).body).toEqual({
      revoked: ["mine", "mine-2"],
    });
    const now = desk.store.now();
    const keys = [...desk.store.snapshot.keysOf({ kind: "tunnel", id })];
    expect(keys.map((key) => isEnded(key, now))).toEqual([true, true, true]);
  });

  test("that revoke are in force, but not done, while no backup can be made", async () => {
    await using desk = await AccountDesk.open();
    const you = await desk.login("you");
    await created(you, "mine");
    await desk.store.backUp();
    // No directory any more, and none can be made: a file stands in its place.
    const { rmSync } = await import("node:fs");
    rmSync(join(desk.path, "backup"), { recursive: true });
    writeFileSync(join(desk.path, "backup"), "");
    const answer = await you.call("key.revoke", { tunnel: "mine", keyId: "mine" });
    expect(answer).toMatchObject({
      code: "NOT_BACKED_UP",
      body: { text: expect.stringMatching(/^Key "mine" of "mine" is revoked, but/) },
    });
    const [key] = desk.store.snapshot.keysOf({
      kind: "tunnel",
      id: [...desk.store.snapshot.tunnels][0]?.id as string,
    });
    expect(key?.revokedAt).toBeDefined();
    rmSync(join(desk.path, "backup"));
    expect((await you.call("key.revoke", { tunnel: "mine", keyId: "mine" })).code).toBe("");
  });

  test("never show or change what another account made: it is not there", async () => {
    await using desk = await AccountDesk.open();
    const [you, she] = [await desk.login("you"), await desk.login("she")];
    const id = await created(you, "mine", { hosts: ["app.example.com"] });
    await created(she, "hers");
    expect((await she.call("tunnel.list")).events.map(({ name }) => name)).toEqual(["hers"]);
    for (const tunnel of ["mine", id, "nobody", ""]) {
      const answers = await Promise.all([
        she.call("tunnel.info", { tunnel }),
        she.call("tunnel.delete", { tunnel, force: true }),
        she.call("key.add", { tunnel, label: "x", key: keyText() }),
        she.call("key.rotate", { tunnel, keyId: "mine", key: keyText(), overlapMs: 0 }),
        she.call("key.revoke", { tunnel, keyId: "mine" }),
        she.call("key.revoke", { tunnel, all: true }),
      ]);
      // What is somebody else's and what is nowhere get one answer.
      const text = `There is no tunnel ${JSON.stringify(tunnel)} of yours`;
      for (const { code, body, events } of answers)
        expect([code, body["text"], events]).toEqual(["TUNNEL_NOT_FOUND", text, []]);
    }
    expect((await you.call("tunnel.info", { tunnel: id })).events).toHaveLength(2);
    // Of a name it learns only that it is taken.
    const taken = { name: "x", key: keyText(), label: "x", hosts: ["app.example.com"] };
    expect((await she.call("tunnel.create", taken)).code).toBe("HOSTNAME_TAKEN");
    expect((await she.call("tunnel.create", { ...taken, hosts: [], name: "mine" })).code).toBe(
      "NAME_TAKEN",
    );
    expect((await she.call("tunnel.list")).events).toHaveLength(1);
  });

  test("are not for the key of a tunnel, which may rotate itself and nothing else", async () => {
    await using desk = await AccountDesk.open();
    const you = await desk.login("you");
    const key = keyText();
    const id = await created(you, "mine", { key });
    await you.call("key.add", { tunnel: "mine", label: "nas", key: keyText() });
    const publicKey = Uint8Array.from(Buffer.from(key, "base64url"));
    const connector = desk.session("tunnel", id, "mine", publicKey, "mine");
    for (const name of [
      "tunnel.create",
      "tunnel.list",
      "tunnel.info",
      "tunnel.delete",
      "key.add",
      "key.revoke",
    ])
      expect([name, (await connector.call(name, { tunnel: "mine", all: true })).code]).toEqual([
        name,
        "NOT_ALLOWED",
      ]);
    for (const name of ["invite", "grant", "revoke", "status", "route.none"])
      expect([name, (await connector.call(name, { what: "mine" })).code]).toEqual([
        name,
        "NOT_FOUND",
      ]);
    const other = { tunnel: "mine", keyId: "nas", key: keyText(), overlapMs: 0 };
    expect((await connector.call("key.rotate", other)).code).toBe("NOT_ALLOWED");
    const rotated = await connector.call("key.rotate", { key: keyText() });
    expect(rotated.body).toEqual({
      keyId: "mine-2",
      oldEndsAt: new Date(desk.clock.now + 600_000).toISOString(),
    });
    // An account may not announce, and has none of the owner's calls either.
    expect((await you.call("announce", { hosts: [] })).code).toBe("NOT_ALLOWED");
    expect((await you.call("revoke", { what: "mine" })).code).toBe("NOT_FOUND");
    expect([...desk.store.snapshot.tunnels]).toHaveLength(1);
  });

  test("of a key that was revoked meanwhile change nothing", async () => {
    await using desk = await AccountDesk.open();
    const you = await desk.login("you");
    await created(you, "mine");
    const answers = Promise.all([
      desk.owner("revoke", { what: "account:you" }),
      you.call("tunnel.create", { name: "late", key: keyText(), label: "x" }),
      you.call("key.add", { tunnel: "mine", label: "late", key: keyText() }),
      you.call("tunnel.delete", { tunnel: "mine" }),
    ]);
    const [, ...late] = await answers;
    expect(late.map(({ code }) => code)).toEqual(["NOT_ALLOWED", "NOT_ALLOWED", "NOT_ALLOWED"]);
    expect([...desk.store.snapshot.tunnels].map(({ name }) => name)).toEqual(["mine"]);
  });

  const WRONG: readonly (readonly [name: string, body: object, what: string])[] = [
    ["tunnel.create", { key: keyText() }, "name"],
    ["tunnel.create", { name: 1, key: keyText() }, "name"],
    ["tunnel.create", { name: "x" }, "key"],
    ["tunnel.create", { name: "x", key: "AAAA" }, "key"],
    ["tunnel.create", { name: "x", key: `${"A".repeat(42)}B` }, "key"],
    ["tunnel.create", { name: "x", key: keyText(), hosts: "a" }, "hosts"],
    ["tunnel.create", { name: "x", key: keyText(), hosts: [1] }, "hosts"],
    ["tunnel.info", {}, "tunnel"],
    ["tunnel.delete", { tunnel: "mine", force: "yes" }, "force"],
    ["key.add", { tunnel: "mine", key: keyText(), kind: "root" }, "kind"],
    ["key.add", { tunnel: "mine", key: keyText(), ttlMs: "1" }, "ttlMs"],
    ["key.rotate", { tunnel: "mine", key: keyText() }, "keyId"],
    ["key.rotate", { tunnel: "mine", keyId: "mine", key: keyText(), overlapMs: null }, "overlapMs"],
    ["key.revoke", { tunnel: "mine" }, "keyId"],
    ["key.revoke", { tunnel: "mine", all: 1 }, "all"],
  ];
  test("without what they need are USAGE, and say which member", async () => {
    await using desk = await AccountDesk.open();
    const you = await desk.login("you");
    await created(you, "mine");
    // Connected, so that a deletion that should not be none would be refused for another reason.
    const id = desk.store.snapshot.findTunnel("mine")?.id as string;
    desk.session("tunnel", id, "mine", new Uint8Array(32), "x");
    for (const [name, body, what] of WRONG) {
      const { code, body: said } = await you.call(name, body);
      expect([name, code, said["text"]]).toEqual([
        ...[name, "USAGE", expect.stringContaining(`no valid "${what}"`)],
      ] as never);
    }
    expect.assertions(WRONG.length + 1);
  });
});

describe("a hostile account", () => {
  test("has sixteen calls in progress, and they count until their streams are over", async () => {
    await using desk = await AccountDesk.open();
    const you = await desk.login("you");
    const calls = Array.from({ length: 40 }, () => you.start("tunnel.list", {}));
    await new Promise((resolve) => setImmediate(resolve));
    const codes = calls.map(({ stream }) => answerOf(stream).code);
    expect(codes.filter((code) => code === "CALL_LIMIT")).toHaveLength(24);
    expect((await you.call("tunnel.list")).code).toBe("CALL_LIMIT");
    // Another account is served meanwhile.
    expect((await (await desk.login("she")).call("tunnel.list")).code).toBe("");
    for (const { events } of calls) events.closed();
    expect((await you.call("tunnel.list")).code).toBe("");
  });

  test("makes two hundred changes at once, the next ones are refused before the disk is asked", async () => {
    await using desk = await AccountDesk.open();
    const you = await desk.login("you");
    const codes: string[] = [];
    // Each fails, which is as much work for the disk as one that does not.
    for (let index = 0; index < 240; index++)
      codes.push((await you.call("key.add", { tunnel: "nobody", key: keyText() })).code);
    const refused = codes.filter((code) => code === "CALL_LIMIT").length;
    expect(refused).toBeGreaterThan(20);
    expect(refused).toBeLessThanOrEqual(40);
    expect((await you.call("tunnel.list")).code).toBe("");
  });

  test("sends bodies that are no calls: the stream is reset, nothing is done", async () => {
    await using desk = await AccountDesk.open();
    const you = await desk.login("you");
    const { encodeMessage } = await import("../../src/exchange/index.ts");
    const { acceptCall } = await import("../../src/exchange/index.ts");
    const { RecordedStream } = await import("../exchange/recorded-stream.ts");
    for (const body of ["", "[]", "null", "{", '"x"', "\u0000", `${"[".repeat(8_000)}`]) {
      const stream = new RecordedStream();
      const events = acceptCall(stream, () => {
        throw new Error("It was taken as a call");
      });
      events.bytes(encodeMessage("call", { name: "tunnel.create", body: Buffer.from(body) }));
      expect(stream.log.some((line) => line.startsWith("reset"))).toBe(true);
    }
    expect(() =>
      encodeMessage("call", { name: "tunnel.create", body: Buffer.alloc(16_385, 0x20) }),
    ).toThrow();
    expect((await you.call("tunnel.list")).events).toEqual([]);
    // Members that every object has are members of no body.
    const { code } = await you.call("tunnel.create", JSON.parse('{"__proto__": {"name": "x"}}'));
    expect(code).toBe("USAGE");
  });
});

describe("calls of the owner", () => {
  test("grant reserved, bare and foreign names, and stop at one that another tunnel has", async () => {
    await using desk = await AccountDesk.open();
    const you = await desk.login("you");
    const id = await created(you, "mine");
    await created(you, "other", { hosts: ["taken.example.com"] });
    const hosts = ["www.example.com", "example.com", "shop.customer.org", "*.dev.example.com"];
    expect(await desk.owner("grant", { tunnel: "mine", hosts })).toEqual({
      tunnel: { id, name: "mine" },
      hosts: hosts.map((host) => ({ host, how: "granted" })),
    });
    for (const [bad, code] of [
      [["free.example.com", "taken.example.com"], "HOSTNAME_TAKEN"],
      [[`${id}.example.com`], "HOSTNAME_NOT_GRANTED"],
      [["not a name"], "HOSTNAME_NOT_GRANTED"],
      [[], "USAGE"],
      [Array.from({ length: 65 }, (_, index) => `h${index}.example.com`), "USAGE"],
    ] as const)
      expect(await refusalOf(desk.owner("grant", { tunnel: "mine", hosts: bad }))).toMatchObject({
        code,
      });
    expect(desk.store.snapshot.ownerOf("free.example.com")).toBe(id);
    const nobody = desk.owner("grant", { tunnel: "nobody", hosts: ["a.example.com"] });
    expect(await refusalOf(nobody)).toMatchObject({ code: "TUNNEL_NOT_FOUND" });
  });

  test("revoke a key, and say which ones rotations put in its place: whoever had it may have made them", async () => {
    await using desk = await AccountDesk.open();
    const you = await desk.login("you");
    const tunnel = await created(you, "mine");
    await you.call("key.add", { tunnel, label: "ci", key: keyText() });
    for (const keyId of ["ci", "ci-2"])
      expect((await you.call("key.rotate", { tunnel, keyId, key: keyText() })).code).toBe("");
    const revoke = (what: string): Promise<object | undefined> => desk.owner("revoke", { what });
    expect(await revoke("mine/ci")).toMatchObject({ keys: ["mine/ci-2", "mine/ci-3"] });
    expect(await revoke("mine/ci-3")).toMatchObject({ keys: [] });
    expect(await revoke("mine/ci")).toMatchObject({ keys: ["mine/ci-2"] });
  });

  test("revoke a tunnel, an account, a key and a name, and say what stays", async () => {
    await using desk = await AccountDesk.open();
    const you = await desk.login("you");
    const id = await created(you, "mine", { hosts: ["app.example.com"] });
    await you.call("key.add", { tunnel: "mine", label: "nas", key: keyText() });
    expect(await desk.owner("revoke", { what: "nas" })).toEqual({
      ...{ kind: "key", key: "nas", of: "mine", revokedAt: new Date(desk.clock.now).toISOString() },
      keys: [],
    });
    expect(await desk.owner("revoke", { what: "App.Example.Com" })).toEqual({
      ...{ kind: "host", host: "app.example.com", of: "mine", isFixed: false },
    });
    expect(desk.store.snapshot.ownerOf("app.example.com")).toBeUndefined();
    await you.call("key.add", { tunnel: "mine", label: "nas", key: keyText() });
    expect(await desk.owner("revoke", { what: id })).toEqual({
      ...{ kind: "tunnel", tunnel: { id, name: "mine" }, keys: ["mine", "nas-2"], hosts: [] },
    });
    expect(await desk.owner("revoke", { what: "you" })).toMatchObject({
      ...{ kind: "account", account: { name: "you" }, keys: ["laptop"], tunnels: ["mine"] },
    });
    for (const what of ["nobody", "mine/nobody", "a.example.com", "", "tunnel:you", "key:mine"])
      expect(await refusalOf(desk.owner("revoke", { what }))).toMatchObject({ code: "NOT_FOUND" });
    expect(await refusalOf(desk.owner("revoke", { what: "x".repeat(1_025) }))).toMatchObject({
      code: "USAGE",
    });
  });

  test("revoke a line, by the whole of it or by its code, and say which keys it made", async () => {
    await using desk = await AccountDesk.open();
    const invitation = { hosts: [], ttlMs: 60_000, uses: 3 };
    const line = String((await desk.owner("invite", invitation))?.["line"]);
    const code = line.split("/").at(-1) as string;
    const { parseJoinLine } = await import("../../src/identity/index.ts");
    const join = (name: string): ReturnType<typeof desk.store.enrol> => {
      const publicKey = Uint8Array.from(Buffer.from(keyText(), "base64url"));
      const wish = { kind: "tunnel", name, label: "laptop" } as const;
      return desk.store.enrol({ publicKey, code: parseJoinLine(line).code, ...wish });
    };
    await join("home");
    await join("office");
    const ended = await desk.owner("revoke", { what: ` ${line.toUpperCase()} ` });
    expect(ended).toEqual({ kind: "code", wasOver: false, keys: ["home/laptop", "office/laptop"] });
    expect(await join("late")).toMatchObject({ state: "refused", reason: "expiredCode" });
    // Those keys go on, until they are revoked as well.
    expect(
      desk.store.snapshot.tunnel(desk.store.snapshot.findTunnel("home")?.id as string),
    ).toBeDefined();
    expect(await desk.owner("revoke", { what: code })).toMatchObject({
      kind: "code",
      wasOver: true,
    });
    const wrong = `${line.slice(0, -26)}${"a".repeat(26)}`;
    const error = await refusalOf(desk.owner("revoke", { what: wrong }));
    expect(error).toMatchObject({ code: "CODE_NOT_FOUND" });
    expect(await refusalOf(desk.owner("revoke", { what: "tunl://example.com/x/y" }))).toMatchObject(
      { code: "BAD_JOIN_LINE" },
    );
    const text = JSON.stringify(await desk.store.listAudit(100));
    expect(text).not.toContain(code);
  });

  test("refuse to guess: what may mean several things is listed, in forms that mean one", async () => {
    await using desk = await AccountDesk.open();
    const you = await desk.login("home");
    await created(you, "home");
    await created(you, "office", { label: "home" });
    const error = await refusalOf(desk.owner("revoke", { what: "home" }));
    expect(error).toMatchObject({ code: "AMBIGUOUS", message: '"home" may mean 4 things' });
    const { hint } = error as { hint: string };
    const choices = hint.replace("Say which: ", "").split(", ");
    // By the names that people know, of two owners with one name too.
    expect(choices).toEqual(["tunnel:home", "account:home", "tunnel:home/home", "key:office/home"]);
    const id = desk.store.snapshot.findTunnel("home")?.id;
    const kinds: unknown[] = [];
    for (const what of choices.toReversed())
      kinds.push((await desk.owner("revoke", { what }))?.["kind"]);
    expect(kinds).toEqual(["key", "key", "account", "tunnel"]);
    // A key that has ended is no choice any more, but can still be named in full.
    for (const what of ["office/home", "account:home/laptop", `tunnel:${id}/home`])
      expect(await desk.owner("revoke", { what })).toMatchObject({ kind: "key" });
    expect(await refusalOf(desk.owner("revoke", { what: "tunnel:home/laptop" }))).toMatchObject({
      code: "NOT_FOUND",
    });
  });

  test("invite accounts by lines of their own kind, within a scope that can be", async () => {
    await using desk = await AccountDesk.open();
    const invitation = { account: true, hosts: ["*.bob.example.com"], ttlMs: 60_000 };
    const answer = await desk.owner("invite", { ...invitation, name: "bob" });
    const { parseJoinLine } = await import("../../src/identity/index.ts");
    const { code } = parseJoinLine(String(answer?.["line"]));
    const publicKey = Uint8Array.from(Buffer.from(keyText(), "base64url"));
    const wish = { publicKey, code, name: "laptop", label: "laptop" };
    // Given to the wrong command it is refused, and stays as it was.
    expect(await desk.store.enrol({ ...wish, kind: "tunnel" })).toMatchObject({
      reason: "otherKind",
    });
    expect(await desk.store.enrol({ ...wish, kind: "account" })).toMatchObject({
      ...{ state: "enrolled", name: "bob" },
    });
    const reserved = desk.owner("invite", { ...invitation, hosts: ["www.example.com"] });
    expect(await refusalOf(reserved)).toMatchObject({ code: "USAGE" });
    // An account named like a tunnel is another thing, and no key for that tunnel.
    await created(await desk.login("you"), "home");
    const twin = await desk.owner("invite", { ...invitation, name: "home" });
    const second = { ...wish, publicKey: Uint8Array.from(Buffer.from(keyText(), "base64url")) };
    const used = { ...second, code: parseJoinLine(String(twin?.["line"])).code };
    expect(await desk.store.enrol({ ...used, kind: "account" })).toMatchObject({
      state: "enrolled",
      owner: { kind: "account" },
    });
  });

  test("status shows accounts, keys in force and clones (A-15)", async () => {
    await using desk = await AccountDesk.open();
    const you = await desk.login("you");
    const key = keyText();
    const id = await created(you, "mine", { key });
    await you.call("key.add", { tunnel: "mine", label: "nas", key: keyText() });
    await you.call("key.revoke", { tunnel: "mine", keyId: "nas" });
    const publicKey = Uint8Array.from(Buffer.from(key, "base64url"));
    for (let copy = 0; copy < 2; copy++) desk.session("tunnel", id, "mine", publicKey, "mine");
    desk.session("tunnel", id, "mine", new Uint8Array(32), "other");
    const status = await desk.owner("status", {});
    expect(status?.["accounts"]).toMatchObject([
      { name: "you", keys: ["laptop"], sessions: 1, tunnels: 1 },
    ]);
    expect(status?.["tunnels"]).toMatchObject([
      {
        ...{ name: "mine", account: "you", keys: ["mine"], connectors: 3 },
        clones: [{ keyId: "mine", labels: ["mine's machine", "mine's machine"] }],
      },
    ]);
    const seen = (await you.call("tunnel.info", { tunnel: "mine" })).events;
    expect(
      seen.filter(({ event, keyId }) => event === "connector" && keyId === "mine"),
    ).toHaveLength(2);
  });
});
