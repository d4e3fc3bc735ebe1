import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { writeFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { generateKey, hashCode, makeCode } from "../../../src/identity/index.ts";
import { TunlError } from "../../../src/errors.ts";
import { changeError } from "../../../src/edge/store/database.ts";
import { LastSeen } from "../../../src/edge/store/last-seen.ts";
import { packError, unpackError } from "../../../src/edge/store/messages.ts";
import type { Seen } from "../../../src/edge/store/records.ts";
import { SqliteState } from "../../../src/edge/store/sqlite.ts";
import { openStore } from "../../../src/edge/store/index.ts";
import {
  Directory,
  makeClock,
  makeLog,
  open,
  optionsFor,
  TUNNEL_CODE,
  refusalOf,
} from "./fixture.ts";

describe("store worker", () => {
  test("is asked for at most 256 changes at a time, the rest may come again", async () => {
    using directory = new Directory();
    await using store = await open(directory.path);
    const calls = await Promise.allSettled(Array.from({ length: 300 }, () => store.listAudit(1)));
    const refused = calls.filter((call) => call.status === "rejected");
    expect(refused).toHaveLength(300 - 256);
    for (const call of refused)
      expect(call.reason).toMatchObject({ code: "STORE_BUSY", retryable: true });
    expect(await store.listAudit(1)).toEqual([]);
  });

  test("answers nothing after its end, and ends once", async () => {
    using directory = new Directory();
    const { log, records } = makeLog();
    const store = await openStore({ ...optionsFor(directory.path), log });
    await store[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
    expect(await refusalOf(store.listAudit(1))).toMatchObject({ code: "STORE_FAILED" });
    expect(records).toEqual([]);
  });

  test("keeps code, hint and cause of an error on the way", () => {
    const error = new TunlError("X", "Text", {
      retryable: true,
      hint: "Do",
      cause: new Error("why"),
    });
    const back = unpackError(structuredClone(packError(error)));
    expect(back).toBeInstanceOf(TunlError);
    expect(back).toMatchObject({
      code: "X",
      message: "Text",
      retryable: true,
      hint: "Do",
      cause: "Error: why",
    });
    expect(unpackError(packError(new TypeError("oops")))).toMatchObject({
      code: "BUG",
      message: "BUG: store worker: TypeError: oops",
    });
  });

  test("writes last-seen times in one batch, the last one at its end", async () => {
    using directory = new Directory();
    const clock = makeClock();
    {
      await using store = await open(directory.path, clock);
      const { code } = await store.createCode(TUNNEL_CODE);
      const { publicKey } = generateKey();
      const outcome = await store.enrol({
        publicKey,
        code,
        kind: "tunnel",
        name: "home",
        label: "laptop",
      });
      if (outcome.state !== "enrolled") throw new Error("refused");
      await store.claimHost({ tunnel: outcome.owner.id, keyId: outcome.keyId }, "app.example.com");
      clock.now += 5_000;
      store.touch(outcome.owner, outcome.keyId);
      store.touchHost("app.example.com");
      store.touch(outcome.owner, "nobody");
      store.touchHost("nobody.example.com");
      expect(store.snapshot.key(publicKey)?.seenAt).toBe(clock.now);
      expect(store.snapshot.tunnel(outcome.owner.id)?.seenAt).toBe(clock.now);
    }
    await using store = await open(directory.path, clock);
    expect([...store.snapshot.tunnels]).toMatchObject([{ name: "home", seenAt: clock.now }]);
    expect([...store.snapshot.tunnels].map(({ id }) => store.snapshot.lastSeen(id))).toEqual([
      clock.now,
    ]);
    expect([...store.snapshot.keys]).toMatchObject([{ seenAt: clock.now }]);
    expect(store.snapshot.host("app.example.com")?.usedAt).toBe(clock.now);
  });
});

describe("last seen", () => {
  test("keeps what could not be written for the next try", async () => {
    const batches: Seen[] = [];
    const { log, records } = makeLog();
    let isFailing = true;
    const lastSeen = new LastSeen(async (batch) => {
      batches.push(batch);
      if (isFailing) throw new TunlError("STORE_FULL", "Full");
    }, log);
    lastSeen.tunnel("t", 1);
    await lastSeen[Symbol.asyncDispose]();
    lastSeen.tunnel("t", 1);
    await lastSeen[Symbol.asyncDispose]();
    // Told once, however often it is tried.
    expect(records.map((record) => record.level)).toEqual(["warn"]);
    isFailing = false;
    lastSeen.tunnel("t", 2);
    lastSeen.host("h", 2);
    await lastSeen[Symbol.asyncDispose]();
    expect(batches.map((batch) => batch.tunnels)).toEqual([
      [{ id: "t", at: 1 }],
      [{ id: "t", at: 1 }],
      [{ id: "t", at: 2 }],
    ]);
    await lastSeen[Symbol.asyncDispose]();
    expect(batches).toHaveLength(3);
  });
});

describe("changes", () => {
  test("that fail half-way leave nothing (R-17)", () => {
    using directory = new Directory();
    using state = SqliteState.open(directory.path, false, 1);
    const codeHash = hashCode(makeCode());
    const order = {
      makes: "tunnel",
      tunnel: undefined,
      name: undefined,
      scope: [],
      uses: 1,
      expiresAt: 9,
    } as const;
    state.run("createCode", { ...order, hash: codeHash }, 1);
    const before = state.run("listAudit", { limit: 9 }, 1).value;
    // The tunnel's row is written before the key's, whose length the schema then refuses.
    const wish = { kind: "tunnel", name: "home", label: "laptop" } as const;
    const body = { ...wish, codeHash, kept: [] };
    expect(() => state.run("enrol", { ...body, publicKey: new Uint8Array(31) }, 1)).toThrow(
      /BUG: .*CHECK/,
    );
    expect(state.rows()).toEqual([]);
    expect(state.run("listAudit", { limit: 9 }, 1).value).toEqual(before);
    const outcome = state.run("enrol", { ...body, publicKey: generateKey().publicKey }, 1);
    expect(outcome.value).toMatchObject({ state: "enrolled", name: "home" });
    expect(outcome.changes.map((change) => change.table)).toEqual(["tunnels", "keys"]);
  });

  test("on a full disk are STORE_FULL and may be tried again (R-15)", () => {
    using database = new Database(":memory:");
    database.run("CREATE TABLE t (x)");
    database.run("PRAGMA max_page_count = 3");
    let failure: TunlError | undefined;
    for (let row = 0; failure === undefined && row < 100; row++) {
      try {
        database.run("INSERT INTO t VALUES (randomblob(1000))");
      } catch (error) {
        failure = changeError(error);
      }
    }
    expect(failure).toMatchObject({ code: "STORE_FULL", retryable: true });
  });

  test("of a database damaged under the running edge are refused, the file is not touched again (R-16)", () => {
    using directory = new Directory();
    const path = join(directory.path, "state.db");
    const order = {
      makes: "tunnel",
      tunnel: undefined,
      name: undefined,
      scope: [],
      uses: 1,
      expiresAt: 1e15,
    } as const;
    {
      using state = SqliteState.open(directory.path, false, 1);
      for (let index = 0; index < 200; index++)
        state.run("createCode", { ...order, hash: hashCode(makeCode()) }, 1);
    }
    using state = SqliteState.open(directory.path, true, 1);
    {
      // A write by another hand makes SQLite drop the pages it holds in memory.
      using other = new Database(path);
      other.run("INSERT INTO audit (at, event, fields) VALUES (1, 'x', '{}')");
    }
    const bytes = readFileSync(path);
    expect(bytes.length).toBeGreaterThan(20_000);
    writeFileSync(path, bytes.fill(0x5a, 4_096));
    let failure: unknown;
    try {
      state.run("listCodes", undefined, 1);
    } catch (error) {
      failure = error;
    }
    expect(failure).toMatchObject({
      code: "STATE_DAMAGED",
      hint: expect.stringContaining("Run tunl edge repair"),
    });
    const after = readFileSync(path);
    expect(() => state.run("createCode", { ...order, hash: hashCode(makeCode()) }, 1)).toThrow(
      /refuses changes/,
    );
    expect(readFileSync(path).equals(after)).toBe(true);
  });
});
