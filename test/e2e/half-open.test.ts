// This file is half-open handshakes by the thousand: few are held, all end in time, and an honest connector gets in meanwhile. PROTOCOL §3.2; A-09.
import { describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { eventually } from "../binary/program.ts";
import { Home, IS_SLOW, tunl } from "../binary/tunl.ts";
import { within } from "../within.ts";
import { CAN_RUN, startConnector, TestEdge } from "./rig.ts";

/** Connects that never say a word. */
const CONNECTS = IS_SLOW ? 10_000 : 2_000;
/** At once: below the backlog of a listener, so that the kernel drops none. */
const WAVE = 200;
const HELLO_MS = IS_SLOW ? 5_000 : 1_000;
const CONFIG = IS_SLOW ? "{}\n" : `timeouts: {clientHello: ${HELLO_MS}ms}\n`;
/** A step of the wheel of deadlines, and a machine that does something else. */
const LATE_MS = 2_500;
const PENDING_HANDSHAKES = 512;
/** In which an honest connector is connected, from the start of its process; on a busy machine that start takes its time. */
const JOIN_MS = IS_SLOW ? 2_000 : 5_000;

const IS_LINUX = process.platform === "linux";
if (!IS_LINUX) console.warn("Skipped: sources are 127.0.0.0/8, as on Linux");

/** Silent connections, in turn from so many sources. */
class Crowd implements Disposable {
  readonly #port: number;
  readonly #network: string;
  readonly #sources: number;
  readonly #sockets: Socket[] = [];
  /** Connected and not ended by the edge, now and at most at once. */
  open = 0;
  most = 0;
  /** How long the one that was held longest was held, ms. */
  heldMs = 0;

  constructor(port: number, network: string, sources: number) {
    this.#port = port;
    this.#network = network;
    this.#sources = sources;
  }

  async come(count: number): Promise<void> {
    for (let begun = 0; begun < count; begun += WAVE) {
      const wave = Array.from({ length: Math.min(WAVE, count - begun) }, (_, index) =>
        this.#dial((begun + index) % this.#sources),
      );
      await within(Promise.all(wave), "a wave of connects");
    }
  }

  #dial(source: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const socket = connect({
      host: "127.0.0.1",
      port: this.#port,
      localAddress: `127.${this.#network}.${1 + source}`,
    });
    this.#sockets.push(socket);
    // An edge resets what is too much; its close is what counts.
    socket.on("error", () => undefined);
    let openedAt: number | undefined;
    socket.on("connect", () => {
      openedAt = performance.now();
      this.open += 1;
      this.most = Math.max(this.most, this.open);
      resolve();
    });
    socket.on("close", () => {
      resolve();
      if (openedAt === undefined) return;
      this.open -= 1;
      this.heldMs = Math.max(this.heldMs, performance.now() - openedAt);
    });
    // Read, or its end would never be seen.
    socket.resume();
    return promise;
  }

  async gone(): Promise<void> {
    await eventually(() => (this.open === 0 ? true : undefined), "the end of every connection");
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** Handshakes that the edge holds now. */
async function pending(edge: TestEdge): Promise<number> {
  const { code, stdout, stderr } = await tunl(["status", "--json"], edge);
  if (code !== 0) throw new Error(`tunl status ended with ${code}: ${stderr}`);
  return JSON.parse(stdout).edge.tables.pendingHandshakes;
}

describe.skipIf(!CAN_RUN || !IS_LINUX)(`${CONNECTS} half-open handshakes`, () => {
  test("of three sources keep no connector of another out", async () => {
    await using edge = await TestEdge.start({ config: CONFIG });
    using home = new Home();
    const line = await edge.invite();
    using crowd = new Crowd(edge.port, "6.1", 3);
    const coming = crowd.come(CONNECTS);
    await using connector = startConnector("http_status:204", ["--join", line], {
      home: home.path,
    });
    await connector.event("connected", { withinMs: JOIN_MS });
    await coming;
    await crowd.gone();
    expect(crowd.heldMs).toBeLessThan(HELLO_MS + LATE_MS);
    expect(await pending(edge)).toBe(0);
  });

  test("of twenty sources fill the 512 places there are, and leave them in time", async () => {
    await using edge = await TestEdge.start({ config: CONFIG });
    using home = new Home();
    const line = await edge.invite();
    using crowd = new Crowd(edge.port, "6.2", 20);
    await crowd.come(CONNECTS);
    expect(await pending(edge)).toBeLessThanOrEqual(PENDING_HANDSHAKES);
    expect(crowd.most).toBeGreaterThan(PENDING_HANDSHAKES / 2);
    await crowd.gone();
    expect(crowd.heldMs).toBeLessThan(HELLO_MS + LATE_MS);
    expect(await pending(edge)).toBe(0);
    await using connector = startConnector("http_status:204", ["--join", line], {
      home: home.path,
    });
    await connector.event("connected", { withinMs: JOIN_MS });
    // Everything was refused or ended by the edge, nothing by a fault.
    expect(edge.process.output).not.toContain('"level":"error"');
  });
});
