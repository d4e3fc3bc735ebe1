// This file is both ends restarted while visitors ask without a pause: what they notice of it, and what their origin sees..
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { freePort } from "../../scripts/rig/ports.ts";
import { HOLD_IN_ALL } from "../../src/edge/route/index.ts";
import { App, CAN_RUN, DOMAIN, startConnector, TestEdge, Tunnel } from "../e2e/rig.ts";
import { Visitor } from "../e2e/visitor.ts";
import { eventually, Program, SEARCH_PATH } from "./program.ts";
import { CountingServer, Traffic } from "./traffic.ts";
import { CutWay } from "../edge/cut-way.ts";
import { Home, IS_SLOW, type Running, tunl } from "./tunl.ts";

const NAME = "rolling";
const WS_CLIENT = fileURLToPath(new URL("../e2e/programs/ws-client.mjs", import.meta.url));
const ROUNDS = IS_SLOW ? 20 : 2;
const VISITORS = 8;
const DARK_MS = IS_SLOW ? 3_000 : 1_000;
/** Answers between two restarts; 40 restarts of the long form see more than 40,000 in all. */
const ANSWERS = IS_SLOW ? 1_100 : 100;

/** What a request may cost that waits. R-27. */
const WAITING_KIB = 40;

/** Resident memory once it does not fall any more: garbage of a moment ago is not what is asked for. */
async function settledKib(pid: number): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let look = 0; look < 8; look++) {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const status = readFileSync(`/proc/${pid}/status`, "latin1");
    least = Math.min(least, Number(/^VmRSS:\s*(\d+) kB$/m.exec(status)?.[1]));
  }
  return least;
}

async function start(tunnel: Tunnel, port: number): Promise<Running> {
  const connector = startConnector(String(port), ["--name", NAME], { home: tunnel.home });
  await connector.event("route");
  return connector;
}

/** Requests that wait at the edge. */
async function parked({ edge }: Pick<Tunnel, "edge">): Promise<number> {
  const { stdout } = await tunl(["status", "--json"], { home: edge.home });
  return JSON.parse(stdout).edge.tables.parkedRequests;
}

async function stop(process: Running): Promise<void> {
  process.signal("SIGTERM");
  expect((await process.ended).code).toBe(0);
}

describe.skipIf(!CAN_RUN)("restarts under load", () => {
  test(
    `two connectors restarted in turn, ${ROUNDS} rounds: no request fails, none is served twice`,
    async () => {
      await using origin = await CountingServer.start();
      await using tunnel = await Tunnel.start({ target: String(origin.port), name: NAME });
      const connectors = [tunnel.connector, await start(tunnel, origin.port)];
      const traffic = new Traffic(tunnel.edge, tunnel.host, VISITORS);
      try {
        for (let restart = 0; restart < 2 * ROUNDS; restart++) {
          await traffic.answers(ANSWERS, 60_000);
          const place = restart % 2;
          await stop(connectors[place] as Running);
          connectors[place] = await start(tunnel, origin.port);
        }
        await traffic.answers(ANSWERS, 60_000);
        await traffic.stop();
      } finally {
        for (const connector of connectors) await connector[Symbol.asyncDispose]();
      }
      console.log(`${traffic.count} answers, slowest ${Math.round(traffic.slowestMs)} ms`);
      expect(traffic.kinds).toEqual({ "200": traffic.count });
      expect(origin.repeated).toEqual([]);
      expect(origin.counts.size).toBe(traffic.count);
      if (IS_SLOW) expect(traffic.count).toBeGreaterThanOrEqual(40_000);
    },
    IS_SLOW ? 600_000 : 60_000,
  );

  test("the only connector restarted: requests wait for it, none fails, none is served twice", async () => {
    await using origin = await CountingServer.start();
    await using tunnel = await Tunnel.start({ target: String(origin.port), name: NAME });
    const traffic = new Traffic(tunnel.edge, tunnel.host, VISITORS);
    let connector = tunnel.connector;
    const lives: Running[] = [];
    try {
      for (let round = 0; round < ROUNDS; round++) {
        await traffic.answers(ANSWERS, 60_000);
        await stop(connector);
        connector = await start(tunnel, origin.port);
        lives.push(connector);
      }
      await traffic.answers(ANSWERS, 60_000);
      await traffic.stop();
    } finally {
      for (const life of lives) await life[Symbol.asyncDispose]();
    }
    console.log(`${traffic.count} answers, slowest ${Math.round(traffic.slowestMs)} ms`);
    expect(traffic.kinds).toEqual({ "200": traffic.count });
    expect(origin.repeated).toEqual([]);
    // They did wait: for the drain, and for the new process.
    expect(traffic.slowestMs).toBeGreaterThan(200);
  }, 120_000);

  test("the only connector killed: what was in progress is lost and told, the others wait; nothing is served twice", async () => {
    await using origin = await CountingServer.start();
    await using tunnel = await Tunnel.start({ target: String(origin.port), name: NAME });
    const traffic = new Traffic(tunnel.edge, tunnel.host, VISITORS);
    await traffic.answers(ANSWERS);
    tunnel.connector.signal("SIGKILL");
    await tunnel.connector.ended;
    await using connector = await start(tunnel, origin.port);
    await traffic.answers(ANSWERS);
    await traffic.stop();
    expect(connector.pid).toBeGreaterThan(0);
    const { "200": served = 0, "502 TUNNEL_LOST": lost = 0, ...others } = traffic.kinds;
    expect([others, served + lost]).toEqual([{}, traffic.count]);
    expect(lost).toBeLessThanOrEqual(VISITORS);
    expect(origin.repeated).toEqual([]);
  });

  test.each(["SIGTERM", "SIGKILL"] as const)(
    "the edge ended by %s and started again: who asks it then waits for the connector, none fails",
    async (signal) => {
      await using origin = await CountingServer.start();
      using home = new Home();
      await using first = await TestEdge.start({ home: home.path, port: await freePort() });
      await using tunnel = await Tunnel.start({
        target: String(origin.port),
        name: NAME,
        edge: first,
      });
      expect((await tunnel.get("/r/before")).status).toBe(200);
      first.process.signal(signal);
      await first.process.ended;
      await using edge = await TestEdge.start({ home: home.path, port: first.port });
      const traffic = new Traffic(edge, tunnel.host, VISITORS);
      await traffic.answers(ANSWERS);
      await traffic.stop();
      console.log(`first answers after ${Math.round(traffic.slowestMs)} ms`);
      expect(traffic.kinds).toEqual({ "200": traffic.count });
      expect(origin.repeated).toEqual([]);
    },
  );

  test("what waits for a connector is asked for nothing: an upload that expects 100, a WebSocket", async () => {
    await using app = await App.start();
    await using tunnel = await Tunnel.start({ target: String(app.port), name: NAME });
    await stop(tunnel.connector);
    const url = tunnel.url("/ws/echo").replace("https:", "wss:");
    const task = { url, ca: tunnel.edge.ca, do: "echo", count: 10 };
    await using socket = new Program(["node", WS_CLIENT, JSON.stringify(task)], {
      environment: { PATH: SEARCH_PATH },
    });
    using upload = await Visitor.open(tunnel.edge, tunnel.host);
    upload.send(
      `POST /upload HTTP/1.1\r\nHost: ${upload.authority}\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n`,
    );
    await eventually(
      async () => ((await parked(tunnel)) === 2 ? true : undefined),
      "two that wait",
    );
    expect(upload.received).toBe("");
    await using connector = await start(tunnel, app.port);
    const isAsked = (): true | undefined => upload.received.includes(" 100 ") || undefined;
    await eventually(isAsked, "100 Continue");
    upload.send("hello");
    expect(await upload.answer()).toMatchObject({
      status: 200,
      body: expect.stringContaining('"length":5'),
    });
    expect(JSON.parse((await socket.ended).stdout)).toMatchObject({ messages: 10, code: 1000 });
    expect([await parked(tunnel), connector.pid > 0]).toEqual([0, true]);
  });

  test(`a link that is dark for ${DARK_MS} ms: requests wait, none fails, none is served twice`, async () => {
    await using origin = await CountingServer.start();
    await using edge = await TestEdge.start();
    await using way = await CutWay.open(edge.port);
    using home = new Home();
    const line = (await edge.invite()).replace(`:${edge.port}/`, `:${way.port}/`);
    const words = ["--name", NAME, "--join", line];
    await using connector = startConnector(String(origin.port), words, { home: home.path });
    await connector.event("route");
    const traffic = new Traffic(edge, `${NAME}.${DOMAIN}`, VISITORS);
    await traffic.answers(ANSWERS, 60_000);
    for (const direction of ["up", "down"] as const) way.holdBack(direction);
    // The time is what is tested.
    await new Promise((resolve) => setTimeout(resolve, DARK_MS));
    for (const direction of ["up", "down"] as const) way.release(direction);
    await traffic.answers(ANSWERS, 60_000);
    await traffic.stop();
    expect(traffic.kinds).toEqual({ "200": traffic.count });
    expect(traffic.slowestMs).toBeGreaterThan(DARK_MS - 100);
    expect(origin.repeated).toEqual([]);
  });

  test.skipIf(!IS_SLOW || process.platform !== "linux")(
    `a request that waits costs at most ${WAITING_KIB} KiB, its head of 30,000 bytes included`,
    async () => {
      await using edge = await TestEdge.start({ flags: ["--hold", "60s"] });
      using home = new Home();
      const names = Array.from({ length: 20 }, (_, index) => `h${index}.${DOMAIN}`);
      const words = ["--join", await edge.invite(), ...names.flatMap((name) => ["--host", name])];
      await using connector = startConnector("http_status:204", words, { home: home.path });
      const routes = (): number => connector.output.split('"event":"route"').length - 1;
      await eventually(() => (routes() === names.length ? true : undefined), "every route");
      await stop(connector);
      const visitors: Visitor[] = [];
      for (let index = 0; index < HOLD_IN_ALL; index++)
        visitors.push(await Visitor.open(edge, names[index % names.length] as string));
      const before = await settledKib(edge.process.pid);
      for (const visitor of visitors)
        visitor.send(
          `GET / HTTP/1.1\r\nHost: ${visitor.authority}\r\nX-Large: ${"h".repeat(30_000)}\r\n\r\n`,
        );
      const after = await settledKib(edge.process.pid);
      expect(await parked({ edge })).toBe(HOLD_IN_ALL);
      const each = (after - before) / HOLD_IN_ALL;
      console.log(`${each.toFixed(1)} KiB each`);
      expect(each).toBeLessThanOrEqual(WAITING_KIB);
      for (const visitor of visitors) visitor[Symbol.dispose]();
    },
    180_000,
  );

  test("a connector that does not come back: 503 after the hold, and every one of them is told", async () => {
    await using tunnel = await Tunnel.start({
      target: "http_status:204",
      name: NAME,
      edgeFlags: ["--hold", "1s"],
    });
    await stop(tunnel.connector);
    // All are connected before the first of them asks: a place is free again after one second.
    const open = (): Promise<Visitor> => Visitor.open(tunnel.edge, tunnel.host);
    const visitors = await Promise.all(Array.from({ length: 110 }, open));
    const startedAt = performance.now();
    const ask = async (visitor: Visitor): Promise<string> => {
      visitor.send(`GET / HTTP/1.1\r\nHost: ${visitor.authority}\r\n\r\n`);
      const { status, error } = await visitor.answer();
      return `${status} ${error}`;
    };
    const answers = await Promise.all(visitors.map(ask));
    for (const visitor of visitors) visitor[Symbol.dispose]();
    expect(performance.now() - startedAt).toBeGreaterThan(1_000);
    const count = (kind: string): number => answers.filter((answer) => answer === kind).length;
    // 100 places; the others are told at once.
    expect([count("503 TUNNEL_OFFLINE"), count("503 HOST_BUSY")]).toEqual([100, 10]);
  });
});
