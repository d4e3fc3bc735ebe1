import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { freePort } from "../../scripts/rig/ports.ts";
import {
  answered,
  App,
  CAN_RUN,
  curl,
  DOMAIN,
  startConnector,
  TestEdge,
  Tunnel,
  valuesOf,
} from "../e2e/rig.ts";
import { eventually } from "./program.ts";
import { Home, type Running, tunl } from "./tunl.ts";

/** URL of the route that a connector was given. */
async function routeOf(connector: Running): Promise<string> {
  return String((await connector.event("route"))["url"]);
}

/** Long enough for a start of the executable on a machine that does much else, short enough to be waited for, ms. */
const TTL_MS = 5_000;

/** Names of the files with keys that a connector keeps below its home. */
function keyFiles(home: string): string[] {
  return readdirSync(home, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".json"))
    .map((path) => basename(path));
}

/** Flags of an edge at which no request waits for a connector: what it says without one is the test. */
const NO_HOLD = ["--hold", "0"];

async function stop(process: Running): Promise<void> {
  process.signal("SIGTERM");
  expect((await process.ended).code).toBe(0);
}

describe.skipIf(!CAN_RUN)("restarts", () => {
  let app: App;

  beforeAll(async () => {
    app = await App.start();
  });

  afterAll(async () => {
    await app?.[Symbol.asyncDispose]();
  });

  const target = (): string => String(app.port);

  /** Status of one request, whatever tunl itself has to say. */
  async function statusOf(tunnel: Tunnel): Promise<number> {
    return (await tunnel.get("/bytes/1")).status;
  }

  test("a random name is kept: without --join, and with the whole command again", async () => {
    await using edge = await TestEdge.start();
    using home = new Home();
    const line = await edge.invite();
    const urls: string[] = [];
    for (const flags of [
      ["--join", line],
      [],
      ["--join", line],
      ["--edge", `${DOMAIN}:${edge.port}`],
    ]) {
      await using connector = startConnector(target(), flags, { home: home.path });
      urls.push(await routeOf(connector));
      await stop(connector);
    }
    expect(urls.length).toBe(4);
    expect(new Set(urls).size).toBe(1);
    expect(urls[0]).toMatch(/^https:\/\/[a-z]+-[a-z]+\.tunl\.localhost:\d+$/);
    // Another target is another service: it has a name of its own.
    await using other = startConnector("http_status:204", [], { home: home.path });
    expect(await routeOf(other)).not.toBe(urls[0] as string);
  });

  test("a chosen name belongs to its tunnel: another one is told so, exit 7", async () => {
    await using edge = await TestEdge.start();
    await using tunnel = await Tunnel.start({ target: target(), name: "mine", edge });
    using home = new Home();
    const words = ["--name", "mine", "--join", await edge.invite()];
    await using stranger = startConnector(target(), words, { home: home.path });
    const { code, stderr } = await stranger.ended;
    expect([code, stderr.includes("HOSTNAME_TAKEN")]).toEqual([7, true]);
    expect(await statusOf(tunnel)).toBe(200);
  });

  test("a second connector beside the first: either may go, the name is served", async () => {
    await using edge = await TestEdge.start();
    await using tunnel = await Tunnel.start({ target: target(), name: "twice", edge });
    await using second = startConnector(target(), ["--name", "twice"], { home: tunnel.home });
    await second.event("route");
    expect(await statusOf(tunnel)).toBe(200);
    const status = await tunl(["status", "--json"], { home: tunnel.home });
    expect(JSON.parse(status.stdout).connectors.length).toBe(2);
    await stop(tunnel.connector);
    expect(await statusOf(tunnel)).toBe(200);
    await using third = startConnector(target(), ["--name", "twice"], { home: tunnel.home });
    await third.event("route");
    second.signal("SIGKILL");
    await second.ended;
    // The dead one may be chosen until its link is seen to be gone; then only the living one is left.
    await eventually(
      async () => ((await statusOf(tunnel)) === 200 ? true : undefined),
      "an answer by the third",
    );
    for (let index = 0; index < 10; index++) expect(await statusOf(tunnel)).toBe(200);
  });

  test("two connectors of one tunnel with two targets do not mix", async () => {
    await using edge = await TestEdge.start();
    await using tunnel = await Tunnel.start({ target: target(), name: "one", edge });
    await using other = startConnector("http_status:418", ["--name", "two"], { home: tunnel.home });
    await other.event("route");
    const ask = async (name: string): Promise<number> =>
      answered(await curl(edge, ["-i", `https://${name}.${DOMAIN}:${edge.port}/bytes/1`])).status;
    for (let index = 0; index < 5; index++)
      expect([await ask("one"), await ask("two")]).toEqual([200, 418]);
    expect.assertions(5);
  });

  test("kill -9 of the connector without hold: 503 at once, and 200 once it is started again", async () => {
    await using tunnel = await Tunnel.start({
      target: target(),
      name: "killed",
      edgeFlags: NO_HOLD,
    });
    expect(await statusOf(tunnel)).toBe(200);
    tunnel.connector.signal("SIGKILL");
    await tunnel.connector.ended;
    const { status, fields } = await tunnel.get("/bytes/1");
    expect([[502, 503].includes(status), valuesOf(fields, "tunl-error").length]).toEqual([true, 1]);
    await using again = startConnector(target(), ["--name", "killed"], { home: tunnel.home });
    await again.event("route");
    expect(await statusOf(tunnel)).toBe(200);
  });

  test("kill -9 of the edge: state and names are there again, the connector comes back by itself", async () => {
    using home = new Home();
    const first = await TestEdge.start({ home: home.path, port: await freePort() });
    await using _first = first;
    await using tunnel = await Tunnel.start({ target: target(), name: "survivor", edge: first });
    expect(await statusOf(tunnel)).toBe(200);
    const after = tunnel.connector.lineCount;
    first.process.signal("SIGKILL");
    await first.process.ended;
    await tunnel.connector.event("link.lost", { after });
    await using edge = await TestEdge.start({ home: home.path, port: first.port });
    const startedAt = performance.now();
    await tunnel.connector.event("connected", { after });
    console.log(`back ${Math.round(performance.now() - startedAt)} ms after the edge was ready`);
    // The same root, so a visitor who trusted it still does.
    await eventually(
      async () => ((await statusOf(tunnel)) === 200 ? true : undefined),
      "the first answer",
      5_000,
    );
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    expect(edge.port).toBe(first.port);
  });

  test("an edge that restarts with a drain gets its connectors back too", async () => {
    using home = new Home();
    const first = await TestEdge.start({ home: home.path, port: await freePort() });
    await using _first = first;
    await using tunnel = await Tunnel.start({ target: target(), name: "drained", edge: first });
    const after = tunnel.connector.lineCount;
    await stop(first.process);
    await using _edge = await TestEdge.start({ home: home.path, port: first.port });
    await tunnel.connector.event("connected", { after });
    await eventually(
      async () => ((await statusOf(tunnel)) === 200 ? true : undefined),
      "the first answer",
    );
  });

  test("an edge that is not up yet does not end connect", async () => {
    using edgeHome = new Home();
    using home = new Home();
    let line: string;
    const port = await freePort();
    {
      await using edge = await TestEdge.start({ home: edgeHome.path, port });
      line = await edge.invite();
      await stop(edge.process);
    }
    await using connector = startConnector(target(), ["--name", "early", "--join", line], {
      home: home.path,
    });
    await connector.event("retry");
    await connector.event("retry", { after: connector.lineCount });
    await using edge = await TestEdge.start({ home: edgeHome.path, port });
    await connector.event("route");
    const reply = await curl(edge, ["-i", `https://early.${DOMAIN}:${port}/bytes/1`]);
    expect(answered(reply).status).toBe(200);
  }, 60_000);

  test("killed before the reply to its line came, and the code expired: the same line again, the same key", async () => {
    await using edge = await TestEdge.start();
    using home = new Home();
    using kept = new Home();
    const flags = ["--name", "kept", "--join", await edge.invite(["--ttl", `${TTL_MS}ms`])];
    const expired = new Promise((resolve) => setTimeout(resolve, TTL_MS + 100));
    // What a machine has on disk that was killed before the reply: its key, and nothing about a tunnel.
    edge.process.signal("SIGSTOP");
    {
      await using connector = startConnector(target(), flags, { home: home.path });
      await eventually(
        () => (keyFiles(home.path).some((name) => name.startsWith("pending")) ? true : undefined),
        "the key on disk",
      );
      cpSync(home.path, kept.path, { recursive: true, filter: (path) => !path.endsWith(".sock") });
      edge.process.signal("SIGCONT");
      await edge.process.event("enrolled");
      connector.signal("SIGKILL");
      await connector.ended;
    }
    // The lifetime is what is tested; nothing tells of its end.
    await expired;
    const after = edge.process.lineCount;
    await using connector = startConnector(target(), flags, { home: kept.path });
    await routeOf(connector);
    await edge.process.event("enrol.refused", { after });
    expect((await curl(edge, [`https://kept.${DOMAIN}:${edge.port}/bytes/1`])).stdout).toBe("b");
    expect(keyFiles(kept.path).filter((name) => name.startsWith("pending"))).toEqual([]);
    // One key, one tunnel: nothing was enrolled twice.
    const { stdout } = await tunl(["status", "--json"], { home: edge.home });
    expect(JSON.parse(stdout).edge.tunnels.length).toBe(1);
  });

  test("--wait gives up the first connect: exit 5", async () => {
    using home = new Home();
    const line = `tunl://${DOMAIN}:${await freePort()}/${"a".repeat(26)}/${"a".repeat(26)}`;
    await using connector = startConnector(target(), ["--wait", "1s", "--join", line], {
      home: home.path,
    });
    const { code, stderr } = await connector.ended;
    expect([code, stderr.includes("EDGE_UNREACHABLE")]).toEqual([5, true]);
  });

  test("a killed process leaves nothing that stops the next: sockets, pid file, lock", async () => {
    using home = new Home();
    const pidFile = join(home.path, "connect.pid");
    await using edge = await TestEdge.start();
    for (let index = 0; index < 3; index++) {
      const flags = index === 0 ? ["--join", await edge.invite()] : [];
      await using connector = startConnector(target(), [...flags, "--pidfile", pidFile], {
        home: home.path,
      });
      await connector.event("route");
      expect((await Bun.file(pidFile).text()).trim()).toBe(String(connector.pid));
      const { code, stdout } = await tunl(["status", "--json"], { home: home.path });
      expect([code, JSON.parse(stdout).connectors.length]).toEqual([0, 1]);
      connector.signal("SIGKILL");
      await connector.ended;
    }
    expect.assertions(6);
  });
});
