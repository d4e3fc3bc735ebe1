// This file is kill -9 of a command at every change of its own files: the same command again completes it, with the same key. R-17; reliability.md §4 item 6.
import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fingerprintOf, isTemporary, parseKey } from "../../src/identity/index.ts";
import { CAN_RUN, TestEdge } from "../e2e/rig.ts";
import { Cut, drawn, drawnCut, STOPPED, untilStopped } from "./cut.ts";
import { eventually } from "./program.ts";
import { whyNoTracing } from "./tracer.ts";
import { EDGE, Home, IS_SLOW, Running, tunl } from "./tunl.ts";

const SEED = Number(process.env["TUNL_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

/** One command in a home of its own. */
interface Errand {
  readonly words: readonly string[];
  /** The directory whose files it changes. */
  readonly below: string;
  /** The event at which it is stopped, where it does not end by itself. */
  readonly stays?: string;
  /** Looks at what it left, after it was repeated. */
  audit(): void | Promise<void>;
}

interface Command {
  /** Changes of the disk, about: where the commit form cuts. */
  readonly about: number;
  prepare(home: string, edge: TestEdge): Promise<Errand>;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  "connect --join": {
    about: 18,
    async prepare(home, edge) {
      const line = await edge.invite();
      const before = keysAt(edge);
      return {
        words: ["connect", "http_status:204", "--join", line, "--for", "1s"],
        below: join(home, "edges"),
        audit() {
          expect(keysAt(edge)).toBe(before + 1);
          expect(filesOf(home)).toEqual(["<uuid>.json", "edge.json"]);
        },
      };
    },
  },
  login: {
    about: 18,
    async prepare(home, edge) {
      const line = await edge.invite(["--account"]);
      const before = keysAt(edge);
      return {
        words: ["login", line],
        below: join(home, "edges"),
        audit() {
          expect(keysAt(edge)).toBe(before + 1);
          expect(filesOf(home)).toEqual(["account.json", "edge.json"]);
        },
      };
    },
  },
  "tunnel create": {
    about: 18,
    async prepare(home, edge) {
      await done(["login", await edge.invite(["--account"])], home);
      const before = keysAt(edge);
      return {
        words: ["tunnel", "create", `t${before}`],
        below: join(home, "edges"),
        async audit() {
          expect(keysAt(edge)).toBe(before + 1);
          expect(filesOf(home)).toEqual(["<uuid>.json", "account.json", "edge.json"]);
          const info = await done(["tunnel", "info", `t${before}`, "--json"], home);
          expect(JSON.parse(info).keys).toHaveLength(1);
        },
      };
    },
  },
  "tunnel rotate": {
    about: 18,
    async prepare(home, edge) {
      await done(["login", await edge.invite(["--account"])], home);
      const name = `t${keysAt(edge)}`;
      await done(["tunnel", "create", name], home);
      return {
        words: ["tunnel", "rotate", name, "--overlap", "1h"],
        below: join(home, "edges"),
        async audit() {
          expect(filesOf(home)).toEqual(["<uuid>.json", "account.json", "edge.json"]);
          // The key on the disk is one that the edge takes: the connector starts with it.
          await repeat(["connect", "http_status:204", "--tunnel", name], home);
        },
      };
    },
  },
  "first start": {
    about: 150,
    async prepare(home) {
      return {
        words: [...EDGE],
        stays: "ready",
        below: join(home, "state"),
        async audit() {
          const state = join(home, "state");
          for (const name of readdirSync(state, { recursive: true, encoding: "utf8" })) {
            const stats = statSync(join(state, name));
            expect([name, stats.mode & 0o777]).toEqual([name, stats.isDirectory() ? 0o700 : 0o600]);
            expect(isTemporary(name)).toBe(false);
          }
          // The identity of the edge is made once: whoever has its fingerprint finds it again.
          await using edge = await TestEdge.start({ home });
          const line = await edge.invite();
          expect(line).toContain(`/${fingerprint(state)}/`);
        },
      };
    },
  },
  "edge repair": {
    about: 40,
    async prepare(home) {
      {
        await using edge = await TestEdge.start({ home });
        await edge.invite();
        await backedUp(home);
        edge.process.signal("SIGTERM");
        await edge.process.ended;
      }
      const path = join(home, "state", "state.db");
      writeFileSync(path, readFileSync(path).fill(0x5a, 4_096));
      return {
        words: ["edge", "repair", "--yes"],
        below: join(home, "state"),
        async audit() {
          using database = new Database(path, { readonly: true });
          expect(database.query("PRAGMA integrity_check").all()).toEqual([
            { integrity_check: "ok" },
          ]);
          // What was damaged is kept, however often it was begun.
          const kept = readdirSync(join(home, "state", "damaged"), { recursive: true });
          expect(kept.filter((name) => String(name).endsWith("state.db"))).toHaveLength(1);
          await using edge = await TestEdge.start({ home });
          expect(await edge.invite()).toStartWith("tunl://");
        },
      };
    },
  },
};

async function done(words: readonly string[], home: string): Promise<string> {
  const { code, stdout, stderr } = await tunl(words, { home });
  if (code !== 0) throw new Error(`tunl ${words.join(" ")} ended with ${code}: ${stderr}`);
  return stdout;
}

/** The same command again: to its end, or until it serves. */
async function repeat(words: readonly string[], home: string, stays?: string): Promise<void> {
  const event = words[0] === "connect" ? "route" : stays;
  if (event === undefined) return void (await done(words, home));
  await using process = new Running([...words, "--log-format", "json"], { home });
  await process.event(event);
  process.signal("SIGTERM");
  expect((await process.ended).code).toBe(0);
}

function fingerprint(state: string): string {
  const key = parseKey(readFileSync(join(state, "edge.key"), "utf8"));
  return fingerprintOf(key?.publicKey ?? new Uint8Array());
}

async function backedUp(home: string): Promise<void> {
  await eventually(async () => {
    const { stdout } = await tunl(["status"], { home });
    return /^state +backed up /m.test(stdout) ? true : undefined;
  }, "the first backup");
}

/** Keys that an edge knows, revoked ones too. */
function keysAt(edge: TestEdge): number {
  using database = new Database(join(edge.home, "state", "state.db"), { readonly: true });
  return (database.query("SELECT count(*) AS keys FROM keys").get() as { keys: number }).keys;
}

/** Files of the one edge in a home, by kind; each but unfinished ones is private and whole. */
function filesOf(home: string): string[] {
  const [edge = ""] = readdirSync(join(home, "edges"));
  const directory = join(home, "edges", edge);
  const names = readdirSync(directory).filter((name) => !isTemporary(name));
  for (const name of names) {
    expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(join(directory, name), "utf8"))).toMatchObject({ version: 1 });
  }
  return names.map((name) => name.replace(/^[0-9a-f-]{36}\.json$/, "<uuid>.json")).sort();
}

/** Runs a command that dies at its N-th change of the disk. */
async function cutAt(errand: Errand, home: string, at: number) {
  await using process = new Running(errand.words, { home, through: STOPPED });
  await untilStopped(process);
  const cut = await Cut.start({ process, below: errand.below, at });
  process.signal("SIGCONT");
  if (errand.stays !== undefined) {
    // Killed before, or stopped once it serves; what it still writes then counts as well.
    await process.event(errand.stays).catch(() => undefined);
    process.signal("SIGTERM");
  }
  const { code, stderr } = await process.ended;
  await cut.ended();
  return { isCut: cut.count >= at, isExact: cut.isExact, code, stderr, names: cut.names };
}

const reason = whyNoTracing();
const title = `kill -9 of a command (R-17)${reason === undefined ? "" : `: skipped, ${reason}`}`;

describe.skipIf(!CAN_RUN || reason !== undefined)(title, () => {
  let edge: TestEdge;
  beforeAll(async () => {
    edge = await TestEdge.start();
  });
  afterAll(() => edge?.[Symbol.asyncDispose]());

  async function tryAt(command: Command, at: number) {
    using home = new Home();
    const errand = await command.prepare(home.path, edge);
    const outcome = await cutAt(errand, home.path, at);
    if (!outcome.isCut) expect([outcome.code, outcome.stderr]).toEqual([0, expect.anything()]);
    await repeat(errand.words, home.path, errand.stays);
    await errand.audit();
    return outcome;
  }

  test.each(drawn(Object.keys(COMMANDS), SEED))(
    "%s: at each write, fsync, rename and removal",
    async (name) => {
      const command = COMMANDS[name] as Command;
      if (!IS_SLOW) {
        const at = drawnCut(name, SEED, command.about);
        console.log(`seed ${SEED}: ${name} is cut at ${at}`);
        await tryAt(command, at);
        return;
      }
      const counts = { cut: 0, exact: 0 };
      for (let at = 1; ; at++) {
        const { isCut, isExact, names } = await tryAt(command, at);
        counts.cut += Number(isCut);
        counts.exact += Number(isExact);
        if (isCut) continue;
        console.log(`${name}: ${JSON.stringify(counts)}, whole: ${names.join(" ")}`);
        break;
      }
      expect(counts.cut).toBeGreaterThan(5);
      expect(counts.exact).toBeGreaterThan(counts.cut / 2);
    },
    IS_SLOW ? 1_200_000 : 60_000,
  );
});
