import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { HAS_NGINX, Nginx } from "../e2e/nginx.ts";
import { App, CAN_RUN, TestEdge, Tunnel } from "../e2e/rig.ts";
import { eventually, isInstalled, Program, run, SEARCH_PATH } from "./program.ts";
import { Home, IS_SLOW } from "./tunl.ts";

const MIB = 1 << 20;
const SIZE = (IS_SLOW ? 2_048 : 256) * MIB;
/** Memory is compared with what it was after this much of a transfer: buffers are grown, code is compiled. */
const SETTLED = 64 * MIB;
/**
 * What may be above that later on, MiB: the start and a later look may fall on opposite ends of a cycle of the collector.
 * Whether more bytes mean more memory is judged by the whole form (2 GiB) alone, from its first third to its last.
 */
const SPREAD_MIB = 48;
const GROWTH_MIB = 16;
/**
 * Above an idle process, MiB: windows, socket buffers, what the runtime itself grows by. A visitor who stopped reading
 * would fill as much as he asked for if nothing held the origin back, and he did so before `SETTLED`.
 */
const HELD_MIB = 112;
/** A transfer of 256 MiB takes a few seconds; the rest is for slow machines, ms. */
const DEADLINE_MS = IS_SLOW ? 600_000 : 90_000;

const CAN_MEASURE = process.platform === "linux" && isInstalled("openssl") && CAN_RUN && HAS_NGINX;

/** Resident memory, MiB. */
function residentMib(pid: number): number {
  const kib = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
  if (kib === undefined) throw new Error(`Process ${pid} shows no VmRSS`);
  return Number(kib) / 1_024;
}

/** What the memory may grow by, MiB: after `SETTLED`, and over an idle process. */
interface Allowance {
  readonly spreadMib: number;
  readonly heldMib: number;
}

interface Sample {
  readonly edge: number;
  readonly connector: number;
}

/** Memory of both ends now. */
function look({ edge, connector }: Tunnel): Sample {
  return { edge: residentMib(edge.process.pid), connector: residentMib(connector.pid) };
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] as number;
}

/** Watches the memory of both ends, from now on. */
class Memory implements Disposable {
  readonly #tunnel: Tunnel;
  readonly #idle: Sample;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #samples: Sample[] = [];

  /** @param idle What it was before there was a visitor. */
  constructor(tunnel: Tunnel, idle: Sample) {
    this.#tunnel = tunnel;
    this.#idle = idle;
    this.#samples.push(look(tunnel));
    this.#timer = setInterval(() => this.#samples.push(look(tunnel)), 20);
  }

  /**
   * Checks what was seen against the start, and against the idle process. One look catches the collector anywhere in its
   * cycle, so the start is the median of the first looks and the end the 95th percentile of all.
   */
  judge(name: string, { spreadMib, heldMib }: Allowance): void {
    this.#samples.push(look(this.#tunnel));
    expect(this.#samples.length).toBeGreaterThan(5);
    for (const side of ["edge", "connector"] as const) {
      const seen = this.#samples.map((sample) => sample[side]);
      const settled = quantile(seen.slice(0, 10), 0.5);
      const [low, high] = [quantile(seen, 0.05), quantile(seen, 0.95)];
      // Flat: what is held does not depend on how much went through.
      const third = Math.floor(seen.length / 3);
      const growth = quantile(seen.slice(-third), 0.5) - quantile(seen.slice(0, third), 0.5);
      console.log(
        `${name}, ${side}: ${this.#idle[side].toFixed(0)} MiB idle, ${settled.toFixed(0)} MiB at ${SETTLED / MIB} MiB, then ${low.toFixed(0)} to ${high.toFixed(0)} MiB, last third by first ${growth.toFixed(0)} MiB`,
      );
      if (IS_SLOW && spreadMib === SPREAD_MIB) expect(growth).toBeLessThan(GROWTH_MIB);
      expect(high - settled).toBeLessThan(spreadMib);
      expect(high - this.#idle[side]).toBeLessThan(heldMib);
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

/** Two lines: of the first `SETTLED` bytes, as soon as they are here, and of the rest. */
const HASHES = `dd bs=65536 count=${SETTLED / 65_536} iflag=fullblock status=none | sha256sum; sha256sum`;
const ALLOWED: Allowance = { spreadMib: SPREAD_MIB, heldMib: HELD_MIB };

describe.skipIf(!CAN_MEASURE)(`bulk, ${SIZE / MIB} MiB`, () => {
  let nginx: Nginx;
  let app: App;
  let files: Home;
  let source: string;
  let small: string;
  let sha256: string;
  /** What `HASHES` says of all of it. */
  let hashes: string;

  beforeAll(async () => {
    files = new Home();
    nginx = await Nginx.start();
    app = await App.start();
    // Bytes that differ everywhere and are the same in every run: a cipher over nothing.
    source = join(nginx.root, "bulk");
    const made = await shell(
      `openssl enc -aes-128-ctr -K 00112233445566778899aabbccddeeff -iv 00000000000000000000000000000000 -in /dev/zero 2>/dev/null | head -c ${SIZE} > "$1"; sha256sum < "$1"`,
      [source],
    );
    small = join(nginx.root, "small");
    await shell('head -c "$2" "$1" > "$3"', [source, String(SETTLED), small]);
    sha256 = made.split(" ")[0] as string;
    hashes = await shell(`{ ${HASHES}; } < "$1"`, [source]);
    expect(statSync(source).size).toBe(SIZE);
  }, DEADLINE_MS);

  afterAll(async () => {
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
        ...["curl", "-sS", "--cacert", tunnel.edge.ca],
        ...["--connect-to", `::127.0.0.1:${tunnel.edge.port}`, ...words],
      ],
      { environment: { PATH: SEARCH_PATH }, deadlineMs: DEADLINE_MS },
    );
  }

  /** A visitor who writes down what the first `SETTLED` bytes hash to, then the same of all others. */
  function hashing(tunnel: Tunnel, path: string): Program {
    const script = `curl -sS --fail --cacert "$1" --connect-to "::127.0.0.1:$2" "$3" | { ${HASHES}; }`;
    return new Program(
      [
        "bash",
        "-o",
        "pipefail",
        "-c",
        script,
        "bash",
        tunnel.edge.ca,
        String(tunnel.edge.port),
        tunnel.url(path),
      ],
      {
        environment: { PATH: SEARCH_PATH },
        deadlineMs: DEADLINE_MS,
      },
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
    "down: every byte arrives and memory stays, beside a visitor who stopped reading (R-29)",
    async () => {
      await using edge = await TestEdge.start();
      await using tunnel = await Tunnel.start({ target: String(nginx.port), edge });
      const idle = look(tunnel);
      await using _stalled = await stalled(tunnel, "/bulk");
      // Windows have grown and code is compiled before anything is compared.
      await using first = curlOn(tunnel, [
        "-r",
        `0-${SETTLED - 1}`,
        "-o",
        "/dev/null",
        tunnel.url("/bulk"),
      ]);
      expect((await first.ended).code).toBe(0);
      const startedAt = performance.now();
      // No file: a disk that stops now and then would make it a measurement of the windows.
      await using visitor = hashing(tunnel, "/bulk");
      await visitor.line(/./, { withinMs: DEADLINE_MS });
      using memory = new Memory(tunnel, idle);
      const { code, stdout } = await visitor.ended;
      expect(code).toBe(0);
      const seconds = (performance.now() - startedAt) / 1_000;
      memory.judge(`down, ${(SIZE / MIB / seconds).toFixed(0)} MiB/s`, ALLOWED);
      expect(stdout).toBe(hashes);
    },
    DEADLINE_MS,
  );

  test(
    "up: every byte arrives and memory stays, beside a visitor who stopped reading (R-29)",
    async () => {
      await using edge = await TestEdge.start();
      await using tunnel = await Tunnel.start({ target: String(app.port), edge });
      // On the same link: this is what could hold the upload back.
      const idle = look(tunnel);
      await using _stalled = await stalled(tunnel, `/bytes/${64 * MIB}`);
      await using first = curlOn(tunnel, ["-T", small, "-X", "POST", tunnel.url("/upload")]);
      expect((await first.ended).code).toBe(0);
      const after = app.process.lineCount;
      const startedAt = performance.now();
      await using visitor = curlOn(tunnel, ["-T", source, "-X", "POST", tunnel.url("/upload")]);
      await app.process.line(new RegExp(`^uploaded ${SETTLED / MIB} MiB$`), {
        after,
        withinMs: DEADLINE_MS,
      });
      using memory = new Memory(tunnel, idle);
      const { code, stdout } = await visitor.ended;
      expect(code).toBe(0);
      const seconds = (performance.now() - startedAt) / 1_000;
      memory.judge(`up, ${(SIZE / MIB / seconds).toFixed(0)} MiB/s`, ALLOWED);
      expect(JSON.parse(stdout)).toEqual({ length: SIZE, sha256 });
    },
    DEADLINE_MS,
  );

  test("twenty visitors who stop reading hold up neither the next one nor the memory", async () => {
    await using edge = await TestEdge.start();
    await using tunnel = await Tunnel.start({ target: String(nginx.port), edge });
    const idle = look(tunnel);
    const visitors: Program[] = [];
    try {
      for (let index = 0; index < 20; index++) visitors.push(await stalled(tunnel, "/bulk"));
      let ms = Number.POSITIVE_INFINITY;
      // A machine that does something else may keep one of them; the twenty would keep all.
      for (let time = 0; time < 3; time++) {
        const startedAt = performance.now();
        expect((await tunnel.get("/")).status).toBe(200);
        ms = Math.min(ms, performance.now() - startedAt);
      }
      expect(ms).toBeLessThan(1_000);
      // Time enough for the origin to send all of the twenty, if anything took it.
      await using visitor = curlOn(tunnel, [
        "-r",
        `0-${SETTLED - 1}`,
        "-o",
        "/dev/null",
        tunnel.url("/bulk"),
      ]);
      using memory = new Memory(tunnel, idle);
      expect((await visitor.ended).code).toBe(0);
      memory.judge(`${visitors.length} stalled, ${ms.toFixed(0)} ms for the next`, {
        spreadMib: HELD_MIB,
        heldMib: HELD_MIB,
      });
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
