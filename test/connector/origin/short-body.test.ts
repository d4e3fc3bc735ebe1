// A request whose body ends short, and the next visitor: nothing of the one reaches the other, and no connection is used again. S-10.
import { describe, expect, test } from "bun:test";
import type { Socket } from "node:net";
import { IS_SLOW } from "../../binary/tunl.ts";
import { eventually, RawServer } from "../sockets.ts";
import { bytesOf, Rig } from "./rig.ts";

const ROUNDS = IS_SLOW ? 10_000 : 600;
const LURE = "GET /evil HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";

/** Offset behind the last chunk, -1 while it is not there. */
function endOfChunks(body: string): number {
  let at = 0;
  for (;;) {
    const size = /^([0-9a-f]+)\r\n/.exec(body.slice(at));
    if (size === null) return -1;
    const length = Number.parseInt(size[1] ?? "", 16);
    at += size[0].length + length + 2;
    if (length === 0) return at;
  }
}

/** What an origin that keeps its connections took for requests, and what of it was whole. */
class Origin {
  readonly heads: string[] = [];
  readonly answered: string[] = [];
  /** Connections on which a request began and is not whole. */
  readonly unfinished = new Set<Socket>();

  /** Answers each whole request with its own target; chunked bodies are whole at their last chunk. */
  accept(socket: Socket): void {
    let text = "";
    const serve = (): void => {
      for (;;) {
        const end = text.indexOf("\r\n\r\n");
        if (end < 0) return;
        const head = text.slice(0, end);
        const isChunked = /^transfer-encoding: chunked$/im.test(head);
        const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
        const body = text.slice(end + 4);
        const last = isChunked ? endOfChunks(body) : length;
        if (last < 0 || body.length < last) {
          if (this.heads.at(-1) !== head) this.heads.push(head);
          this.unfinished.add(socket);
          return;
        }
        this.heads.push(head);
        this.unfinished.delete(socket);
        text = body.slice(last);
        const target = head.split(" ")[1] ?? "";
        this.answered.push(target);
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${target.length}\r\n\r\n${target}`);
      }
    };
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      serve();
    });
  }

  targets(): string[] {
    return this.heads.map((head) => head.split(" ")[1] ?? "");
  }
}

describe("short request bodies (S-10)", () => {
  test(
    `cross to nobody in ${ROUNDS} rounds, and their connections are not used again [CVE-2026-33555]`,
    async () => {
      const origin = new Origin();
      await using server = await new RawServer((socket) => origin.accept(socket)).listen({
        host: "127.0.0.1",
      });
      using rig = new Rig(`http://127.0.0.1:${server.port}`);
      const whole = new Set<string>();
      for (let round = 0; round < ROUNDS; round++) {
        const parts = { method: "POST", target: `/cut/${round}` };
        const cut = rig.call({ ...parts, length: round % 2 === 0 ? 1_000 : -1 });
        // The body is announced longer than it comes, and looks like a request of somebody else.
        cut.exchange.write(bytesOf(LURE.slice(0, 1 + (round % LURE.length))));
        const leaves = round % 3;
        if (leaves === 0) cut.exchange.abort();
        const others = [0, 1].map((index) => rig.call({ target: `/whole/${round}/${index}` }));
        if (leaves === 1) cut.exchange.abort();
        for (const [index, other] of others.entries()) {
          await other.over();
          expect(other.text).toBe(`/whole/${round}/${index}`);
          whole.add(other.text);
        }
        // Ending a body of known length short is no way to complete it either.
        if (leaves === 2 && round % 2 === 0) {
          cut.exchange.end();
          expect((await cut.over()).failed?.code).toBe("BAD_REQUEST");
        }
        cut.exchange.abort();
      }
      expect(origin.targets().filter((target) => target.startsWith("/evil"))).toEqual([]);
      expect(origin.answered.filter((target) => !whole.has(target))).toEqual([]);
      expect(origin.answered).toHaveLength(2 * ROUNDS);
      // No end of a cut request is a clean one, and none of its connections is kept.
      await eventually("the cut connections to be reset", () =>
        [...origin.unfinished].every((socket) => socket.destroyed),
      );
      expect(origin.unfinished.size).toBeGreaterThan(ROUNDS / 4);
      expect(server.errors.length).toBeGreaterThanOrEqual(origin.unfinished.size);
      // The others share few connections, while each cut one that was sent had its own.
      expect(server.sockets.length).toBeLessThan(2 * ROUNDS);
    },
    IS_SLOW ? 120_000 : 30_000,
  );
});
