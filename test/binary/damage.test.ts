// This file is a damaged state and the executable: what refuses to start, what goes on while it runs, and the way back. R-16; reliability.md §4 items 3 to 5.
import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { freePort } from "../../scripts/rig/ports.ts";
import { CAN_RUN, DOMAIN, startConnector, TestEdge, Tunnel } from "../e2e/rig.ts";
import { eventually } from "./program.ts";
import { EDGE, Home, tunl } from "./tunl.ts";

const flip = (path: string): void => writeFileSync(path, readFileSync(path).fill(0x5a, 4_096));

/** What happens to `state.db`; the first four are what a disk does. */
const DAMAGES: Readonly<Record<string, (path: string) => void>> = {
  "flipped pages": flip,
  truncation: (path) => truncateSync(path, 9_000),
  garbage: (path) => writeFileSync(path, "no database at all ".repeat(500)),
  "zero length": (path) => truncateSync(path, 0),
  "its absence": (path) => rmSync(path),
};

describe.skipIf(!CAN_RUN)("a damaged state", () => {
  const base = new Home();
  const connector = new Home();
  let port: number;

  beforeAll(async () => {
    // An edge with one tunnel, the files of its connector, and a backup that knows it: made by the second start.
    port = await freePort();
    {
      await using edge = await TestEdge.start({ home: base.path, port });
      await using tunnel = await Tunnel.start({ target: "http_status:204", name: "app", edge });
      for (const process of [tunnel.connector, edge.process]) {
        process.signal("SIGTERM");
        expect((await process.ended).code).toBe(0);
      }
      cpSync(tunnel.home, connector.path, { recursive: true });
    }
    rmSync(join(base.path, "state", "backup"), { recursive: true });
    await using edge = await TestEdge.start({ home: base.path, port });
    await eventually(async () => {
      const { stdout } = await tunl(["status"], { home: base.path });
      return /^state +backed up /m.test(stdout) ? true : undefined;
    }, "the backup of a start");
    edge.process.signal("SIGTERM");
    expect((await edge.process.ended).code).toBe(0);
  });

  afterAll(() => {
    base[Symbol.dispose]();
    connector[Symbol.dispose]();
  });

  /** A copy of the edge, stopped. */
  function copied(): Home & { readonly state: string } {
    const home = new Home();
    cpSync(base.path, home.path, { recursive: true });
    return Object.assign(home, { state: join(home.path, "state") });
  }

  test.each(Object.keys(DAMAGES))(
    "by %s: exit 6 that names tunl edge repair, which brings back what was backed up (R-16)",
    async (what) => {
      using home = copied();
      const path = join(home.state, "state.db");
      DAMAGES[what]?.(path);
      const left = what === "its absence" ? undefined : readFileSync(path);

      const refused = await tunl(EDGE, { home: home.path });
      expect([refused.code, refused.stderr]).toEqual([
        6,
        expect.stringMatching(/STATE_DAMAGED.*tunl edge repair/),
      ]);
      expect(readdirSync(home.state).includes("state.db")).toBe(left !== undefined);
      if (left !== undefined) expect(readFileSync(path).equals(left)).toBe(true);

      const repaired = await tunl(["edge", "repair", "--yes", "--json"], { home: home.path });
      expect(repaired.code).toBe(0);
      const { keptIn, ...rest } = JSON.parse(repaired.stdout);
      expect(rest).toMatchObject({ repaired: true, damagedBackups: [], revoked: 0 });
      if (left === undefined) expect(keptIn).toBeUndefined();
      else expect(readFileSync(join(keptIn, "state.db")).equals(left)).toBe(true);
      using database = new Database(path, { readonly: true });
      expect(database.query("SELECT name FROM tunnels").all()).toHaveLength(1);
      expect(database.query("SELECT host FROM hosts").all()).toEqual([{ host: `app.${DOMAIN}` }]);
    },
  );

  test("is asked for before it is repaired, then serves its connectors again", async () => {
    using home = copied();
    flip(join(home.state, "state.db"));
    const asked = await tunl(["edge", "repair"], { home: home.path });
    expect([asked.code, asked.stdout]).toEqual([2, ""]);
    expect(asked.stderr).toContain("The newest whole backup is of 20");
    expect(asked.stderr).toContain("Add --yes");
    expect(readdirSync(home.state)).not.toContain("damaged");
    const repaired = await tunl(["edge", "repair", "--yes"], { home: home.path });
    expect([repaired.code, repaired.stdout]).toEqual([
      0,
      expect.stringMatching(/^State is restored from state-.*\nThe damaged files are in .*\nStart/),
    ]);
    const again = await tunl(["edge", "repair", "--yes"], { home: home.path });
    expect([again.code, again.stdout]).toEqual([
      0,
      `State in ${home.state} is whole, nothing to repair\n`,
    ]);
    await using edge = await TestEdge.start({ home: home.path, port });
    using own = new Home();
    cpSync(connector.path, own.path, { recursive: true });
    await using process = startConnector("http_status:204", ["--name", "app"], { home: own.path });
    expect(await process.event("route")).toMatchObject({
      url: `https://app.${DOMAIN}:${edge.port}`,
    });
  });

  test("repair wants a state, and the edge stopped", async () => {
    using empty = new Home();
    mkdirSync(join(empty.path, "state"), { mode: 0o700 });
    const nothing = await tunl(["edge", "repair", "--yes"], { home: empty.path });
    expect([nothing.code, nothing.stderr]).toEqual([7, expect.stringContaining("--state DIR")]);
    await using edge = await TestEdge.start();
    const { code, stderr } = await tunl(["edge", "repair", "--yes"], { home: edge.home });
    expect([code, stderr]).toEqual([6, expect.stringContaining(`pid ${edge.process.pid}`)]);
  });

  test("found while it runs: requests go on, changes are refused, status and log say so, a start afterwards is refused (R-16)", async () => {
    await using edge = await TestEdge.start();
    await using tunnel = await Tunnel.start({ target: "http_status:204", name: "app", edge });
    const path = join(edge.home, "state", "state.db");
    {
      // Another hand on the file, which makes the edge drop the pages it remembers; then the disk goes bad.
      using other = new Database(path);
      other.run("INSERT INTO audit (at, event, fields) VALUES (1, 'x', '{}')");
      other.run("PRAGMA wal_checkpoint(TRUNCATE)");
    }
    flip(path);
    const before = readFileSync(path);
    const { code, stderr } = await tunl(["edge", "invite"], { home: edge.home });
    expect([code, stderr]).toEqual([6, expect.stringContaining("serves on from memory")]);
    await edge.process.event("state.failed");
    expect((await tunnel.get("/")).status).toBe(204);
    // The connector comes back with its key: what it may is read from memory.
    tunnel.connector.signal("SIGKILL");
    await tunnel.connector.ended;
    await using again = startConnector("http_status:205", ["--name", "app"], {
      home: tunnel.home,
    });
    await again.event("route");
    expect((await tunnel.get("/")).status).toBe(205);
    const refused = await tunl(["edge", "invite"], { home: edge.home });
    expect(refused.code).toBe(6);
    const status = await tunl(["status"], { home: edge.home });
    expect(status.stdout).toContain("State was found damaged");
    const { edge: seen } = JSON.parse(
      (await tunl(["status", "--json"], { home: edge.home })).stdout,
    );
    expect(seen.state.damage).toContain("refuses changes");
    expect(readFileSync(path).equals(before)).toBe(true);
    edge.process.signal("SIGTERM");
    expect((await edge.process.ended).code).toBe(0);
    expect(readFileSync(path).equals(before)).toBe(true);
    expect((await tunl(EDGE, { home: edge.home })).code).toBe(6);
  });
});
