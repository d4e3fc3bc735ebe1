import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { generateKey } from "../../../src/identity/index.ts";
import { openState } from "../../../src/edge/store/index.ts";
import type { EdgeState } from "../../../src/edge/store/index.ts";
import {
  Directory,
  makeClock,
  makeLog,
  open,
  optionsFor,
  TUNNEL_CODE,
  refusalOf,
} from "./fixture.ts";

const openAt = (directory: string): Promise<EdgeState> => openState(optionsFor(directory));

/** A state with one tunnel in it, closed. */
async function prepare(directory: string, tunnels = 1): Promise<Uint8Array> {
  await using state = await openAt(directory);
  const { code } = await state.store.createCode({ ...TUNNEL_CODE, uses: tunnels });
  for (let index = 0; index < tunnels; index++) {
    await state.store.enrol({
      publicKey: generateKey().publicKey,
      code,
      kind: "tunnel",
      name: "home",
      label: "laptop",
    });
  }
  return state.key.publicKey;
}

describe("state", () => {
  test("is made on the first start, private, and found again on the next", async () => {
    using directory = new Directory();
    const path = join(directory.path, "deep", "state");
    let first: Uint8Array;
    {
      await using state = await openAt(path);
      expect(state.isNew).toBe(true);
      first = state.key.publicKey;
      expect(statSync(path).mode & 0o777).toBe(0o700);
      await state.store.backUp();
      expect(readdirSync(path).sort()).toEqual([
        ...["backup", "edge.key", "lock", "lock.pid", "state.db", "state.db-shm", "state.db-wal"],
      ]);
      for (const name of readdirSync(path))
        expect(statSync(join(path, name)).mode & 0o777).toBe(name === "backup" ? 0o700 : 0o600);
    }
    await using state = await openAt(path);
    expect(state.isNew).toBe(false);
    expect(state.key.publicKey).toEqual(first);
  });

  test("is rid of unfinished writes at its start, wherever they lie in it", async () => {
    using directory = new Directory();
    await prepare(directory.path);
    mkdirSync(join(directory.path, "certs", "a.example.com"), { recursive: true, mode: 0o700 });
    for (const name of [
      ".edge.key.0123456789ab.tmp",
      "certs/a.example.com/.key.pem.0123456789ab.tmp",
    ])
      writeFileSync(join(directory.path, name), "half");
    await using state = await openAt(directory.path);
    expect(state.isNew).toBe(false);
    const names = readdirSync(directory.path, { recursive: true, encoding: "utf8" });
    expect(names.filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });

  test("is rid of them before a backup may begin: that is unfinished as well", async () => {
    using directory = new Directory();
    await prepare(directory.path);
    const left = join(directory.path, ".edge.key.0123456789ab.tmp");
    writeFileSync(left, "half");
    // The clock is read as the state is opened, and then as the first backup is planned.
    const wasLeft: boolean[] = [];
    const wallClock = (): number => {
      wasLeft.push(existsSync(left));
      return makeClock().now;
    };
    await using _ = await openState({ ...optionsFor(directory.path), wallClock });
    expect(wasLeft.length).toBeGreaterThan(1);
    expect(wasLeft.slice(1)).not.toContain(true);
  });

  test("is completed after a crash between database and key", async () => {
    using directory = new Directory();
    {
      await using store = await open(directory.path);
      expect(store.snapshot.isEmpty).toBe(true);
    }
    await using state = await openAt(directory.path);
    expect(state.isNew).toBe(true);
  });

  test("uses the settings that survive a kill", async () => {
    using directory = new Directory();
    await prepare(directory.path);
    using database = new Database(join(directory.path, "state.db"), { readonly: true });
    expect(database.query("PRAGMA journal_mode").get()).toEqual({ journal_mode: "wal" });
    expect(database.query("PRAGMA user_version").get()).toEqual({ user_version: 3 });
    const tables = database
      .query(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
      )
      .all();
    expect(tables.map((row) => (row as { name: string }).name)).toEqual([
      ...["accounts", "audit", "code_uses", "codes", "dns_records", "hosts", "keys", "tunnels"],
    ]);
  });

  const damages: [string, (path: string) => void][] = [
    ["missing", (path) => rmSync(path)],
    ["of zero length", (path) => truncateSync(path, 0)],
    ["truncated", (path) => truncateSync(path, 9_000)],
    [
      "garbage",
      (path) =>
        writeFileSync(path, "no database at all, but long enough to be looked at ".repeat(100)),
    ],
    ["with flipped pages", (path) => writeFileSync(path, readFileSync(path).fill(0x5a, 4_096))],
    [
      "another program's",
      (path) => {
        rmSync(path);
        using database = new Database(path);
        database.run("CREATE TABLE notes (text TEXT)");
        database.run("PRAGMA user_version = 1");
      },
    ],
  ];
  test.each(damages)(
    "with a database %s is refused, named, and left as it is (R-16)",
    async (_what, damage) => {
      using directory = new Directory();
      await prepare(directory.path);
      const path = join(directory.path, "state.db");
      for (const name of ["state.db-wal", "state.db-shm"])
        rmSync(join(directory.path, name), { force: true });
      damage(path);
      const isThere = readdirSync(directory.path).includes("state.db");
      if (isThere) chmodSync(path, 0o600);
      const before = isThere ? readFileSync(path) : undefined;
      expect(await refusalOf(openAt(directory.path))).toMatchObject({
        code: "STATE_DAMAGED",
        hint: expect.stringContaining("Run tunl edge repair"),
      });
      expect(readdirSync(directory.path).includes("state.db")).toBe(isThere);
      if (before !== undefined) expect(readFileSync(path).equals(before)).toBe(true);
    },
  );

  test("without its key is refused once it knows connectors", async () => {
    using directory = new Directory();
    await prepare(directory.path);
    rmSync(join(directory.path, "edge.key"));
    expect(await refusalOf(openAt(directory.path))).toMatchObject({
      code: "STATE_DAMAGED",
      message: expect.stringContaining("edge.key"),
    });
    expect(readdirSync(directory.path)).not.toContain("edge.key");
  });

  test("of a later build is refused", async () => {
    using directory = new Directory();
    await prepare(directory.path);
    {
      using database = new Database(join(directory.path, "state.db"));
      database.run("PRAGMA user_version = 99");
    }
    expect(await refusalOf(openAt(directory.path))).toMatchObject({ code: "STATE_TOO_NEW" });
  });

  test.each(["edge.key", "state.db"])(
    "with a %s that others may write or read is refused with the command that mends it (R-16)",
    async (name) => {
      using directory = new Directory();
      await prepare(directory.path);
      const path = join(directory.path, name);
      chmodSync(path, 0o646);
      expect(await refusalOf(openAt(directory.path))).toMatchObject({
        code: "INSECURE_FILE",
        hint: `Run chmod 600 ${path}`,
      });
      chmodSync(path, 0o600);
      await using state = await openAt(directory.path);
      expect(state.isNew).toBe(false);
    },
  );

  test("that cannot be written is refused with what to do", async () => {
    using directory = new Directory();
    writeFileSync(join(directory.path, "file"), "");
    expect(await refusalOf(openAt(join(directory.path, "file", "state")))).toMatchObject({
      code: "STATE_UNWRITABLE",
      hint: expect.stringContaining("--state"),
    });
    mkdirSync(join(directory.path, "taken", "state.db"), { recursive: true });
    chmodSync(join(directory.path, "taken"), 0o700);
    chmodSync(join(directory.path, "taken", "state.db"), 0o600);
    expect(await refusalOf(openAt(join(directory.path, "taken")))).toMatchObject({
      code: "STATE_UNWRITABLE",
    });
  });

  test("is not kept from starting by a lock that an earlier build left damaged", async () => {
    using directory = new Directory();
    await prepare(directory.path);
    expect(statSync(join(directory.path, "lock")).size).toBe(0);
    for (const bytes of [
      Buffer.from("SQLite format 3\0".padEnd(4_096, "x")),
      Buffer.alloc(100, 1),
    ]) {
      writeFileSync(join(directory.path, "lock"), bytes);
      await using state = await openAt(directory.path);
      expect(await refusalOf(openAt(directory.path))).toMatchObject({ code: "STATE_LOCKED" });
      expect(state.isNew).toBe(false);
    }
  });

  test("serves one edge at a time, in this process or another, and is free again after a kill -9", async () => {
    using directory = new Directory();
    {
      await using state = await openAt(directory.path);
      expect(await refusalOf(openAt(directory.path))).toMatchObject({
        code: "STATE_LOCKED",
        message: expect.stringContaining(`pid ${process.pid}`),
      });
      expect(state.store.snapshot.isEmpty).toBe(true);
    }
    const child = Bun.spawn(
      [
        process.execPath,
        join(import.meta.dir, "writer.ts"),
        directory.path,
        String(makeClock().now),
      ],
      {
        stdout: "pipe",
        stderr: "inherit",
      },
    );
    const lines = child.stdout.getReader();
    await lines.read();
    const refusal = await refusalOf(openAt(directory.path));
    child.kill("SIGKILL");
    await child.exited;
    expect(refusal).toMatchObject({
      code: "STATE_LOCKED",
      message: expect.stringContaining(`pid ${child.pid}`),
    });
    await using state = await openAt(directory.path);
    expect(state.isNew).toBe(false);
  });
});

describe("a failing state", () => {
  test("that was acknowledged survives a kill -9 in the middle of writing (R-17)", async () => {
    const seed = Number(process.env["TUNL_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
    console.log(`seed ${seed}`);
    let acknowledged = 0;
    for (let round = 0; round < 3; round++) {
      using directory = new Directory();
      const clock = makeClock();
      const child = Bun.spawn(
        [process.execPath, join(import.meta.dir, "writer.ts"), directory.path, String(clock.now)],
        {
          stdout: "pipe",
          stderr: "inherit",
        },
      );
      // For a hang: a hundred fsyncs of a slow disk take their time.
      const limit = setTimeout(() => child.kill("SIGKILL"), 25_000);
      const lines: string[] = [];
      let text = "";
      const wanted = 5 + ((seed >> (round * 5)) & 31);
      for await (const chunk of child.stdout) {
        text += new TextDecoder().decode(chunk);
        const parts = text.split("\n");
        text = parts.pop() as string;
        lines.push(...parts);
        if (lines.length >= wanted) child.kill("SIGKILL");
      }
      clearTimeout(limit);
      await child.exited;
      const done = lines
        .filter((line) => line !== "ready")
        .map((line) => line.split(" ") as [string, string, string]);
      expect(done.length).toBeGreaterThanOrEqual(wanted - 1);
      acknowledged += done.length;

      await using state = await openState(optionsFor(directory.path, clock));
      const { store } = state;
      for (const [key, code, host] of done) {
        const row = store.snapshot.key(Buffer.from(key, "hex"));
        expect(row).toBeDefined();
        expect(store.snapshot.ownerOf(host)).toBe(row?.owner.id as string);
        // No code is used twice: another key with it is refused.
        const again = {
          publicKey: generateKey().publicKey,
          code: Buffer.from(code, "hex"),
          name: "home",
          label: "x",
        };
        expect(await store.enrol({ ...again, kind: "tunnel" })).toMatchObject({
          state: "refused",
          reason: "usedCode",
        });
      }
      // A code is used exactly when its key is there.
      using database = new Database(join(directory.path, "state.db"), { readonly: true });
      const counts = database
        .query(
          "SELECT (SELECT count(*) FROM keys) AS keys, (SELECT count(*) FROM code_uses) AS uses, (SELECT count(*) FROM tunnels) AS tunnels",
        )
        .get() as {
        keys: number;
        uses: number;
        tunnels: number;
      };
      expect(counts.uses).toBe(counts.keys);
      expect(counts.tunnels).toBe(counts.keys);
    }
    expect(acknowledged).toBeGreaterThan(10);
  }, 90_000);

  const mount = canMount();
  const title =
    "on a full disk refuses changes with the reason, serves on, and works again without a restart (R-15)";
  test.skipIf(!mount)(
    mount ? title : `${title} (needs root and mount for a tmpfs of 1 MiB)`,
    async () => {
      using directory = new Directory();
      mountSmall(directory.path);
      try {
        const options = { ...optionsFor(directory.path), ...makeLog() };
        await using state = await openState(options);
        const { store } = state;
        const { code } = await store.createCode({ ...TUNNEL_CODE, uses: 1_000 });
        const request = () =>
          ({
            publicKey: generateKey().publicKey,
            code,
            kind: "tunnel",
            name: "home",
            label: "x",
          }) as const;
        const first = await store.enrol(request());
        writeFill(join(directory.path, "fill"));
        let refusal: unknown;
        for (let tries = 0; refusal === undefined && tries < 500; tries++) {
          refusal = await store.enrol(request()).then(
            () => undefined,
            (error: unknown) => error,
          );
        }
        expect(refusal).toMatchObject({
          code: expect.stringMatching(/^STORE_(FULL|FAILED)$/),
          retryable: true,
        });
        expect(
          options.records.some(
            (record) => record.level === "error" && record.event === "state.failed",
          ),
        ).toBe(true);
        if (first.state === "enrolled")
          expect(store.snapshot.tunnel(first.owner.id)?.name).toBe("home");
        expect(await store.listCodes()).toHaveLength(1);
        rmSync(join(directory.path, "fill"));
        expect(await store.enrol(request())).toMatchObject({ state: "enrolled" });
      } finally {
        Bun.spawnSync(["umount", "-l", directory.path]);
      }
    },
  );
});

function canMount(): boolean {
  if (process.getuid?.() !== 0 || Bun.which("mount") === null) return false;
  using directory = new Directory();
  if (!mountSmall(directory.path)) return false;
  return Bun.spawnSync(["umount", directory.path]).success;
}

function mountSmall(path: string): boolean {
  return Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", path], {
    stderr: "ignore",
  }).success;
}

/** Fills the disk to the last page; the failure of the last write is the point. */
function writeFill(path: string): void {
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
