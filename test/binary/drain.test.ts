// This file is both ends stopped while something is in progress: what finishes, what is waited for and how long, how it is cut short. R-05; PROTOCOL §8.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer as createOrigin } from "node:http";
import { type AddressInfo, connect as connectTcp, createServer, type Server } from "node:net";
import { connect } from "node:tls";
import { fileURLToPath } from "node:url";
import {
  answered,
  App,
  CAN_RUN,
  curl,
  DOMAIN,
  startConnector,
  TestEdge,
  Tunnel,
} from "../e2e/rig.ts";
import { Visitor } from "../e2e/visitor.ts";
import { CutWay } from "../edge/cut-way.ts";
import { within } from "../within.ts";
import { Program, SEARCH_PATH } from "./program.ts";
import { Home, type Running } from "./tunl.ts";

/** Flags of an edge at which no request waits for a connector: what it says without one is the test. */
const NO_HOLD = ["--hold", "0"];
const WS_CLIENT = fileURLToPath(new URL("../e2e/programs/ws-client.mjs", import.meta.url));

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

describe.skipIf(!CAN_RUN)("drain", () => {
  let app: App;

  beforeAll(async () => {
    app = await App.start();
  });

  afterAll(async () => {
    await app?.[Symbol.asyncDispose]();
  });

  /** A request that takes its time, once its head is here. */
  async function beginSlow(
    tunnel: Tunnel,
    path: string,
    flags: readonly string[] = [],
  ): Promise<Program> {
    const { ca, port } = tunnel.edge;
    const visitor = new Program(
      [
        ...["curl", "-sSNv", "--cacert", ca, "--connect-to", `::127.0.0.1:${port}`],
        ...flags,
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
      // In lines: what the visitor has of it is counted in them.
      response.end(Buffer.alloc(size, `${"w".repeat(99)}\n`));
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
      // Most of it is still to come, and some of it has.
      await visitor.line(/^w+$/);
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

  test.each(["edge", "connector"] as const)(
    "SIGTERM of the %s: a download of 8 MiB in flight arrives whole, and the log says what is waited for",
    async (side) => {
      const size = 8 << 20;
      await using tunnel = await Tunnel.start({ target: String(app.port), name: `load-${side}` });
      const stopping = side === "edge" ? tunnel.edge.process : tunnel.connector;
      await using visitor = await beginSlow(tunnel, `/bytes/${size}`, ["--limit-rate", "16M"]);
      stopping.signal("SIGTERM");
      const { msg, inProgress } = await stopping.event("draining");
      const grace = side === "edge" ? "60 s" : "30 s";
      expect([msg, inProgress]).toEqual([
        `1 request in progress, up to ${grace} (Ctrl-C again stops now)`,
        1,
      ]);
      const { code, stdout } = await visitor.ended;
      expect([code, stdout.length]).toEqual([0, size]);
      expect((await stopping.ended).code).toBe(0);
    },
  );

  // These only wait, so they wait together.
  test.concurrent.each(["edge", "connector"] as const)(
    "a drain of the %s lasts as long as its grace, then what is left is cut and looks like it, exit 0",
    async (side) => {
      const grace = ["--grace", "1s"];
      await using tunnel = await Tunnel.start({
        target: String(app.port),
        name: `grace-${side}`,
        ...(side === "edge" ? { edgeFlags: grace } : { flags: grace }),
      });
      const stopping = side === "edge" ? tunnel.edge.process : tunnel.connector;
      await using visitor = await beginSlow(tunnel, "/begin/length");
      const startedAt = performance.now();
      stopping.signal("SIGTERM");
      const { code, stderr } = await stopping.ended;
      const tookMs = performance.now() - startedAt;
      expect([code, stderr.trimEnd().split("\n").at(-1)]).toEqual([
        0,
        expect.stringContaining("the time is over, 1 request in progress cut off"),
      ]);
      expect(tookMs).toBeGreaterThanOrEqual(1_000);
      expect(tookMs).toBeLessThan(5_000);
      expect((await visitor.ended).code).not.toBe(0);
    },
  );

  test.concurrent(
    "an edge waits for WebSockets and event streams only a while: they would last for ever",
    async () => {
      await using tunnel = await Tunnel.start({ target: String(app.port), name: "long-lived" });
      const after = app.process.lineCount;
      const url = tunnel.url("/ws/counter").replace("https:", "wss:");
      await using socket = new Program(
        ["node", WS_CLIENT, JSON.stringify({ url, ca: tunnel.edge.ca, do: "wait" })],
        { environment: { PATH: SEARCH_PATH } },
      );
      await app.process.line(/^counting$/, { after });
      const accept = ["-H", "Accept: text/event-stream"];
      await using events = await beginSlow(tunnel, "/events/1000", accept);
      const startedAt = performance.now();
      tunnel.edge.process.signal("SIGTERM");
      expect((await tunnel.edge.process.ended).code).toBe(0);
      const tookMs = performance.now() - startedAt;
      expect(tookMs).toBeGreaterThanOrEqual(5_000);
      // The grace is a minute.
      expect(tookMs).toBeLessThan(15_000);
      expect((await events.ended).code).not.toBe(0);
      expect(JSON.parse((await socket.ended).stdout).opened).toBe(true);
    },
  );

  test.concurrent(
    "a connector whose link is dark does not wait its whole grace for an answer to its end",
    async () => {
      await using edge = await TestEdge.start();
      await using way = await CutWay.open(edge.port);
      using home = new Home();
      const line = (await edge.invite()).replace(`:${edge.port}/`, `:${way.port}/`);
      const words = ["--name", "dark", "--join", line];
      await using connector = startConnector(String(app.port), words, { home: home.path });
      await connector.event("route");
      for (const direction of ["up", "down"] as const) way.holdBack(direction);
      const startedAt = performance.now();
      connector.signal("SIGTERM");
      expect((await connector.event("draining"))["msg"]).toBe("no request in progress");
      expect((await connector.ended).code).toBe(0);
      // The grace is 30 s.
      expect(performance.now() - startedAt).toBeLessThan(15_000);
    },
  );

  test("an edge that drains says so in its last response, and ends idle connections of both ports", async () => {
    await using edge = await TestEdge.start({ hasPlain: true });
    await using tunnel = await Tunnel.start({ target: String(app.port), name: "last", edge });
    using idle = await Visitor.open(edge, tunnel.host);
    using busy = await Visitor.open(edge, tunnel.host);
    const { http } = await edge.process.event("listening");
    const plain = connectTcp(Number(String(http).split(":").at(-1)), "127.0.0.1");
    plain.write(`GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`);
    await within(once(plain, "data"), "the redirect");
    // The last thing before the signal: it has to be in progress then.
    busy.send(`GET /slow/2500 HTTP/1.1\r\nHost: ${busy.authority}\r\n\r\n`);
    idle.send(`GET /bytes/1 HTTP/1.1\r\nHost: ${idle.authority}\r\n\r\n`);
    expect((await idle.answer()).isKept).toBe(true);
    edge.process.signal("SIGTERM");
    await Promise.all([
      within(once(plain, "end"), "the end of the plain connection"),
      expect(idle.answer()).rejects.toThrow("ended the connection"),
    ]);
    const { status, isKept } = await busy.answer();
    expect([status, isKept]).toEqual([200, false]);
    expect((await edge.process.ended).code).toBe(0);
    plain.destroy();
  });

  test("a connector without requests stops within 3 s", async () => {
    await using tunnel = await Tunnel.start({ target: String(app.port), name: "alone" });
    expect((await tunnel.get("/bytes/1")).status).toBe(200);
    const startedAt = performance.now();
    await stop(tunnel.connector);
    expect(performance.now() - startedAt).toBeLessThan(3_000);
  });

  test("an idle pair stops within 3 s, whoever keeps a connection to the edge", async () => {
    await using tunnel = await Tunnel.start({ target: String(app.port), name: "idle" });
    const { host, edge } = tunnel;
    const ca = readFileSync(edge.ca);
    const kept = connect({ host: "127.0.0.1", port: edge.port, servername: host, ca });
    kept.write(`GET /bytes/1 HTTP/1.1\r\nHost: ${host}:${edge.port}\r\n\r\n`);
    await within(once(kept, "data"), "the answer");
    const startedAt = performance.now();
    await stop(tunnel.connector);
    await stop(edge.process);
    expect(performance.now() - startedAt).toBeLessThan(3_000);
    kept.destroy();
  });
});
