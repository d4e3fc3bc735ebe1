import { describe, expect, test } from "bun:test";
import type { Socket } from "node:net";

import { HostRewrite } from "../../../src/connector/origin/host-header.ts";
import type { OriginEvents, OriginExchange } from "../../../src/connector/origin/origin.ts";
import { MAX_REASON } from "../../../src/connector/origin/response-rules.ts";
import { StaticOrigin } from "../../../src/connector/origin/static.ts";
import { parseTarget } from "../../../src/connector/target.ts";
import { encodeMessage, MESSAGE_FIELDS_MAX } from "../../../src/exchange/index.ts";
import { drained, eventually, RawServer, received } from "../sockets.ts";
import { bytesOf, Call, requestHead, type RequestParts, Rig } from "./rig.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const UPGRADE = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n";

/** An origin that says fixed bytes once the first bytes of a request are there. */
function saying(bytes: string): Promise<RawServer> {
  return new RawServer((socket) =>
    socket.once("data", () => socket.write(Buffer.from(bytes, "latin1"))),
  ).listen({ host: "127.0.0.1" });
}

type EventName = keyof OriginEvents;

/** Events whose taker throws in the one that is named, as often as it comes. */
class Throwing implements OriginEvents {
  readonly log: string[] = [];
  readonly #name: EventName;

  constructor(name: EventName) {
    this.#name = name;
  }

  interim(): void {
    this.#note("interim");
  }
  response(): void {
    this.#note("response");
  }
  body(): void {
    this.#note("body");
  }
  end(): void {
    this.#note("end");
  }
  failure(failure: { code: string }): void {
    this.#note("failure", failure.code);
  }
  cut(cause: string): void {
    this.#note("cut", cause);
  }
  writable(): void {
    this.#note("writable");
  }
  taken(): void {
    this.#note("taken");
  }

  #note(name: EventName, detail = ""): void {
    this.log.push(`${name} ${detail}`.trim());
    if (name === this.#name) throw new Error(`boom in ${name}`);
  }
}

/** An origin and the faults it reported. */
class FaultRig extends Rig {
  readonly bugs: string[];

  constructor(url: string, options: ConstructorParameters<typeof Rig>[1] = {}) {
    const bugs: string[] = [];
    super(url, { ...options, onBug: (error) => bugs.push((error as Error).message) });
    this.bugs = bugs;
  }

  /** Starts a request whose events throw in `name`. */
  throwing(name: EventName, parts: RequestParts = {}): [Throwing, OriginExchange] {
    const events = new Throwing(name);
    return [events, this.origin.request(requestHead(parts), events)];
  }
}

/** How the origin sees the connection end. */
const endOf = async (socket: Socket): Promise<string> => (await drained(socket)).how;

describe("faults of whoever uses an origin (S-73)", () => {
  const early = "HTTP/1.1 103 Early Hints\r\n\r\n";
  test.each([
    ["interim", `${early}${OK}`, {}, ["interim", "failure INTERNAL"]],
    ["response", OK, {}, ["response", "cut truncated"]],
    ["body", OK, {}, ["response", "body", "cut truncated"]],
    ["end", OK, {}, ["response", "body", "end"]],
    ["failure", "nonsense\r\n\r\n", {}, ["failure ORIGIN_INVALID"]],
    ["response", UPGRADE, { upgrade: "raw" }, ["response", "cut truncated"]],
    ["body", `${UPGRADE}early`, { upgrade: "raw" }, ["response", "body", "cut truncated"]],
  ] as const)(
    "thrown in %s: that exchange ends, its connection too",
    async (name, says, parts, log) => {
      await using server = await saying(says);
      using rig = new FaultRig(`http://127.0.0.1:${server.port}`);
      const [events] = rig.throwing(name, parts);
      const socket = await server.accepted();
      await endOf(socket);
      expect(events.log).toEqual([...log]);
      expect(rig.bugs).toEqual([`boom in ${name}`]);
      expect(rig.origin.idleConnections).toBe(0);
      // The process and the origin go on.
      if (says !== OK) return;
      expect((await rig.call().over()).text).toBe("ok");
    },
  );

  test("thrown when the connection is lost", async () => {
    await using server = await saying("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    using rig = new FaultRig(`http://127.0.0.1:${server.port}`);
    const [events] = rig.throwing("cut");
    const socket = await server.accepted();
    await eventually("the body", () => events.log.includes("body"));
    socket.end();
    await eventually("the cut", () => rig.bugs.length === 1);
    expect(events.log).toEqual(["response", "body", "cut truncated"]);
  });

  test("thrown in taken, with the origin still to answer: a failure, and an RST to the origin", async () => {
    await using server = await new RawServer().listen({ host: "127.0.0.1" });
    using rig = new FaultRig(`http://127.0.0.1:${server.port}`);
    const [events, exchange] = rig.throwing("taken", { method: "POST", length: 10 });
    exchange.write(bytesOf("hello"));
    const socket = await server.accepted();
    expect(await endOf(socket)).toBe("ECONNRESET");
    expect(events.log).toEqual(["taken", "failure INTERNAL"]);
    expect(rig.bugs).toEqual(["boom in taken"]);
  });

  test("thrown in writable: likewise", async () => {
    await using server = await new RawServer().listen({ host: "127.0.0.1" });
    using rig = new FaultRig(`http://127.0.0.1:${server.port}`);
    const length = 300_000;
    const [events, exchange] = rig.throwing("writable", { method: "POST", length });
    expect(exchange.write(new Uint8Array(length - 1))).toBe("pause");
    const socket = await server.accepted();
    socket.resume();
    await eventually("the fault", () => rig.bugs.length > 0);
    await eventually("the end", () => socket.destroyed || server.errors.length > 0);
    expect(rig.bugs).toEqual(["boom in writable"]);
    expect(events.log.at(-1)).toBe("failure INTERNAL");
  });

  test("thrown outside a connection: a refused dial, a collected body, a body that breaks its length", async () => {
    await using server = await new RawServer().listen({ host: "127.0.0.1" });
    const url = `http://127.0.0.1:${server.port}`;
    using collecting = new FaultRig(url, { disableChunkedEncoding: true });
    const [collected, upload] = collecting.throwing("taken", { method: "POST", length: -1 });
    upload.write(bytesOf("hello"));
    await eventually("the fault", () => collecting.bugs.length > 0);
    expect(collected.log).toEqual(["taken", "failure INTERNAL"]);

    using rig = new FaultRig(url);
    const [short, exchange] = rig.throwing("failure", { method: "POST", length: 10 });
    exchange.write(bytesOf("hello"));
    await received(await server.accepted(), 1);
    exchange.end();
    await eventually("the fault", () => rig.bugs.length > 0);
    expect(short.log.filter((line) => line !== "taken")).toEqual(["failure BAD_REQUEST"]);

    await using gone = await new RawServer().listen({ host: "127.0.0.1" });
    const { port } = gone;
    await gone[Symbol.asyncDispose]();
    using refused = new FaultRig(`http://127.0.0.1:${port}`);
    const [events] = refused.throwing("failure");
    await eventually("the fault", () => refused.bugs.length > 0);
    expect(events.log).toEqual(["failure ORIGIN_REFUSED"]);
  });

  test("thrown at the origin that answers for itself", async () => {
    const bugs: string[] = [];
    const target = parseTarget("hello_world");
    if (target.kind !== "static") throw new Error("not a static target");
    const origin = new StaticOrigin(target, (error) => bugs.push((error as Error).message));
    const logs: string[][] = [];
    for (const name of ["response", "body", "end", "cut", "taken"] as const) {
      const events = new Throwing(name);
      const exchange = origin.request(requestHead({ method: "POST", length: 5 }), events);
      if (name === "taken") exchange.write(bytesOf("hello"));
      logs.push(events.log);
    }
    await eventually("the answers", () => logs.every((log) => log.length > 1));
    expect(logs).toEqual([
      ["response", "cut truncated"],
      ["response", "body", "cut truncated"],
      ["response", "body", "end"],
      ["response", "body", "end"],
      ["response", "body", "end"],
    ]);
    expect(bugs).toEqual(["boom in response", "boom in body", "boom in end"]);
  });

  test("a fault of our own is a failure, too", async () => {
    await using server = await saying(OK);
    using rig = new FaultRig(`http://127.0.0.1:${server.port}`, { keepAliveConnections: 0 });
    const call: Call = rig.call();
    const { responseFields } = HostRewrite.prototype;
    HostRewrite.prototype.responseFields = () => {
      throw new Error("boom in ours");
    };
    try {
      await call.over();
    } finally {
      HostRewrite.prototype.responseFields = responseFields;
    }
    expect(call.failed).toMatchObject({
      code: "INTERNAL",
      sent: true,
      detail: expect.stringContaining("boom in ours"),
    });
    expect(rig.bugs).toEqual(["boom in ours"]);
    expect(await endOf(await server.accepted())).toBe("ECONNRESET");
  });
});

describe("heads that no message could carry", () => {
  test(`a reason phrase has at most ${MAX_REASON} bytes`, async () => {
    for (const [length, code] of [
      [MAX_REASON, undefined],
      [MAX_REASON + 1, "ORIGIN_INVALID"],
      [1_500, "ORIGIN_INVALID"],
    ] as const) {
      await using server = await saying(
        `HTTP/1.1 200 ${"a".repeat(length)}\r\nContent-Length: 2\r\n\r\nok`,
      );
      using rig = new Rig(`http://127.0.0.1:${server.port}`);
      const call = await rig.call().over();
      expect(call.failed?.code).toBe(code as never);
      if (code === undefined) expect(call.head?.reason).toHaveLength(length);
      else expect(call.log).toEqual(["failure ORIGIN_INVALID"]);
    }
  });

  test("a Location that is mapped back cannot make the header too long", async () => {
    let answer = "";
    await using server = await new RawServer((socket) =>
      socket.on("data", () => socket.write(answer)),
    ).listen({ host: "127.0.0.1" });
    using rig = new Rig(`http://127.0.0.1:${server.port}`, { hostHeader: { kind: "origin" } });
    const authority = `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.example.com`;
    const location = `Location: http://127.0.0.1:${server.port}/\r\n`;
    const grown = `Location: https://${authority}/\r\n`.length;
    // Within the bounds of a single line and of their number.
    const filler = (bytes: number): string => {
      const line = `X: ${"y".repeat(4_000)}\r\n`;
      const whole = Math.floor(bytes / line.length) - 1;
      const rest = bytes - whole * line.length;
      return line.repeat(whole) + `X: ${"y".repeat(rest - 5)}\r\n`;
    };
    let refused = 0;
    for (const total of [MESSAGE_FIELDS_MAX, MESSAGE_FIELDS_MAX + 1]) {
      const fields = location + filler(total - grown);
      expect(fields.length).toBeLessThan(MESSAGE_FIELDS_MAX);
      answer = `HTTP/1.1 302 Found\r\nContent-Length: 0\r\n${fields}\r\n`;
      const call = await rig.call({ authority }).over();
      if (total > MESSAGE_FIELDS_MAX) {
        expect(call.failed?.code).toBe("ORIGIN_INVALID");
        refused += 1;
      } else {
        expect(call.head?.fields).toHaveLength(total);
        if (call.head === undefined) throw new Error("no head");
        encodeMessage("response", { ...call.head, flags: 0 });
      }
    }
    expect(refused).toBe(1);
  });
});
