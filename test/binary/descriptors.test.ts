import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { cpuSeconds } from "../../scripts/rig/process-figures.ts";
import { App, CAN_RUN, TestEdge, Tunnel } from "../e2e/rig.ts";
import { eventually } from "./program.ts";
import type { Running } from "./tunl.ts";

const LIMIT = 256;
const CONNECTS = 10_000;
/** Every 100 ms so many, so that the flood is a matter of seconds and not of who is faster. */
const WAVE = 250;
const WAVE_MS = 100;
/** Below the burst that one source may have: what is measured is the limit of all together. */
const PER_SOURCE = 50;
/** The connector's part of a test: its limit, and requests at a time. */
const DIAL_LIMIT = 128;
const REQUESTS = 160;

const IS_LINUX = process.platform === "linux";
if (!IS_LINUX)
  console.warn(
    "Skipped: descriptors are counted in /proc and sources are 127.0.0.0/8, as on Linux",
  );

/** Soft and hard: a soft limit above the new hard one would be refused. */
const limited = (descriptors: number): string[] => [
  "sh",
  "-c",
  `ulimit -n ${descriptors} && exec "$0" "$@"`,
];

/** Looks at the descriptors of a process, from now on. */
class DescriptorWatch implements Disposable {
  most = 0;
  readonly #timer: Timer;

  constructor({ pid }: Running) {
    const look = (): void => {
      this.most = Math.max(this.most, readdirSync(`/proc/${pid}/fd`).length);
    };
    look();
    this.#timer = setInterval(look, 5);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

/** Silent connections from many sources; held until the end of the flood where the edge holds them. */
class Flood implements Disposable {
  readonly #port: number;
  readonly #sockets: Socket[] = [];
  begun = 0;
  /** RST by the edge. */
  reset = 0;

  constructor(port: number) {
    this.#port = port;
  }

  wave(count: number): void {
    for (let index = 0; index < count; index++) {
      const source = Math.floor(this.begun / PER_SOURCE);
      this.begun += 1;
      const localAddress = `127.1.${1 + Math.floor(source / 200)}.${1 + (source % 200)}`;
      const socket = connect({ host: "127.0.0.1", port: this.#port, localAddress });
      socket.on("error", (error: NodeJS.ErrnoException) => {
        if (error.code === "ECONNRESET") this.reset += 1;
      });
      this.#sockets.push(socket);
    }
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

describe.skipIf(!CAN_RUN || !IS_LINUX)("descriptors", () => {
  test(`${CONNECTS} connects under a limit of ${LIMIT}: the edge idles on and serves the next visitor (S-43)`, async () => {
    await using edge = await TestEdge.start({ config: "{}\n", through: limited(LIMIT) });
    await using tunnel = await Tunnel.start({ target: "http_status:200", edge });
    expect((await tunnel.get("/")).status).toBe(200);
    const { process } = edge;
    const startedAt = performance.now();
    const cpuBefore = cpuSeconds(process.pid);
    using watch = new DescriptorWatch(process);
    let reset: number;
    {
      using flood = new Flood(edge.port);
      await new Promise<void>((resolve) => {
        const timer = setInterval(() => {
          flood.wave(WAVE);
          if (flood.begun < CONNECTS) return;
          clearInterval(timer);
          resolve();
        }, WAVE_MS);
      });
      await eventually(
        () => (flood.reset > CONNECTS * 0.9 ? true : undefined),
        "nine of ten connections to be reset",
      );
      expect(flood.begun).toBe(CONNECTS);
      reset = flood.reset;
    }
    const seconds = (performance.now() - startedAt) / 1_000;
    const share = (cpuSeconds(process.pid) - cpuBefore) / seconds;
    const endedAt = performance.now();
    await eventually(
      async () => ((await tunnel.curl("/")).code === 0 ? true : undefined),
      "a visitor to be served",
      5_000,
    );
    const recoveredMs = performance.now() - endedAt;
    console.log(
      `${reset} of ${CONNECTS} reset in ${seconds.toFixed(1)} s, ${(share * 100).toFixed(0)} % of a core, at most ${watch.most} of ${LIMIT} descriptors, the next visitor after ${recoveredMs.toFixed(0)} ms`,
    );
    expect(share).toBeLessThan(0.5);
    // The sockets that are being reset come on top of those that are held.
    expect(watch.most).toBeLessThan(LIMIT);
    expect(watch.most).toBeGreaterThan(100);
    expect((await tunnel.get("/")).status).toBe(200);
    const lines = process.output.split("\n").filter((line) => line.includes("were reset"));
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.length).toBeLessThanOrEqual(2 + Math.floor(seconds / 10));
  }, 60_000);

  test(`${REQUESTS} requests at a time under a limit of ${DIAL_LIMIT}: a connector answers each, and goes on (S-43)`, async () => {
    await using app = await App.start();
    await using tunnel = await Tunnel.start({
      target: String(app.port),
      through: limited(DIAL_LIMIT),
    });
    using watch = new DescriptorWatch(tunnel.connector);
    const { code, stdout } = await tunnel.curl(`/slow/1500?[1-${REQUESTS}]`, [
      ...["--parallel", "--parallel-immediate", "--parallel-max", String(REQUESTS)],
      ...["-o", "/dev/null", "-w", "%{http_code} %header{tunl-error}\n"],
    ]);
    expect(code).toBe(0);
    const answers = stdout.trimEnd().split("\n").sort();
    const served = answers.filter((answer) => answer.trim() === "200").length;
    const refused = answers.filter((answer) => answer === "502 ORIGIN_UNREACHABLE").length;
    console.log(
      `${served} served, ${refused} refused, at most ${watch.most} of ${DIAL_LIMIT} descriptors`,
    );
    expect(served + refused).toBe(REQUESTS);
    expect(served).toBeGreaterThan(40);
    expect(refused).toBeGreaterThan(20);
    expect(watch.most).toBeLessThan(DIAL_LIMIT);
    // Not one line for each, and nothing that a restart would have to mend.
    const told = tunnel.connector.output.split("\n").filter((line) => line.includes("descriptors"));
    expect(told.length).toBe(1);
    expect((await tunnel.get("/status/204")).status).toBe(204);
  }, 60_000);
});
