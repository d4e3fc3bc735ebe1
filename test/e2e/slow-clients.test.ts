// This file is slowhttptest against an edge in its three modes, while an honest visitor of another tunnel is timed. security.md S-40 to S-42.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { fileURLToPath } from "node:url";
import { isInstalled, Program, run, SEARCH_PATH } from "../binary/program.ts";
import { IS_SLOW, tunl } from "../binary/tunl.ts";
import { allowedCpus } from "../../scripts/rig/process-figures.ts";
import { within } from "../within.ts";
import { HAS_NGINX, Nginx } from "./nginx.ts";
import { App, CAN_RUN, TestEdge, Tunnel } from "./rig.ts";

const HAS_TOOLS = [isInstalled("slowhttptest"), isInstalled("python3")].every((is) => is);
const IS_LINUX = process.platform === "linux";
const RELAY = fileURLToPath(new URL("programs/tls-relay.py", import.meta.url));

/** The long form is that of S-42: default timeouts, one mode after the other. */
const CONNECTIONS = IS_SLOW ? 1_000 : 150;
const RATE = IS_SLOW ? 50 : 100;
/** Until all are there, and until the slowest of the timeouts has cut them: a stalled reader gets 30 s. */
const SECONDS = IS_SLOW ? { H: 35, B: 50, X: 70 } : { H: 5, B: 5, X: 5 };
const BASELINE_MS = IS_SLOW ? 5_000 : 1_000;
/**
 * The least p99 that counts as one, ms. The short form runs beside other tests and shows that nothing breaks down. The
 * long one, on a quiet machine, is held to twice the baseline, but not to less than two pauses of the collector, which
 * runs while the readers' buffers fill (src/received.ts).
 */
const GRAIN_MS = IS_SLOW ? 6 : 250;
const BETWEEN_MS = IS_SLOW ? 10 : 3;
/** More than all buffers on the way hold. */
const FILE_BYTES = 64 << 20;

/** Everything of slowhttptest comes from one address; `concurrent` and streams are limits of the attacked tunnel alone. */
const NO_SOURCE_LIMITS = "limits: {connectionsPerIp: off, acceptPerIp: off, concurrent: 5000}\n";

/**
 * Attackers have machines of their own, so here they must not take what the edge needs. In the long form one processor is
 * theirs alone, and everything else, the honest visitor included, shares another; where that cannot be, and in the short
 * form, they run when nobody else wants to.
 */
const PROCESSORS = IS_SLOW && isInstalled("taskset", "util-linux") ? allowedCpus() : [];
const ATTACKER =
  PROCESSORS.length > 1 ? ["taskset", "--cpu-list", String(PROCESSORS[1])] : ["nice", "-n", "19"];

/** What this process starts from now on runs there. */
function pin(list: string): void {
  const { success, stderr } = Bun.spawnSync([
    ...["taskset", "--all-tasks", "--cpu-list", "--pid", list, String(process.pid)],
  ]);
  if (!success) throw new Error(`taskset: ${stderr.toString()}`);
}

/** Its own look at the service goes through the relay, which has the whole attack to carry and in the long form one processor. */
const PROBE_S = IS_SLOW ? "10" : "3";

type Mode = keyof typeof SECONDS;
const FLAGS: Readonly<Record<Mode, readonly string[]>> = {
  // A header line every 2 s, never the last one.
  H: ["-H", "-i", "2"],
  // 8 KiB are announced, some bytes come every 2 s.
  B: ["-B", "-i", "2", "-s", "8192", "-x", "10"],
  // A window of 10 to 20 bytes, and 32 bytes of it read each second.
  X: ["-X", "-n", "1", "-z", "32", "-w", "10", "-y", "20"],
};
const PATHS: Readonly<Record<Mode, string>> = { H: "/", B: "/upload", X: "/large" };

/** Times of small requests, one after the other on one connection. */
class Honest implements Disposable {
  readonly #socket: TLSSocket;
  readonly #request: string;
  #wake: () => void = () => undefined;
  #text = "";

  private constructor(socket: TLSSocket, request: string) {
    this.#socket = socket;
    this.#request = request;
    socket.on("data", (bytes: Buffer) => {
      this.#text += bytes.toString("latin1");
      if (this.#text.endsWith("</h1>\n")) this.#wake();
    });
    socket.on("error", () => undefined);
  }

  static async open(tunnel: Tunnel): Promise<Honest> {
    const options = {
      host: "127.0.0.1",
      port: tunnel.edge.port,
      servername: tunnel.host,
      ca: readFileSync(tunnel.edge.ca),
      // A source of its own, which matters where the limits of sources are on.
      localAddress: "127.0.0.9",
    };
    const socket = connect(options as object);
    await within(once(socket, "secureConnect"), "the TLS handshake");
    const host = `${tunnel.host}:${tunnel.edge.port}`;
    return new Honest(socket, `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  }

  async times(forMs: number): Promise<number[]> {
    const until = performance.now() + forMs;
    const times: number[] = [];
    while (performance.now() < until) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      this.#text = "";
      const sentAt = performance.now();
      this.#socket.write(this.#request);
      await within(promise, "an answer");
      times.push(performance.now() - sentAt);
      if (!this.#text.startsWith("HTTP/1.1 200 ")) throw new Error(this.#text);
      // A probe, not a load, and below the 10,000 requests of a connection.
      await new Promise((next) => setTimeout(next, BETWEEN_MS));
    }
    return times.sort((a, b) => a - b);
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}

const p99 = (sorted: readonly number[]): number => sorted[Math.floor(sorted.length * 0.99)] ?? 0;

describe.skipIf(!CAN_RUN || !HAS_TOOLS || !HAS_NGINX || !IS_LINUX)("slow clients", () => {
  let nginx: Nginx;
  let app: App;

  beforeAll(async () => {
    if (PROCESSORS.length > 1) pin(String(PROCESSORS[0]));
    nginx = await Nginx.start();
    app = await App.start();
    const large = join(nginx.root, "large");
    writeFileSync(large, "");
    truncateSync(large, FILE_BYTES);
  });

  afterAll(async () => {
    await app?.[Symbol.asyncDispose]();
    await nginx?.[Symbol.asyncDispose]();
    if (PROCESSORS.length > 1) pin(PROCESSORS.join(","));
  });

  /** Runs slowhttptest through a relay. @returns What it wrote, without colours. */
  async function attack(tunnel: Tunnel, mode: Mode): Promise<string> {
    await using relay = new Program(
      [...ATTACKER, "python3", RELAY, String(tunnel.edge.port), tunnel.host, tunnel.edge.ca],
      { environment: { PATH: SEARCH_PATH }, deadlineMs: 200_000 },
    );
    const port = await relay.find((line) => /^listening (\d+)$/.exec(line)?.[1], "listening");
    const url = `http://${tunnel.host}:${tunnel.edge.port}${PATHS[mode]}`;
    const { stdout, stderr } = await run(
      [
        ...[...ATTACKER, "slowhttptest", "-c", String(CONNECTIONS), "-r", String(RATE)],
        ...["-l", String(SECONDS[mode]), "-d", `127.0.0.1:${port}`, "-p", PROBE_S],
        ...[...FLAGS[mode], "-u", url],
      ],
      { environment: { PATH: SEARCH_PATH, TERM: "dumb" }, deadlineMs: 200_000 },
    );
    return `${stdout}${stderr}`.replace(/\x1b\[[\d;]*m/g, "");
  }

  /** Attacks in these modes at a time, and judges the honest visitor by before and after. */
  async function judge(
    name: string,
    modes: readonly Mode[],
    hasSourceLimits: boolean,
  ): Promise<void> {
    await using edge = await TestEdge.start({
      config: hasSourceLimits ? "{}\n" : NO_SOURCE_LIMITS,
    });
    await using other = await Tunnel.start({ target: String(nginx.port), name: "honest", edge });
    await using attacked = await Tunnel.start({ target: String(nginx.port), name: "files", edge });
    await using uploads = await Tunnel.start({ target: String(app.port), name: "uploads", edge });
    using honest = await Honest.open(other);
    await honest.times(500);
    const before = p99(await honest.times(BASELINE_MS));
    const seconds = Math.max(...modes.map((mode) => SECONDS[mode]));
    const [during, ...reports] = await Promise.all([
      honest.times(seconds * 1_000),
      ...modes.map((mode) => attack(mode === "B" ? uploads : attacked, mode)),
    ]);
    const after = p99(await honest.times(BASELINE_MS));
    const { stdout } = await tunl(["status", "--json"], edge);
    const { limits } = (JSON.parse(stdout) as { edge: { limits: object } }).edge;
    console.log(
      `${name}: ${CONNECTIONS} connections, p99 ${before.toFixed(1)} ms before, ${p99(during).toFixed(1)} during, ${after.toFixed(1)} after; ${JSON.stringify(limits)}`,
    );
    // Its own probe comes from the address that is limited.
    for (const report of hasSourceLimits ? [] : reports) {
      expect(report).toMatch(/service available:\s+YES/);
      expect(report).not.toMatch(/service available:\s+NO/);
    }
    expect(during.length).toBeGreaterThan(seconds * 10);
    expect(p99(during)).toBeLessThan(2 * Math.max(before, after, GRAIN_MS));
    expect((await other.get("/")).status).toBe(200);
    const output = `${edge.process.output}${attacked.connector.output}${other.connector.output}`;
    expect(output).not.toMatch(/"level":"error"/);
  }

  const ROUNDS: readonly (readonly [string, readonly Mode[]])[] = IS_SLOW
    ? [
        ["heads (S-40)", ["H"]],
        ["bodies (S-41)", ["B"]],
        ["readers (S-42)", ["X"]],
      ]
    : [["heads, bodies and readers (S-40, S-41, S-42)", ["H", "B", "X"]]];

  test.each(ROUNDS)(
    "slow %s: nobody else notices",
    (name, modes) => judge(name, modes, false),
    200_000,
  );

  test.skipIf(!IS_SLOW)(
    "with the default limits of a source most of them do not even get in",
    () => judge("default limits", ["H"], true),
    200_000,
  );
});
