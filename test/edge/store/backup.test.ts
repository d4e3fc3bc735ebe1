import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TunlError } from "../../../src/errors.ts";
import { generateKey } from "../../../src/identity/index.ts";
import { Backups } from "../../../src/edge/store/backups.ts";
import type { Backup } from "../../../src/edge/store/backup.ts";
import { nextBackup } from "../../../src/edge/store/backup-names.ts";
import { APPLICATION_ID, MIGRATIONS, SCHEMA_VERSION } from "../../../src/edge/store/migrations.ts";
import { openStore } from "../../../src/edge/store/index.ts";
import { SqliteState } from "../../../src/edge/store/sqlite.ts";
import {
  Directory,
  makeClock,
  makeLog,
  open,
  optionsFor,
  refusalOf,
  TUNNEL_CODE,
} from "./fixture.ts";

const backupsIn = (directory: string): string[] => readdirSync(join(directory, "backup")).sort();

/** Waits for something that is not promised to anybody. */
async function until(what: string, isTrue: () => boolean): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!isTrue()) {
    if (performance.now() > deadline) throw new Error(`Waited 15 s for ${what}`);
    await Bun.sleep(5);
  }
}

describe("backups of the state", () => {
  test("hold every change that was committed, private and whole", async () => {
    using directory = new Directory();
    const clock = makeClock();
    await using store = await open(directory.path, clock);
    const { code } = await store.createCode(TUNNEL_CODE);
    const { publicKey } = generateKey();
    const outcome = await store.enrol({
      ...{ publicKey, code, kind: "tunnel", name: "home", label: "x" },
    });
    if (outcome.state !== "enrolled") throw new Error("refused");
    await store.revokeKey(outcome.owner, outcome.keyId);
    await store.backUp();
    expect(store.condition).toEqual({
      ...{ backedUpAt: clock.now, backupFailure: undefined, damage: undefined },
    });
    const names = backupsIn(directory.path);
    expect(names.at(-1)).toMatch(/^state-20261122T100000Z-\d+\.db$/);
    const path = join(directory.path, "backup", names.at(-1) as string);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(directory.path, "backup")).mode & 0o777).toBe(0o700);
    using copy = new Database(path, { readonly: true });
    expect(copy.query("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
    expect(copy.query("SELECT public_key, revoked_at FROM keys").all()).toEqual([
      { public_key: publicKey, revoked_at: clock.now },
    ]);
    expect(copy.query("SELECT count(*) AS uses FROM code_uses").get()).toEqual({ uses: 1 });
  });

  test("are made once an hour, and at the start where the newest is that old", async () => {
    using directory = new Directory();
    const clock = makeClock();
    const openFor = async (): Promise<number> => {
      await using store = await open(directory.path, clock);
      // Behind whatever the start began.
      await until("a backup", () => store.condition.backedUpAt !== undefined);
      await store.listAudit(1);
      return backupsIn(directory.path).length;
    };
    expect(await openFor()).toBe(1);
    clock.now += 3_590_000;
    expect(await openFor()).toBe(1);
    clock.now += 11_000;
    await using store = await open(directory.path, clock);
    await until("the second backup", () => store.condition.backedUpAt === clock.now);
    expect(backupsIn(directory.path)).toHaveLength(2);
  });

  test("are shared by all who wait: 200 requests cost two", async () => {
    using directory = new Directory();
    await using store = await open(directory.path);
    await store.backUp();
    const before = backupsIn(directory.path).filter((name) => /\.db$/.test(name));
    await Promise.all(Array.from({ length: 200 }, () => store.backUp()));
    // A backup under way has another name.
    const whole = (): string[] => backupsIn(directory.path).filter((name) => /\.db$/.test(name));
    const newest = (names: readonly string[]): number =>
      Math.max(...names.map((name) => Number(/-(\d+)\.db$/.exec(name)?.[1])));
    expect(newest(whole()) - newest(before)).toBe(2);
    // All of one hour: only the last is kept.
    expect(whole()).toHaveLength(1);
  });

  test("remove what a crash left of an earlier one", async () => {
    using directory = new Directory();
    mkdirSync(join(directory.path, "backup"), { mode: 0o700 });
    const left = ".state-20261122T100000Z-7.db.0123456789ab.tmp";
    const inDirectory = (name: string): string => join(directory.path, "backup", name);
    writeFileSync(inDirectory(left), "");
    writeFileSync(inDirectory(`${left}-journal`), "");
    writeFileSync(inDirectory("notes.txt"), "the owner's");
    await using store = await open(directory.path);
    await store.backUp();
    // The first one of the hour may be under way.
    expect(
      backupsIn(directory.path).filter((name) => !/^\.?state-\d+T\d+Z-[12]\.db/.test(name)),
    ).toEqual(["notes.txt"]);
  });

  test("that cannot be made leave the change in force and are told to whoever waits, with the reason", async () => {
    using directory = new Directory();
    const { log, records } = makeLog();
    await using store = await openStore({ ...optionsFor(directory.path), log });
    await store.backUp();
    rmSync(join(directory.path, "backup"), { recursive: true });
    writeFileSync(join(directory.path, "backup"), "in the way");
    const failure = await refusalOf(store.backUp('Key "home" is revoked'));
    expect(failure).toMatchObject({
      code: "NOT_BACKED_UP",
      retryable: true,
      message: expect.stringMatching(
        /^Key "home" is revoked, but the backup of the state failed: .*EEXIST/,
      ),
      hint: "Free space and repeat the command: until then a restore would bring the key back",
    });
    expect(store.condition.backupFailure).toContain("EEXIST");
    expect(records.filter(({ level }) => level === "error")).toHaveLength(1);
    // The store itself is well.
    expect(await store.createCode(TUNNEL_CODE)).toMatchObject({ code: expect.anything() });
    rmSync(join(directory.path, "backup"));
    await store.backUp();
    expect(store.condition.backupFailure).toBeUndefined();
    expect(records.at(-1)).toMatchObject({ level: "info", event: "state.backup" });
  });

  test("go into no directory that others may write", async () => {
    using directory = new Directory();
    await using store = await open(directory.path);
    await store.backUp();
    chmodSync(join(directory.path, "backup"), 0o777);
    expect(await refusalOf(store.backUp())).toMatchObject({
      code: "NOT_BACKED_UP",
      message: expect.stringContaining("can be written by other users"),
    });
  });

  test("come before the schema of an older build is changed, and no backup means no change", () => {
    using directory = new Directory();
    const path = join(directory.path, "state.db");
    {
      // As the first build would have left it.
      using old = new Database(path);
      old.run(MIGRATIONS[0] as string);
      old.run(`PRAGMA application_id = ${APPLICATION_ID}`);
      old.run("PRAGMA user_version = 1");
      old.run("INSERT INTO tunnels (id, name, created_at) VALUES ('t', 'home', 1)");
    }
    chmodSync(path, 0o600);
    writeFileSync(join(directory.path, "backup"), "in the way");
    expect(() => SqliteState.open(directory.path, true, 1)).toThrow(/Backing up the state before/);
    const versionAt = (file: string): unknown => {
      using database = new Database(file, { readonly: true });
      return database.query("PRAGMA user_version").get();
    };
    expect(versionAt(path)).toEqual({ user_version: 1 });
    rmSync(join(directory.path, "backup"));
    {
      using state = SqliteState.open(directory.path, true, 1);
      expect(state.rows()).toMatchObject([{ table: "tunnels", row: { name: "home" } }]);
    }
    expect(versionAt(path)).toEqual({ user_version: SCHEMA_VERSION });
    expect(SCHEMA_VERSION).toBeGreaterThan(1);
    const [backup] = backupsIn(directory.path);
    expect(versionAt(join(directory.path, "backup", backup as string))).toEqual({
      user_version: 1,
    });
  });
});

describe("the schedule of backups", () => {
  test("tries again after a failure, says it once, and says when it is over", async () => {
    const { log, records } = makeLog();
    const made = nextBackup(undefined, 0);
    const outcomes: (() => Promise<Backup>)[] = [
      () => Promise.reject(new TunlError("NOT_BACKED_UP", "no space left on /s")),
      () => Promise.reject(new TunlError("NOT_BACKED_UP", "no space left on /s")),
      () => Promise.resolve({ made, leftOver: "EACCES" }),
    ];
    using backups = new Backups({
      ...{ make: () => (outcomes.shift() as () => Promise<Backup>)(), newest: undefined },
      ...{ wallClock: () => 0, log },
    });
    expect(await refusalOf(backups.backUp())).toMatchObject({ code: "NOT_BACKED_UP" });
    expect(await refusalOf(backups.backUp())).toMatchObject({ code: "NOT_BACKED_UP" });
    expect(backups.failure?.message).toBe("no space left on /s");
    await backups.backUp();
    expect(backups.newest).toEqual(made);
    expect(records.map(({ level, event }) => [level, event])).toEqual([
      ["error", "state.failed"],
      ["info", "state.backup"],
      ["warn", "state.failed"],
    ]);
  });

  test("gives a request that comes during a backup the next one, which holds its change", async () => {
    const started: PromiseWithResolvers<Backup>[] = [];
    using backups = new Backups({
      make: () => {
        const next = Promise.withResolvers<Backup>();
        started.push(next);
        return next.promise;
      },
      ...{ newest: undefined, wallClock: () => 0, log: makeLog().log },
    });
    const made = { made: nextBackup(undefined, 0), leftOver: undefined };
    const first = backups.backUp();
    const late = [backups.backUp(), backups.backUp()];
    expect(started).toHaveLength(1);
    started[0]?.resolve(made);
    await first;
    await until("the second", () => started.length === 2);
    const isOver = await Promise.race([Promise.all(late).then(() => true), Bun.sleep(20)]);
    expect(isOver).toBeUndefined();
    started[1]?.resolve(made);
    await Promise.all(late);
    expect(started).toHaveLength(2);
  });
});
