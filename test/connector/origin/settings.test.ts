// This file is the settings of a rule at work: what each does to connections of real servers. product.md §3.4.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { createServer as createTls, type TLSSocket } from "node:tls";
import {
  type IngressRule,
  ORIGIN_REQUEST_DEFAULTS,
  type OriginRequestOptions,
  parseTarget,
} from "../../../src/config/index.ts";
import type { Lookup } from "../../../src/connector/addresses.ts";
import { SocketAccount } from "../../../src/connector/origin/index.ts";
import { type Service, Services } from "../../../src/connector/services.ts";
import { Deadlines } from "../../../src/deadlines.ts";
import { BlackHole, noBlackHole } from "../black-hole.ts";
import { type Pem, TestCa } from "../certificates.ts";
import { eventually, RawServer } from "../sockets.ts";
import { Call, type RequestParts, Rig } from "./rig.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const answering = (socket: Socket): void => void socket.on("data", () => socket.write(OK));

/** Rules that name services, in their order; the host of rule N is `sN`. */
class RuleRig implements AsyncDisposable {
  readonly services: Services;
  readonly #deadlines = new Deadlines((error) => {
    throw error;
  });

  constructor(
    rules: readonly (readonly [service: string, settings: Partial<OriginRequestOptions>])[],
    addedFields = new Uint8Array(0),
    sockets = new SocketAccount(100),
  ) {
    this.services = new Services({
      ingress: {
        file: "config.yml",
        rules: rules.map(([service, settings], index): IngressRule => ({
          hostname: `s${index}`,
          path: undefined,
          allowAmbiguousPaths: false,
          service: parseTarget(service),
          originRequest: { ...ORIGIN_REQUEST_DEFAULTS, ...settings },
        })),
      },
      deadlines: this.#deadlines,
      sockets,
      addedFields,
      onTrouble: () => undefined,
      onBug: (error) => {
        throw error;
      },
    });
  }

  call(index: number, parts: RequestParts = {}): Call {
    const authority = parts.authority ?? `s${index}`;
    const found = this.services.ingress.find(`s${index}`, Buffer.from("/"));
    if (found === undefined || found === "ambiguous") throw new Error(`No rule ${index}`);
    return new Call((found.service satisfies Service).origin, { ...parts, authority });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.services.close();
    this.#deadlines[Symbol.dispose]();
  }
}

async function servers(count: number): Promise<RawServer[]> {
  const all = Array.from({ length: count }, () =>
    new RawServer(answering).listen({ host: "127.0.0.1" }),
  );
  return Promise.all(all);
}

describe("keepAliveConnections", () => {
  test("bounds idle connections of one origin and of all origins together", async () => {
    const [one, two, three] = (await servers(3)) as [RawServer, RawServer, RawServer];
    await using _one = one;
    await using _two = two;
    await using _three = three;
    await using rig = new RuleRig([
      [`http://127.0.0.1:${one.port}`, { keepAliveConnections: 3 }],
      [`http://127.0.0.1:${two.port}`, { keepAliveConnections: 1 }],
      [`http://127.0.0.1:${three.port}`, { keepAliveConnections: 0 }],
    ]);
    // Four at the same time have four connections; three of them stay, as the most of any rule says.
    await Promise.all([0, 0, 0, 0].map((rule) => rig.call(rule).over()));
    expect(rig.services.idleConnections).toBe(3);
    await Promise.all([1, 1].map((rule) => rig.call(rule).over()));
    expect(rig.services.idleConnections).toBe(3);
    // The newest of the second origin took the place of the oldest of the first: its server saw it go.
    await eventually("two ends at the first", () => gone(one) === 2);
    await eventually("one end at the second", () => gone(two) === 1);
    await rig.call(2).over();
    expect(rig.services.idleConnections).toBe(3);
    await eventually("the only one of the third", () => gone(three) === 1);
    await rig.call(1).over();
    expect(two.sockets).toHaveLength(2);
  });

  test("an idle connection of another origin makes room where descriptors are short", async () => {
    const [one, two] = (await servers(2)) as [RawServer, RawServer];
    await using _one = one;
    await using _two = two;
    const urls = [one, two].map(({ port }) => [`http://127.0.0.1:${port}`, {}] as const);
    await using rig = new RuleRig(urls, undefined, new SocketAccount(1));
    expect((await rig.call(0).over()).text).toBe("ok");
    expect((await rig.call(1).over()).text).toBe("ok");
    await eventually("the end of the first", () => gone(one) === 1);
  });
});

/** Connections that the other end has closed. */
function gone({ sockets }: RawServer): number {
  return sockets.filter(({ readableEnded, destroyed }) => readableEnded || destroyed).length;
}

test("keepAliveTimeout: an idle connection is closed by us after it", async () => {
  const [server] = (await servers(1)) as [RawServer];
  await using _ = server;
  await using rig = new RuleRig([[`http://127.0.0.1:${server.port}`, { keepAliveTimeoutMs: 300 }]]);
  await rig.call(0).over();
  expect(rig.services.idleConnections).toBe(1);
  await eventually("its end", () => gone(server) === 1);
  expect(rig.services.idleConnections).toBe(0);
});

describe.skipIf(process.platform !== "linux")("tcpKeepAlive", () => {
  /** Seconds until the kernel probes the connection to `port`; undefined where it does not. */
  function probeIn(port: number): number | undefined {
    const hex = port.toString(16).toUpperCase().padStart(4, "0");
    for (const line of readFileSync("/proc/net/tcp", "utf8").split("\n")) {
      const [, , remote = "", state, , timer = ""] = line.trim().split(/\s+/);
      if (!remote.endsWith(`:${hex}`) || state !== "01") continue;
      const [kind, when = ""] = timer.split(":");
      // 02 is the timer of probes; its time is in hundredths of a second.
      return kind === "02" ? Number.parseInt(when, 16) / 100 : undefined;
    }
    throw new Error(`No connection to port ${port}`);
  }

  test.each([
    [30_000, 30],
    [7_000, 7],
    // The default of Go's dialer, as in cloudflared.
    [0, 15],
  ])("%d ms: probes every %d s", async (tcpKeepAliveMs, interval) => {
    const [server] = (await servers(1)) as [RawServer];
    await using _ = server;
    await using rig = new RuleRig([[`http://127.0.0.1:${server.port}`, { tcpKeepAliveMs }]]);
    await rig.call(0).over();
    const seconds = probeIn(server.port) ?? 0;
    expect(seconds).toBeLessThanOrEqual(interval);
    // The test may have been held up meanwhile.
    expect(seconds).toBeGreaterThan(interval - 5);
  });
});

test.skipIf(noBlackHole !== undefined)(
  "noHappyEyeballs: the next address waits for its turn, and has one",
  async () => {
    await using hole = await BlackHole.open();
    await using server = new RawServer(answering);
    server.server.listen({ host: "127.0.0.9", port: hole.port });
    const lookup: Lookup = (_, done) =>
      done(
        undefined,
        ["127.0.0.1", "127.0.0.9"].map((host) => ({ host, family: 4 as const })),
      );
    const url = `http://slow.test:${hole.port}`;
    const time = async (noHappyEyeballs: boolean): Promise<number> => {
      using rig = new Rig(url, { lookup, noHappyEyeballs, connectTimeoutMs: 2_200 });
      const started = performance.now();
      expect((await rig.call().over()).text).toBe("ok");
      return performance.now() - started;
    };
    expect(await time(false)).toBeLessThan(1_000);
    expect(await time(true)).toBeGreaterThan(1_050);
  },
);

describe("a time of 0 is no limit, as in cloudflared", () => {
  test("connecting, TLS and idle connections", async () => {
    const { key, cert } = await (await TestCa.make()).leaf(["localhost"]);
    const tls = createTls({ key, cert, ALPNProtocols: ["http/1.1"] }, answering);
    // Longer than the shortest limit there is: one step of the wheel and the one it is in.
    const late = new RawServer((raw) => {
      raw.pause();
      setTimeout(() => tls.emit("connection", raw), 700);
    });
    await using server = await late.listen({ host: "127.0.0.1" });
    const none = { connectTimeoutMs: 0, tlsTimeoutMs: 0, keepAliveTimeoutMs: 0, tcpKeepAliveMs: 0 };
    await using rig = new RuleRig([
      [`https://127.0.0.1:${server.port}`, { ...none, noTlsVerify: true }],
      [
        `https://127.0.0.1:${server.port}`,
        { ...none, noTlsVerify: true, noHappyEyeballs: true, tlsTimeoutMs: 1 },
      ],
    ]);
    expect((await rig.call(0).over()).text).toBe("ok");
    expect(rig.services.idleConnections).toBe(1);
    expect((await rig.call(0).over()).text).toBe("ok");
    expect(server.sockets).toHaveLength(1);
    // The same server is too late where there is a limit.
    expect((await rig.call(1).over()).failed?.code).toBe("ORIGIN_TLS");
    // Two sweeps of idle connections went by.
    expect(rig.services.idleConnections).toBe(1);
  });

  test.skipIf(process.platform !== "linux")("addresses in turn", async () => {
    // Nobody listens at the first address: it refuses, and the next one has its turn.
    await using server = await new RawServer(answering).listen({ host: "127.0.0.9" });
    const hosts = ["127.0.0.1", "127.0.0.9"].map((host) => ({ host, family: 4 as const }));
    using rig = new Rig(`http://two.test:${server.port}`, {
      lookup: (_, done) => done(undefined, hosts),
      noHappyEyeballs: true,
      connectTimeoutMs: 0,
    });
    expect((await rig.call().over()).text).toBe("ok");
  });
});

describe("certificates of origins by rule", () => {
  let ca: TestCa;
  let leaf: Pem;

  beforeAll(async () => {
    ca = await TestCa.make();
    leaf = await ca.leaf(["inner.test"]);
  });

  const open: RawServer[] = [];
  afterAll(async () => {
    for (const server of open) await server[Symbol.asyncDispose]();
  });

  /** A TLS server with the leaf, and the names it was asked for. */
  async function secure(): Promise<{ readonly port: number; readonly names: unknown[] }> {
    const names: unknown[] = [];
    const tls = createTls({ ...leaf, allowHalfOpen: true, ALPNProtocols: ["http/1.1"] });
    tls.on("tlsClientError", () => undefined);
    tls.on("secureConnection", (socket: TLSSocket & { servername: string | false }) => {
      socket.on("error", () => undefined);
      names.push(socket.servername);
      answering(socket);
    });
    const raw = await new RawServer((socket) => tls.emit("connection", socket)).listen({
      host: "127.0.0.1",
    });
    open.push(raw);
    return { port: raw.port, names };
  }

  test("originServerName, httpHostHeader with matchSNItoHost, and noTLSVerify, side by side", async () => {
    const { port, names } = await secure();
    const service = `https://127.0.0.1:${port}`;
    const caPool = ca.cert;
    await using rig = new RuleRig([
      [service, { caPool, originServerName: "inner.test" }],
      [
        service,
        { caPool, matchSniToHost: true, hostHeader: { kind: "value", value: "inner.test" } },
      ],
      [service, { caPool, matchSniToHost: true }],
      [service, { caPool }],
      [service, { noTlsVerify: true }],
      [service, {}],
    ]);
    expect(rig.services.count).toBe(6);
    const results: string[] = [];
    for (const rule of [0, 1, 2, 3, 4, 5]) {
      const call = await rig.call(rule, { authority: "app.example.com" }).over();
      results.push(call.failed?.code ?? call.text);
    }
    // Unverified by one rule is verified by the next, at the same port.
    expect(results).toEqual(["ok", "ok", "ORIGIN_TLS", "ORIGIN_TLS", "ok", "ORIGIN_TLS"]);
    // With TLS 1.3 the server may count a handshake that its client refuses a moment later.
    expect(names.filter((name) => name === "inner.test")).toHaveLength(2);
  });

  test("many rules with the same roots read them once", async () => {
    const { port } = await secure();
    const bundle = `${ca.cert}\n`.repeat(50);
    const started = performance.now();
    await using rig = new RuleRig(
      Array.from({ length: 200 }, (_, index) => [
        `https://127.0.0.1:${port}`,
        { caPool: bundle, originServerName: index === 0 ? "inner.test" : `n${index}.test` },
      ]),
    );
    expect((await rig.call(0).over()).text).toBe("ok");
    expect(rig.services.count).toBe(200);
    // One reading of a bundle and the system's roots takes some 20 ms.
    expect(performance.now() - started).toBeLessThan(2_500);
  });
});

test("lines of every request follow its own, and take nothing of its body", async () => {
  const heads: string[] = [];
  await using server = await new RawServer((socket) =>
    socket.on("data", (bytes) => {
      heads.push(bytes.toString("latin1"));
      socket.write(OK);
    }),
  ).listen({ host: "127.0.0.1" });
  const added = Buffer.from("X-Tunl-Tag-site: berlin\r\n");
  await using rig = new RuleRig([[`http://127.0.0.1:${server.port}`, {}]], added);
  const call = rig.call(0, { method: "POST", fields: "A: b\r\n", length: 4 });
  call.exchange.write(Buffer.from("body"));
  call.exchange.end();
  expect((await call.over()).text).toBe("ok");
  const [head = "", body] = heads.join("").split("\r\n\r\n");
  expect(head).toContain("\r\nA: b\r\nX-Tunl-Tag-site: berlin");
  expect(body).toBe("body");
});
