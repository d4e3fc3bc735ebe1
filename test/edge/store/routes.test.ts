import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { openStore } from "../../../src/edge/store/index.ts";
import type { Store } from "../../../src/edge/store/index.ts";
import { Directory, makeClock, open, optionsFor } from "./fixture.ts";

const DAY_MS = 86_400_000;
const KEY = {
  account: Buffer.alloc(32, 1),
  other: Buffer.alloc(32, 2),
  tunnel: Buffer.alloc(32, 3),
};

/** An account with a tunnel, and another account. */
async function withAccount(store: Store, scope: readonly string[] = []): Promise<string> {
  for (const publicKey of [KEY.account, KEY.other]) {
    const makes = { kind: "account", name: undefined } as const;
    const { code } = await store.createCode({ makes, scope, ttlMs: DAY_MS, uses: 1 });
    await store.enrol({ publicKey, code, kind: "account", name: "me", label: "laptop" });
  }
  const order = { name: "my-tunnel", publicKey: KEY.tunnel, label: "home", hosts: [] };
  return (await store.tunnels.create(KEY.account, order)).tunnel.id;
}

async function codeOf(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => "done",
    (error: { code?: unknown }) => error.code,
  );
}

describe("names of accounts", () => {
  test("are claimed inside the scope, for tunnels of the account alone", async () => {
    using directory = new Directory();
    await using store = await open(directory.path);
    const id = await withAccount(store, ["app.example.com", "*.customer.net"]);
    expect(await store.routes.claim(KEY.account, id, "App.example.com")).toMatchObject({
      host: "app.example.com",
      tunnel: id,
      how: "claimed",
      proof: undefined,
    });
    expect(store.snapshot.ownerOf("app.example.com")).toBe(id);
    await store.routes.claim(KEY.account, id, "app.example.com");
    await store.routes.claim(KEY.account, id, "shop.customer.net");
    expect(await codeOf(store.routes.claim(KEY.account, id, "shop.other.net"))).toBe(
      "HOSTNAME_NOT_GRANTED",
    );
    expect(await codeOf(store.routes.claim(KEY.other, id, "b.customer.net"))).toBe(
      "TUNNEL_NOT_FOUND",
    );
  });

  test("are freed by their account alone", async () => {
    using directory = new Directory();
    await using store = await open(directory.path);
    const id = await withAccount(store);
    await store.routes.claim(KEY.account, id, "app.example.com");
    expect(await codeOf(store.routes.release(KEY.other, "app.example.com"))).toBe(
      "TUNNEL_NOT_FOUND",
    );
    expect(await store.routes.release(KEY.account, "app.example.com")).toMatchObject({
      tunnel: id,
    });
    expect(await store.routes.release(KEY.account, "app.example.com")).toBeUndefined();
    expect(store.snapshot.ownerOf("app.example.com")).toBeUndefined();
  });
});

describe("proofs and records", () => {
  test("survive a restart, and belong to the tunnel that has the name", async () => {
    using directory = new Directory();
    const clock = makeClock();
    const proof = { state: "suspended", at: clock.now, failedSince: clock.now + 1 } as const;
    let id: string;
    {
      await using store = await open(directory.path, clock);
      id = await withAccount(store, ["*.customer.net"]);
      const row = await store.routes.claim(KEY.account, id, "shop.customer.net");
      expect(await store.routes.setProof(row, proof)).toMatchObject({ proof });
      const stranger = { host: row.host, tunnel: "another" };
      expect(await store.routes.setProof(stranger, { ...proof, state: "proven" })).toBeUndefined();
      const record = { name: "shop.customer.net", type: "CNAME", value: "x.example.com" };
      await store.routes.keepRecord({ ...record, host: row.host, tunnel: id });
      await store.routes.keepRecord({ ...record, host: row.host, tunnel: id });
      await store.routes.keepRecord({ ...record, value: "two", host: row.host, tunnel: id });
      await store.routes.forgetRecord({ ...record, value: "two" });
    }
    await using store = await open(directory.path, clock);
    expect(store.snapshot.host("shop.customer.net")?.proof).toEqual(proof);
    expect(await store.routes.records()).toEqual([
      {
        ...{ name: "shop.customer.net", type: "CNAME", value: "x.example.com" },
        ...{ host: "shop.customer.net", tunnel: id, createdAt: clock.now },
      },
    ]);
    // The name may go before its record does.
    await store.releaseHost("shop.customer.net");
    expect(await store.routes.records()).toHaveLength(1);
    const events = (await store.listAudit(20)).map(({ event }) => event);
    expect(events).toContain("host.suspended");
    expect(events).toContain("dns.record.removed");
  });

  test("of a state of before are believed until they are looked at", async () => {
    using directory = new Directory();
    const clock = makeClock();
    {
      await using store = await open(directory.path, clock);
      const id = await withAccount(store, ["*.customer.net"]);
      await store.routes.claim(KEY.account, id, "shop.customer.net");
    }
    using database = new Database(join(directory.path, "state.db"));
    for (const column of ["proof", "proof_at", "proof_failed_at"])
      database.run(`ALTER TABLE hosts DROP COLUMN ${column}`);
    database.run("DROP TABLE dns_records");
    database.run("PRAGMA user_version = 2");
    database.close();
    await using store = await openStore({ ...optionsFor(directory.path, clock), isExpected: true });
    expect(store.snapshot.host("shop.customer.net")?.proof).toEqual({
      ...{ state: "proven", at: undefined, failedSince: undefined },
    });
  });
});
