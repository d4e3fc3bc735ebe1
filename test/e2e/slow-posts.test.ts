// This file is request bodies that come in small pieces, by the hundred: each piece is at the service before the next one comes, and nothing of them piles up at either end. security.md S-41.
import { describe, expect, test } from "bun:test";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import { eventually } from "../binary/program.ts";
import { IS_SLOW, tunl } from "../binary/tunl.ts";
import { memoryOf } from "../../scripts/rig/process-figures.ts";
import { within } from "../within.ts";
import { CAN_RUN, TestEdge, Tunnel } from "./rig.ts";

const KIB = 1_024;
const POSTS = IS_SLOW ? 500 : 100;
/** What each announces, and how many KiB of it come: more than it may cost, where bodies are kept. */
const ANNOUNCED = 1_024 * KIB;
const ROUNDS = IS_SLOW ? 256 : 64;
const PIECE = Buffer.alloc(KIB, "p");
/** Before the memory is looked at for the first time: code is compiled, buffers are grown. */
const WARM_UP = { posts: 100, rounds: 64 } as const;
/** Visitors that connect at a time. */
const AT_A_TIME = 25;
const MEASURES = IS_SLOW && process.platform === "linux";
/** What one of them may cost the edge, its connection included (S-41). */
const EACH_BYTES = 64 * KIB;

/** A service that reads bodies, and says how much of them came. */
class CountingService implements AsyncDisposable {
  received = 0;
  ended = 0;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      request.on("data", (bytes: Buffer) => (this.received += bytes.length));
      request.on("end", () => {
        this.ended += 1;
        response.end("whole");
      });
    });
    this.#server.on("connection", (socket) => socket.on("error", () => undefined));
  }

  static async start(): Promise<CountingService> {
    const service = new CountingService();
    service.#server.listen(0, "127.0.0.1");
    await within(once(service.#server, "listening"), "the service");
    return service;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

/** Posts of one tunnel that are in the middle of their bodies, until they are left there. */
class Posts implements Disposable {
  readonly sockets: TLSSocket[] = [];
  readonly #tunnel: Tunnel;
  readonly #service: CountingService;

  constructor(tunnel: Tunnel, service: CountingService) {
    this.#tunnel = tunnel;
    this.#service = service;
  }

  async open(count: number): Promise<void> {
    const ca = readFileSync(this.#tunnel.edge.ca);
    while (this.sockets.length < count) {
      const some = Array.from({ length: Math.min(AT_A_TIME, count - this.sockets.length) }, () =>
        this.#dial(ca),
      );
      await Promise.all(some);
    }
  }

  async #dial(ca: Buffer): Promise<void> {
    const { edge, host } = this.#tunnel;
    const socket = connect({ host: "127.0.0.1", port: edge.port, servername: host, ca });
    this.sockets.push(socket);
    await within(once(socket, "secureConnect"), "the TLS handshake");
    // A connection that the edge ends is found by the bytes that do not come.
    socket.on("error", () => undefined);
    socket.write(
      `POST /slow HTTP/1.1\r\nHost: ${host}:${edge.port}\r\nContent-Length: ${ANNOUNCED}\r\n\r\n`,
    );
  }

  /** One piece of each body at a time; the next one comes when all are at the service. */
  async send(rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      const wanted = this.#service.received + this.sockets.length * PIECE.length;
      for (const socket of this.sockets) socket.write(PIECE);
      await eventually(
        () => (this.#service.received === wanted ? true : undefined),
        `round ${round} at the service`,
      );
    }
  }

  [Symbol.dispose](): void {
    for (const socket of this.sockets) socket.destroy();
  }
}

async function heldBytes(home: string): Promise<number> {
  const { stdout } = await tunl(["status", "--json"], { home });
  const status: {
    edge?: { bytes: { held: number } };
    connectors: readonly { bytes: { unconsumed: number } }[];
  } = JSON.parse(stdout);
  return status.edge?.bytes.held ?? status.connectors[0]?.bytes.unconsumed ?? Number.NaN;
}

/** Resident bytes once they do not fall any more: garbage of a moment ago is not what is asked for. */
async function settled({ process: { pid } }: TestEdge): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let look = 0; look < 8; look++) {
    await Bun.sleep(1_000);
    least = Math.min(least, memoryOf(pid).rss);
  }
  return least;
}

describe.skipIf(!CAN_RUN)("slow posts", () => {
  test(
    `${POSTS} of them: all that came is at the service, and held nowhere else (S-41)`,
    async () => {
      await using service = await CountingService.start();
      await using edge = await TestEdge.start();
      await using tunnel = await Tunnel.start({ target: String(service.port), edge });
      const nothingHeld = async (): Promise<void> => {
        for (const home of [edge.home, tunnel.home])
          await eventually(
            async () => ((await heldBytes(home)) === 0 ? true : undefined),
            "an end of what is held",
          );
      };
      if (IS_SLOW) {
        using warm = new Posts(tunnel, service);
        await warm.open(WARM_UP.posts);
        await warm.send(WARM_UP.rounds);
      }
      await nothingHeld();
      const before = MEASURES ? await settled(edge) : 0;
      using posts = new Posts(tunnel, service);
      await posts.open(POSTS);
      await posts.send(ROUNDS);
      expect(service.ended).toBe(0);
      expect(posts.sockets.filter(({ destroyed }) => destroyed)).toEqual([]);
      await nothingHeld();
      if (!MEASURES) return;
      const each = ((await settled(edge)) - before) / POSTS;
      console.log(`${POSTS} slow posts: ${(each / KIB).toFixed(1)} KiB each`);
      expect(each).toBeLessThan(EACH_BYTES);
    },
    IS_SLOW ? 170_000 : 30_000,
  );
});
