import { describe, expect, test } from "bun:test";

import { ConnectionPool, type Poolable } from "../../../src/connector/origin/pool.ts";
import { Deadlines } from "../../../src/deadlines.ts";
import { within } from "../../within.ts";

class Fake implements Poolable {
  readonly serverName: string;
  isClosed = false;
  onClose: (() => void) | undefined;
  constructor(serverName = "") {
    this.serverName = serverName;
  }
  close(): void {
    this.isClosed = true;
    this.onClose?.();
  }
}

class Bench {
  now = 1_000;
  readonly deadlines = new Deadlines((error) => {
    throw error;
  });
  readonly pool: ConnectionPool<Fake>;
  constructor(connections = 100, idleMs = 90_000) {
    this.pool = new ConnectionPool<Fake>({
      connections,
      idleMs,
      deadlines: this.deadlines,
      now: () => this.now,
    });
  }
  put(serverName = "", keepAliveSeconds?: number): Fake {
    const connection = new Fake(serverName);
    this.pool.put(connection, keepAliveSeconds);
    return connection;
  }
  [Symbol.dispose](): void {
    this.deadlines[Symbol.dispose]();
  }
}

describe("pool", () => {
  test("gives back the connection used last", () => {
    using bench = new Bench();
    const [first, second] = [bench.put(), bench.put()];
    expect(bench.pool.take("", false)).toBe(second);
    expect(bench.pool.take("", false)).toBe(first);
    expect(bench.pool.take("", false)).toBeUndefined();
  });

  test("keeps at most so many and closes the oldest", () => {
    using bench = new Bench(2);
    const all = [bench.put(), bench.put(), bench.put()];
    expect(all.map((connection) => connection.isClosed)).toEqual([true, false, false]);
    expect(bench.pool.size).toBe(2);
  });

  test("keeps none when reuse is off", () => {
    using bench = new Bench(0);
    expect(bench.pool.isKeeping).toBe(false);
    expect(bench.put().isClosed).toBe(true);
  });

  test("never gives a connection past its time", () => {
    using bench = new Bench();
    const old = bench.put();
    bench.now += 90_000;
    expect(bench.pool.take("", false)).toBeUndefined();
    expect(old.isClosed).toBe(true);
  });

  test("takes the origin's own idle time minus a second, if shorter", () => {
    using bench = new Bench();
    bench.put("", 5);
    bench.now += 3_999;
    const five = bench.pool.take("", false);
    expect(five?.isClosed).toBe(false);
    bench.put("", 5);
    bench.now += 4_000;
    expect(bench.pool.take("", false)).toBeUndefined();
    expect(bench.put("", 1).isClosed).toBe(true);
    expect(bench.put("", 0).isClosed).toBe(true);
    bench.put("", 1_000);
    bench.now += 90_000;
    expect(bench.pool.take("", false)).toBeUndefined();
  });

  test("gives only fresh ones where a request must not be repeated", () => {
    using bench = new Bench();
    const old = bench.put();
    bench.now += 1_000;
    expect(bench.pool.take("", true)).toBeUndefined();
    const fresh = bench.put();
    bench.now += 999;
    expect(bench.pool.take("", true)).toBe(fresh);
    expect(bench.pool.take("", false)).toBe(old);
  });

  test("keeps names apart", () => {
    using bench = new Bench();
    const [a, b] = [bench.put("a"), bench.put("b")];
    expect(bench.pool.take("a", false)).toBe(a);
    expect(bench.pool.take("a", false)).toBeUndefined();
    expect(bench.pool.take("b", false)).toBe(b);
  });

  test("closes what has grown old without being asked", async () => {
    using bench = new Bench();
    const { promise, resolve } = Promise.withResolvers<void>();
    const [old, young] = [bench.put("", 2), bench.put()];
    old.onClose = resolve;
    bench.now += 1_000;
    await within(promise, "the sweep");
    expect(young.isClosed).toBe(false);
    expect(bench.pool.size).toBe(1);
    expect(bench.deadlines.pending).toBe(1);
    bench.pool.close();
    expect(bench.deadlines.pending).toBe(0);
  });

  test("closing closes what is idle and keeps nothing afterwards", () => {
    using bench = new Bench();
    const idle = bench.put();
    bench.pool.close();
    expect(idle.isClosed).toBe(true);
    expect(bench.put().isClosed).toBe(true);
    expect(bench.pool.size).toBe(0);
  });

  test("forgets a connection that ended by itself", () => {
    using bench = new Bench();
    const [a, b] = [bench.put(), bench.put()];
    bench.pool.remove(a);
    bench.pool.remove(a);
    expect(bench.pool.size).toBe(1);
    expect(bench.pool.take("", false)).toBe(b);
  });
});
