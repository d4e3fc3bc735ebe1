// Keys after their enrolment: further ones, tokens that end, rotations, revocation for ever.
import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { isEnded, type KeyRow, type Store } from "../../../src/edge/store/index.ts";
import { MAX_KEYS_EVER, MAX_KEYS_OF_TUNNEL } from "../../../src/edge/store/keys.ts";
import { generateKey } from "../../../src/identity/index.ts";
import { Account } from "./account.ts";
import { Directory, makeClock, MINUTE_MS, open, refusalOf } from "./fixture.ts";

/** The row of a key now. */
function rowOf(store: Store, publicKey: Uint8Array): KeyRow {
  const row = store.snapshot.key(publicKey);
  if (row === undefined) throw new Error("There is no such key");
  return row;
}

describe("keys of a tunnel", () => {
  test("are added with a label of their own, a kind and a time", async () => {
    using directory = new Directory();
    const clock = makeClock();
    await using store = await open(directory.path, clock);
    const you = await Account.login(store);
    const { tunnel } = await you.create("mine");
    const token = await you.addKey(tunnel.id, "NAS!", 60_000);
    const row = rowOf(store, token.publicKey);
    expect(row).toMatchObject({ keyId: "nas", kind: "token", expiresAt: clock.now + 60_000 });
    expect(isEnded(row, clock.now + 59_999)).toBe(false);
    expect(isEnded(row, clock.now + 60_000)).toBe(true);
    const second = await you.addKey(tunnel.id, "nas");
    expect(rowOf(store, second.publicKey).keyId).toBe("nas-2");
    // The same one again is the same: the first answer was lost.
    const order = { tunnel: tunnel.id, publicKey: second.publicKey, label: "other" } as const;
    const again = { ...order, kind: "token", hosts: [], ttlMs: undefined } as const;
    expect(await store.tunnels.addKey(you.key.publicKey, again)).toEqual(
      rowOf(store, second.publicKey),
    );
    const { tunnel: other } = await you.create("other");
    expect(
      await refusalOf(store.tunnels.addKey(you.key.publicKey, { ...again, tunnel: other.id })),
    ).toMatchObject({ code: "USAGE" });
    for (const ttlMs of [0, 999, Number.NaN, 3_651 * 86_400_000])
      expect(await refusalOf(you.addKey(tunnel.id, "x", ttlMs))).toMatchObject({ code: "USAGE" });
  });

  test("are given no more than the account has (A-08)", async () => {
    using directory = new Directory();
    await using store = await open(directory.path);
    const bob = await Account.login(store, ["*.bob.example.com"], "bob");
    const { tunnel } = await bob.create("mine");
    const token = await bob.addKey(tunnel.id, "nas", undefined, ["a.bob.example.com"]);
    expect(rowOf(store, token.publicKey).scope).toEqual(["a.bob.example.com"]);
    const owner = { tunnel: tunnel.id, keyId: "nas" };
    expect(await refusalOf(store.claimHost(owner, "b.bob.example.com"))).toMatchObject({
      code: "HOSTNAME_NOT_GRANTED",
    });
    expect(await store.claimHost(owner, "a.bob.example.com")).toMatchObject({ how: "claimed" });
    for (const host of ["app.example.com", "*.example.com", "bob.example.com"])
      expect(await refusalOf(bob.addKey(tunnel.id, "x", undefined, [host]))).toMatchObject({
        code: "HOSTNAME_NOT_GRANTED",
      });
  });

  test("rotated end after the overlap, with a new one in their place, once", async () => {
    using directory = new Directory();
    const clock = makeClock();
    await using store = await open(directory.path, clock);
    const you = await Account.login(store);
    const { key } = await you.create("mine", { label: "laptop" });
    const by = you.key.publicKey;
    const next = generateKey().publicKey;
    const rotated = await store.tunnels.rotateKey(by, key, next, 10 * MINUTE_MS);
    expect(rotated.key).toMatchObject({ keyId: "laptop-2", kind: "key", expiresAt: undefined });
    expect(rotated.old).toMatchObject({ expiresAt: clock.now + 600_000, revokedAt: undefined });
    // The answer was lost: the same key again changes nothing; another one is too late.
    expect(await store.tunnels.rotateKey(by, key, next, 10 * MINUTE_MS)).toEqual(rotated);
    const late = store.tunnels.rotateKey(by, key, generateKey().publicKey, 0);
    expect(await refusalOf(late)).toMatchObject({ code: "KEY_NOT_FOUND" });
    // The next rotation counts on, and without an overlap the old one is revoked at once.
    const third = await store.tunnels.rotateKey(by, rotated.key, generateKey().publicKey, 0);
    expect(third.key.keyId).toBe("laptop-3");
    expect(third.old.revokedAt).toBe(clock.now);
    for (const overlapMs of [-1, Number.NaN, 31 * 86_400_000])
      expect(
        await refusalOf(store.tunnels.rotateKey(by, third.key, generateKey().publicKey, overlapMs)),
      ).toMatchObject({ code: "USAGE" });
  });

  test("rotate themselves, nobody else, and prolong nothing by it", async () => {
    using directory = new Directory();
    const clock = makeClock();
    await using store = await open(directory.path, clock);
    const you = await Account.login(store);
    const { tunnel, key } = await you.create("mine");
    const token = rowOf(store, (await you.addKey(tunnel.id, "nas", 60_000)).publicKey);
    const next = generateKey().publicKey;
    const other = store.tunnels.rotateKey(key.publicKey, token, next, 0);
    expect(await refusalOf(other)).toMatchObject({ code: "NOT_ALLOWED" });
    const { key: newer, old } = await store.tunnels.rotateKey(
      token.publicKey,
      token,
      next,
      10 * MINUTE_MS,
    );
    expect(newer).toMatchObject({ kind: "token", expiresAt: clock.now + 60_000, scope: [] });
    expect(old.expiresAt).toBe(clock.now + 60_000);
    clock.now += 60_000;
    const over = store.tunnels.rotateKey(newer.publicKey, newer, generateKey().publicKey, 0);
    expect(await refusalOf(over)).toMatchObject({ code: "NOT_ALLOWED" });
  });

  test("that were rotated keep their random names, before and after the overlap", async () => {
    using directory = new Directory();
    await using store = await open(directory.path);
    const you = await Account.login(store);
    const { tunnel, key } = await you.create("mine", { label: "laptop" });
    const old = { tunnel: tunnel.id, keyId: "laptop" };
    const { host: before } = await store.randomHost(old, "http://localhost:1");
    const by = you.key.publicKey;
    const { key: next } = await store.tunnels.rotateKey(
      by,
      key,
      generateKey().publicKey,
      MINUTE_MS,
    );
    const fresh = { tunnel: tunnel.id, keyId: next.keyId };
    expect((await store.randomHost(fresh, "http://localhost:1")).host).toBe(before);
    expect((await store.randomHost(old, "http://localhost:1")).host).toBe(before);
    const { host: later } = await store.randomHost(old, "http://localhost:2");
    expect((await store.randomHost(fresh, "http://localhost:2")).host).toBe(later);
  });

  test("revoked stay so over a restart, and those of a shut tunnel with the lines for more (A-07)", async () => {
    using directory = new Directory();
    let keys: KeyRow[];
    {
      await using store = await open(directory.path);
      const you = await Account.login(store);
      const { tunnel, key } = await you.create("mine", { hosts: ["app.example.com"] });
      const token = rowOf(store, (await you.addKey(tunnel.id, "nas")).publicKey);
      keys = [key, token];
      const [revoked] = await store.tunnels.revokeKeys(you.key.publicKey, [key]);
      expect(revoked?.revokedAt).toBe(store.now());
      // Twice is once: the first time stands.
      expect(await store.tunnels.revokeKeys(you.key.publicKey, [key])).toEqual([revoked as KeyRow]);
      expect(await store.tunnels.shut(tunnel.id)).toMatchObject([{ keyId: "nas" }]);
      // Its names stay its own.
      expect(store.snapshot.ownerOf("app.example.com")).toBe(tunnel.id);
    }
    await using store = await open(directory.path);
    for (const { publicKey } of keys) expect(rowOf(store, publicKey).revokedAt).toBeDefined();
    expect(keys).toHaveLength(2);
  });

  test("are bounded: those in force, those there ever were", async () => {
    using directory = new Directory();
    let tunnel: string;
    let account: Uint8Array;
    {
      await using store = await open(directory.path);
      const you = await Account.login(store);
      account = you.key.publicKey;
      tunnel = (await you.create("mine")).tunnel.id;
    }
    const fill = (count: number, revokedAt: number | null, of = tunnel): void => {
      using database = new Database(join(directory.path, "state.db"));
      const insert = database.query(
        "INSERT INTO keys (public_key, tunnel, key_id, scope, created_at, revoked_at) VALUES (?, ?, ?, '[]', 1, ?)",
      );
      database.transaction(() => {
        for (let index = 0; index < count; index++)
          insert.run(randomBytes(32), of, `k${randomBytes(8).toString("hex")}`, revokedAt);
      })();
    };
    const add = async (): Promise<unknown> => {
      await using store = await open(directory.path);
      const { publicKey } = generateKey();
      const order = { tunnel, publicKey, label: "x", kind: "key", hosts: [] } as const;
      return await store.tunnels
        .addKey(account, { ...order, ttlMs: undefined })
        .catch((error: unknown) => error);
    };
    fill(MAX_KEYS_OF_TUNNEL - 1, null);
    expect(await add()).toMatchObject({
      code: "KEY_LIMIT",
      message: expect.stringContaining("Tunnel has 100 keys"),
    });
    using database = new Database(join(directory.path, "state.db"));
    database.run("UPDATE keys SET revoked_at = 2 WHERE tunnel IS NOT NULL");
    expect(await add()).toMatchObject({ keyId: "x" });
    fill(MAX_KEYS_EVER.tunnel, 2);
    expect(await add()).toMatchObject({ code: "KEY_LIMIT" });
    // All tunnels of the account together, deleted ones too.
    const other = crypto.randomUUID();
    database.run(
      "INSERT INTO tunnels SELECT ?, ?, account, 1, NULL, NULL FROM tunnels WHERE id = ?",
      [other, other, tunnel],
    );
    fill(MAX_KEYS_EVER.account, 2, other);
    database.run("UPDATE keys SET tunnel = ? WHERE tunnel = ?", [other, tunnel]);
    expect(await add()).toMatchObject({
      code: "KEY_LIMIT",
      message: expect.stringContaining("Tunnels of this account"),
    });
  });
});
