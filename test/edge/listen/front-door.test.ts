import { execFile } from "node:child_process";
import { createServer, type Server } from "node:net";
import { afterEach, beforeAll, describe, expect, test } from "bun:test";
import { alertRecord } from "../../../src/edge/listen/arrival.ts";
import { bind } from "../../../src/edge/listen/bind.ts";
import { ALERT } from "../../../src/edge/listen/client-hello.ts";
import { decide } from "../../../src/edge/listen/front-door.ts";
import { VISITOR_UNSENT_BYTES } from "../../../src/edge/listen/terminate.ts";
import type { Certificate } from "../../../src/edge/certificates/certificates.ts";
import { TunlError } from "../../../src/errors.ts";
import { tuningOf } from "../../../src/session/kernel.ts";
import {
  type Authority,
  byteByByte,
  type Door,
  type DoorOptions,
  makeAuthority,
  openDoor,
  raw,
  tls,
  until,
} from "./door.ts";
import {
  captureHello,
  hello,
  randomFrom,
  records,
  helloMessage,
  serverName,
  testSeed,
} from "./hello-bytes.ts";

/** Two steps of the wheel, and a machine that does something else: other files of tests run beside this one. */
const LATE_MS = 4_000;

const hasOpenssl = Bun.which("openssl") !== null;
if (!hasOpenssl) console.warn("skip: openssl is absent, it judges no alert");

describe("front door", () => {
  let authority: Authority;
  let certificates: readonly Certificate[];
  let ca: string;
  let door: Door | undefined;

  beforeAll(async () => {
    authority = await makeAuthority();
    ca = authority.root.cert;
    certificates = [
      await authority.leaf("wild", "example.com", "*.example.com"),
      await authority.leaf("shop", "shop.customer.test"),
    ];
  });

  afterEach(async () => {
    await door?.[Symbol.asyncDispose]();
    // Whatever a test did: nothing is left open, pending or scheduled.
    if (door !== undefined) {
      expect(door.limits.snapshot()).toMatchObject({ connections: 0, pendingHandshakes: 0 });
      expect(door.front.size).toBe(0);
      expect(door.deadlines.pending).toBe(0);
    }
    door = undefined;
  });

  async function open(options: Partial<DoorOptions> = {}): Promise<Door> {
    door = await openDoor({ authority, certificates, ...options });
    return door;
  }

  describe("hands over", () => {
    test("a visitor with the certificate of its name, by any spelling", async () => {
      const { front } = await open();
      for (const [servername, subject] of [
        ["app.example.com", "example.com"],
        ["APP.Example.COM", "example.com"],
        ["shop.customer.test", "shop.customer.test"],
      ] as const) {
        const { ended } = tls(front.port, { ca, servername, ALPNProtocols: ["h2", "http/1.1"] });
        expect(await ended).toEqual({
          text: `visitor ${servername.toLowerCase()}`,
          protocol: "TLSv1.3",
          alpn: "http/1.1",
          subject,
          error: undefined,
        });
      }
    });

    test("a visitor without ALPN, and one of TLS 1.2", async () => {
      const { front } = await open();
      const old = await tls(front.port, { ca, servername: "example.com", maxVersion: "TLSv1.2" })
        .ended;
      expect(old).toMatchObject({ text: "visitor example.com", protocol: "TLSv1.2", alpn: false });
    });

    test("a hello that arrives byte by byte, every byte of it", async () => {
      const { front } = await open();
      await using proxy = await byteByByte(front.port);
      const end = await tls(proxy.port, { ca, servername: "app.example.com" }).ended;
      expect(end).toMatchObject({ text: "visitor app.example.com", error: undefined });
      expect(proxy.passed()).toBeGreaterThan(300);
    });

    test("half-open connections: the visitor's FIN is not the end of the reply", async () => {
      const { front } = await open({
        onVisitor: (socket) => {
          let received = "";
          socket.on("data", (chunk: Buffer) => {
            received += chunk.toString();
          });
          socket.on("end", () => socket.end(`after FIN: ${received}`));
        },
      });
      const client = tls(front.port, { ca, servername: "app.example.com" });
      client.socket.end("question");
      expect(await client.ended).toMatchObject({ text: "after FIN: question", error: undefined });
    });

    test("who the visitor is and what it was shown", async () => {
      const seen: unknown[] = [];
      const { front } = await open({
        onVisitor: (socket, visitor) => {
          seen.push({
            ...visitor,
            covers: ["app.example.com", "example.com", "shop.customer.test"].map(visitor.covers),
          });
          socket.end();
        },
      });
      const client = tls(front.port, { ca, servername: "app.example.com" });
      await client.ended;
      expect(seen).toEqual([
        {
          tls: { version: "TLSv1.3", serverName: "app.example.com" },
          certificate: certificates[0],
          remote: {
            address: "127.0.0.1",
            bytes: new Uint8Array([127, 0, 0, 1]),
            port: expect.any(Number),
          },
          covers: [true, true, false],
        },
      ]);
    });

    test.skipIf(process.platform !== "linux")(
      "a visitor to a kernel that takes only so much ahead (S-42)",
      async () => {
        const bounds: (number | undefined)[] = [];
        const { front } = await open({
          onVisitor: (socket) => {
            bounds.push(tuningOf(socket).unsentBytes);
            socket.end();
          },
        });
        await tls(front.port, { ca, servername: "app.example.com" }).ended;
        expect(bounds).toEqual([VISITOR_UNSENT_BYTES]);
      },
    );

    test("a link by its ALPN, whatever its SNI, with TLS 1.3 and the links' own certificate", async () => {
      const { front } = await open();
      for (const servername of ["example.com", "unknown.test", undefined]) {
        const end = await tls(front.port, {
          ...(servername === undefined ? {} : { servername }),
          ca: authority.link.cert,
          checkServerIdentity: () => undefined,
          ALPNProtocols: ["tunl/1"],
        }).ended;
        expect(end).toEqual({
          text: "link",
          protocol: "TLSv1.3",
          alpn: "tunl/1",
          subject: "tunl link",
          error: undefined,
        });
      }
    });

    test("a visitor that offers tunl/1 among others to the visitors", async () => {
      const { front } = await open();
      const ALPNProtocols = ["tunl/1", "http/1.1"];
      const end = await tls(front.port, { ca, servername: "example.com", ALPNProtocols }).ended;
      expect(end).toMatchObject({ text: "visitor example.com", alpn: "http/1.1" });
    });

    test("new connections with a swapped certificate, and leaves the open ones alone", async () => {
      const sockets: { end(text: string): void }[] = [];
      const { front, table } = await open({ onVisitor: (socket) => sockets.push(socket) });
      const before = tls(front.port, { ca, servername: "shop.customer.test" });
      await until(() => sockets.length === 1, "the first visitor");
      table.put(await authority.leaf("shop", "other.customer.test", "shop.customer.test"));
      const after = tls(front.port, { ca, servername: "shop.customer.test" });
      await until(() => sockets.length === 2, "the second visitor");
      for (const socket of sockets) socket.end("still here");
      expect(await before.ended).toMatchObject({
        text: "still here",
        subject: "shop.customer.test",
      });
      expect(await after.ended).toMatchObject({
        text: "still here",
        subject: "other.customer.test",
      });
    });
  });

  describe("refuses", () => {
    const refusals: readonly (readonly [string, () => Buffer | Promise<Buffer>, number])[] = [
      [
        "an unknown name",
        () => captureHello({ servername: "unknown.test" }),
        ALERT.unrecognizedName,
      ],
      [
        "a name two labels below a wildcard",
        () => hello({ extensions: serverName("a.b.example.com") }),
        ALERT.unrecognizedName,
      ],
      ["no name", () => captureHello({}), ALERT.unrecognizedName],
      [
        "an IP address as name",
        () => hello({ extensions: serverName("127.0.0.1") }),
        ALERT.unrecognizedName,
      ],
      ["another record type", () => Buffer.from([23, 3, 3, 0, 1, 0]), ALERT.decodeError],
      // Refused by the length it announces, before it is there.
      [
        "a hello of more than 16 KiB",
        () => Buffer.from([22, 3, 1, 0x3f, 0xff, 1, 0, 0x40, 0]),
        ALERT.illegalParameter,
      ],
      ["17 records", () => records(helloMessage(), 4), ALERT.illegalParameter],
      ["bytes that are no TLS", () => Buffer.from([0, 1, 2, 3, 4, 5, 6, 7]), ALERT.decodeError],
    ];

    test.each(refusals)(
      "%s with one alert and FIN, no certificate byte leaves (S-22)",
      async (_name, bytes, alert) => {
        const { front } = await open();
        const { ended } = raw(front.port, await bytes());
        expect(await ended).toEqual({
          received: Buffer.from([21, 3, 3, 0, 2, 2, alert]),
          error: undefined,
        });
      },
    );

    test("more bytes than it reads without taking its alert back by RST", async () => {
      const { front } = await open();
      const { ended } = raw(front.port, Buffer.alloc(400_000));
      expect(await ended).toEqual({ received: alertRecord(ALERT.decodeError), error: undefined });
    });

    test.skipIf(!hasOpenssl)("an unknown name in words that openssl understands", async () => {
      const { front } = await open();
      const output = await new Promise<string>((resolve) => {
        const args = [
          "s_client",
          "-connect",
          `127.0.0.1:${front.port}`,
          "-servername",
          "unknown.test",
        ];
        const child = execFile("openssl", args, { timeout: 4_000 }, (_error, stdout, stderr) =>
          resolve(stdout + stderr),
        );
        child.stdin?.end();
      });
      expect(output).toContain("unrecognized name");
      expect(output).toContain("no peer certificate available");
    });

    test("plain HTTP with a 400 that says what the port speaks", async () => {
      const { front, limits } = await open();
      const { received, error } = await raw(
        front.port,
        "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
      ).ended;
      const [head, body] = received.toString().split("\r\n\r\n");
      expect(head).toStartWith("HTTP/1.1 400 ");
      expect(head).toContain(`Content-Length: ${body?.length}\r\n`);
      expect(body).toBe("this port speaks TLS\n");
      expect(error).toBeUndefined();
      expect(limits.snapshot().refused.penalty).toBe(0);
    });

    test("h2 alone, while h2 is not built, with no_application_protocol", async () => {
      const { front } = await open();
      const end = await tls(front.port, { ca, servername: "example.com", ALPNProtocols: ["h2"] })
        .ended;
      expect(end).toMatchObject({
        text: "",
        error: expect.stringContaining("NO_APPLICATION_PROTOCOL"),
      });
    });

    test("a link of TLS 1.2 with protocol_version", async () => {
      const { front } = await open();
      const end = await tls(front.port, {
        servername: "example.com",
        ca: authority.link.cert,
        ALPNProtocols: ["tunl/1"],
        maxVersion: "TLSv1.2",
      }).ended;
      expect(end).toMatchObject({ text: "", error: expect.stringContaining("PROTOCOL_VERSION") });
    });

    test("a visitor of TLS 1.1, and one without an AEAD suite", async () => {
      const { front } = await open();
      const servername = "example.com";
      const old = await tls(front.port, {
        ca,
        servername,
        minVersion: "TLSv1.1",
        maxVersion: "TLSv1.1",
      }).ended;
      expect(old.error).toContain("PROTOCOL_VERSION");
      const cbc = await tls(front.port, {
        ca,
        servername,
        maxVersion: "TLSv1.2",
        ciphers: "ECDHE-ECDSA-AES128-SHA",
      }).ended;
      expect(cbc.error).toContain("HANDSHAKE_FAILURE");
    });

    test("a name that leaves between the door and the certificate, without a certificate", async () => {
      const { front } = await open({ isCovered: () => true });
      const end = await tls(front.port, { ca, servername: "unknown.test" }).ended;
      expect(end).toMatchObject({ text: "", subject: undefined, error: expect.any(String) });
    });
  });

  describe("closes at its deadline", () => {
    test("a silent client, one that sends half a hello, one that sends a byte at a time (S-40)", async () => {
      const { front } = await open({ timeouts: { clientHelloMs: 100 } });
      const bytes = await captureHello({ servername: "example.com" });
      const start = performance.now();
      const slow = raw(front.port);
      let sent = 0;
      const trickle = setInterval(() => slow.socket.write(bytes.subarray(sent, (sent += 1))), 20);
      const ends = await Promise.all([
        raw(front.port).ended,
        raw(front.port, bytes.subarray(0, 700)).ended,
        slow.ended,
      ]).finally(() => clearInterval(trickle));
      expect(ends.map(({ received }) => received.length)).toEqual([0, 0, 0]);
      expect(performance.now() - start).toBeGreaterThanOrEqual(100);
      expect(performance.now() - start).toBeLessThan(100 + LATE_MS);
    });

    test("a client that says hello and then nothing, counted from accept", async () => {
      const { front } = await open({ timeouts: { handshakeMs: 300 } });
      const start = performance.now();
      const { received } = await raw(front.port, await captureHello({ servername: "example.com" }))
        .ended;
      // The server's flight came, so it was the handshake that waited.
      expect(received[0]).toBe(22);
      expect(performance.now() - start).toBeGreaterThanOrEqual(300);
      expect(performance.now() - start).toBeLessThan(300 + LATE_MS);
    });

    test("nobody whose handshake is done", async () => {
      const visitors: { end(text: string): void }[] = [];
      const { front, limits, deadlines } = await open({
        timeouts: { clientHelloMs: LATE_MS, handshakeMs: LATE_MS },
        onVisitor: (socket) => visitors.push(socket),
      });
      const client = tls(front.port, { ca, servername: "example.com" });
      await until(() => visitors.length === 1, "the visitor");
      expect(limits.snapshot()).toMatchObject({ connections: 1, pendingHandshakes: 0 });
      expect(deadlines.pending).toBe(0);
      visitors[0]?.end("alive");
      expect(await client.ended).toMatchObject({ text: "alive", error: undefined });
    });

    test("a refused client that does not close", async () => {
      const { front } = await open();
      const { socket, ended } = raw(front.port, Buffer.from([0, 0, 0]));
      socket.removeAllListeners("end");
      await new Promise<void>((resolve) => socket.once("data", () => resolve()));
      expect(front.size).toBe(1);
      await until(() => front.size === 0, "the door to give up");
      socket.end();
      expect((await ended).received).toEqual(alertRecord(ALERT.decodeError));
    });
  });

  describe("resets", () => {
    test("what exceeds a source's connections, and takes more when one is closed (S-43)", async () => {
      const { front, limits, records: log } = await open({ limits: { connectionsPerSource: 2 } });
      const first = raw(front.port);
      const second = raw(front.port);
      await until(() => front.size === 2, "two connections");
      for (let index = 0; index < 3; index++)
        expect((await raw(front.port).ended).error).toBe("ECONNRESET");
      expect(limits.snapshot().refused.connectionsPerSource).toBe(3);
      // Three refusals, one line.
      expect(log.filter(({ level }) => level === "warn")).toHaveLength(1);
      first.socket.destroy();
      await until(() => front.size === 1, "the first connection to leave");
      expect(await tls(front.port, { ca, servername: "example.com" }).ended).toMatchObject({
        text: "visitor example.com",
      });
      second.socket.destroy();
    });

    test("what comes faster than a source may, and nobody else (S-43)", async () => {
      const { front, limits } = await open({
        limits: { acceptRate: { perSecond: 0.01, burst: 3 } },
      });
      const others = { ca, servername: "example.com" };
      for (let index = 0; index < 3; index++)
        expect((await tls(front.port, others).ended).error).toBeUndefined();
      expect((await raw(front.port).ended).error).toBe("ECONNRESET");
      expect(limits.snapshot().refused.acceptRate).toBe(1);
      if (process.platform !== "linux") return;
      const elsewhere = await tls(front.port, { ...others, localAddress: "127.0.0.9" } as object)
        .ended;
      expect(elsewhere).toMatchObject({ text: "visitor example.com", error: undefined });
    });

    test("what exceeds the connections in all", async () => {
      const { front, limits } = await open({ limits: { connections: 2 } });
      const held = [raw(front.port), raw(front.port)];
      await until(() => front.size === 2, "two connections");
      expect((await raw(front.port).ended).error).toBe("ECONNRESET");
      expect(limits.snapshot()).toMatchObject({ connections: 2, refused: { connections: 1 } });
      held[0]?.socket.destroy();
      await until(() => front.size === 1, "the first connection to leave");
      expect(await tls(front.port, { ca, servername: "example.com" }).ended).toMatchObject({
        text: "visitor example.com",
      });
      held[1]?.socket.destroy();
    });

    test("what exceeds the pending handshakes", async () => {
      const { front, limits } = await open({ limits: { pendingHandshakes: 1 } });
      const slow = raw(front.port);
      await until(() => limits.snapshot().pendingHandshakes === 1, "the slow client");
      expect((await raw(front.port).ended).error).toBe("ECONNRESET");
      slow.socket.destroy();
    });

    test("a source after ten malformed hellos, for plain HTTP not", async () => {
      const { front } = await open();
      for (let index = 0; index < 10; index++) await raw(front.port, "GET /").ended;
      for (let index = 0; index < 10; index++) {
        expect((await raw(front.port, Buffer.from([0])).ended).received).toHaveLength(7);
      }
      expect((await raw(front.port).ended).error).toBe("ECONNRESET");
    });

    test("a source after ten failed links, and does not count proven ones", async () => {
      const { front } = await open({
        limits: { connectionsPerSource: 1 },
        onLink: (socket, remote, opened) => {
          socket.on("data", (chunk: Buffer) => {
            if (chunk.toString() === "proof") opened.excuseLink(socket);
            else opened.strikeLink(remote.address);
            socket.write(".");
          });
        },
      });
      const dial = (text: string): ReturnType<typeof tls> => {
        const client = tls(front.port, { rejectUnauthorized: false, ALPNProtocols: ["tunl/1"] });
        client.socket.write(text);
        return client;
      };
      const answered = (client: ReturnType<typeof tls>): Promise<unknown> =>
        new Promise((resolve) => client.socket.once("data", resolve));
      const proven = dial("proof");
      await answered(proven);
      for (let index = 0; index < 10; index++) {
        const failed = dial("wrong");
        await answered(failed);
        failed.socket.destroy();
        await until(() => front.size === 1, "the failed link to leave");
      }
      expect((await raw(front.port).ended).error).toBe("ECONNRESET");
      proven.socket.destroy();
    });
  });

  describe("lives on", () => {
    test("after an exception while deciding or taking over", async () => {
      const { front, records: log } = await open({
        isCovered: (name) => {
          if (name === "app.example.com") throw new Error("broken decision");
          return true;
        },
        onVisitor: (socket, visitor) => {
          if (visitor.tls.serverName === "shop.customer.test") throw new Error("broken owner");
          socket.end("fine");
        },
      });
      for (const servername of ["app.example.com", "shop.customer.test"]) {
        await tls(front.port, { ca, servername }).ended;
      }
      expect(log.filter(({ message }) => message.startsWith("BUG:"))).toHaveLength(2);
      expect(await tls(front.port, { ca, servername: "example.com" }).ended).toMatchObject({
        text: "fine",
      });
    });

    test("after clients that leave at any point of the handshake", async () => {
      const { front } = await open();
      const seed = testSeed();
      console.log(`clients that leave: TUNL_SEED=${seed}`);
      const random = randomFrom(seed);
      const bytes = await captureHello({ servername: "example.com" });
      for (let round = 0; round < 60; round++) {
        const { socket, ended } = raw(front.port, bytes.subarray(0, random(bytes.length + 1)));
        await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
        for (let turn = random(4); turn > 0; turn--)
          await new Promise<void>((resolve) => setImmediate(resolve));
        if (random(2) === 0) socket.resetAndDestroy();
        else if (random(2) === 0) socket.destroy();
        else {
          socket.end();
          // Behind a whole hello the server's handshake waits for more; half of one ends with the FIN.
          setImmediate(() => socket.destroy());
        }
        await ended;
      }
      await until(() => front.size === 0, "every connection to leave");
      expect(await tls(front.port, { ca, servername: "example.com" }).ended).toMatchObject({
        text: "visitor example.com",
      });
    });
  });

  describe("closing", () => {
    test("frees the port at once and keeps the connections; disposing ends them", async () => {
      const visitors: unknown[] = [];
      const { front } = await open({ onVisitor: (socket) => visitors.push(socket) });
      const { port } = front;
      const client = tls(port, { ca, servername: "example.com" });
      await until(() => visitors.length === 1, "the visitor");
      front.close();
      const next = createServer();
      await bind(next, { host: "127.0.0.1", port }, "--listen");
      next.close();
      expect(client.socket.destroyed).toBe(false);
      await front[Symbol.asyncDispose]();
      await client.ended;
    });
  });

  test("decides by the table of http.md §1, first match", () => {
    const doors = {
      isCovered: (name: string) => name === "a.test",
      visitors: "visitors",
      links: "links",
    } as never;
    const versions = [0x0304];
    expect(decide({ serverName: "a.test", alpn: ["tunl/1"], versions }, doors)).toEqual({
      kind: "handOver",
      server: "links",
    } as never);
    expect(decide({ serverName: undefined, alpn: ["tunl/1"], versions }, doors)).toEqual({
      kind: "handOver",
      server: "links",
    } as never);
    expect(decide({ serverName: "a.test", alpn: [], versions }, doors)).toEqual({
      kind: "handOver",
      server: "visitors",
    } as never);
    expect(decide({ serverName: "b.test", alpn: ["h2"], versions }, doors)).toEqual({
      kind: "refuse",
      alert: 112,
    });
    expect(decide({ serverName: undefined, alpn: ["h2", "tunl/1"], versions }, doors)).toEqual({
      kind: "refuse",
      alert: 112,
    });
  });
});

describe("binding", () => {
  async function refusal(attempt: Promise<unknown>): Promise<TunlError> {
    const error = await attempt.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (!(error instanceof TunlError))
      throw new Error(`Expected a TunlError, got ${String(error)}`);
    return error;
  }

  /** A server whose next bind fails with `code`. */
  function failing(code: string): Server {
    const server = createServer();
    const listen = server.listen.bind(server) as (options: object, done: () => void) => Server;
    let failed = false;
    server.listen = ((options: object, done: () => void) => {
      if (failed) return listen(options, done);
      failed = true;
      queueMicrotask(() => server.emit("error", Object.assign(new Error(code), { code })));
      return server;
    }) as typeof server.listen;
    return server;
  }

  test("names the process that has the port", async () => {
    const first = createServer();
    await bind(first, { host: "127.0.0.1", port: 0 }, "--listen");
    const port = (first.address() as { port: number }).port;
    const error = await refusal(bind(createServer(), { host: "127.0.0.1", port }, "--listen"));
    expect(error.code).toBe("PORT_IN_USE");
    const owner =
      process.platform === "linux"
        ? new RegExp(`^127\\.0\\.0\\.1:${port} is used by .+ \\(pid ${process.pid}\\)$`)
        : /is used by/;
    expect(error.message).toMatch(owner);
    expect(error.hint).toBe("Stop it, or use --listen 127.0.0.1:8443");
    first.close();
  });

  test("says which right is missing", async () => {
    const error = await refusal(bind(failing("EACCES"), { port: 443 }, "--listen"));
    expect([error.code, error.message]).toEqual([
      "PORT_FORBIDDEN",
      "Binding :443 needs more rights",
    ]);
    expect(error.hint).toContain("setcap cap_net_bind_service=+ep ");
  });

  test("says which address is not of this machine", async () => {
    const error = await refusal(bind(createServer(), { host: "192.0.2.1", port: 0 }, "--http"));
    expect([error.code, error.message]).toEqual([
      "LISTEN_FAILED",
      "Binding 192.0.2.1:0 failed: this machine does not have that address",
    ]);
  });

  test("takes both families without a host, and IPv4 alone where IPv6 is absent", async () => {
    const both = createServer();
    await bind(both, { port: 0 }, "--listen");
    expect(both.address()).toMatchObject({ address: "::" });
    const { socket } = raw((both.address() as { port: number }).port);
    await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
    socket.destroy();
    both.close();
    const single = failing("EAFNOSUPPORT");
    await bind(single, { port: 0 }, "--listen");
    expect(single.address()).toMatchObject({ address: "0.0.0.0" });
    single.close();
  });
});
