import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { openState, Repair } from "../../../src/edge/store/index.ts";
import type { EdgeState, KeyRow, Store } from "../../../src/edge/store/index.ts";
import { generateKey } from "../../../src/identity/index.ts";
import { type Clock, Directory, makeClock, optionsFor, refusalOf, TUNNEL_CODE } from "./fixture.ts";

const openAt = (directory: string, clock?: Clock): Promise<EdgeState> =>
  openState(optionsFor(directory, clock));

async function enrol(store: Store, name: string): Promise<KeyRow> {
  const { code } = await store.createCode(TUNNEL_CODE);
  const { publicKey } = generateKey();
  await store.enrol({ publicKey, code, kind: "tunnel", name, label: "x" });
  return store.snapshot.key(publicKey) as KeyRow;
}

async function revoke(store: Store, { owner, keyId }: KeyRow): Promise<void> {
  await store.revokeKey(owner, keyId);
  await store.backUp();
}

const newestBackup = (directory: string): string => {
  const numberOf = (name: string): number => Number(/-(\d+)\.db$/.exec(name)?.[1]);
  // An unfinished one has another ending, and so has its journal.
  const names = readdirSync(join(directory, "backup")).filter((name) => /-\d+\.db$/.test(name));
  const [newest] = names.sort((one, other) => numberOf(other) - numberOf(one));
  return join(directory, "backup", newest as string);
};

const flip = (path: string): void => writeFileSync(path, readFileSync(path).fill(0x5a, 4_096));

/** A state with one living key and one that was revoked, closed. */
async function prepare(directory: string, clock: Clock): Promise<{ alive: KeyRow; gone: KeyRow }> {
  await using state = await openAt(directory, clock);
  const alive = await enrol(state.store, "alive");
  const gone = await enrol(state.store, "gone");
  await revoke(state.store, gone);
  return { alive, gone };
}

async function repair(directory: string, now: number) {
  using opened = await Repair.open(directory);
  return { plan: opened.plan, repaired: opened.run(now) };
}

describe("repair", () => {
  const damages: [string, (path: string) => void][] = [
    ["missing", (path) => rmSync(path)],
    ["of zero length", (path) => truncateSync(path, 0)],
    ["truncated", (path) => truncateSync(path, 9_000)],
    ["garbage", (path) => writeFileSync(path, "no database at all ".repeat(500))],
    ["with flipped pages", flip],
  ];
  test.each(damages)(
    "of a database %s restores all that was backed up, revocations too, and keeps the damaged file (R-16)",
    async (what, damage) => {
      using directory = new Directory();
      const clock = makeClock();
      const { alive, gone } = await prepare(directory.path, clock);
      const path = join(directory.path, "state.db");
      damage(path);
      const before = what === "missing" ? undefined : readFileSync(path);
      expect(await refusalOf(openAt(directory.path, clock))).toMatchObject({
        code: "STATE_DAMAGED",
        hint: expect.stringContaining("tunl edge repair"),
      });

      const { plan, repaired } = await repair(directory.path, clock.now);
      expect(plan).toMatchObject({ kind: "restore", backup: { at: clock.now }, damaged: [] });
      if (before === undefined) expect(repaired.keptIn).toBeUndefined();
      else {
        expect(repaired.keptIn).toBe(join(directory.path, "damaged", "20261122T100000Z"));
        expect(readFileSync(join(repaired.keptIn as string, "state.db")).equals(before)).toBe(true);
      }

      await using state = await openAt(directory.path, clock);
      expect(state.isNew).toBe(false);
      expect(state.store.snapshot.key(alive.publicKey)?.revokedAt).toBeUndefined();
      expect(state.store.snapshot.key(gone.publicKey)?.revokedAt).toBe(clock.now);
      expect(await state.store.listAudit(1)).toMatchObject([{ event: "state.repaired" }]);
    },
  );

  test("leaves a whole state alone, after a clean end and after a kill", async () => {
    using directory = new Directory();
    using copy = new Directory();
    const clock = makeClock();
    const { alive } = await prepare(directory.path, clock);
    expect((await repair(directory.path, 1)).plan).toEqual({ kind: "whole" });
    {
      // What a kill would leave: the database with its log, under way.
      await using state = await openAt(directory.path, clock);
      await enrol(state.store, "late");
      for (const name of ["state.db", "state.db-wal", "edge.key"])
        copyFileSync(join(directory.path, name), join(copy.path, name));
    }
    expect((await repair(copy.path, 1)).plan).toEqual({ kind: "whole" });
    await using state = await openAt(copy.path, clock);
    expect(state.store.snapshot.key(alive.publicKey)).toBeDefined();
    expect([...state.store.snapshot.tunnels].map(({ name }) => name)).toContain("late");
  });

  test("with the newest backup damaged too takes the one before, and what was revoked since stays revoked as far as it can be read", async () => {
    using directory = new Directory();
    const clock = makeClock();
    const { alive, gone } = await prepare(directory.path, clock);
    clock.now += 3_600_000;
    let late: KeyRow;
    {
      await using state = await openAt(directory.path, clock);
      late = await enrol(state.store, "late");
      await revoke(state.store, alive);
    }
    // The database is gone altogether; the newest backup has lost its end, not its keys.
    rmSync(join(directory.path, "state.db"));
    const newest = newestBackup(directory.path);
    const bytes = readFileSync(newest);
    writeFileSync(newest, bytes.fill(0x5a, bytes.length - 4_096));

    const { plan, repaired } = await repair(directory.path, clock.now);
    expect(plan).toMatchObject({
      kind: "restore",
      backup: { at: clock.now - 3_600_000 },
      damaged: [{ at: clock.now }],
      writtenAt: clock.now,
    });
    expect(repaired.revoked).toBe(1);
    {
      await using state = await openAt(directory.path, clock);
      const { snapshot } = state.store;
      expect(snapshot.key(alive.publicKey)?.revokedAt).toBe(clock.now);
      expect(snapshot.key(gone.publicKey)?.revokedAt).toBeDefined();
      // What was made meanwhile is the time that is lost.
      expect(snapshot.key(late.publicKey)).toBeUndefined();
    }
    // The salvaged revocation stands in a backup by now: a second repair brings the key back as little as the first.
    rmSync(join(directory.path, "state.db"));
    await repair(directory.path, clock.now);
    await using state = await openAt(directory.path, clock);
    expect(state.store.snapshot.key(alive.publicKey)?.revokedAt).toBe(clock.now);
  });

  test("of a revocation whose backup failed takes it from the damaged database", async () => {
    using directory = new Directory();
    const clock = makeClock();
    const { alive } = await prepare(directory.path, clock);
    const path = join(directory.path, "state.db");
    {
      await using state = await openAt(directory.path, clock);
      await state.store.revokeKey(alive.owner, alive.keyId);
    }
    const bytes = readFileSync(path);
    writeFileSync(path, bytes.fill(0x5a, bytes.length - 4_096));
    const { repaired } = await repair(directory.path, clock.now);
    expect(repaired.revoked).toBe(1);
    await using state = await openAt(directory.path, clock);
    expect(state.store.snapshot.key(alive.publicKey)?.revokedAt).toBe(clock.now);
  });

  test("takes no code for unused that the damaged database still shows as used", async () => {
    using directory = new Directory();
    const clock = makeClock();
    const wish = { kind: "tunnel", name: "home", label: "x" } as const;
    const path = join(directory.path, "state.db");
    const codes: Uint8Array[] = [];
    const { publicKey: early } = generateKey();
    {
      await using state = await openAt(directory.path, clock);
      const { store } = state;
      for (const uses of [1, 1, 3])
        codes.push((await store.createCode({ ...TUNNEL_CODE, uses })).code);
      const [once, , several] = codes as [Uint8Array, Uint8Array, Uint8Array];
      await store.enrol({ ...wish, publicKey: early, code: several });
      await store.backUp();
      await store.enrol({ ...wish, publicKey: generateKey().publicKey, code: once });
    }
    const bytes = readFileSync(path);
    writeFileSync(path, bytes.fill(0x5a, bytes.length - 4_096));
    clock.now += 1;
    expect((await repair(directory.path, clock.now)).plan.kind).toBe("restore");
    await using state = await openAt(directory.path, clock);
    expect(state.store.snapshot.key(early)?.revokedAt).toBeUndefined();
    const outcomes: string[] = [];
    for (const code of codes) {
      const { publicKey } = generateKey();
      const outcome = await state.store.enrol({ ...wish, publicKey, code });
      outcomes.push(outcome.state === "refused" ? outcome.reason : outcome.state);
    }
    expect(outcomes).toEqual(["expiredCode", "enrolled", "enrolled"]);
  });

  test("that was cut short is completed by the next one, with the same revocations", async () => {
    using directory = new Directory();
    const clock = makeClock();
    const { alive, gone } = await prepare(directory.path, clock);
    {
      await using state = await openAt(directory.path, clock);
      await state.store.revokeKey(alive.owner, alive.keyId);
    }
    const path = join(directory.path, "state.db");
    const bytes = readFileSync(path);
    writeFileSync(path, bytes.fill(0x5a, bytes.length - 4_096));
    const { keptIn } = (await repair(directory.path, clock.now)).repaired;
    // As a kill between the moves would have left it: the old one aside, no new one, an unfinished copy.
    rmSync(path);
    for (const name of readdirSync(join(directory.path, "backup")).slice(1))
      rmSync(join(directory.path, "backup", name));
    writeFileSync(join(directory.path, ".state.db.0123456789ab.tmp"), "");
    expect(keptIn).toBeDefined();
    expect(await refusalOf(openAt(directory.path, clock))).toMatchObject({ code: "STATE_DAMAGED" });
    await repair(directory.path, clock.now);
    await using state = await openAt(directory.path, clock);
    expect(state.store.snapshot.key(alive.publicKey)?.revokedAt).toBe(clock.now);
    expect(state.store.snapshot.key(gone.publicKey)?.revokedAt).toBe(clock.now);
  });

  test("without a whole backup changes nothing and says so", async () => {
    using directory = new Directory();
    const clock = makeClock();
    await prepare(directory.path, clock);
    for (const name of readdirSync(join(directory.path, "backup")))
      flip(join(directory.path, "backup", name));
    flip(join(directory.path, "state.db"));
    // A reader of a database with a log makes the empty files of one beside it.
    const names = (): unknown[] =>
      readdirSync(directory.path, { recursive: true, encoding: "utf8" })
        .filter((name) => !/-(wal|shm)$/.test(name))
        .sort();
    const before = names();
    expect(await refusalOf(Repair.open(directory.path))).toMatchObject({
      code: "STATE_DAMAGED",
      message: expect.stringContaining("none of 1 backups is whole"),
    });
    expect(names()).toEqual(before);
  });

  test("wants the edge stopped, a key, a state, and files that nobody else may touch", async () => {
    using directory = new Directory();
    const clock = makeClock();
    {
      await using state = await openAt(directory.path, clock);
      await state.store.backUp();
      expect(await refusalOf(Repair.open(directory.path))).toMatchObject({ code: "STATE_LOCKED" });
    }
    chmodSync(join(directory.path, "state.db"), 0o666);
    expect(await refusalOf(Repair.open(directory.path))).toMatchObject({ code: "INSECURE_FILE" });
    chmodSync(join(directory.path, "state.db"), 0o600);
    chmodSync(newestBackup(directory.path), 0o644);
    expect(await refusalOf(Repair.open(directory.path))).toMatchObject({ code: "INSECURE_FILE" });
    rmSync(join(directory.path, "edge.key"));
    expect(await refusalOf(Repair.open(directory.path))).toMatchObject({
      code: "STATE_DAMAGED",
      hint: expect.stringContaining("your own copy of edge.key"),
    });
    using empty = new Directory();
    expect(await refusalOf(Repair.open(empty.path))).toMatchObject({ code: "NOT_FOUND" });
    expect(readdirSync(empty.path)).toEqual([]);
  });
});

describe("a state that went backwards", () => {
  test("is refused: an old copy would take revocations back (R-16)", async () => {
    using directory = new Directory();
    const clock = makeClock();
    const path = join(directory.path, "state.db");
    let key: KeyRow;
    {
      await using state = await openAt(directory.path, clock);
      key = await enrol(state.store, "home");
    }
    const old = readFileSync(path);
    {
      await using state = await openAt(directory.path, clock);
      await revoke(state.store, key);
    }
    writeFileSync(path, old);
    expect(await refusalOf(openAt(directory.path, clock))).toMatchObject({
      code: "STATE_DAMAGED",
      message: expect.stringContaining("it is older than its backup state-2026"),
    });
    expect(readFileSync(path).equals(old)).toBe(true);
    expect((await repair(directory.path, clock.now)).plan).toMatchObject({
      kind: "restore",
      why: "it is older than its newest backup",
    });
    await using state = await openAt(directory.path, clock);
    expect(state.store.snapshot.key(key.publicKey)?.revokedAt).toBe(clock.now);
  });

  test("is refused where both files are gone and a backup is left", async () => {
    using directory = new Directory();
    const clock = makeClock();
    await prepare(directory.path, clock);
    rmSync(join(directory.path, "edge.key"));
    rmSync(join(directory.path, "state.db"));
    expect(await refusalOf(openAt(directory.path, clock))).toMatchObject({ code: "STATE_DAMAGED" });
    expect(new Set(readdirSync(directory.path))).toEqual(new Set(["backup", "lock", "lock.pid"]));
  });

  test("is not suspected because its newest backup cannot be read", async () => {
    using directory = new Directory();
    const clock = makeClock();
    await prepare(directory.path, clock);
    const damaged = newestBackup(directory.path);
    flip(damaged);
    await using state = await openAt(directory.path, clock);
    // It is not an hour old, and all the same the next one is made at once.
    const deadline = performance.now() + 15_000;
    while (newestBackup(directory.path) === damaged) {
      if (performance.now() > deadline) throw new Error("No backup within 15 s of the start");
      await state.store.listAudit(1);
    }
    using copy = new Database(newestBackup(directory.path), { readonly: true });
    expect(copy.query("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
  });
});
