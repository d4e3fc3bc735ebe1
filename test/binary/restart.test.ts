import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { cpSync, readdirSync, readFileSync } from "node:fs";
import { createServer as createOrigin } from "node:http";
import { type AddressInfo, connect as connectTcp, createServer, type Server } from "node:net";
import { basename, join } from "node:path";
import { connect } from "node:tls";
import {
  answered,
  App,
  CAN_RUN,
  curl,
  DOMAIN,
  freePort,
  startConnector,
  TestEdge,
  Tunnel,
  valuesOf,
} from "../e2e/rig.ts";
import { Visitor } from "../e2e/visitor.ts";
import { eventually, Program, SEARCH_PATH } from "./program.ts";
import { within } from "../within.ts";
import { Home, type Running, tunl } from "./tunl.ts";

/** URL of the route that a connector was given. */
async function routeOf(connector: Running): Promise<string> {
  return String((await connector.event("route"))["url"]);
}

/** Long enough for a start of the executable, short enough to be waited for, ms. */
const TTL_MS = 2_500;

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

/** A way to the edge that takes little at a time of what the connector sends, so that the rest waits in the connector. */
class SlowWay implements AsyncDisposable {
  /** Per turn, bytes and ms: about 400 KiB a second. */
  static readonly #PART = 20 << 10;
  static readonly #TURN_MS = 50;
  readonly #server: Server;
  readonly #timers = new Set<Timer>();

  private constructor(edgePort: number) {
    this.#server = createServer({ highWaterMark: SlowWay.#PART }, (near) => {
      const far = connectTcp(edgePort, "127.0.0.1");
      // Either end is killed or stopped here; the other one sees it by the end of its own.
      near.on("error", () => far.destroy());
      far.on("error", () => near.destroy());
      far.pipe(near);
      near.on("readable", () => undefined);
      const timer = setInterval(() => {
        const part: Buffer | null = near.read(Math.min(SlowWay.#PART, near.readableLength));
        if (part !== null) far.write(part);
        if (near.readableEnded) far.end();
      }, SlowWay.#TURN_MS);
      this.#timers.add(timer);
    });
  }

  static async open(edgePort: number): Promise<SlowWay> {
    const way = new SlowWay(edgePort);
    way.#server.listen(0, "127.0.0.1");
    await within(once(way.#server, "listening"), "the slow way");
    return way;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#server.close();
  }
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
    const first = await TestEdge.start({ home: home.path });
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
    const first = await TestEdge.start({ home: home.path });
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

describe.skipIf(!CAN_RUN)("drain", () => {
  let app: App;

  beforeAll(async () => {
    app = await App.start();
  });

  afterAll(async () => {
    await app?.[Symbol.asyncDispose]();
  });

  /** A request that takes a second, once its first bytes are here. */
  async function beginSlow(tunnel: Tunnel, path: string): Promise<Program> {
    const { ca, port } = tunnel.edge;
    const visitor = new Program(
      [
        ...["curl", "-sSNv", "--cacert", ca, "--connect-to", `::127.0.0.1:${port}`],
        tunnel.url(path),
      ],
      { environment: { PATH: SEARCH_PATH } },
    );
    await visitor.line(/< HTTP\/1\.1 200/);
    return visitor;
  }

  test.each(["edge", "connector"] as const)(
    "SIGTERM of the %s: a request in progress finishes, new ones are refused, exit 0",
    async (side) => {
      await using tunnel = await Tunnel.start({
        target: String(app.port),
        name: `drain-${side}`,
        edgeFlags: NO_HOLD,
      });
      const stopping = side === "edge" ? tunnel.edge.process : tunnel.connector;
      await using visitor = await beginSlow(tunnel, "/drip/1000");
      stopping.signal("SIGTERM");
      await stopping.event("draining");
      const refused = await tunnel.curl("/bytes/1", ["-i"]);
      if (side === "edge")
        expect(refused.code).toBe(7); // Nobody listens any more.
      else expect(answered(refused).status).toBe(503);
      const { code, stdout } = await visitor.ended;
      expect([code, stdout]).toEqual([0, "01234567890123456789"]);
      const end = await stopping.ended;
      expect(end.code).toBe(0);
      expect(end.stderr.trimEnd().split("\n").at(-1)).toContain('"event":"stopped"');
    },
  );

  test.each(["edge", "connector"] as const)(
    "a second signal ends the %s at once: 143, and 130 by Ctrl-C",
    async (side) => {
      for (const [signal, expected] of [
        ["SIGTERM", 143],
        ["SIGINT", 130],
      ] as const) {
        await using tunnel = await Tunnel.start({
          target: String(app.port),
          name: `forced-${side}-${expected}`,
        });
        const stopping = side === "edge" ? tunnel.edge.process : tunnel.connector;
        await using visitor = await beginSlow(tunnel, "/begin/length");
        stopping.signal("SIGTERM");
        await stopping.event("draining");
        const startedAt = performance.now();
        stopping.signal(signal);
        expect((await stopping.ended).code).toBe(expected);
        expect(performance.now() - startedAt).toBeLessThan(2_000);
        // Its request was cut, and looks like it.
        expect((await visitor.ended).code).not.toBe(0);
      }
      expect.assertions(6);
    },
  );

  test("a response that the origin has given arrives whole, however slow the way and the visitor, exit 0", async () => {
    const size = 900_000;
    const given = Promise.withResolvers<void>();
    const origin = createOrigin((_request, response) => {
      response.on("finish", () => given.resolve());
      response.end(Buffer.alloc(size, "w"));
    });
    origin.listen(0, "127.0.0.1");
    await within(once(origin, "listening"), "the origin");
    const { port } = origin.address() as AddressInfo;
    try {
      await using edge = await TestEdge.start();
      await using way = await SlowWay.open(edge.port);
      using home = new Home();
      const line = (await edge.invite()).replace(`:${edge.port}/`, `:${way.port}/`);
      const words = ["--name", "slow", "--join", line];
      await using connector = startConnector(String(port), words, { home: home.path });
      await connector.event("route");
      await using visitor = new Program(
        [
          ...["curl", "-sSN", "--cacert", edge.ca, "--limit-rate", "500k"],
          ...["--connect-to", `::127.0.0.1:${edge.port}`],
          `https://slow.${DOMAIN}:${edge.port}/`,
        ],
        { environment: { PATH: SEARCH_PATH } },
      );
      await within(given.promise, "the whole response of the origin");
      connector.signal("SIGTERM");
      await connector.event("draining");
      // Most of it is still to come.
      expect(visitor.output.length).toBeLessThan(size / 2);
      const { code, stdout } = await visitor.ended;
      expect([code, stdout.length]).toEqual([0, size]);
      expect((await connector.ended).code).toBe(0);
    } finally {
      origin.close();
    }
  });

  test("requests on their way at the moment of SIGTERM get their answers: no 502", async () => {
    await using tunnel = await Tunnel.start({
      target: String(app.port),
      name: "busy",
      edgeFlags: NO_HOLD,
    });
    const answers: Record<string, number> = {};
    const isBusy = Promise.withResolvers<void>();
    let count = 0;
    const visit = async (): Promise<void> => {
      using visitor = await Visitor.open(tunnel.edge, tunnel.host);
      for (;;) {
        visitor.send(`GET /bytes/1 HTTP/1.1\r\nHost: ${visitor.authority}\r\n\r\n`);
        const { status, error = "", isKept } = await visitor.answer();
        const kind = `${status} ${error}`.trim();
        answers[kind] = (answers[kind] ?? 0) + 1;
        count += 1;
        if (count === 200) isBusy.resolve();
        if (status !== 200 || !isKept) return;
      }
    };
    const visits = Promise.all(Array.from({ length: 16 }, visit));
    await within(isBusy.promise, "200 answers");
    tunnel.connector.signal("SIGTERM");
    expect((await tunnel.connector.ended).code).toBe(0);
    // Each one asks until it hears that the tunnel is offline.
    await within(visits, "the last answers");
    expect(answers).toEqual({ "200": count - 16, "503 TUNNEL_OFFLINE": 16 });
  });

  test("a connector without requests stops within 1.5 s", async () => {
    await using tunnel = await Tunnel.start({ target: String(app.port), name: "alone" });
    expect((await tunnel.get("/bytes/1")).status).toBe(200);
    const startedAt = performance.now();
    await stop(tunnel.connector);
    expect(performance.now() - startedAt).toBeLessThan(1_500);
  });

  test("an idle pair stops within a second, whoever keeps a connection to the edge", async () => {
    await using tunnel = await Tunnel.start({ target: String(app.port), name: "idle" });
    const { host, edge } = tunnel;
    const ca = readFileSync(edge.ca);
    const kept = connect({ host: "127.0.0.1", port: edge.port, servername: host, ca });
    kept.write(`GET /bytes/1 HTTP/1.1\r\nHost: ${host}:${edge.port}\r\n\r\n`);
    await within(once(kept, "data"), "the answer");
    const startedAt = performance.now();
    await stop(tunnel.connector);
    await stop(edge.process);
    expect(performance.now() - startedAt).toBeLessThan(1_500);
    kept.destroy();
  });
});
