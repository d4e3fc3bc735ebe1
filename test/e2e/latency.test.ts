import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { HAS_NGINX, Nginx } from "./nginx.ts";
import { App, CAN_RUN, curl, TestEdge, Tunnel } from "./rig.ts";

const REQUESTS = 200;
/** Requests that are not counted: both processes compile what they run often. */
const WARM_UP = 50;
/** Nagle's algorithm and delayed acknowledgements meet in steps of 40 ms. */
const STEP_MS = 40;

describe.skipIf(!CAN_RUN)("latency", () => {
  let edge: TestEdge;

  beforeAll(async () => {
    edge = await TestEdge.start();
  });

  afterAll(async () => {
    await edge?.[Symbol.asyncDispose]();
  });

  /** Times of one request after the other on one connection, ms, sorted. */
  async function times(url: string, flags: readonly string[] = []): Promise<number[]> {
    const { code, stdout, stderr } = await curl(edge, [
      ...["-o", "/dev/null", "-w", "%{stderr}%{http_code} %{time_total}\n", ...flags],
      `${url}?[1-${WARM_UP + REQUESTS}]`,
    ]);
    expect([code, stdout.length < 200_000]).toEqual([0, true]);
    const lines = stderr.trimEnd().split("\n").slice(WARM_UP);
    expect(lines.length).toBe(REQUESTS);
    expect(lines.filter((line) => !line.startsWith("200 "))).toEqual([]);
    return lines.map((line) => Number(line.split(" ")[1]) * 1_000).sort((a, b) => a - b);
  }

  function judge(name: string, sorted: readonly number[]): void {
    const at = (share: number): number => sorted[Math.floor(REQUESTS * share)] as number;
    const [median, p95, worst] = [at(0.5), at(0.95), sorted[REQUESTS - 1] as number];
    console.log(
      `${name}: median ${median.toFixed(1)}, p95 ${p95.toFixed(1)}, max ${worst.toFixed(1)} ms`,
    );
    expect(median).toBeLessThan(STEP_MS / 2);
    // On a machine that does something else, too: who meets a step waits for all of it.
    expect(p95).toBeLessThan(STEP_MS);
  }

  test("Node: head and body in two writes have no tail of 40 ms", async () => {
    await using app = await App.start();
    await using tunnel = await Tunnel.start({ target: String(app.port), name: "split", edge });
    judge("head and body apart", await times(tunnel.url("/split")));
    judge("chunked", await times(tunnel.url("/chunked/20")));
    judge("upload", await times(tunnel.url("/echo"), ["-d", "x".repeat(5_000)]));
  });

  test.skipIf(!HAS_NGINX)(
    "nginx: a file that sendfile sends behind its head has none either",
    async () => {
      await using nginx = await Nginx.start();
      await using tunnel = await Tunnel.start({
        target: String(nginx.port),
        name: "sendfile",
        edge,
      });
      judge("nginx", await times(tunnel.url("/")));
    },
  );
});
