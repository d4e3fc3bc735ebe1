import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, chownSync, cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { curl, TestEdge } from "../e2e/rig.ts";
import { type Ended, isInstalled } from "./program.ts";
import { EDGE, Home, IS_BUILT, Running, type Surroundings, tunl, TUNL } from "./tunl.ts";

const IS_ROOT = process.getuid?.() === 0;
const HAS_CURL = isInstalled("curl");
/** As root nothing is forbidden, so the rights are dropped first. User and group nobody of Debian. */
const NOBODY = 65_534;
const CAN_DROP = IS_ROOT ? isInstalled("setpriv", "util-linux") : true;
const UNPRIVILEGED = IS_ROOT
  ? ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", "--inh-caps=-all"]
  : [];
/** The highest port that needs rights; 0 where none does. */
const FORBIDDEN_BELOW = readNumber("/proc/sys/net/ipv4/ip_unprivileged_port_start");

function readNumber(path: string): number {
  try {
    return Number(readFileSync(path, "utf8"));
  } catch {
    return 0; // No such file: not Linux, so nothing is known about its ports.
  }
}

/** Runs `tunl connect` until it is connected or ends by itself. */
async function connectOnce(flags: readonly string[], surroundings: Surroundings): Promise<Ended> {
  const words = ["connect", "http_status:204", "--log-format", "json", ...flags];
  await using connector = new Running(words, surroundings);
  await Promise.race([connector.ended, connector.event("connected").catch(() => undefined)]);
  connector.signal("SIGTERM");
  return await connector.ended;
}

/** The same with a line in a new home. */
async function joinOnce(line: string): Promise<Ended> {
  using home = new Home();
  return await connectOnce(["--join", line], { home: home.path });
}

/** Another valid code: the alphabet is base32 in lower case. */
function otherCode(line: string): string {
  const code = line.slice(line.lastIndexOf("/") + 1);
  return `${line.slice(0, -code.length)}${code.startsWith("a") ? "b" : "a"}${code.slice(1)}`;
}

describe.skipIf(!IS_BUILT)("refusals of the edge: exit 4", () => {
  let edge: TestEdge;
  let other: TestEdge;

  beforeAll(async () => {
    [edge, other] = await Promise.all([TestEdge.start(), TestEdge.start()]);
  });

  afterAll(async () => {
    await edge?.[Symbol.asyncDispose]();
    await other?.[Symbol.asyncDispose]();
  });

  test("a wrong code", async () => {
    const { code, stdout, stderr } = await joinOnce(otherCode(await edge.invite()));
    expect([code, stdout]).toEqual([4, ""]);
    expect(stderr).toContain("The edge refused this line");
    expect(stderr).toContain("Run tunl edge invite on the edge");
  });

  test("a code that another machine used", async () => {
    const line = await edge.invite();
    expect((await joinOnce(line)).code).toBe(0);
    const { code, stderr } = await joinOnce(line);
    expect([code, stderr.includes("JOIN_REFUSED")]).toEqual([4, true]);
  });

  test("an expired code", async () => {
    const line = await edge.invite(["--ttl", "1s"]);
    // The one second is what is tested; nothing tells of its end.
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    const { code, stderr } = await joinOnce(line);
    expect([code, stderr.includes("JOIN_REFUSED")]).toEqual([4, true]);
    // The edge's owner sees the reason, the other side does not.
    const refused = await edge.process.find(
      (text) => (text.includes("enrol.refused") && text.includes("expired") ? text : undefined),
      "the reason",
    );
    expect(refused).not.toContain(line.slice(line.lastIndexOf("/") + 1));
  });

  test("an edge that shows another key than the line says: nothing is sent", async () => {
    const line = await edge.invite();
    const [, , , fingerprint = ""] = (await other.invite()).split("/");
    const [, , , own = ""] = line.split("/");
    const { code, stderr } = await joinOnce(line.replace(own, fingerprint));
    expect([code, stderr.includes("EDGE_KEY_MISMATCH")]).toEqual([4, true]);
    expect(stderr).toContain(`shows key ${own}, expected ${fingerprint}`);
    // The code was not spent: the true line still works.
    expect((await joinOnce(line)).code).toBe(0);
  });

  test("a line of another edge", async () => {
    const foreign = await other.invite();
    const { code, stderr } = await joinOnce(foreign.replace(`:${other.port}/`, `:${edge.port}/`));
    expect([code, stderr.includes("EDGE_KEY_MISMATCH")]).toEqual([4, true]);
  });

  test("a key that the edge does not know, as after a restore of an older state", async () => {
    using kept = new Home();
    using home = new Home();
    const first = await TestEdge.start();
    await using _first = first;
    const line = await first.invite();
    await stop(first);
    cpSync(first.home, kept.path, { recursive: true });
    const { port } = first;
    {
      await using second = await TestEdge.start({ port, home: first.home });
      expect((await connectOnce(["--join", line], { home: home.path })).code).toBe(0);
      await stop(second);
    }
    await using restored = await TestEdge.start({ port, home: kept.path });
    const { code, stderr } = await connectOnce([], { home: home.path });
    expect([code, stderr.includes("KEY_REFUSED")]).toEqual([4, true]);
    expect(stderr).toContain("Ask the edge's owner");
    expect(restored.port).toBe(port);
  });
});

async function stop(edge: TestEdge): Promise<void> {
  edge.process.signal("SIGTERM");
  expect((await edge.process.ended).code).toBe(0);
}

describe.skipIf(!IS_BUILT)("refusals of the machine: exit 6, with what to do", () => {
  /** A home that an unprivileged user may enter. */
  class SharedHome implements Disposable {
    readonly path = mkdtempSync(join(tmpdir(), "tunl-bin-"));

    constructor(owner: "root" | "nobody") {
      chmodSync(this.path, 0o755);
      if (owner === "nobody" && IS_ROOT) chownSync(this.path, NOBODY, NOBODY);
      // Somebody who is not root makes his own directory read-only instead.
      if (owner === "root" && !IS_ROOT) chmodSync(this.path, 0o555);
    }

    [Symbol.dispose](): void {
      chmodSync(this.path, 0o755);
      rmSync(this.path, { recursive: true, force: true });
    }
  }

  function on(port: number): string[] {
    return EDGE.map((word) => (word === "127.0.0.1:0" ? `127.0.0.1:${port}` : word));
  }

  test.skipIf(!HAS_CURL)("a port in use names who uses it, and harms nobody", async () => {
    await using edge = await TestEdge.start();
    using home = new Home();
    const { code, stderr } = await tunl(on(edge.port), { home: home.path });
    expect([code, stderr.includes("PORT_IN_USE")]).toEqual([6, true]);
    expect(stderr).toContain(`(pid ${edge.process.pid})`);
    expect(stderr).toContain("--listen");
    expect((await curl(edge, [`https://x.tunl.localhost:${edge.port}/`])).code).toBe(0);
  });

  test("a state in use by another edge", async () => {
    await using edge = await TestEdge.start();
    const { code, stderr } = await tunl(EDGE, { home: edge.home });
    expect([code, stderr.includes("STATE_LOCKED")]).toEqual([6, true]);
    expect(stderr).toContain(`(pid ${edge.process.pid})`);
    expect(stderr).toContain("--state");
  });

  // An unprivileged user must be able to reach the executable.
  const canDrop = CAN_DROP && (!IS_ROOT || isReadableByAll(TUNL));

  test.skipIf(!canDrop || FORBIDDEN_BELOW <= 443)("a port that needs rights", async () => {
    using home = new SharedHome("nobody");
    const { code, stderr } = await tunl(on(443), { home: home.path, through: UNPRIVILEGED });
    expect([code, stderr.includes("PORT_FORBIDDEN")]).toEqual([6, true]);
    expect(stderr).toContain("setcap cap_net_bind_service=+ep");
  });

  test.skipIf(!canDrop)("a state that cannot be written", async () => {
    using home = new SharedHome("root");
    const { code, stderr } = await tunl(EDGE, { home: home.path, through: UNPRIVILEGED });
    expect([code, stderr.includes("STATE_UNWRITABLE")]).toEqual([6, true]);
    expect(stderr).toContain("--state");
  });

  test.skipIf(!canDrop)(
    "a connector that cannot keep its key does not spend the code",
    async () => {
      await using edge = await TestEdge.start();
      const line = await edge.invite();
      const flags = ["--join", line];
      using closed = new SharedHome("root");
      const refused = await connectOnce(flags, { home: closed.path, through: UNPRIVILEGED });
      expect([refused.code, refused.stderr.includes("UNWRITABLE")]).toEqual([6, true]);
      expect(refused.stderr).toContain("Make the directory writable");
      using open = new Home();
      expect((await connectOnce(flags, { home: open.path })).code).toBe(0);
    },
  );
});

/** True if every directory above and the file itself are open to all. */
function isReadableByAll(path: string): boolean {
  const { exitCode } = Bun.spawnSync([...UNPRIVILEGED, path, "--version"], {
    stdout: "ignore",
    stderr: "ignore",
  });
  if (exitCode !== 0) console.warn(`Skipped: other users may not run ${path}`);
  return exitCode === 0;
}
