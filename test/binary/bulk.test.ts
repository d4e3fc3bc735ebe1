import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { HAS_NGINX, Nginx } from "../e2e/nginx.ts";
import { App, CAN_RUN, TestEdge, Tunnel } from "../e2e/rig.ts";
import { eventually, isInstalled, Program, run, SEARCH_PATH } from "./program.ts";
import { Home, IS_SLOW } from "./tunl.ts";

const MIB = 1 << 20;
const SIZE = (IS_SLOW ? 1_024 : 256) * MIB;
/** Memory is compared with what it was after this much of a transfer: buffers are grown, code is compiled. */
const SETTLED = 64 * MIB;
/** What the memory may differ by afterwards; reliability.md R-29. */
const SPREAD_MIB = 32;
/** A transfer of 256 MiB takes a few seconds; the rest is for slow machines, ms. */
const DEADLINE_MS = IS_SLOW ? 600_000 : 90_000;

const CAN_MEASURE = process.platform === "linux" && isInstalled("openssl") && CAN_RUN && HAS_NGINX;

/** Resident memory, MiB. */
function residentMib(pid: number): number {
  const kib = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
  if (kib === undefined) throw new Error(`Process ${pid} shows no VmRSS`);
  return Number(kib) / 1_024;
}

/** Watches the memory of both ends. */
class Memory implements Disposable {
  readonly #tunnel: Tunnel;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #settled = { edge: 0, connector: 0 };
  readonly #low = { edge: Number.POSITIVE_INFINITY, connector: Number.POSITIVE_INFINITY };
  readonly #high = { edge: 0, connector: 0 };
  #samples = 0;

  /** Begins now, with what is there now as the measure. */
  constructor(tunnel: Tunnel) {
    this.#tunnel = tunnel;
    this.#settled = this.#now();
    this.#timer = setInterval(() => this.#look(), 50);
    this.#look();
  }

  /** Checks what was seen. */
  judge(name: string): void {
    this.#look();
    for (const side of ["edge", "connector"] as const) {
      const [settled, low, high] = [this.#settled[side], this.#low[side], this.#high[side]];
      console.log(
        `${name}, ${side}: ${settled.toFixed(0)} MiB at ${SETTLED / MIB} MiB, then ${low.toFixed(0)} to ${high.toFixed(0)} MiB`,
      );
      expect(high - settled).toBeLessThan(SPREAD_MIB);
    }
    expect(this.#samples).toBeGreaterThan(5);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #now(): { edge: number; connector: number } {
    const { edge, connector } = this.#tunnel;
    return { edge: residentMib(edge.process.pid), connector: residentMib(connector.pid) };
  }

  #look(): void {
    const now = this.#now();
    this.#samples += 1;
    for (const side of ["edge", "connector"] as const) {
      this.#low[side] = Math.min(this.#low[side], now[side]);
      this.#high[side] = Math.max(this.#high[side], now[side]);
    }
  }
}

describe.skipIf(!CAN_MEASURE)(`bulk, ${SIZE / MIB} MiB`, () => {
  let nginx: Nginx;
  let app: App;
  let edge: TestEdge;
  let files: Home;
  let source: string;
  let sha256: string;

  beforeAll(async () => {
    files = new Home();
    nginx = await Nginx.start();
    app = await App.start();
    edge = await TestEdge.start();
    // Bytes that differ everywhere and are the same in every run: a cipher over nothing.
    source = join(nginx.root, "bulk");
    const made = await shell(
      `openssl enc -aes-128-ctr -K 00112233445566778899aabbccddeeff -iv 00000000000000000000000000000000 -in /dev/zero 2>/dev/null | head -c ${SIZE} > "$1"; sha256sum < "$1"`,
      [source],
    );
    sha256 = made.split(" ")[0] as string;
    expect(statSync(source).size).toBe(SIZE);
  }, DEADLINE_MS);

  afterAll(async () => {
    await edge?.[Symbol.asyncDispose]();
    await app?.[Symbol.asyncDispose]();
    await nginx?.[Symbol.asyncDispose]();
    files?.[Symbol.dispose]();
  });

  async function shell(script: string, words: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await run(["sh", "-c", script, "sh", ...words], {
      environment: { PATH: SEARCH_PATH },
      deadlineMs: DEADLINE_MS,
    });
    if (code !== 0) throw new Error(`sh ended with ${code}: ${stderr}`);
    return stdout;
  }

  function curlOn(tunnel: Tunnel, words: readonly string[]): Program {
    return new Program(
      [
        ...["curl", "-sS", "--cacert", edge.ca],
        ...["--connect-to", `::127.0.0.1:${edge.port}`, ...words],
      ],
      { environment: { PATH: SEARCH_PATH }, deadlineMs: DEADLINE_MS },
    );
  }

  /** A visitor who asks for everything and then reads nothing more. */
  async function stalled(tunnel: Tunnel, path: string): Promise<Program> {
    const into = join(files.path, `${tunnel.host}-stalled`);
    const visitor = curlOn(tunnel, ["-o", into, tunnel.url(path)]);
    await eventually(() => (sizeOf(into) > 0 ? true : undefined), "its first bytes");
    visitor.signal("SIGSTOP");
    return visitor;
  }

  test(
    "down: every byte arrives, and memory does not grow beside a visitor who stopped reading",
    async () => {
      await using tunnel = await Tunnel.start({ target: String(nginx.port), name: "down", edge });
      await using _stalled = await stalled(tunnel, "/bulk");
      const into = join(files.path, "down");
      const startedAt = performance.now();
      await using visitor = curlOn(tunnel, ["-o", into, tunnel.url("/bulk")]);
      await eventually(
        () => (sizeOf(into) >= SETTLED ? true : undefined),
        `${SETTLED / MIB} MiB`,
        DEADLINE_MS,
      );
      using memory = new Memory(tunnel);
      expect((await visitor.ended).code).toBe(0);
      const seconds = (performance.now() - startedAt) / 1_000;
      memory.judge(`down, ${(SIZE / MIB / seconds).toFixed(0)} MiB/s`);
      expect((await shell('sha256sum < "$1"', [into])).split(" ")[0]).toBe(sha256);
    },
    DEADLINE_MS,
  );

  test(
    "up: every byte arrives, and memory does not grow beside a visitor who stopped reading",
    async () => {
      await using idle = await Tunnel.start({ target: String(nginx.port), name: "beside", edge });
      await using _stalled = await stalled(idle, "/bulk");
      await using tunnel = await Tunnel.start({ target: String(app.port), name: "up", edge });
      const startedAt = performance.now();
      await using visitor = curlOn(tunnel, ["-T", source, "-X", "POST", tunnel.url("/upload")]);
      await app.process.line(new RegExp(`^uploaded ${SETTLED / MIB} MiB$`), {
        withinMs: DEADLINE_MS,
      });
      using memory = new Memory(tunnel);
      const { code, stdout } = await visitor.ended;
      expect(code).toBe(0);
      const seconds = (performance.now() - startedAt) / 1_000;
      memory.judge(`up, ${(SIZE / MIB / seconds).toFixed(0)} MiB/s`);
      expect(JSON.parse(stdout)).toEqual({ length: SIZE, sha256 });
    },
    DEADLINE_MS,
  );

  test("twenty visitors who stop reading do not keep the next one waiting", async () => {
    await using tunnel = await Tunnel.start({ target: String(nginx.port), name: "many", edge });
    const visitors: Program[] = [];
    try {
      for (let index = 0; index < 20; index++) visitors.push(await stalled(tunnel, "/bulk"));
      const before = residentMib(tunnel.connector.pid);
      const startedAt = performance.now();
      expect((await tunnel.get("/")).status).toBe(200);
      const ms = performance.now() - startedAt;
      console.log(
        `beside 20 stalled visitors: ${ms.toFixed(0)} ms, connector ${before.toFixed(0)} MiB`,
      );
      expect(ms).toBeLessThan(1_000);
    } finally {
      await Promise.all(visitors.map((visitor) => visitor[Symbol.asyncDispose]()));
    }
    expect(visitors.length).toBe(20);
  }, 60_000);
});

/** Length of a file, 0 while it is not there. */
function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
