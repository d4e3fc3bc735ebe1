// Facts of platform.md §0 and §2 that outlets, origins and dials lean on. A failure here means: read that document again.
import { describe, expect, test } from "bun:test";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connect as connectTls, createServer as createTls, type TLSSocket } from "node:tls";

import { pauseReading } from "../../src/pause.ts";
import { TestCa } from "../connector/certificates.ts";
import { deferred, drained, RawServer, received } from "../connector/sockets.ts";
import { within } from "../within.ts";

const MIB = 1_048_576;
const ca = await TestCa.make();
const leaf = await ca.leaf(["localhost"]);

async function pair(
  server: RawServer,
  host = "127.0.0.1",
): Promise<{ local: Socket; peer: Socket }> {
  const local = connect({ port: server.port, host, allowHalfOpen: true });
  local.on("error", () => {});
  await within(once(local, "connect"), "a connection");
  return { local, peer: await server.accepted() };
}

/** A TLS connection over a raw one on either end, as front door and connector make it. */
async function securePair(
  server: RawServer,
  tls = createTls({ ...leaf, allowHalfOpen: true }),
): Promise<{ local: TLSSocket; peer: TLSSocket; raw: Socket; rawPeer: Socket }> {
  const { local: raw, peer: rawPeer } = await pair(server);
  const accepted = deferred<TLSSocket>();
  tls.once("secureConnection", (socket: TLSSocket) => {
    socket.on("error", () => {});
    accepted.resolve(socket);
  });
  tls.emit("connection", rawPeer);
  const settings = {
    socket: raw,
    allowHalfOpen: true,
    servername: "localhost",
    rejectUnauthorized: false,
  };
  const local = connectTls(settings);
  local.on("error", () => {});
  await within(once(local, "secureConnect"), "a handshake");
  return { local, peer: await within(accepted.promise, "a handshake"), raw, rawPeer };
}

const events = (socket: Socket): string[] => {
  const log: string[] = [];
  for (const name of ["end", "close", "error"] as const) socket.on(name, () => log.push(name));
  return log;
};

describe("sockets of the runtime", () => {
  test("the write callback fires when the kernel took the bytes, not when they were queued", async () => {
    await using server = await new RawServer().listen({ host: "127.0.0.1" });
    const { local, peer } = await pair(server);
    peer.pause();
    let isTaken = false;
    const taken = deferred<void>();
    local.write(Buffer.alloc(32 * MIB), () => {
      isTaken = true;
      taken.resolve();
    });
    expect(local.bytesWritten).toBe(32 * MIB);
    // The peer's kernel has bytes, so writing has begun; ours cannot hold the rest.
    const first = deferred<void>();
    peer.once("readable", () => first.resolve());
    await within(first.promise, "the first bytes");
    expect(isTaken).toBe(false);
    await received(peer, 32 * MIB);
    await within(taken.promise, "the callback");
    local.destroy();
  });

  test("the write callback is never called inside write", async () => {
    await using server = await new RawServer().listen({ host: "127.0.0.1" });
    const { local } = await pair(server);
    let isInside = true;
    const called = deferred<boolean>();
    local.write("x", () => called.resolve(isInside));
    isInside = false;
    expect(await within(called.promise, "the callback")).toBe(false);
    local.destroy();
    const after = deferred<Error | null | undefined>();
    isInside = true;
    local.write("y", (error) => after.resolve(isInside ? undefined : error));
    isInside = false;
    expect(await within(after.promise, "the callback")).toBeInstanceOf(Error);
  });

  test("destroy is a FIN for the peer, resetAndDestroy an RST, through TLS, too", async () => {
    await using server = await new RawServer().listen({ host: "127.0.0.1" });
    const fin = await pair(server);
    fin.local.destroy();
    expect((await drained(fin.peer)).how).toBe("end");
    const rst = await pair(server);
    rst.local.resetAndDestroy();
    expect((await drained(rst.peer)).how).toBe("ECONNRESET");
    const secure = await securePair(server);
    secure.peer.resetAndDestroy();
    expect((await drained(secure.local)).how).toBe("ECONNRESET");
  });

  test("bytes sent before an RST arrive before its error", async () => {
    await using server = await new RawServer().listen({ host: "127.0.0.1" });
    const { local, peer } = await pair(server);
    const got = drained(local);
    peer.write("some bytes", () => peer.resetAndDestroy());
    expect(await got).toEqual({ bytes: Buffer.from("some bytes"), how: "ECONNRESET" });
  });

  test("a bare FIN of the raw socket ends a TLS stream like a close_notify", async () => {
    await using server = await new RawServer().listen({ host: "127.0.0.1" });
    const { local, peer, rawPeer } = await securePair(server);
    const got = drained(local);
    peer.write("half of it", () => rawPeer.end());
    expect(await got).toEqual({ bytes: Buffer.from("half of it"), how: "end" });
    local.destroy();
  });

  test("half close works in both directions through TLS", async () => {
    await using server = await new RawServer().listen({ host: "127.0.0.1" });
    const { local, peer } = await securePair(server);
    local.end("question");
    expect((await drained(peer)).bytes.toString()).toBe("question");
    peer.end("answer");
    expect((await drained(local)).bytes.toString()).toBe("answer");
  });

  test("our own destroy emits `end`, with an error it does not", async () => {
    await using server = await new RawServer().listen({ host: "127.0.0.1" });
    for (const [act, expected] of [
      [(socket: Socket) => socket.destroy(), ["end", "close"]],
      [(socket: Socket) => socket.resetAndDestroy(), ["end", "close"]],
      [(socket: Socket) => socket.destroy(new Error("ours")), ["error", "close"]],
    ] as const) {
      const { local } = await pair(server);
      local.resume();
      const log = events(local);
      const closed = once(local, "close").catch(() => {});
      act(local);
      await within(closed, "the close");
      await new Promise<void>((resolve) => setImmediate(resolve));
      expect([...log]).toEqual([...expected]);
    }
  });

  test("end and write after destroy throw nothing", async () => {
    await using server = await new RawServer().listen({ host: "127.0.0.1" });
    const { local } = await pair(server);
    local.destroy();
    const failed = deferred<Error | null | undefined>();
    local.write("late", (error) => failed.resolve(error));
    local.end();
    local.resetAndDestroy();
    expect(await within(failed.promise, "the callback")).toBeInstanceOf(Error);
  });

  // platform.md §0 trap 12 says never; a paused node:net socket with nothing unread does notice. Either way bytes come first.
  test("a paused socket does not notice a FIN behind unread bytes until resumed", async () => {
    await using server = await new RawServer().listen({ host: "127.0.0.1" });
    const { local, peer } = await pair(server);
    const log = events(local);
    local.on("data", () => log.push("data"));
    local.pause();
    const sent = once(peer, "finish");
    peer.end("x");
    await within(sent, "the FIN");
    // A round trip on another connection: the FIN has long arrived.
    const other = await pair(server);
    other.peer.write("x");
    await received(other.local, 1);
    expect(log).toEqual([]);
    const ended = once(local, "end");
    local.resume();
    await within(ended, "the end");
    expect(log).toEqual(["data", "end"]);
    local.destroy();
    other.local.destroy();
  });

  // The read valve of a session leans on both (PROTOCOL §5.3).
  test("a paused TLS socket gives no byte, makes its writer wait, and gives every byte when resumed", async () => {
    await using server = await new RawServer().listen({ host: "127.0.0.1" });
    const { local, peer } = await securePair(server);
    let given = 0;
    local.on("data", (bytes: Buffer) => {
      given += bytes.length;
    });
    local.pause();
    const chunk = Buffer.alloc(256 * 1_024, "x");
    let written = 0;
    let isWaiting = false;
    const write = (): void => {
      isWaiting = true;
      written += chunk.length;
      peer.write(chunk, () => {
        isWaiting = false;
      });
    };
    // A write that outlasts many round trips elsewhere waits for the reader.
    const other = await pair(server);
    for (let trips = 0; trips < 50; trips++) {
      if (!isWaiting) {
        trips = 0;
        write();
      }
      expect(written).toBeLessThan(64 * MIB);
      const arrived = once(other.local, "data");
      other.peer.write("x");
      await within(arrived, "a byte");
    }
    expect(written).toBeGreaterThan(chunk.length);
    expect(given).toBe(0);
    const all = once(local, "end");
    peer.end();
    local.resume();
    await within(all, "the end");
    expect(given).toBe(written);
    for (const socket of [local, peer, other.local, other.peer]) socket.destroy();
  });

  for (const kind of ["plain", "TLS"] as const)
    test(`pauseReading stops a ${kind} socket at once, pause alone reads ahead; both resume with every byte`, async () => {
      const total = 32 * MIB;
      /** Pauses in the third `data` event. @returns Bytes that were read ahead. */
      const readAhead = async (pause: (socket: Socket) => void): Promise<number> => {
        await using server = await new RawServer().listen({ host: "127.0.0.1" });
        const { local, peer } = await (kind === "plain" ? pair(server) : securePair(server));
        let bytes = 0;
        let chunks = 0;
        const paused = deferred<void>();
        const whole = deferred<void>();
        local.on("data", (chunk: Buffer) => {
          bytes += chunk.length;
          if (++chunks === 3) {
            pause(local);
            paused.resolve();
          }
          if (bytes === total) whole.resolve();
        });
        peer.write(Buffer.alloc(total));
        await within(paused.promise, "the third chunk");
        const before = bytes;
        // The writer fills the kernel meanwhile.
        await Bun.sleep(100);
        expect({ bytes, chunks }).toEqual({ bytes: before, chunks: 3 });
        const ahead = local.readableLength;
        local.resume();
        await within(whole.promise, "every byte");
        local.destroy();
        return ahead;
      };
      expect(await readAhead(pauseReading)).toBe(0);
      expect(await readAhead((socket) => socket.pause())).toBeGreaterThan(0);
    });

  for (const kind of ["plain", "TLS"] as const)
    test(`a ${kind} socket that is resumed and paused again in one turn reads nothing, however often`, async () => {
      const total = 32 * MIB;
      await using server = await new RawServer().listen({ host: "127.0.0.1" });
      const { local, peer } = await (kind === "plain" ? pair(server) : securePair(server));
      let bytes = 0;
      const paused = deferred<void>();
      const whole = deferred<void>();
      local.on("data", (chunk: Buffer) => {
        if (bytes === 0) {
          // In the event itself, too.
          pauseReading(local);
          local.resume();
          pauseReading(local);
          paused.resolve();
        }
        bytes += chunk.length;
        if (bytes === total) whole.resolve();
      });
      peer.write(Buffer.alloc(total));
      await within(paused.promise, "the first chunk");
      const before = bytes;
      for (let round = 0; round < 5; round++) {
        // The writer fills the kernel meanwhile.
        await Bun.sleep(20);
        expect({ bytes, ahead: local.readableLength }).toEqual({ bytes: before, ahead: 0 });
        local.resume();
        pauseReading(local);
      }
      local.resume();
      pauseReading(local);
      local.resume();
      await within(whole.promise, "every byte");
      for (const socket of [local, peer]) socket.destroy();
    });

  test("a paused TLS socket notices an RST, with unread bytes, too", async () => {
    await using server = await new RawServer().listen({ host: "127.0.0.1" });
    for (const bytes of [0, 1_024, MIB]) {
      const { local, peer } = await securePair(server);
      local.on("data", () => undefined);
      local.pause();
      const closed = deferred<void>();
      local.on("close", () => closed.resolve());
      if (bytes > 0) peer.write(Buffer.alloc(bytes), () => peer.resetAndDestroy());
      else peer.resetAndDestroy();
      await within(closed.promise, `the end of a paused socket with ${bytes} unread bytes`);
      expect(local.destroyed).toBe(true);
    }
  });

  test("a microtask runs after each socket event, an immediate once per turn", async () => {
    await using server = await new RawServer().listen({ host: "127.0.0.1" });
    const count = 32;
    const pairs = await Promise.all(Array.from({ length: count }, () => pair(server)));
    let microtasks = 0;
    let immediates = 0;
    let isMicrotaskDue = false;
    let isImmediateDue = false;
    let left = count;
    const all = deferred<void>();
    for (const { local } of pairs) {
      local.on("data", () => {
        if (!isMicrotaskDue) {
          isMicrotaskDue = true;
          queueMicrotask(() => {
            isMicrotaskDue = false;
            microtasks += 1;
          });
        }
        if (!isImmediateDue) {
          isImmediateDue = true;
          setImmediate(() => {
            isImmediateDue = false;
            immediates += 1;
            if (left === 0) all.resolve();
          });
        }
        left -= 1;
      });
    }
    for (const { peer } of pairs) peer.write("x");
    await within(all.promise, "all bytes");
    for (const { local } of pairs) local.destroy();
    expect(microtasks).toBe(count);
    expect(immediates).toBeLessThan(count / 2);
  });

  test("localhost is tried with one family only", async () => {
    await using server = await new RawServer().listen({ host: "::1" });
    const local = connect({ port: server.port, host: "localhost" });
    const outcome = deferred<string>();
    local.once("connect", () => outcome.resolve("connected"));
    local.once("error", (error: NodeJS.ErrnoException) => outcome.resolve(error.code ?? ""));
    expect(await within(outcome.promise, "an outcome")).toBe("ECONNREFUSED");
  });

  test("a pending connect to nobody fails with a code we know", async () => {
    const server = await new RawServer().listen({ host: "127.0.0.1" });
    const { port } = server;
    await server[Symbol.asyncDispose]();
    for (const [where, code] of [
      [{ port, host: "127.0.0.1" }, "ECONNREFUSED"],
      [{ path: "/nonexistent/tunl.sock" }, "ENOENT"],
    ] as const) {
      const local = connect(where);
      const failed = deferred<string | undefined>();
      local.once("error", (error: NodeJS.ErrnoException) => failed.resolve(error.code));
      expect(await within(failed.promise, "an error")).toBe(code);
    }
  });

  test("rejectUnauthorized given in words verifies, whatever the environment says", async () => {
    const before = process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
    process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0";
    try {
      await using server = await new RawServer().listen({ host: "127.0.0.1" });
      const tls = createTls({ ...leaf });
      tls.on("tlsClientError", () => {});
      const { local: raw, peer } = await pair(server);
      tls.emit("connection", peer);
      const local = connectTls({ socket: raw, servername: "localhost", rejectUnauthorized: true });
      const outcome = deferred<string>();
      local.once("secureConnect", () => outcome.resolve("accepted"));
      local.once("error", (error: NodeJS.ErrnoException) => outcome.resolve(error.code ?? ""));
      expect(await within(outcome.promise, "an outcome")).toBe("UNABLE_TO_VERIFY_LEAF_SIGNATURE");
    } finally {
      if (before === undefined) delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
      else process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = before;
    }
  });
});
