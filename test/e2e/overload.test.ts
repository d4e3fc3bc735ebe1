// This file is an edge with little memory and visitors who read nothing: it gives them up, and serves the others. PROTOCOL §5.3; S-46.
import { once } from "node:events";
import type { TLSSocket } from "node:tls";
import { describe, expect, test } from "bun:test";
import { eventually } from "../binary/program.ts";
import { within } from "../within.ts";
import { type EdgeStatus, rssOf, statusOf } from "./figures.ts";
import { App, CAN_RUN, TestEdge, Tunnel } from "./rig.ts";
import { dial } from "./visitor.ts";

const MIB = 1_024 * 1_024;
const STALLED = 24;
/** More than the sockets between the edge and its visitor hold. */
const BODY = 32 * MIB;
const MEMORY_MIB = 8;
/** What all that may take besides, MiB: buffers that the collector has not seen yet. */
const SLACK_MIB = 96;
const SETTLE_MS = 20_000;

/** A visitor that asks for much and then reads nothing, until it looks how that ended. */
class StalledVisitor {
  readonly #socket: TLSSocket;
  readonly #isSecure: Promise<unknown>;
  #received = 0;
  #ending: "whole" | "cut" | undefined;

  constructor(edge: TestEdge, host: string) {
    this.#socket = dial(edge, host);
    this.#isSecure = once(this.#socket, "secureConnect");
    this.#socket.on("data", (bytes: Buffer) => (this.#received += bytes.length));
    this.#socket.on("error", () => (this.#ending ??= "cut"));
    this.#socket.on("end", () => (this.#ending ??= this.#received > BODY ? "whole" : "cut"));
  }

  async ask(authority: string): Promise<void> {
    await within(this.#isSecure, "a TLS handshake");
    this.#socket.pause();
    this.#socket.write(`GET /bytes/${BODY} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
  }

  /** Reads on. "whole": the whole body comes. "cut": the connection ends before. */
  async end(): Promise<"whole" | "cut"> {
    this.#socket.resume();
    const until = performance.now() + SETTLE_MS;
    while (this.#ending === undefined && this.#received <= BODY && performance.now() < until)
      await Bun.sleep(20);
    this.#socket.destroy();
    if (this.#ending === "cut") return "cut";
    if (this.#received > BODY) return "whole";
    throw new Error(`${this.#received} bytes after ${SETTLE_MS} ms, and no end`);
  }
}

const sumOf = ({ bytes }: EdgeStatus): number =>
  Object.values(bytes).reduce((sum, value) => sum + value, 0);

describe.skipIf(!CAN_RUN)("overload", () => {
  test(
    `${STALLED} visitors who read nothing, an edge of ${MEMORY_MIB} MiB: some are given up, the others are served`,
    async () => {
      await using app = await App.start();
      await using edge = await TestEdge.start({
        config: `limits: {connectionsPerIp: off, acceptPerIp: off, memory: ${MEMORY_MIB}MiB}\n`,
      });
      await using tunnel = await Tunnel.start({ target: String(app.port), name: "app", edge });
      for (let round = 0; round < 20; round++) await tunnel.get("/");
      const before = rssOf(edge.process.pid);
      const visitors = Array.from({ length: STALLED }, () => new StalledVisitor(edge, tunnel.host));
      // All have their windows before the first byte of an answer: later ones would find little left, and nobody were to be given up.
      await app.process.freeze();
      for (const visitor of visitors) await visitor.ask(`${tunnel.host}:${edge.port}`);
      await eventually(
        async () => ((await statusOf(edge)).tables["requests"] === STALLED ? true : undefined),
        "a stream for each visitor",
      );
      app.process.thaw();
      // Others come and go meanwhile; they may wait for a stream to be given up, and are answered.
      const times: number[] = [];
      let most = 0;
      let status: EdgeStatus | undefined;
      const until = performance.now() + SETTLE_MS;
      while (performance.now() < until) {
        const at = performance.now();
        expect((await tunnel.get("/bytes/1000")).status).toBe(200);
        times.push(performance.now() - at);
        most = Math.max(most, rssOf(edge.process.pid));
        status = await statusOf(edge);
        const { sessionHeld, processHeld } = status.limits;
        if (sessionHeld !== undefined && processHeld !== undefined && times.length >= 20) break;
      }
      times.sort((a, b) => a - b);
      console.log(
        `${JSON.stringify(status)}; others: median ${times[times.length >> 1]?.toFixed(0)} ms, max ${times.at(-1)?.toFixed(0)} ms of ${times.length}; RSS ${before.toFixed(0)} -> ${most.toFixed(0)} MiB`,
      );
      expect(status?.limits["sessionHeld"]).toBeGreaterThan(0);
      expect(status?.limits["processHeld"]).toBeGreaterThan(0);
      expect(sumOf(status as EdgeStatus)).toBeLessThan(2 * MEMORY_MIB * MIB);
      expect(most - before).toBeLessThan(MEMORY_MIB + SLACK_MIB);
      // Who was given up sees it; who reads in time gets everything.
      const endings = await Promise.all(visitors.map((visitor) => visitor.end()));
      expect(endings.filter((ending) => ending === "cut").length).toBeGreaterThan(0);
      expect((await tunnel.get("/bytes/1000")).status).toBe(200);
      await eventually(
        async () => (sumOf(await statusOf(edge)) < MIB ? true : undefined),
        "the end of what is held",
      );
    },
    3 * SETTLE_MS,
  );
});
