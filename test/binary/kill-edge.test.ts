// This file is kill -9 of the edge at every change of its disk: what was acknowledged is there, what was not is whole or absent. R-17; reliability.md §4 item 7.
import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { TunlError } from "../../src/errors.ts";
import { CAN_RUN, TestEdge } from "../e2e/rig.ts";
import { Cut, drawn, drawnCut } from "./cut.ts";
import {
  ask,
  enrol,
  isAccepted,
  type Key,
  newKey,
  publicText,
  type Reached,
  reachedBy,
} from "./machine.ts";
import { whyNoTracing } from "./tracer.ts";
import { Home, IS_SLOW, tunl } from "./tunl.ts";

/** SQLite and the backups write with these; what only wakes threads is left out, so that nothing else is held up. */
const STORE_CALLS = [
  ...["fsync", "fdatasync", "pwrite64", "ftruncate"],
  ...["rename", "renameat", "renameat2", "unlink", "unlinkat"],
];
const SEED = Number(process.env["TUNL_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

/** What the first edge knew, before anything was cut. */
interface Base {
  readonly account: Key;
  readonly tunnel: Key;
  /** Join lines that nobody has used. */
  readonly lines: readonly string[];
}

/** One try: what it made, and how to look at it afterwards. */
interface Try {
  /** Resolves when the edge acknowledged. */
  run(at: Reached): Promise<unknown>;
  /** Asks an edge that was started again. */
  audit(at: Reached, isAcknowledged: boolean): Promise<void>;
  /** Keys that no edge may take once `run` was acknowledged, after a restore from the backups either. */
  readonly revoked?: readonly Key[];
}

interface Operation {
  /** Changes of the disk until its answer, about: where the commit form cuts. */
  readonly about: number;
  begin(base: Base): Try;
}

const OPERATIONS: Readonly<Record<string, Operation>> = {
  enrol: {
    about: 26,
    begin({ lines }) {
      const line = lines[0] as string;
      const key = newKey("tunnel");
      return {
        run: ({ port }) => enrol(line, key, port),
        async audit(at, isAcknowledged) {
          if (isAcknowledged) expect(await isAccepted(at, key)).toBe(true);
          // The code is whole: this key's, now or before; nobody else's ever.
          await enrol(line, key, at.port);
          expect(await isAccepted(at, key)).toBe(true);
          const other = newKey("tunnel");
          expect(await codeOf(enrol(line, other, at.port))).toBe("AUTH_FAILED");
          expect(await isAccepted(at, other)).toBe(false);
        },
      };
    },
  },
  create: {
    about: 24,
    begin({ account }) {
      const key = newKey("tunnel");
      const body = {
        name: "made",
        key: publicText(key),
        label: "x",
        hosts: ["made.tunl.localhost"],
      };
      return {
        run: (at) => ask(at, account, "tunnel.create", body),
        async audit(at, isAcknowledged) {
          const isThere = await isAccepted(at, key);
          if (isAcknowledged) expect(isThere).toBe(true);
          // All of it or nothing: then the same call makes it, and its name is still free.
          const again = await ask(at, account, "tunnel.create", body);
          expect(again).toMatchObject({ hosts: [{ host: "made.tunl.localhost" }] });
          expect(await isAccepted(at, key)).toBe(true);
          const taken = { ...body, name: "other", key: publicText(newKey("tunnel")) };
          expect(await codeOf(ask(at, account, "tunnel.create", taken))).toBe("HOSTNAME_TAKEN");
        },
      };
    },
  },
  rotate: {
    about: 60,
    begin({ account, tunnel }) {
      const next = newKey("tunnel");
      const body = { tunnel: "home", keyId: "x", key: publicText(next), overlapMs: 0 };
      return {
        revoked: [tunnel],
        run: (at) => ask(at, account, "key.rotate", body),
        async audit(at, isAcknowledged) {
          const works = [await isAccepted(at, tunnel), await isAccepted(at, next)];
          if (isAcknowledged) expect(works).toEqual([false, true]);
          // One of the two, whatever happened: the machine has both until it was answered.
          else expect(works[0]).toBe(!works[1]);
        },
      };
    },
  },
  revoke: {
    about: 60,
    begin({ account, tunnel }) {
      return {
        revoked: [tunnel],
        run: (at) => ask(at, account, "key.revoke", { tunnel: "home", all: true }),
        async audit(at, isAcknowledged) {
          if (isAcknowledged) expect(await isAccepted(at, tunnel)).toBe(false);
          await ask(at, account, "key.revoke", { tunnel: "home", all: true });
          expect(await isAccepted(at, tunnel)).toBe(false);
        },
      };
    },
  },
  delete: {
    about: 60,
    begin({ account, tunnel }) {
      const isListed = async (at: Reached): Promise<boolean> =>
        (await codeOf(ask(at, account, "tunnel.info", { tunnel: "home" }))) !== "TUNNEL_NOT_FOUND";
      return {
        revoked: [tunnel],
        run: (at) => ask(at, account, "tunnel.delete", { tunnel: "home", force: true }),
        async audit(at, isAcknowledged) {
          const works = [await isListed(at), await isAccepted(at, tunnel)];
          expect(works[0]).toBe(works[1] as boolean);
          if (isAcknowledged) expect(works[0]).toBe(false);
          const body = { key: publicText(newKey("tunnel")), label: "x" };
          const hosts = { name: "heir", hosts: ["home.tunl.localhost"] };
          const heir = await codeOf(ask(at, account, "tunnel.create", { ...body, ...hosts }));
          expect(heir).toBe(works[0] ? "HOSTNAME_TAKEN" : undefined);
        },
      };
    },
  },
};

/** Code of the error a promise ends with; undefined where it does not. */
async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    if (error instanceof TunlError) return error.code;
    throw error;
  }
}

/** An edge with an account, a tunnel of it with a name, lines and a backup of all that, stopped. */
async function prepare(home: Home): Promise<Base> {
  await using edge = await TestEdge.start({ home: home.path });
  const [account, tunnel] = [newKey("account"), newKey("tunnel")];
  const login = await edge.invite(["--account"]);
  const at = reachedBy(login, edge.port);
  await enrol(login, account, edge.port);
  const body = {
    name: "home",
    key: publicText(tunnel),
    label: "x",
    hosts: ["home.tunl.localhost"],
  };
  await ask(at, account, "tunnel.create", body);
  const lines = [await edge.invite(["--ttl", "1h"])];
  // A revocation of something else makes the backup.
  const gone = newKey("tunnel");
  await ask(at, account, "key.add", {
    tunnel: "home",
    label: "gone",
    key: publicText(gone),
    kind: "key",
  });
  await ask(at, account, "key.revoke", { tunnel: "home", keyId: "gone" });
  edge.process.signal("SIGTERM");
  expect((await edge.process.ended).code).toBe(0);
  return { account, tunnel, lines };
}

/** What must hold of the files, whatever was cut (reliability.md §4 item 7). */
function auditFiles(state: string): void {
  using database = new Database(join(state, "state.db"), { readonly: true });
  const rows = (sql: string): unknown[] => database.query(sql).all();
  expect(rows("PRAGMA integrity_check")).toEqual([{ integrity_check: "ok" }]);
  expect(rows("PRAGMA foreign_key_check")).toEqual([]);
  const uses = "SELECT count(*) FROM code_uses WHERE code = hash";
  expect(rows(`SELECT 1 FROM codes WHERE (${uses}) > uses`)).toEqual([]);
  expect(rows("SELECT host FROM hosts GROUP BY host HAVING count(*) > 1")).toEqual([]);
  for (const name of readdirSync(join(state, "backup")).filter((each) =>
    each.startsWith("state"),
  )) {
    using backup = new Database(join(state, "backup", name), { readonly: true });
    expect(backup.query("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
  }
}

const reason = whyNoTracing();
const title = `kill -9 of the edge (R-17)${reason === undefined ? "" : `: skipped, ${reason}`}`;

describe.skipIf(!CAN_RUN || reason !== undefined)(title, () => {
  /** Cuts one run of an operation; returns how many changes of the disk there were, and whether it was cut at all. */
  async function cutAt(
    operation: Operation,
    at: number,
  ): Promise<{
    isCut: boolean;
    isExact: boolean;
    isAcknowledged: boolean;
    names: readonly string[];
  }> {
    using copy = new Home();
    cpSync(home.path, copy.path, { recursive: true });
    const state = join(copy.path, "state");
    const attempt = operation.begin(base);
    let isAcknowledged = false;
    let cut: Cut;
    {
      await using edge = await TestEdge.start({ home: copy.path });
      cut = await Cut.start({ process: edge.process, below: state, at, calls: STORE_CALLS });
      const reached = reachedBy(base.lines[0] as string, edge.port);
      await Promise.race([
        attempt.run(reached).then(
          () => (isAcknowledged = true),
          // The edge died, or its answer did: no acknowledgement.
          () => undefined,
        ),
        edge.process.ended,
      ]);
      edge.process.signal("SIGKILL");
      await edge.process.ended;
      await cut.ended();
    }
    {
      await using again = await TestEdge.start({ home: copy.path });
      await attempt.audit(reachedBy(base.lines[0] as string, again.port), isAcknowledged);
      again.process.signal("SIGTERM");
      expect((await again.process.ended).code).toBe(0);
    }
    auditFiles(state);
    if (isAcknowledged && attempt.revoked !== undefined) await restore(copy, attempt.revoked);
    return { isCut: cut.count >= at, isExact: cut.isExact, isAcknowledged, names: cut.names };
  }

  /** The backups alone bring no revoked key back. */
  async function restore(copy: Home, revoked: readonly Key[]): Promise<void> {
    rmSync(join(copy.path, "state", "state.db"));
    const { code } = await tunl(["edge", "repair", "--yes"], { home: copy.path });
    expect(code).toBe(0);
    await using edge = await TestEdge.start({ home: copy.path });
    const at = reachedBy(base.lines[0] as string, edge.port);
    for (const key of revoked) expect(await isAccepted(at, key)).toBe(false);
    expect(await isAccepted(at, base.account)).toBe(true);
  }

  const home = new Home();
  let base: Base;
  beforeAll(async () => {
    base = await prepare(home);
  });
  afterAll(() => home[Symbol.dispose]());

  test.each(drawn(Object.keys(OPERATIONS), SEED))(
    "in %s: at each fsync, write, rename and removal",
    async (name) => {
      const operation = OPERATIONS[name] as Operation;
      const counts = { cut: 0, exact: 0, acknowledged: 0 };
      const note = (outcome: Awaited<ReturnType<typeof cutAt>>): void => {
        counts.cut += Number(outcome.isCut);
        counts.exact += Number(outcome.isExact);
        counts.acknowledged += Number(outcome.isAcknowledged);
      };
      if (!IS_SLOW) {
        const at = drawnCut(name, SEED, operation.about);
        console.log(`seed ${SEED}: ${name} is cut at ${at}`);
        note(await cutAt(operation, at));
        expect(counts.cut + counts.acknowledged).toBeGreaterThan(0);
        return;
      }
      for (let at = 1; ; at++) {
        const outcome = await cutAt(operation, at);
        note(outcome);
        if (outcome.isCut) continue;
        console.log(`${name}: ${JSON.stringify(counts)}, whole: ${outcome.names.join(" ")}`);
        expect(outcome.isAcknowledged).toBe(true);
        break;
      }
      expect(counts.cut).toBeGreaterThan(5);
      expect(counts.exact).toBeGreaterThan(counts.cut / 2);
    },
    IS_SLOW ? 600_000 : 60_000,
  );
});
