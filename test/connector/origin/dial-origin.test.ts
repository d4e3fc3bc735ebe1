import { describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTls, type TLSSocket } from "node:tls";

import { literalAddress, type Lookup } from "../../../src/connector/addresses.ts";
import { BlackHole, noBlackHole } from "../black-hole.ts";
import { TestCa } from "../certificates.ts";
import { drained, eventually, RawServer } from "../sockets.ts";
import { Rig } from "./rig.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const ca = await TestCa.make();
const leaf = await ca.leaf(["localhost", "origin.test"], ["127.0.0.1"]);

const answer = (socket: Socket, bytes = OK, then: () => void = () => {}): void => {
  socket.once("data", () => socket.write(bytes, () => then()));
};

/** Other files of tests run beside this one, ms. */
const REFUSED_LATEST_MS = 4_000;

/** Other files of tests run beside this one, and take every port that is free: where the system has more loopback, not here. */
const HERE = process.platform === "linux" ? "127.93.0.1" : "127.0.0.1";

/** A port on which nobody listens, for now. */
async function freePort(): Promise<number> {
  const server = await new RawServer().listen({ host: HERE });
  const { port } = server;
  await server[Symbol.asyncDispose]();
  return port;
}

/** One port of ::1 and 127.0.0.1: below those that systems give out, so what runs beside this takes it of neither. */
async function sharedPort(): Promise<number> {
  for (let port = 20_000 + Math.floor(Math.random() * 10_000); ; port += 1) {
    try {
      await using _six = await new RawServer().listen({ host: "::1", port });
      await using _four = await new RawServer().listen({ host: "127.0.0.1", port });
      return port;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    }
  }
}

/** A resolver that answers from a script and counts. */
class Names {
  asked = 0;
  answer: readonly string[] | undefined;
  constructor(...answer: readonly string[]) {
    this.answer = answer;
  }
  readonly lookup: Lookup = (_, done) => {
    this.asked += 1;
    const hosts = this.answer;
    queueMicrotask(() => {
      if (hosts === undefined)
        done(Object.assign(new Error("queryA ENOTFOUND"), { code: "ENOTFOUND" }), []);
      else
        done(
          undefined,
          hosts.flatMap((host) => literalAddress(host) ?? []),
        );
    });
  };
}

describe("dialling an origin", () => {
  test("refused: tried again for a second, then one clear failure within 1.5 s", async () => {
    using rig = new Rig(`http://${HERE}:${await freePort()}`);
    const started = performance.now();
    const call = await rig.call().over();
    const elapsed = performance.now() - started;
    expect(call.failed).toMatchObject({ code: "ORIGIN_REFUSED", sent: false });
    expect(call.failed?.detail).toContain("ECONNREFUSED");
    expect(elapsed).toBeGreaterThan(800);
    // 1.5 s on a machine that does nothing else, as test/e2e/origins.test.ts sees it.
    expect(elapsed).toBeLessThan(REFUSED_LATEST_MS);
  });

  test("an origin that starts within the second is only late", async () => {
    const port = await freePort();
    using rig = new Rig(`http://${HERE}:${port}`);
    const call = rig.call({ method: "POST", length: 2 });
    call.exchange.write(Uint8Array.of(1, 2));
    call.exchange.end();
    const { promise, resolve } = Promise.withResolvers<void>();
    setTimeout(resolve, 250);
    await promise;
    await using _ = await new RawServer((socket) => answer(socket)).listen({
      host: HERE,
      port,
    });
    await call.over();
    expect(call.text).toBe("ok");
    expect(call.takenBytes).toBe(2);
  });

  test("an origin that has refused for 10 s gets no more patience until it answers", async () => {
    let now = 0;
    const port = await freePort();
    using rig = new Rig(`http://${HERE}:${port}`, { now: () => now });
    const first = rig.call();
    // The clock stands, so the first dial would go on until it is moved.
    now += 10_000;
    expect((await first.over()).failed?.code).toBe("ORIGIN_REFUSED");
    now += 10_000;
    // With a clock that stands, any patience would last for ever.
    expect((await rig.call().over()).failed?.code).toBe("ORIGIN_REFUSED");
    await using server = await new RawServer((socket) => answer(socket)).listen({
      host: HERE,
      port,
    });
    expect((await rig.call().over()).text).toBe("ok");
    await server[Symbol.asyncDispose]();
    await eventually("the idle connection to be gone", () => rig.origin.idleConnections === 0);
    // Patience is back: another server is waited for.
    const again = rig.call();
    await using late = await new RawServer((socket) => answer(socket)).listen({
      host: HERE,
      port,
    });
    expect((await again.over()).text).toBe("ok");
    expect(late.sockets.length).toBe(1);
  });

  test("a missing socket file is refused, and waited for", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tunl-"));
    try {
      const path = join(folder, "app.sock");
      using rig = new Rig(`unix:${path}`);
      const started = performance.now();
      expect((await rig.call().over()).failed).toMatchObject({
        code: "ORIGIN_REFUSED",
        sent: false,
      });
      expect(performance.now() - started).toBeLessThan(REFUSED_LATEST_MS);
      const call = rig.call();
      await using _ = await new RawServer((socket) => answer(socket)).listen({ path });
      expect((await call.over()).text).toBe("ok");
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("finds localhost on ::1 only, and remembers it", async () => {
    await using server = await new RawServer((socket) => answer(socket)).listen({ host: "::1" });
    const names = new Names("192.0.2.1");
    using rig = new Rig(`http://app.localhost:${server.port}`, { lookup: names.lookup });
    expect((await rig.call().over()).text).toBe("ok");
    expect(names.asked).toBe(0);
  });

  test("prefers the family that worked last", async () => {
    const port = await sharedPort();
    using rig = new Rig(`http://localhost:${port}`, { keepAliveConnections: 0 });
    {
      await using _ = await new RawServer((socket) => answer(socket)).listen({ host: "::1", port });
      expect((await rig.call().over()).text).toBe("ok");
      await using four = await new RawServer((socket) => answer(socket)).listen({
        host: "127.0.0.1",
        port,
      });
      expect((await rig.call().over()).text).toBe("ok");
      expect(four.sockets.length).toBe(0);
    }
    await using four = await new RawServer((socket) => answer(socket)).listen({
      host: "127.0.0.1",
      port,
    });
    expect((await rig.call().over()).text).toBe("ok");
    expect(four.sockets.length).toBe(1);
  });

  test("tries all addresses of a name, asks once in 30 s, and lives on old answers for 5 min", async () => {
    let now = 0;
    await using server = await new RawServer((socket) => answer(socket)).listen({
      host: "127.0.0.1",
    });
    const names = new Names("127.0.0.2", "127.0.0.1");
    using rig = new Rig(`http://origin.test:${server.port}`, {
      lookup: names.lookup,
      now: () => now,
      keepAliveConnections: 0,
    });
    const ask = async (): Promise<string> => {
      const call = await rig.call().over();
      return call.failed?.code ?? call.text;
    };
    expect(await ask()).toBe("ok");
    now = 30_000;
    expect(await ask()).toBe("ok");
    expect(names.asked).toBe(1);
    now = 30_001;
    names.answer = undefined;
    expect(await ask()).toBe("ok");
    expect(names.asked).toBe(2);
    now = 300_001;
    expect(await ask()).toBe("ORIGIN_UNREACHABLE");
    names.answer = [];
    expect(await ask()).toBe("ORIGIN_UNREACHABLE");
  });

  test("a name that does not exist is unreachable", async () => {
    const names = new Names();
    names.answer = undefined;
    using rig = new Rig("http://nowhere.test", { lookup: names.lookup });
    const call = await rig.call().over();
    expect(call.failed).toMatchObject({ code: "ORIGIN_UNREACHABLE", sent: false });
    expect(call.failed?.detail).toContain("ENOTFOUND");
  });

  test("connectTimeout bounds it all", async () => {
    using rig = new Rig("http://slow.test", { lookup: () => {}, connectTimeoutMs: 100 });
    const call = await rig.call().over();
    expect(call.failed).toMatchObject({
      code: "ORIGIN_CONNECT_TIMEOUT",
      sent: false,
      detail: "Connecting to http://slow.test timed out after 0.1 s",
    });
    expect(rig.deadlines.pending).toBe(0);
  });

  test.skipIf(noBlackHole !== undefined)(
    "finds localhost on ::1 when 127.0.0.1 hangs, and ends at connectTimeout when all do",
    async () => {
      await using hole = await BlackHole.open();
      using rig = new Rig(`http://localhost:${hole.port}`, { connectTimeoutMs: 2_000 });
      {
        await using _ = await new RawServer((socket) => answer(socket)).listen({
          host: "::1",
          port: hole.port,
        });
        expect((await rig.call().over()).text).toBe("ok");
      }
      await eventually("the idle connection to be gone", () => rig.origin.idleConnections === 0);
      const call = await rig.call({ method: "POST", length: 0 }).over();
      expect(call.failed).toMatchObject({ code: "ORIGIN_CONNECT_TIMEOUT", sent: false });
    },
  );

  test("aborting gives a dial up", async () => {
    const port = await freePort();
    using rig = new Rig(`http://${HERE}:${port}`);
    const call = rig.call();
    call.exchange.abort();
    await using server = await new RawServer((socket) => answer(socket)).listen({
      host: HERE,
      port,
    });
    expect((await rig.call().over()).text).toBe("ok");
    expect(server.sockets.length).toBe(1);
    expect(call.log).toEqual([]);
  });
});

/** A TLS origin that answers once per connection. */
class TlsOrigin {
  readonly raw: RawServer;
  readonly names: (string | false)[] = [];
  readonly protocols: (string | false | null)[] = [];
  connections = 0;

  constructor(serve: (socket: TLSSocket, raw: Socket) => void = (socket) => answer(socket)) {
    const tls = createTls({ ...leaf, allowHalfOpen: true, ALPNProtocols: ["http/1.1"] });
    tls.on("tlsClientError", () => {});
    tls.on("secureConnection", (socket: TLSSocket & { servername: string | false }) => {
      socket.on("error", () => {});
      this.connections += 1;
      this.names.push(socket.servername);
      this.protocols.push(socket.alpnProtocol);
      serve(socket, this.raw.sockets.at(-1) as Socket);
    });
    this.raw = new RawServer((raw) => tls.emit("connection", raw));
  }

  async listen(): Promise<this> {
    await this.raw.listen({ host: "127.0.0.1" });
    return this;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.raw[Symbol.asyncDispose]();
  }
}

describe("TLS to an origin", () => {
  test("trusts the pool it is given besides the system's roots, and asks for http/1.1", async () => {
    await using server = await new TlsOrigin().listen();
    using rig = new Rig(`https://localhost:${server.raw.port}`, { tls: { caPool: ca.cert } });
    expect((await rig.call().over()).text).toBe("ok");
    expect(rig.origin.idleConnections).toBe(1);
    expect(server.names).toEqual(["localhost"]);
    expect(server.protocols).toEqual(["http/1.1"]);
  });

  test("checks an address against the certificate, without SNI", async () => {
    await using server = await new TlsOrigin().listen();
    using rig = new Rig(`https://127.0.0.1:${server.raw.port}`, { tls: { caPool: ca.cert } });
    expect((await rig.call().over()).text).toBe("ok");
    expect(server.names).toEqual([false]);
  });

  for (const [name, target, tls] of [
    ["an unknown authority", "localhost", {}],
    ["another name", "a.localhost", { caPool: ca.cert }],
    ["another name asked for", "localhost", { caPool: ca.cert, originServerName: "other.test" }],
    ["another host asked for", "localhost", { caPool: ca.cert, matchSniToHost: true }],
  ] as const) {
    test(`refuses ${name}, whatever the environment says`, async () => {
      const before = process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
      process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0";
      try {
        await using server = await new TlsOrigin().listen();
        using rig = new Rig(`https://${target}:${server.raw.port}`, { tls });
        const call = await rig.call().over();
        expect(call.failed).toMatchObject({ code: "ORIGIN_TLS", sent: false });
        expect(call.failed?.detail).toContain(
          `TLS handshake with https://${target}:${server.raw.port} failed`,
        );
      } finally {
        if (before === undefined) delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
        else process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = before;
      }
    });
  }

  test("takes any certificate when told", async () => {
    await using server = await new TlsOrigin().listen();
    using rig = new Rig(`https://a.localhost:${server.raw.port}`, { tls: { noTlsVerify: true } });
    expect((await rig.call().over()).text).toBe("ok");
  });

  test("asks for originServerName, or for the Host of the request, and keeps their connections apart", async () => {
    await using server = await new TlsOrigin((socket) =>
      socket.on("data", () => socket.write(OK)),
    ).listen();
    const url = `https://localhost:${server.raw.port}`;
    using named = new Rig(url, { tls: { caPool: ca.cert, originServerName: "origin.test" } });
    expect((await named.call().over()).text).toBe("ok");
    using matching = new Rig(url, { tls: { noTlsVerify: true, matchSniToHost: true } });
    for (const authority of ["a.test", "b.test:8443", "a.test", "b.test:8443"]) {
      expect((await matching.call({ authority }).over()).text).toBe("ok");
    }
    expect(server.names).toEqual(["origin.test", "a.test", "b.test"]);
    expect(matching.origin.idleConnections).toBe(2);
  });

  test("a handshake that hangs ends after tlsTimeout", async () => {
    await using server = await new RawServer().listen({ host: "127.0.0.1" });
    using rig = new Rig(`https://127.0.0.1:${server.port}`, { tlsTimeoutMs: 100 });
    const call = await rig.call().over();
    expect(call.failed).toMatchObject({
      code: "ORIGIN_TLS",
      sent: false,
      detail: `TLS handshake with https://127.0.0.1:${server.port} timed out after 0.1 s`,
    });
    await drained(await server.accepted());
  });

  for (const [name, act] of [
    ["speaks plain HTTP", (socket: Socket) => answer(socket, "HTTP/1.1 400 Bad Request\r\n\r\n")],
    ["closes", (socket: Socket) => socket.end()],
    ["resets", (socket: Socket) => socket.once("data", () => socket.resetAndDestroy())],
  ] as const) {
    test(`a server that ${name} instead of a handshake is a TLS failure`, async () => {
      await using server = await new RawServer(act).listen({ host: "127.0.0.1" });
      using rig = new Rig(`https://127.0.0.1:${server.port}`);
      expect((await rig.call().over()).failed).toMatchObject({ code: "ORIGIN_TLS", sent: false });
    });
  }

  test("an RST inside TLS is a cut, a bare FIN proves nothing", async () => {
    for (const [head, act, expected] of [
      ["Content-Length: 9\r\n", (raw: Socket) => raw.end(), "truncated"],
      ["Content-Length: 9\r\n", (raw: Socket) => raw.resetAndDestroy(), "reset"],
      ["", (raw: Socket) => raw.resetAndDestroy(), "reset"],
    ] as const) {
      let raw: Socket | undefined;
      await using server = await new TlsOrigin((socket, below) => {
        raw = below;
        answer(socket, `HTTP/1.1 200 OK\r\n${head}\r\nhalf`);
      }).listen();
      using rig = new Rig(`https://127.0.0.1:${server.raw.port}`, { tls: { caPool: ca.cert } });
      const call = rig.call();
      await call.until("the half", () => call.text === "half");
      act(raw as Socket);
      await call.over();
      expect(call.cutBy).toBe(expected);
    }
  });

  test("an upload and its answer through TLS, both large", async () => {
    const size = 4 * 1_048_576;
    await using server = await new TlsOrigin((socket) => {
      let got = 0;
      socket.on("data", (chunk: Buffer) => {
        const before = got;
        got += chunk.length;
        if (before < size && got >= size) {
          socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
          socket.write(Buffer.alloc(size, 3));
        }
      });
    }).listen();
    using rig = new Rig(`https://localhost:${server.raw.port}`, { tls: { caPool: ca.cert } });
    const call = rig.call({ method: "POST", length: size });
    call.exchange.write(new Uint8Array(size));
    call.exchange.end();
    await call.over();
    expect(call.bytes.length).toBe(size);
    expect(call.takenBytes).toBe(size);
  });
});
