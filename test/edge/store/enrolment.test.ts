import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { generateKey, makeCode } from "../../../src/identity/index.ts";
import type { CodeOrder, Enrolled, EnrolRequest, Store } from "../../../src/edge/store/index.ts";
import { Directory, makeClock, MINUTE_MS, open, TUNNEL_CODE, refusalOf } from "./fixture.ts";

function request(code: Uint8Array, changes: Partial<EnrolRequest> = {}): EnrolRequest {
  return {
    publicKey: generateKey().publicKey,
    code,
    kind: "tunnel",
    name: "home",
    label: "laptop",
    ...changes,
  };
}

async function enrol(
  store: Store,
  order: CodeOrder = TUNNEL_CODE,
  changes: Partial<EnrolRequest> = {},
): Promise<Enrolled> {
  const { code } = await store.createCode(order);
  return await store.enrol(request(code, changes));
}

const events = async (store: Store): Promise<string[]> =>
  (await store.listAudit(100)).map((row) => row.event);

describe("enrolment", () => {
  test("makes a tunnel named after the machine, then a numbered one, and the key is there at once", async () => {
    using directory = new Directory();
    await using store = await open(directory.path);
    const { code } = await store.createCode(TUNNEL_CODE);
    const first = request(code);
    const outcome = await store.enrol(first);
    expect(outcome).toMatchObject({
      state: "enrolled",
      name: "home",
      keyId: "laptop",
      isRepeat: false,
      owner: { kind: "tunnel" },
    });
    if (outcome.state !== "enrolled") throw new Error("refused");
    expect(store.snapshot.key(first.publicKey)).toMatchObject({
      owner: outcome.owner,
      keyId: "laptop",
      scope: [],
      revokedAt: undefined,
    });
    expect(store.snapshot.tunnel(outcome.owner.id)?.name).toBe("home");
    expect(store.snapshot.findTunnel("home")?.id).toBe(outcome.owner.id);
    expect(await enrol(store)).toMatchObject({ name: "home-2", keyId: "laptop" });
    expect(await enrol(store, TUNNEL_CODE, { name: "Zoë's MacBook Pro.local" })).toMatchObject({
      name: "zoe-s-macbook-pro-local",
    });
    expect(await enrol(store, TUNNEL_CODE, { name: "\u0000🦦", label: "" })).toMatchObject({
      name: "tunnel",
      keyId: "tunnel",
    });
    // A name in the form of an id would be mistaken for one.
    expect(await enrol(store, TUNNEL_CODE, { name: outcome.owner.id })).toMatchObject({
      name: "tunnel-2",
    });
  });

  test("is refused for a wrong code without a trace on the disk", async () => {
    using directory = new Directory();
    await using store = await open(directory.path);
    expect(await store.enrol(request(makeCode()))).toEqual({
      state: "refused",
      reason: "unknownCode",
    });
    expect(await events(store)).toEqual([]);
    expect(store.snapshot.isEmpty).toBe(true);
  });

  test("of the same key may repeat within the code's life, and changes nothing (A-06)", async () => {
    using directory = new Directory();
    const clock = makeClock();
    await using store = await open(directory.path, clock);
    const { code } = await store.createCode(TUNNEL_CODE);
    const own = request(code);
    const first = await store.enrol(own);
    clock.now += 14 * MINUTE_MS;
    expect(await store.enrol(own)).toEqual({ ...first, isRepeat: true } as Enrolled);
    expect([...store.snapshot.keys]).toHaveLength(1);
    clock.now += MINUTE_MS;
    expect(await store.enrol(own)).toEqual({ state: "refused", reason: "expiredCode" });
  });

  test("of another key is refused, and the owner can see it (A-06)", async () => {
    using directory = new Directory();
    await using store = await open(directory.path);
    const { code } = await store.createCode(TUNNEL_CODE);
    await store.enrol(request(code));
    expect(await store.enrol(request(code))).toEqual({ state: "refused", reason: "usedCode" });
    expect(await events(store)).toEqual(["enrol.refused", "enrolled", "code.created"]);
    expect((await store.listAudit(1))[0]?.fields).toMatchObject({
      reason: "usedCode",
      name: "home",
    });
  });

  test("ends with the code's time, to the millisecond (A-06)", async () => {
    using directory = new Directory();
    const clock = makeClock();
    await using store = await open(directory.path, clock);
    const { code, expiresAt } = await store.createCode(TUNNEL_CODE);
    clock.now = expiresAt;
    expect(await store.enrol(request(code))).toMatchObject({ reason: "expiredCode" });
    clock.now = expiresAt - 1;
    expect(await store.enrol(request(code))).toMatchObject({ state: "enrolled" });
  });

  test("by the wrong command is refused and leaves the code unused, both ways (A-06)", async () => {
    using directory = new Directory();
    await using store = await open(directory.path);
    const join = await store.createCode(TUNNEL_CODE);
    expect(await store.enrol(request(join.code, { kind: "account" }))).toMatchObject({
      reason: "otherKind",
    });
    expect(await store.enrol(request(join.code))).toMatchObject({ state: "enrolled" });
    const login = await store.createCode({
      ...TUNNEL_CODE,
      makes: { kind: "account" },
      scope: ["*.example.org"],
    });
    expect(await store.enrol(request(login.code))).toMatchObject({ reason: "otherKind" });
    const outcome = await store.enrol(request(login.code, { kind: "account", name: "you" }));
    expect(outcome).toMatchObject({ state: "enrolled", name: "you", owner: { kind: "account" } });
    if (outcome.state === "enrolled")
      expect(store.snapshot.account(outcome.owner.id)?.scope).toEqual(["*.example.org"]);
  });

  test("of 100 keys at once with one code leaves one key (A-06)", async () => {
    using directory = new Directory();
    await using store = await open(directory.path);
    const { code } = await store.createCode(TUNNEL_CODE);
    const outcomes = await Promise.all(
      Array.from({ length: 100 }, () => store.enrol(request(code))),
    );
    expect(outcomes.filter((outcome) => outcome.state === "enrolled")).toHaveLength(1);
    expect(
      outcomes.filter((outcome) => outcome.state === "refused" && outcome.reason === "usedCode"),
    ).toHaveLength(99);
    expect([...store.snapshot.keys]).toHaveLength(1);
    expect([...store.snapshot.tunnels]).toHaveLength(1);
  });

  test("of several uses counts keys, not repeats", async () => {
    using directory = new Directory();
    await using store = await open(directory.path);
    const { code } = await store.createCode({ ...TUNNEL_CODE, uses: 2 });
    const own = request(code);
    await store.enrol(own);
    await store.enrol(own);
    expect(await store.enrol(request(code))).toMatchObject({ state: "enrolled", name: "home-2" });
    expect(await store.enrol(request(code))).toMatchObject({ reason: "usedCode" });
    expect(await store.listCodes()).toMatchObject([{ uses: 2, used: 2, makes: "tunnel" }]);
  });

  test("adds a key to the tunnel an invitation names, and gives a new tunnel the name it says", async () => {
    using directory = new Directory();
    await using store = await open(directory.path);
    await enrol(store, { ...TUNNEL_CODE, makes: { kind: "tunnel", name: "media" } });
    const added = await enrol(store, {
      ...TUNNEL_CODE,
      makes: { kind: "key", tunnel: "media" },
      scope: ["Bob.Example.com"],
    });
    expect(added).toMatchObject({ state: "enrolled", name: "media", keyId: "laptop-2" });
    expect([...store.snapshot.tunnels]).toHaveLength(1);
    expect([...store.snapshot.keys][1]?.scope).toEqual(["bob.example.com"]);
    expect(
      await refusalOf(
        store.createCode({ ...TUNNEL_CODE, makes: { kind: "key", tunnel: "nobody" } }),
      ),
    ).toMatchObject({
      code: "TUNNEL_NOT_FOUND",
    });
  });

  test("of a revoked key is refused for ever, also with a fresh code", async () => {
    using directory = new Directory();
    await using store = await open(directory.path);
    const { code } = await store.createCode(TUNNEL_CODE);
    const own = request(code);
    const outcome = await store.enrol(own);
    if (outcome.state !== "enrolled") throw new Error("refused");
    store.touch(outcome.owner, outcome.keyId);
    expect(store.snapshot.lastSeen(outcome.owner.id)).toBeNumber();
    const revoked = await store.revokeKey(outcome.owner, outcome.keyId);
    expect(revoked.revokedAt).toBeNumber();
    // Nobody of that tunnel is expected back.
    expect(store.snapshot.lastSeen(outcome.owner.id)).toBeUndefined();
    expect(store.snapshot.key(own.publicKey)?.revokedAt).toBe(revoked.revokedAt as number);
    expect(await store.enrol(own)).toMatchObject({ reason: "revokedKey" });
    const fresh = await store.createCode(TUNNEL_CODE);
    expect(await store.enrol({ ...own, code: fresh.code })).toMatchObject({ reason: "revokedKey" });
    expect((await store.revokeKey(outcome.owner, outcome.keyId)).revokedAt).toBe(
      revoked.revokedAt as number,
    );
    expect((await events(store)).filter((event) => event === "key.revoked")).toHaveLength(1);
    expect(await refusalOf(store.revokeKey(outcome.owner, "nobody"))).toMatchObject({
      code: "KEY_NOT_FOUND",
    });
  });

  test("of a registered key with another code is refused and leaves that code unused", async () => {
    using directory = new Directory();
    await using store = await open(directory.path);
    const first = await store.createCode(TUNNEL_CODE);
    const own = request(first.code);
    await store.enrol(own);
    const second = await store.createCode(TUNNEL_CODE);
    expect(await store.enrol({ ...own, code: second.code })).toMatchObject({
      reason: "registeredKey",
    });
    expect(await store.enrol(request(second.code))).toMatchObject({ state: "enrolled" });
  });

  test("ends when the code is revoked", async () => {
    using directory = new Directory();
    await using store = await open(directory.path);
    const { code } = await store.createCode(TUNNEL_CODE);
    expect(await store.revokeCode(code)).toEqual({ state: "ended", keys: [] });
    expect(await store.revokeCode(code)).toEqual({ state: "over", keys: [] });
    expect(await store.revokeCode(makeCode())).toEqual({ state: "unknown", keys: [] });
    expect(await store.enrol(request(code))).toMatchObject({ reason: "expiredCode" });
    expect(await store.listCodes()).toEqual([]);
  });

  test("finds its code after a restart; on the disk stands only the hash", async () => {
    using directory = new Directory();
    const clock = makeClock();
    let code: Uint8Array;
    {
      await using store = await open(directory.path, clock);
      ({ code } = await store.createCode(TUNNEL_CODE));
    }
    expect(readFileSync(join(directory.path, "state.db")).includes(code)).toBe(false);
    await using store = await open(directory.path, clock);
    expect(await store.enrol(request(code))).toMatchObject({ state: "enrolled" });
  });

  test.each([
    { ttlMs: 0 },
    { ttlMs: 31 * 86_400_000 },
    { ttlMs: Number.NaN },
    { uses: 0 },
    { uses: 1_001 },
    { scope: ["not a name"] },
    { scope: Array.from({ length: 65 }, () => "a.example.com") },
  ])("refuses to make a code out of its bounds (case %#)", async (changes) => {
    using directory = new Directory();
    await using store = await open(directory.path);
    expect(await refusalOf(store.createCode({ ...TUNNEL_CODE, ...changes }))).toMatchObject({
      code: "USAGE",
    });
  });

  test("keeps the newest 10,000 audit rows, and codes for 30 days after their end", async () => {
    using directory = new Directory();
    const clock = makeClock();
    {
      await using store = await open(directory.path, clock);
      await store.createCode(TUNNEL_CODE);
    }
    {
      using database = new Database(join(directory.path, "state.db"));
      database.run(
        `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10050)
         INSERT INTO audit (at, event, fields) SELECT i, 'filler', '{}' FROM n`,
      );
    }
    clock.now += 31 * 86_400_000;
    {
      await using store = await open(directory.path, clock);
      await store.createCode(TUNNEL_CODE);
    }
    using database = new Database(join(directory.path, "state.db"));
    expect(database.query("SELECT count(*) AS n FROM audit").get()).toEqual({ n: 10_000 });
    expect(database.query("SELECT count(*) AS n FROM codes").get()).toEqual({ n: 1 });
  });
});
