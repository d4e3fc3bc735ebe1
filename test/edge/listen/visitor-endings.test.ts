import { describe, expect, test } from "bun:test";
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { Deadlines } from "../../../src/deadlines.ts";
import { VisitorConnection } from "../../../src/edge/listen/http1.ts";
import type { BodySink, ReplyEvents, Visit } from "../../../src/edge/visit.ts";
import { Orphans } from "../../../src/edge/listen/orphans.ts";
import { Logger } from "../../../src/log.ts";
import {
  get,
  headOf,
  NO_LINES,
  PEER,
  Pipeline,
  request,
  respond,
  Rig,
  seed,
  seededRandom,
} from "./rig.ts";

const ROUNDS = 8_000;
const STEPS_MAX = 24;

type Draw = () => number;

/** A socket whose kernel does what the test says: takes the outstanding write, fails it, or never answers. */
class ScriptedSocket extends EventEmitter {
  destroyed = false;
  #outstanding: ((error?: Error) => void) | undefined;
  #hasFin = false;
  #hasEnded = false;
  #isPaused = false;

  write(_bytes: Uint8Array, done: (error?: Error) => void): boolean {
    this.#outstanding = done;
    return true;
  }
  end(): void {
    this.#hasEnded = true;
    this.#closeIfBothEnded();
  }
  destroy(): void {
    this.resetAndDestroy();
  }
  resetAndDestroy(): void {
    this.destroyed = true;
    setImmediate(() => this.emit("close"));
  }
  pause(): void {
    this.#isPaused = true;
  }
  resume(): void {
    this.#isPaused = false;
  }
  isPaused(): boolean {
    return this.#isPaused;
  }

  take(error?: Error): void {
    const done = this.#outstanding;
    this.#outstanding = undefined;
    done?.(error);
  }
  arrive(text: string): void {
    if (!this.destroyed && !this.#hasFin) this.emit("data", Buffer.from(text, "latin1"));
  }
  fin(): void {
    if (this.destroyed || this.#hasFin) return;
    this.#hasFin = true;
    this.emit("end");
    this.#closeIfBothEnded();
  }
  /** RST, with or without the error that may come before the close. */
  reset(hasError: boolean): void {
    if (this.destroyed) return;
    this.destroyed = true;
    if (hasError) this.emit("error", new Error("ECONNRESET"));
    this.emit("close");
  }

  #closeIfBothEnded(): void {
    if (!this.#hasFin || !this.#hasEnded || this.destroyed) return;
    this.destroyed = true;
    this.emit("close");
  }
}

/** One exchange and the account of its bytes, in the hands of a pipeline that does whatever is drawn. */
class Account implements BodySink, ReplyEvents {
  readonly visit: Visit;
  given = 0;
  takenBytes = 0;
  /** Bytes that were given and not taken when `gone` came. */
  lostBytes = 0;
  cause: "left" | "short" | "stalled" | undefined;
  /** The first thing that was wrong. */
  fault: string | undefined;
  throws: "taken" | "gone" | "bytes" | undefined;
  #reply: "open" | "streaming" | "raw" | "over" = "open";
  readonly #draw: Draw;

  constructor(visit: Visit, draw: Draw) {
    this.visit = visit;
    this.#draw = draw;
    visit.events = this;
    if (draw() < 0.04) this.throws = pick(draw, ["taken", "gone", "bytes"]);
    if (draw() < 0.8) visit.body.start(this);
  }

  bytes(): void {
    if (this.cause !== undefined) this.fault ??= "body after gone";
    if (this.throws === "bytes") throw new Error("boom");
  }
  end(): void {
    if (this.cause !== undefined) this.fault ??= "end after gone";
  }
  taken(bytes: number): void {
    this.takenBytes += bytes;
    if (this.cause !== undefined) this.fault ??= "taken after gone";
    if (this.takenBytes > this.given) this.fault ??= "more taken than given";
    if (this.throws === "taken") throw new Error("boom");
  }
  gone(cause: "left" | "short" | "stalled"): void {
    if (this.cause !== undefined) this.fault ??= "gone twice";
    this.cause = cause;
    this.#reply = "over";
    this.lostBytes = this.given - this.takenBytes;
    if (this.throws === "gone") throw new Error("boom");
  }

  step(): void {
    const { reply, body } = this.visit;
    const draw = this.#draw;
    switch (this.#reply) {
      case "open":
        if (draw() < 0.2) return reply.interim(103, NO_LINES);
        if (draw() < 0.05) return this.#give(10);
        if (draw() < 0.05) return this.#over(() => reply.cut("truncated"));
        if (this.visit.request.upgrade !== undefined && draw() < 0.7) {
          this.#reply = "raw";
          return reply.upgrade("raw", NO_LINES);
        }
        this.#reply = "streaming";
        return reply.head(
          headOf(
            pick(draw, [undefined, -1, 5, 3_000, 100_000]),
            pick(draw, [200, 200, 200, 204, 304, 150]),
          ),
        );
      case "streaming":
      case "raw":
        if (draw() < 0.6) return this.#give(pick(draw, [1, 5, 2_995, 40_000]));
        if (draw() < 0.3) return draw() < 0.5 ? body.pause() : body.resume();
        if (draw() < 0.6) return this.#over(() => reply.end(undefined));
        return this.#over(() => reply.cut(draw() < 0.5 ? "truncated" : "reset"));
      case "over":
        return body.resume();
    }
  }

  #give(bytes: number): void {
    this.given += bytes;
    this.visit.reply.body(new Uint8Array(bytes));
  }

  /** From here on calls are ignored, so the account is complete before the last one. */
  #over(last: () => void): void {
    this.#reply = "over";
    last();
  }
}

function pick<T>(draw: Draw, from: readonly T[]): T {
  return from[Math.floor(draw() * from.length)] as T;
}

const MESSAGES = [
  get("/"),
  get("/", "Connection: close"),
  get("/", "Connection: upgrade", "Upgrade: raw"),
  request("HEAD", "/"),
  request("POST", "/", "Content-Length: 10"),
  `${request("POST", "/", "Content-Length: 10")}0123456789`,
  `${request("POST", "/", "Transfer-Encoding: chunked")}5\r\nhello\r\n`,
  request("POST", "/", "Content-Length: 3", "Expect: 100-continue"),
  "GET / HTTP/1.0\r\nHost: app.example.com\r\n\r\n",
  "0\r\n\r\n",
  "zz\r\n",
] as const;

/** One connection from its first byte to its end, driven at random. */
class Scenario {
  readonly accounts: Account[] = [];
  readonly connection: VisitorConnection;
  isOver = false;
  readonly #socket = new ScriptedSocket();
  readonly #draw: Draw;
  readonly #due = new Set<() => void>();
  readonly #isReading: boolean;

  constructor(draw: Draw) {
    this.#draw = draw;
    this.#isReading = draw() < 0.5;
    const deadlines = new Deadlines(() => undefined);
    deadlines.schedule = (_afterMs, run) => {
      const entry = (): void => run();
      this.#due.add(entry);
      return { cancel: () => this.#due.delete(entry) };
    };
    const none = { headMs: 0, idleMs: 0, bodyIdleMs: 0, writeStallMs: 0 };
    this.connection = new VisitorConnection(
      this.#socket as unknown as Socket,
      PEER,
      {
        serve: (visit) => this.accounts.push(new Account(visit, draw)),
        deadlines,
        log: new Logger(() => undefined, "error"),
        limits: { lingerBytes: 30 },
        timeouts: { ...none, halfClosedMs: 0, lingerMs: 0, upgradeIdleMs: 1, bodyRateMs: 1 },
      },
      () => {
        this.isOver = true;
      },
    );
    this.connection.start();
    this.#socket.arrive(pick(draw, MESSAGES));
  }

  step(): void | Promise<void> {
    const draw = this.#draw;
    const socket = this.#socket;
    const what = draw();
    if (what < 0.22) return socket.arrive(pick(draw, MESSAGES));
    if (what < 0.6) return this.accounts.at(-1)?.step();
    if (what < 0.72) return this.turn();
    if (what < 0.85) return this.#isReading ? socket.take() : undefined;
    if (what < 0.91) return socket.fin();
    if (what < 0.94) return this.#fire();
    if (what < 0.96) return socket.reset(draw() < 0.5);
    if (what < 0.97) return socket.take(new Error("EPIPE"));
    if (what < 0.99) return this.connection.drain();
    return this.connection.abort();
  }

  /** The end of a turn of the loop, when what was written leaves. */
  turn(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    setImmediate(resolve);
    return promise;
  }

  /** Ends it as a visitor that stalls, leaves or reads to the end would; a connection that survives all is aborted. */
  async finish(): Promise<void> {
    const end = this.#draw();
    for (let round = 0; round < 6 && !this.isOver; round++) {
      if (end < 0.3) this.#fire();
      else if (end < 0.4) this.#socket.fin();
      else if (end < 0.5) this.#socket.take();
      else this.#socket.reset(end < 0.6);
      await this.turn();
    }
    if (!this.isOver) this.connection.abort();
    await this.turn();
  }

  #fire(): void {
    for (const entry of [...this.#due]) {
      if (this.#due.delete(entry)) entry();
    }
  }
}

describe("visitor connection: endings", () => {
  test("all bytes of an exchange are taken, or gone is told once, however the connection ends", async () => {
    const draw = seededRandom();
    const seen = { whole: 0, lost: 0, left: 0, short: 0, stalled: 0 };
    for (let round = 0; round < ROUNDS; round++) {
      const scenario = new Scenario(draw);
      const steps = 3 + Math.floor(draw() * STEPS_MAX);
      for (let step = 0; step < steps && !scenario.isOver; step++) await scenario.step();
      await scenario.finish();
      const where = `TUNL_SEED=${seed}, round ${round}`;
      if (!scenario.isOver) throw new Error(`${where}: the connection did not end`);
      for (const account of scenario.accounts) {
        const { given, takenBytes, cause } = account;
        if (account.fault !== undefined) throw new Error(`${where}: ${account.fault}`);
        if (cause === undefined && takenBytes !== given)
          throw new Error(`${where}: ${takenBytes} of ${given} bytes taken, and nobody is gone`);
        if (cause !== undefined) seen[cause] += 1;
        if (given === 0) continue;
        if (cause === undefined) seen.whole += 1;
        else if (account.lostBytes > 0) seen.lost += 1;
      }
    }
    expect(Math.min(seen.whole, seen.lost, seen.left, seen.short, seen.stalled)).toBeGreaterThan(
      50,
    );
  });

  test("a visitor that asks, sends FIN inside its body and reads nothing gives its bytes back", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve, { timeouts: { writeStallMs: 400 } }).start();
    const visitor = await rig.connect();
    visitor.socket.pause();
    visitor.send(request("GET", "/big", "Content-Length: 10"));
    const visit = (await pipeline.visit(0)).start();
    const total = 16 * 1024 * 1024;
    visit.reply.head(headOf(total));
    visit.reply.body(Buffer.alloc(total));
    visit.reply.end(undefined);
    visitor.fin();
    await pipeline.until(() => visit.cause, "the stall");
    expect(visit.cause).toBe("stalled");
    expect(visit.takenBytes).toBeLessThan(total);
    await rig.empty();
  });

  test("and so does one that resets after its FIN", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    visitor.socket.pause();
    visitor.send(request("GET", "/big", "Content-Length: 10"));
    const visit = (await pipeline.visit(0)).start();
    const total = 16 * 1024 * 1024;
    visit.reply.head(headOf(total));
    visit.reply.body(Buffer.alloc(total));
    visit.reply.end(undefined);
    visitor.fin();
    const socket = await rig.firstSocket();
    await rig.until(() => socket.readableEnded, "the FIN");
    visitor.reset();
    await pipeline.until(() => visit.cause, "the reset");
    expect(visit.cause).toBe("left");
    await rig.empty();
  });

  test.each([get("/"), get("/", "Connection: close")])(
    "a whole response that waits to be taken can still be cut, and frees what waits: %p",
    async (head) => {
      const pipeline = new Pipeline();
      await using rig = await new Rig(pipeline.serve).start();
      const visitor = await rig.connect();
      visitor.send(head);
      const visit = (await pipeline.visit(0)).start();
      visitor.socket.pause();
      const body = Buffer.alloc(32 * 1_024 * 1_024, "x");
      visit.reply.head(headOf(body.length));
      visit.reply.body(body);
      visit.reply.end(undefined);
      await pipeline.until(() => visit.takenBytes > 0, "the kernel's part");
      expect(visit.takenBytes).toBeLessThan(body.length);
      visit.reply.cut("reset");
      expect(visit.takenBytes).toBe(body.length);
      visitor.socket.resume();
      expect(await visitor.ended()).toBe("reset");
      await rig.empty();
    },
  );

  test("a visitor that was held is listened to again once its request is served", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    visitor.send(get("/"));
    const held = await pipeline.visit(0);
    const socket = await rig.firstSocket();
    held.visit.body.withhold();
    expect(socket.isPaused()).toBe(true);
    const visit = held.start();
    expect(socket.isPaused()).toBe(false);
    visit.reply.head(headOf(undefined));
    visitor.reset();
    await pipeline.until(() => visit.cause, "the reset");
    expect(visit.cause).toBe("left");
  });

  test("a response begun before a drain ends its connection all the same", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    visitor.send(get("/"));
    const visit = (await pipeline.visit(0)).start();
    visit.reply.head(headOf(5));
    await visitor.until("keep-alive");
    const drained = rig.visitors.drain();
    visit.reply.body(Buffer.from("hello"));
    visit.reply.end(undefined);
    expect(await visitor.ended()).toBe("end");
    expect(visitor.text).toEndWith("hello");
    await drained;
  });

  test("a visitor that does not read gets no more interim responses than a few", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    visitor.send(get("/"));
    const visit = (await pipeline.visit(0)).start();
    const fields = Buffer.from(`Link: <${"x".repeat(30_000)}>\r\n`);
    // All of them in one turn: nothing of them was taken yet.
    for (let index = 0; index < 16; index++) visit.reply.interim(103, fields);
    respond(visit.reply, "whole");
    const text = await visitor.until(/whole$/);
    expect(text.match(/HTTP\/1\.1 103/g)).toHaveLength(1);
  });

  test("what waits for slow visitors when their streams are cut is bounded, and all of it is given back", async () => {
    const pipeline = new Pipeline();
    const MIB = 1_024 * 1_024;
    const orphans = new Orphans(16 * MIB);
    await using rig = await new Rig(pipeline.serve, { orphans }).start();
    const visitors = await Promise.all([rig.connect(), rig.connect()]);
    const visits = [];
    for (const [index, visitor] of visitors.entries()) {
      visitor.socket.pause();
      visitor.send(get("/"));
      const visit = (await pipeline.visit(index)).start();
      visit.reply.head(headOf(100 * MIB));
      visit.reply.body(Buffer.alloc(16 * MIB, "x"));
      await pipeline.until(() => visit.takenBytes > 0, "the kernel's part");
      visits.push(visit);
    }
    for (const visit of visits) visit.reply.cut("truncated");
    expect(orphans.held).toBeWithin(1, 16 * MIB);
    for (const visitor of visitors) visitor.socket.resume();
    expect([await visitors[0]?.ended(), await visitors[1]?.ended()]).toEqual(["end", "reset"]);
    await rig.empty();
    expect(orphans.held).toBe(0);
  });

  test("a whole response whose session is gone is delivered, where there is room for it", async () => {
    const pipeline = new Pipeline();
    const MIB = 1_024 * 1_024;
    const orphans = new Orphans(16 * MIB);
    await using rig = await new Rig(pipeline.serve, { orphans }).start();
    const visitors = await Promise.all([rig.connect(), rig.connect()]);
    for (const [index, visitor] of visitors.entries()) {
      visitor.socket.pause();
      visitor.send(get("/"));
      const visit = (await pipeline.visit(index)).start();
      respond(visit.reply, "x".repeat(16 * MIB));
      await pipeline.until(() => visit.takenBytes > 0, "the kernel's part");
      visit.reply.orphan();
    }
    for (const visitor of visitors) visitor.socket.resume();
    await visitors[0]?.until((text) => text.length > 16 * MIB, "all of it");
    expect(await visitors[1]?.ended()).toBe("reset");
    expect(orphans.held).toBe(0);
  });

  test("a response that was cut returns the credit of what still leaves", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    visitor.send(get("/"));
    const visit = (await pipeline.visit(0)).start();
    visit.reply.head(headOf(10));
    visit.reply.body(Buffer.from("hello"));
    visit.reply.cut("truncated");
    expect(await visitor.ended()).toBe("end");
    expect(visitor.text).toEndWith("hello");
    await pipeline.until(() => visit.takenBytes === 5, "the credit");
    expect(visit.cause).toBeUndefined();
  });
});

describe("visitor connection: a pipeline that breaks its contract", () => {
  test.each([
    ["HEAD", 200, 5],
    ["GET", 304, 5],
    ["GET", 204, -1],
  ] as const)("bytes of an answer to %s with %d count as taken", async (method, status, length) => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    visitor.send(request(method, "/"));
    const visit = (await pipeline.visit(0)).start();
    visit.reply.head(headOf(length, status));
    visit.reply.body(Buffer.from("hello"));
    expect(visit.takenBytes).toBe(5);
    visit.reply.end(undefined);
    visitor.send(get("/next"));
    respond((await pipeline.visit(1)).start().reply, "next");
    await visitor.until(/next$/);
    expect(visitor.text).not.toContain("hello");
  });

  test("a body that is announced and denied at once is announced as none", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    visitor.send(get("/") + get("/next"));
    const first = (await pipeline.visit(0)).start();
    first.reply.head({ ...headOf(undefined), length: 100 });
    first.reply.end(undefined);
    respond((await pipeline.visit(1)).start().reply, "next");
    const text = await visitor.until(/next$/);
    expect(text).toMatch(
      /^HTTP\/1\.1 200 OK\r\nContent-Length: 0\r\n[^]*\r\n\r\nHTTP\/1\.1 200 OK/,
    );
    expect(text).not.toContain("Content-Length: 100");
  });

  test("a final head with an interim status ends the connection", async () => {
    const pipeline = new Pipeline((visit) => visit.reply.head(headOf(undefined, 103)));
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    visitor.send(get("/") + get("/next"));
    expect(await visitor.ended()).toBe("reset");
    expect(visitor.text).toBe("");
    expect(pipeline.visits).toHaveLength(1);
    expect(pipeline.visits[0]?.cause).toBe("short");
  });

  test.each(["taken", "gone", "end"] as const)(
    "what it throws in %s ends its own connection only",
    async (where) => {
      const pipeline = new Pipeline();
      await using rig = await new Rig(pipeline.serve).start();
      const [bad, good] = [await rig.connect(), await rig.connect()];
      bad.send(where === "end" ? get("/", "Connection: upgrade", "Upgrade: raw") : get("/"));
      const visit = (await pipeline.visit(0)).start();
      visit[where] = () => {
        throw new Error("boom");
      };
      if (where === "end") {
        visit.reply.upgrade("raw", NO_LINES);
        await bad.until("101");
        bad.fin();
      } else {
        visit.reply.head(headOf(10));
        visit.reply.body(Buffer.from("hello"));
        if (where === "gone") bad.reset();
      }
      await rig.until(() => rig.visitors.count === 1, "the end of the connection");
      expect(rig.records.map((record) => record.level)).toContain("error");
      if (where === "taken") expect(visit.cause).toBe("left");
      good.send(get("/good"));
      respond((await pipeline.visit(1)).start().reply, "fine");
      await good.until("fine");
    },
  );
});
