// This file is a disk that is full, fails or is slow under a running edge: traffic goes on, changes fail clearly and work again without a restart. R-15.
import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CAN_RUN, TestEdge, Tunnel } from "../e2e/rig.ts";
import { within } from "../within.ts";
import { Fault, whyNoTracing } from "./tracer.ts";
import { CountingServer, Traffic } from "./traffic.ts";
import { connectedOnce, Home, IS_SLOW, tunl } from "./tunl.ts";

const VISITORS = 4;
/** How long each fsync takes in the test of a slow disk, s. */
const SLOW_DISK_S = IS_SLOW ? 5 : 1;

let origin: CountingServer;
beforeAll(async () => {
  origin = await CountingServer.start();
});
afterAll(() => origin?.[Symbol.asyncDispose]());

/** Exit code and text of a command of the owner. */
async function owner(edge: TestEdge, ...words: string[]): Promise<[number, string]> {
  const { code, stdout, stderr } = await tunl(["edge", ...words], { home: edge.home });
  return [code, stdout + stderr];
}

/** Every visitor was answered by the service, all the time. */
async function assertServed(traffic: Traffic): Promise<void> {
  await traffic.stop();
  console.log(`${traffic.count} requests, the slowest took ${Math.round(traffic.slowestMs)} ms`);
  expect(traffic.kinds).toEqual({ "200": traffic.count });
  expect(traffic.count).toBeGreaterThan(100);
}

function canMount(): boolean {
  if (process.getuid?.() !== 0) return false;
  const words = ["unshare", "-m", "sh", "-c", "mount -t tmpfs tmpfs /mnt"];
  return Bun.which("unshare") !== null && Bun.spawnSync(words, { stderr: "ignore" }).success;
}

/** Starts what follows with a disk of 1 MiB at a path, which nobody else sees. */
function onSmallDisk(path: string): string[] {
  const script = '/bin/mount -t tmpfs -o size=1m,mode=0700 tmpfs "$0" && exec "$@"';
  return [Bun.which("unshare") as string, "-m", "/bin/sh", "-c", script, path];
}

/** Fills a disk to its last page; the failure of the last write is the point. */
function fill(path: string): void {
  for (let size = 1_048_576; size >= 4_096; size -= 4_096) {
    try {
      writeFileSync(path, new Uint8Array(size));
      return;
    } catch {
      // Too large for what is left: one page less.
      rmSync(path, { force: true });
    }
  }
}

const mount = CAN_RUN && canMount();
describe.skipIf(!mount)(`a full disk${mount ? "" : ": skipped, needs root and mounts"}`, () => {
  test("refuses changes and serves on; with space again all works without a restart (R-15)", async () => {
    using home = new Home();
    const state = join(home.path, "state");
    mkdirSync(state, { mode: 0o700 });
    await using edge = await TestEdge.start({ home: home.path, through: onSmallDisk(state) });
    const inside = (name: string): string => `/proc/${edge.process.pid}/root${state}/${name}`;
    const ca = join(home.path, "root.pem");
    copyFileSync(inside("ca/root.pem"), ca);
    await using tunnel = await Tunnel.start({ target: String(origin.port), name: "app", edge });
    const login = await edge.invite(["--account"]);
    const traffic = new Traffic({ ca, port: edge.port }, tunnel.host, VISITORS);
    await traffic.answers(50);

    fill(inside("fill"));
    let refused: [number, string] = [0, ""];
    for (let tries = 0; refused[0] === 0 && tries < 20; tries++)
      refused = await owner(edge, "invite");
    expect(refused).toEqual([6, expect.stringContaining("no space left for the state")]);
    // A line that is used now is not lost: the same command again, once there is space.
    using machine = new Home();
    const early = await tunl(["login", login, "--wait", "1s"], { home: machine.path });
    expect([early.code, early.stderr]).toEqual([
      5,
      expect.stringContaining("its disk may be full"),
    ]);
    const revoked = await owner(edge, "revoke", "app.tunl.localhost");
    expect(revoked).toEqual([6, expect.stringMatching(/no space left/)]);
    expect((await tunl(["status"], { home: home.path })).code).toBe(0);
    await traffic.answers(50);

    rmSync(inside("fill"));
    expect((await owner(edge, "invite"))[0]).toBe(0);
    expect(await tunl(["login", login], { home: machine.path })).toMatchObject({ code: 0 });
    const made = await tunl(["tunnel", "create", "late"], { home: machine.path });
    expect(made.code).toBe(0);
    expect((await owner(edge, "revoke", "late"))[0]).toBe(0);
    await traffic.answers(50);
    await assertServed(traffic);
    using copy = new Home();
    copyFileSync(inside("state.db"), join(copy.path, "state.db"));
    copyFileSync(inside("state.db-wal"), join(copy.path, "state.db-wal"));
    using database = new Database(join(copy.path, "state.db"));
    expect(database.query("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
  });
});

/** One of them, another one with another seed. */
function drawnOf<Item>(items: readonly Item[]): readonly Item[] {
  const seed = Number(process.env["TUNL_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`seed ${seed}`);
  return items.filter((_, index) => index === seed % items.length);
}

/** What fails, at which files below the state, and what a command of the owner says to it. */
const FAULTS: readonly (readonly [string, string, readonly string[], string, RegExp])[] = [
  ["no space for the log", "pwrite64:error=ENOSPC", ["state.db-wal"], "invite", /no space left/],
  ["writes of the log that fail", "pwrite64:error=EIO", ["state.db-wal"], "invite", /SQLITE_IOERR/],
  ["fsync of the log that fails", "fsync:error=EIO", ["state.db-wal"], "invite", /SQLITE_IOERR/],
  ["fsync of everything that fails", "fsync,fdatasync:error=EIO", [], "revoke app", /IOERR/],
  [
    "renames without space",
    "rename,renameat,renameat2:error=ENOSPC",
    [],
    "revoke app",
    /is revoked, but the backup of the state failed: no space left on/,
  ],
  [
    "renames that fail",
    "rename,renameat,renameat2:error=EIO",
    [],
    "revoke app",
    /is revoked, but the backup of the state failed: .*EIO/,
  ],
];

const reason = whyNoTracing();
const title = `a failing disk${reason === undefined ? "" : `: skipped, ${reason}`}`;
describe.skipIf(!CAN_RUN || reason !== undefined)(title, () => {
  test("fails each change with its reason, in each way a disk fails, and works again without a restart (R-15)", async () => {
    using home = new Home();
    const state = join(home.path, "state");
    {
      await using edge = await TestEdge.start({ home: home.path });
      await using tunnel = await Tunnel.start({ target: String(origin.port), name: "app", edge });
      const traffic = new Traffic(edge, tunnel.host, VISITORS);
      await traffic.answers(50);
      for (const [what, fault, names, words, text] of IS_SLOW ? FAULTS : drawnOf(FAULTS)) {
        using machine = new Home();
        const line = await edge.invite(["--name", "victim"]);
        const [calls, how] = fault.split(":") as [string, string];
        const joining = ["connect", "http_status:204", "--join", line];
        const victim = words.startsWith("revoke");
        if (victim) expect((await connectedOnce(joining, { home: machine.path })).code).toBe(0);
        {
          await using fails = await Fault.start(
            edge.process.pid,
            calls,
            how,
            names.map((name) => join(state, name)),
          );
          expect(fails).toBeDefined();
          const asked = words.replace("app", "victim").split(" ");
          expect([what, ...(await owner(edge, ...asked))]).toEqual([
            what,
            6,
            expect.stringMatching(text),
          ]);
        }
        expect([what, (await owner(edge, "invite"))[0]]).toEqual([what, 0]);
        if (victim) {
          // In force or not, as the text said; the same command again ends it for good.
          await owner(edge, "revoke", "victim");
          expect((await connectedOnce(joining, { home: machine.path })).code).toBe(4);
        }
      }
      await assertServed(traffic);
      edge.process.signal("SIGTERM");
      expect((await edge.process.ended).code).toBe(0);
    }
    using database = new Database(join(state, "state.db"), { readonly: true });
    expect(database.query("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
    await using again = await TestEdge.start({ home: home.path });
    expect(await again.invite()).toStartWith("tunl://");
  });

  test(`with an fsync of ${SLOW_DISK_S} s makes changes slow and nothing else (R-15)`, async () => {
    await using tunnel = await Tunnel.start({ target: String(origin.port), name: "app" });
    const { edge } = tunnel;
    const traffic = new Traffic(edge, tunnel.host, VISITORS);
    await traffic.answers(50);
    const before = traffic.count;
    const delay = `delay_enter=${SLOW_DISK_S * 1_000_000}`;
    const startedAt = performance.now();
    {
      await using slow = await Fault.start(edge.process.pid, "fsync,fdatasync", delay);
      expect(slow).toBeDefined();
      traffic.slowestMs = 0;
      expect((await owner(edge, "invite"))[0]).toBe(0);
      expect(performance.now() - startedAt).toBeGreaterThan(SLOW_DISK_S * 1_000);
    }
    console.log(`${traffic.slowerThan50Ms} of ${traffic.count - before} took more than 50 ms`);
    expect(traffic.count - before).toBeGreaterThan(50 * SLOW_DISK_S);
    // In the main loop each of them would have waited for the disk.
    expect(traffic.slowestMs).toBeLessThan(SLOW_DISK_S * 500);
    await assertServed(traffic);
  });
});
