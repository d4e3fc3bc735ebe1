// Tunnels of accounts: made whole or not at all, seen by nobody else, deleted with everything of theirs.
import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { isEnded } from "../../../src/edge/store/index.ts";
import { MAX_TUNNELS_EVER, MAX_TUNNELS_OF_ACCOUNT } from "../../../src/edge/store/tunnels.ts";
import { generateKey } from "../../../src/identity/index.ts";
import { Account } from "./account.ts";
import { Directory, makeClock, open, refusalOf, TUNNEL_CODE } from "./fixture.ts";

describe("tunnels of an account", () => {
  test("are made with a key and names, and are there after a restart", async () => {
    using directory = new Directory();
    let id: string;
    let publicKey: Uint8Array;
    {
      await using store = await open(directory.path);
      const you = await Account.login(store);
      const made = await you.create("my-tunnel", { hosts: ["App.example.com"], label: "Laptop" });
      expect(made).toMatchObject({
        tunnel: { name: "my-tunnel", account: you.id },
        key: { keyId: "laptop", kind: "key", scope: [], expiresAt: undefined },
        hosts: [{ host: "app.example.com", how: "claimed" }],
      });
      id = made.tunnel.id;
      publicKey = made.key.publicKey;
      expect(store.snapshot.ownerOf("app.example.com")).toBe(id);
      expect([...store.snapshot.tunnelsOf(you.id)].map((tunnel) => tunnel.id)).toEqual([id]);
      const events = (await store.listAudit(10)).map(({ event }) => event);
      expect(events).toContain("tunnel.created");
    }
    await using store = await open(directory.path);
    expect(store.snapshot.findTunnel("my-tunnel")?.id).toBe(id);
    expect(store.snapshot.key(publicKey)?.owner).toEqual({ kind: "tunnel", id });
  });

  test("made again with the same key and name are the same: the first answer was lost", async () => {
    using directory = new Directory();
    await using store = await open(directory.path);
    const you = await Account.login(store);
    const order = { publicKey: generateKey().publicKey, hosts: ["app.example.com"] };
    const [first, second] = await Promise.all([
      you.create("my-tunnel", order),
      you.create("my-tunnel", order),
    ]);
    expect(second).toEqual(first);
    expect(await you.create("my-tunnel", order)).toEqual(first);
    expect([...store.snapshot.tunnels]).toHaveLength(1);
    expect(await refusalOf(you.create("my-tunnel"))).toMatchObject({ code: "NAME_TAKEN" });
    expect(await refusalOf(you.create("other", order))).toMatchObject({ code: "USAGE" });
  });

  test("are made whole or not at all: one name too many and nothing is there", async () => {
    using directory = new Directory();
    await using store = await open(directory.path);
    const [you, she] = [await Account.login(store), await Account.login(store, [], "she")];
    await she.create("hers", { hosts: ["taken.example.com"] });
    for (const [hosts, code] of [
      [["free.example.com", "taken.example.com"], "HOSTNAME_TAKEN"],
      [["free.example.com", "www.example.com"], "HOSTNAME_NOT_GRANTED"],
      [["free.example.com", "*.example.com"], "HOSTNAME_NOT_GRANTED"],
      [["free.example.com", "not a name"], "HOSTNAME_NOT_GRANTED"],
    ] as const) {
      expect(await refusalOf(you.create("mine", { hosts }))).toMatchObject({ code });
      expect(store.snapshot.findTunnel("mine")).toBeUndefined();
      expect(store.snapshot.ownerOf("free.example.com")).toBeUndefined();
    }
    // Refused inside the transaction, too, where the snapshot was a moment late.
    const race = await Promise.allSettled([
      you.create("mine", { hosts: ["free.example.com"] }),
      she.create("yours", { hosts: ["free.example.com"] }),
    ]);
    expect(race.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect([...store.snapshot.tunnels]).toHaveLength(2);
  });

  test.each(["", "-a", "a-", "A", "a.b", "a_b", "ä", "a".repeat(57), crypto.randomUUID()])(
    "are not named %p",
    async (name) => {
      using directory = new Directory();
      await using store = await open(directory.path);
      const you = await Account.login(store);
      expect(await refusalOf(you.create(name))).toMatchObject({ code: "USAGE" });
      expect([...store.snapshot.tunnels]).toEqual([]);
    },
  );

  test("claim within the scope of their account only (A-06)", async () => {
    using directory = new Directory();
    await using store = await open(directory.path);
    const bob = await Account.login(store, ["*.bob.example.com"], "bob");
    expect((await bob.create("b", { hosts: ["x.bob.example.com"] })).key.scope).toEqual([
      "*.bob.example.com",
    ]);
    expect(await refusalOf(bob.create("c", { hosts: ["app.example.com"] }))).toMatchObject({
      code: "HOSTNAME_NOT_GRANTED",
    });
    const id = store.snapshot.findTunnel("b")?.id as string;
    expect(
      await refusalOf(store.claimHost({ tunnel: id, keyId: "b" }, "app.example.com")),
    ).toMatchObject({ code: "HOSTNAME_NOT_GRANTED" });
  });

  test("are changed by nobody but the account that made them, and that only while its key is in force", async () => {
    using directory = new Directory();
    await using store = await open(directory.path);
    const [you, she] = [await Account.login(store), await Account.login(store, [], "she")];
    const { tunnel, key } = await you.create("mine");
    const hers = she.key.publicKey;
    const missing = { code: "TUNNEL_NOT_FOUND" };
    expect(await refusalOf(store.tunnels.remove(hers, tunnel.id))).toMatchObject(missing);
    expect(await refusalOf(she.addKey(tunnel.id, "x"))).toMatchObject(missing);
    expect(await refusalOf(store.tunnels.revokeKeys(hers, [key]))).toMatchObject(missing);
    const next = generateKey().publicKey;
    expect(await refusalOf(store.tunnels.rotateKey(hers, key, next, 0))).toMatchObject(missing);
    // The key of a tunnel makes no tunnels, and revokes nobody.
    const order = { name: "t", publicKey: generateKey().publicKey, label: "t", hosts: [] };
    expect(await refusalOf(store.tunnels.create(key.publicKey, order))).toMatchObject({
      code: "NOT_ALLOWED",
    });
    expect(store.snapshot.key(key.publicKey)?.revokedAt).toBeUndefined();

    // Revoked while the change waits behind it for the disk.
    const revoked = store.revokeKey({ kind: "account", id: you.id }, "laptop");
    const late = refusalOf(you.create("late"));
    await revoked;
    expect(await late).toMatchObject({ code: "NOT_ALLOWED" });
    expect(store.snapshot.findTunnel("late")).toBeUndefined();
    expect(await refusalOf(store.tunnels.remove(you.key.publicKey, tunnel.id))).toMatchObject({
      code: "NOT_ALLOWED",
    });
  });

  test("deleted leave free names, a free name of their own, ended lines and revoked keys, for ever (A-07)", async () => {
    using directory = new Directory();
    let keys: Uint8Array[];
    {
      await using store = await open(directory.path);
      const you = await Account.login(store);
      const { tunnel, key } = await you.create("mine", { hosts: ["app.example.com"] });
      const { publicKey: token } = await you.addKey(tunnel.id, "nas");
      keys = [key.publicKey, token];
      const makes = { kind: "key", tunnel: "mine" } as const;
      const { code } = await store.createCode({ ...TUNNEL_CODE, makes });
      expect(await store.tunnels.remove(you.key.publicKey, tunnel.id)).toEqual({
        hosts: ["app.example.com"],
        keys: 2,
      });
      expect(store.snapshot.findTunnel("mine")).toBeUndefined();
      expect(store.snapshot.findTunnel(tunnel.id)).toBeUndefined();
      expect(store.snapshot.ownerOf("app.example.com")).toBeUndefined();
      expect([...store.snapshot.tunnelsOf(you.id)]).toEqual([]);
      const wish = { kind: "tunnel", name: "x", label: "x" } as const;
      const enrolment = { publicKey: generateKey().publicKey, code, ...wish };
      expect(await store.enrol(enrolment)).toMatchObject({ reason: "expiredCode" });
      expect(await refusalOf(store.tunnels.remove(you.key.publicKey, tunnel.id))).toMatchObject({
        code: "TUNNEL_NOT_FOUND",
      });
      // The name and the hostname are for others again, the keys are not.
      const again = await you.create("mine", { hosts: ["app.example.com"] });
      expect(again.tunnel.id).not.toBe(tunnel.id);
      const reused = you.create("other", { publicKey: token });
      expect(await refusalOf(reused)).toMatchObject({ code: "USAGE" });
    }
    await using store = await open(directory.path);
    expect([...store.snapshot.tunnels].map(({ name }) => name)).toEqual(["mine"]);
    for (const key of keys) {
      const row = store.snapshot.key(key);
      expect(row !== undefined && isEnded(row, store.now())).toBe(true);
    }
    expect(keys).toHaveLength(2);
  });

  test("deleted get nothing more by changes that waited for the disk behind it", async () => {
    using directory = new Directory();
    await using store = await open(directory.path);
    const you = await Account.login(store);
    const { tunnel, key } = await you.create("mine");
    const owner = { tunnel: tunnel.id, keyId: key.keyId };
    const makes = { kind: "key", tunnel: "mine" } as const;
    // None of them can know: the snapshot shows the tunnel until the first one is done.
    const changes = [
      store.tunnels.remove(you.key.publicKey, tunnel.id),
      store.claimHost(owner, "app.example.com"),
      store.grantHost("mine", "www.example.com"),
      store.randomHost(owner, "8000"),
      store.createCode({ ...TUNNEL_CODE, makes }),
      you.addKey(tunnel.id, "late"),
      store.tunnels.rotateKey(key.publicKey, key, generateKey().publicKey, 60_000),
    ];
    const outcomes = await Promise.allSettled(changes);
    expect(outcomes.map(({ status }) => status)).toEqual([
      "fulfilled",
      ...Array(6).fill("rejected"),
    ]);
    expect([...store.snapshot.hosts]).toEqual([]);
    expect((await store.listCodes()).map((code) => code.makes)).toEqual(["account"]);
  });

  test("are bounded, and so is how many there ever were", async () => {
    using directory = new Directory();
    const clock = makeClock();
    let account: string;
    let key: Uint8Array;
    {
      await using store = await open(directory.path, clock);
      const you = await Account.login(store);
      account = you.id;
      key = you.key.publicKey;
    }
    // By hand, since ten thousand changes would be ten thousand writes to the disk.
    const fill = (count: number, deletedAt: number | null): void => {
      using database = new Database(join(directory.path, "state.db"));
      const insert = database.query("INSERT INTO tunnels VALUES (?, ?, ?, 1, NULL, ?)");
      database.transaction(() => {
        for (let index = 0; index < count; index++) {
          const id = crypto.randomUUID();
          insert.run(id, id, account, deletedAt);
        }
      })();
    };
    const order = { publicKey: generateKey().publicKey, label: "x", hosts: [] };
    const create = async (): Promise<unknown> => {
      await using store = await open(directory.path, clock);
      return await store.tunnels
        .create(key, { name: "one-more", ...order })
        .catch((error) => error);
    };
    fill(MAX_TUNNELS_OF_ACCOUNT, null);
    expect(await create()).toMatchObject({
      code: "TUNNEL_LIMIT",
      message: "Account has 1000 tunnels, allowed 1000",
    });
    {
      using database = new Database(join(directory.path, "state.db"));
      database.run("UPDATE tunnels SET deleted_at = 2");
    }
    fill(MAX_TUNNELS_EVER - MAX_TUNNELS_OF_ACCOUNT, 2);
    expect(await create()).toMatchObject({
      code: "TUNNEL_LIMIT",
      message: "Account made 10000 tunnels, allowed 10000 with those it deleted",
    });
  });
});
