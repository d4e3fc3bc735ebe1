import { describe, expect, test } from "bun:test";

import { IdleAccount } from "../../../src/connector/origin/idle-account.ts";
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
  readonly account: IdleAccount;
  constructor(connections = 100, idleMs = 90_000, account = new IdleAccount(1_000)) {
    this.account = account;
    this.pool = new ConnectionPool<Fake>({
      connections,
      account,
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

describe("idle connections in all", () => {
  /** The pool of one origin knows its connections, the account how many there are: the two never differ. */
  function agree(account: IdleAccount, ...benches: readonly Bench[]): void {
    expect(account.count).toBe(benches.reduce((sum, { pool }) => sum + pool.size, 0));
  }

  test("beyond the account the one used longest ago goes, whose ever it is", () => {
    const account = new IdleAccount(3);
    using one = new Bench(100, 90_000, account);
    using other = new Bench(100, 90_000, account);
    const put = (bench: Bench, at: number): Fake => {
      bench.now = at;
      return bench.put();
    };
    const all = [put(one, 1), put(other, 2), put(one, 3), put(other, 4), put(other, 5)];
    expect(all.map(({ isClosed }) => isClosed)).toEqual([true, true, false, false, false]);
    agree(account, one, other);
    expect(account.count).toBe(3);
    // Its own bound holds besides.
    using small = new Bench(1, 90_000, account);
    const own = [put(small, 6), put(small, 7)];
    expect(own.map(({ isClosed }) => isClosed)).toEqual([true, false]);
    agree(account, one, other, small);
  });

  test("is right after every way out", async () => {
    const account = new IdleAccount(100);
    using one = new Bench(100, 500, account);
    using other = new Bench(100, 90_000, account);
    const [first] = [one.put(), one.put(), one.put(), one.put()];
    other.put();
    agree(account, one, other);
    one.pool.take("", false);
    agree(account, one, other);
    one.pool.remove(first);
    agree(account, one, other);
    expect(account.dropOldest()).toBe(true);
    agree(account, one, other);
    const last = one.put();
    const closed = new Promise<void>((resolve) => (last.onClose = resolve));
    one.now += 600;
    await within(closed, "the sweep");
    agree(account, one, other);
    other.pool.close();
    agree(account, one);
    expect(account.count).toBe(0);
    expect(account.dropOldest()).toBe(false);
    other.put();
    expect(account.count).toBe(0);
  });
});
