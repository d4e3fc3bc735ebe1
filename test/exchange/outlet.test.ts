import { describe, expect, test } from "bun:test";
import { once } from "node:events";
import { connect, type Socket } from "node:net";

import { Outlet, type OutletEvents } from "../../src/exchange/outlet.ts";
import { MAX_WRITE } from "../../src/exchange/write-pace.ts";
import { deferred, drained, RawServer, received } from "../connector/sockets.ts";
import { within } from "../within.ts";

/** Events of one outlet, in order, with waits. */
class Record implements OutletEvents {
  readonly log: string[] = [];
  total = 0;
  #waiting: (() => void) | undefined;

  taken(bytes: number): void {
    this.total += bytes;
    this.log.push(`taken ${bytes}`);
    this.#waiting?.();
  }
  drained(): void {
    this.log.push("drained");
    this.#waiting?.();
  }
  failed(error: Error): void {
    this.log.push(`failed ${"code" in error ? String(error.code) : error.message}`);
    this.#waiting?.();
  }

  async until(what: string, holds: () => boolean): Promise<void> {
    const { promise, resolve } = deferred<void>();
    this.#waiting = () => holds() && resolve();
    this.#waiting();
    await within(promise, `${what}, so far: ${this.log.join(", ")}`);
  }
}

/** A connected pair, the outlet on one end; counts the writes that reach the socket. */
class Pair {
  readonly server: RawServer;
  readonly local: Socket;
  readonly peer: Socket;
  readonly events = new Record();
  readonly outlet: Outlet;
  readonly writes: Uint8Array[] = [];

  constructor(server: RawServer, local: Socket, peer: Socket) {
    this.server = server;
    this.local = local;
    this.peer = peer;
    this.outlet = new Outlet(local, this.events);
    const write = local.write.bind(local);
    local.write = ((bytes: Uint8Array, done: (error?: Error | null) => void) => {
      this.writes.push(bytes);
      return write(bytes, done);
    }) as typeof local.write;
  }

  static async open(): Promise<Pair> {
    const server = await new RawServer().listen({ host: "127.0.0.1" });
    const local = connect({ port: server.port, host: "127.0.0.1", allowHalfOpen: true });
    local.on("error", () => {});
    await within(once(local, "connect"), "a connection");
    return new Pair(server, local, await server.accepted());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.local.destroy();
    await this.server[Symbol.asyncDispose]();
  }
}

const bytes = (length: number, first = 0): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (first + index * 7) & 255);

describe("outlet", () => {
  test("writes a single chunk as it is, without a copy", async () => {
    await using pair = await Pair.open();
    const chunk = bytes(100);
    pair.outlet.write(chunk);
    expect(pair.outlet.queued).toBe(100);
    expect(pair.writes.length).toBe(0);
    expect(await received(pair.peer, 100)).toEqual(Buffer.from(chunk));
    await pair.events.until("drained", () => pair.events.log.includes("drained"));
    expect(pair.writes).toEqual([chunk]);
    expect(pair.writes[0]).toBe(chunk);
    expect(pair.events.log).toEqual(["taken 100", "drained"]);
    expect(pair.outlet.queued).toBe(0);
  });

  test("gathers what one turn of the loop writes into one socket write", async () => {
    await using pair = await Pair.open();
    const chunks = Array.from({ length: 100 }, (_, index) => bytes(1 + index * 3, index));
    for (const chunk of chunks) pair.outlet.write(chunk);
    await Promise.resolve();
    pair.outlet.write(bytes(5));
    const whole = Buffer.concat([...chunks, bytes(5)]);
    expect(await received(pair.peer, whole.length)).toEqual(whole);
    expect(pair.writes.length).toBe(1);
  });

  test("serves several sockets written to in one turn", async () => {
    await using first = await Pair.open();
    await using second = await Pair.open();
    first.outlet.write(bytes(10));
    second.outlet.write(bytes(20));
    first.outlet.write(bytes(10));
    await received(second.peer, 20);
    await received(first.peer, 20);
    expect([first.writes.length, second.writes.length]).toEqual([1, 1]);
  });

  test("keeps one write outstanding and none above the limit", async () => {
    await using pair = await Pair.open();
    let outstanding = 0;
    let most = 0;
    const write = pair.local.write.bind(pair.local);
    pair.local.write = ((chunk: Uint8Array, done: (error?: Error | null) => void) => {
      outstanding += 1;
      most = Math.max(most, outstanding);
      return write(chunk, (error?: Error | null) => {
        outstanding -= 1;
        done(error);
      });
    }) as typeof pair.local.write;
    const chunks = [bytes(300_000), bytes(10), bytes(70_000, 3), bytes(70_000, 5), bytes(1, 9)];
    for (const chunk of chunks) pair.outlet.write(chunk);
    const whole = Buffer.concat(chunks);
    expect(await received(pair.peer, whole.length)).toEqual(whole);
    await pair.events.until("all taken", () => pair.events.total === whole.length);
    expect(most).toBe(1);
    expect(Math.max(...pair.writes.map((chunk) => chunk.length))).toBeLessThanOrEqual(MAX_WRITE);
  });

  test("tells nothing taken while the peer does not read, and keeps the order of small and large", async () => {
    await using pair = await Pair.open();
    pair.peer.pause();
    const filler = bytes(32 * 1024 * 1024);
    pair.outlet.write(filler);
    await pair.events.until("the first write", () => pair.events.total > 0);
    const chunks: Uint8Array[] = [filler];
    for (let index = 0; index < 3_000; index++) {
      const chunk = bytes(index % 50 === 0 ? 5_000 : 1 + (index % 40), index);
      chunks.push(chunk);
      pair.outlet.write(chunk);
    }
    const whole = Buffer.concat(chunks);
    expect(pair.outlet.queued).toBe(whole.length - pair.events.total);
    expect(pair.events.total).toBeLessThan(filler.length);
    expect(pair.events.log).not.toContain("drained");
    pair.peer.resume();
    expect((await received(pair.peer, whole.length)).equals(whole)).toBe(true);
    await pair.events.until("drained", () => pair.events.log.at(-1) === "drained");
    expect(pair.events.total).toBe(whole.length);
  });

  test("ends with FIN after the queue, and the other direction goes on", async () => {
    await using pair = await Pair.open();
    const whole = bytes(500_000);
    pair.outlet.write(whole);
    pair.outlet.end();
    pair.outlet.write(bytes(3));
    const { bytes: got, how } = await drained(pair.peer);
    expect(how).toBe("end");
    expect(got.equals(whole)).toBe(true);
    pair.peer.write("still here");
    expect((await received(pair.local, 10)).toString()).toBe("still here");
  });

  test("ends with FIN when nothing was written", async () => {
    await using pair = await Pair.open();
    pair.outlet.end();
    expect((await drained(pair.peer)).how).toBe("end");
    expect(pair.writes.length).toBe(0);
  });

  test("resets: the peer sees an error, the owner nothing", async () => {
    await using pair = await Pair.open();
    pair.peer.pause();
    pair.outlet.write(bytes(16 * 1024 * 1024));
    await pair.events.until("the first write", () => pair.events.total > 0);
    const before = pair.events.log.length;
    pair.outlet.reset();
    expect((await drained(pair.peer)).how).toBe("ECONNRESET");
    expect(pair.events.log.length).toBe(before);
    expect(pair.outlet.queued).toBe(0);
    pair.outlet.reset();
  });

  test("reports a broken connection once and drops the rest", async () => {
    await using pair = await Pair.open();
    pair.peer.pause();
    pair.outlet.write(bytes(32 * 1024 * 1024));
    await pair.events.until("the first write", () => pair.events.total > 0);
    pair.peer.resetAndDestroy();
    await pair.events.until("a failure", () =>
      pair.events.log.some((line) => line.startsWith("failed")),
    );
    pair.outlet.write(bytes(10));
    expect(pair.outlet.queued).toBe(0);
    expect(pair.outlet.isClosed).toBe(true);
    expect(pair.events.log.filter((line) => line.startsWith("failed")).length).toBe(1);
  });

  test("survives a socket destroyed under it", async () => {
    await using pair = await Pair.open();
    pair.local.destroy();
    pair.outlet.write(bytes(10));
    await pair.events.until("a failure", () =>
      pair.events.log.some((line) => line.startsWith("failed")),
    );
    pair.outlet.end();
    pair.outlet.reset();
    await using other = await Pair.open();
    other.local.destroy();
    other.outlet.end();
    other.outlet.flush();
    expect(other.events.log).toEqual([]);
  });

  test("flushes at once when asked", async () => {
    await using pair = await Pair.open();
    pair.outlet.write(bytes(10));
    pair.outlet.write(bytes(10));
    pair.outlet.flush();
    expect(pair.writes.length).toBe(1);
    await received(pair.peer, 20);
    expect(pair.writes.length).toBe(1);
  });

  test("joins what `taken` causes to be written with what waits", async () => {
    await using pair = await Pair.open();
    const taken = pair.events.taken.bind(pair.events);
    let more = 3;
    pair.events.taken = (count) => {
      taken(count);
      if (more-- > 0) pair.outlet.write(bytes(7));
    };
    pair.outlet.write(bytes(10));
    await received(pair.peer, 31);
    await pair.events.until("drained", () => pair.events.log.at(-1) === "drained");
    expect(pair.events.log).toEqual(["taken 10", "taken 7", "taken 7", "taken 7", "drained"]);
  });

  test("takes a socket that throws for one that failed, and the others of the turn still write", async () => {
    await using first = await Pair.open();
    await using second = await Pair.open();
    await using third = await Pair.open();
    first.local.write = () => {
      throw new Error("boom");
    };
    third.local.end = () => {
      throw new Error("boom");
    };
    first.outlet.write(bytes(10));
    third.outlet.end();
    second.outlet.write(bytes(20));
    await received(second.peer, 20);
    await first.events.until("a failure", () => first.events.log.length > 0);
    await third.events.until("a failure", () => third.events.log.length > 0);
    expect(first.events.log).toEqual(["failed boom"]);
    expect(third.events.log).toEqual(["failed boom"]);
    expect(first.outlet.queued).toBe(0);
    expect(first.outlet.isClosed).toBe(true);
  });

  test("tells nothing of a socket that threw when its owner has reset it since", async () => {
    await using pair = await Pair.open();
    pair.local.write = () => {
      throw new Error("boom");
    };
    pair.outlet.write(bytes(10));
    pair.outlet.flush();
    expect(pair.events.log).toEqual([]);
    pair.outlet.reset();
    await Promise.resolve();
    expect(pair.events.log).toEqual([]);
  });
});
