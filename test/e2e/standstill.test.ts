// This file is processes that stand still and paths that go dark: what lives is not given up, what is dead is, in time. PROTOCOL §7.1; S-49.
import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { formatJoinLine, parseJoinLine } from "../../src/identity/index.ts";
import { eventually, Program, SEARCH_PATH } from "../binary/program.ts";
import { Home, IS_SLOW } from "../binary/tunl.ts";
import { within } from "../within.ts";
import { App, CAN_RUN, startConnector, TestEdge, Tunnel } from "./rig.ts";

const STOP_MS = 5_000;
/** More than both ends and the kernels between them hold: a visitor reads on while the connector stands still. */
const BODY_BYTES = 40_000_000;
/** So slow that the body is under way when the process stops, and still after it. */
const RATE = "8M";
const BEGUN_BYTES = 1_000_000;

/** Silence after which a link is lost, and how much later both ends have said so. */
const SILENCE_MS = 15_000;
const LATE_MS = 1_000;

describe.skipIf(!CAN_RUN || process.platform === "win32")(
  "a process that stands still for 5 s",
  () => {
    for (const stopped of ["edge", "connector"] as const) {
      test.concurrent(
        `as the ${stopped} does, loses neither its session nor a byte (S-49)`,
        async () => {
          await using app = await App.start();
          await using tunnel = await Tunnel.start({ target: String(app.port) });
          using files = new Home();
          const path = join(files.path, "body");
          const { ca, port } = tunnel.edge;
          await using download = new Program(
            [
              ...["curl", "-sSN", "--cacert", ca, "--limit-rate", RATE, "-o", path],
              ...["--connect-to", `::127.0.0.1:${port}`, tunnel.url(`/bytes/${BODY_BYTES}`)],
            ],
            { environment: { PATH: SEARCH_PATH }, deadlineMs: 60_000 },
          );
          await eventually(
            () => (existsSync(path) && statSync(path).size > BEGUN_BYTES ? true : undefined),
            "the beginning of the body",
          );
          const victim = stopped === "edge" ? tunnel.edge.process : tunnel.connector;
          victim.signal("SIGSTOP");
          await Bun.sleep(STOP_MS);
          expect(statSync(path).size).toBeLessThan(BODY_BYTES);
          victim.signal("SIGCONT");
          expect((await download.ended).code).toBe(0);
          expect(hashOf(readFileSync(path))).toBe(hashOf(Buffer.alloc(BODY_BYTES, "b")));
          // The session is the one it was: nothing was lost, nothing dialled anew.
          expect((await tunnel.get("/bytes/3")).body).toBe("bbb");
          for (const { output } of [tunnel.edge.process, tunnel.connector]) {
            expect(output.match(/"event":"connected"/g)).toHaveLength(1);
            expect(output).not.toContain('"link.lost"');
            expect(output).not.toContain('"disconnected"');
          }
        },
        60_000,
      );
    }
  },
);

describe.skipIf(!CAN_RUN || !IS_SLOW)("a path that goes dark while nothing moves", () => {
  test("is noticed at both ends within 16 s, and the tunnel comes back over another", async () => {
    await using app = await App.start();
    await using edge = await TestEdge.start();
    await using path = await Path.to(edge.port);
    using home = new Home();
    const line = formatJoinLine({ ...parseJoinLine(await edge.invite()), port: path.port });
    await using connector = startConnector(String(app.port), ["--name", "dark", "--join", line], {
      home: home.path,
    });
    await connector.event("route");
    const from = performance.now();
    const seen = [edge.process.lineCount, connector.lineCount] as const;
    path.darken();
    const lostAfter = async (process: typeof connector, after: number): Promise<number> => {
      await process.event("link.lost", { after, withinMs: 2 * SILENCE_MS });
      return performance.now() - from;
    };
    const [atEdge, atConnector] = await Promise.all([
      lostAfter(edge.process, seen[0]),
      lostAfter(connector, seen[1]),
    ]);
    console.log(`lost after ${Math.round(atEdge)} and ${Math.round(atConnector)} ms`);
    expect(atEdge).toBeLessThanOrEqual(SILENCE_MS + LATE_MS);
    expect(atConnector).toBeLessThanOrEqual(SILENCE_MS + LATE_MS);
    await connector.event("connected", { after: seen[1] });
  }, 90_000);
});

function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** A relay of TCP that can fall silent: its connections stay open, and nothing passes. */
class Path implements AsyncDisposable {
  readonly #server: Server;
  readonly #pairs: (readonly [Socket, Socket])[] = [];

  private constructor(server: Server) {
    this.#server = server;
  }

  static async to(target: number): Promise<Path> {
    const server = createServer();
    const path = new Path(server);
    server.on("connection", (client) => {
      const far = connect({ host: "127.0.0.1", port: target });
      path.#pairs.push([client, far]);
      for (const socket of [client, far]) socket.on("error", () => undefined);
      client.pipe(far);
      far.pipe(client);
    });
    await within(
      new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve())),
      "the relay",
    );
    return path;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** For the connections there are; new ones pass. */
  darken(): void {
    for (const [client, far] of this.#pairs) {
      client.unpipe(far);
      far.unpipe(client);
      // Read and dropped: not even a full window tells them.
      client.on("data", () => undefined);
      far.on("data", () => undefined);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const sockets of this.#pairs) for (const socket of sockets) socket.destroy();
    await within(new Promise<void>((resolve) => this.#server.close(() => resolve())), "its end");
  }
}
