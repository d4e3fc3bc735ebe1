// This file is an origin and a visitor that do anything at any moment: what is told of it stays in order, whole or cut, and nobody's bytes reach another (S-08..S-11).
import { describe, expect, test } from "bun:test";
import type { Socket } from "node:net";
import { IS_SLOW } from "../../binary/tunl.ts";
import { Random } from "../../http1/support.ts";
import { within } from "../../within.ts";
import { RawServer } from "../sockets.ts";
import { bytesOf, Call, type RequestParts, Rig } from "./rig.ts";

const ROUNDS = IS_SLOW ? 20_000 : 600;
/** Requests of one origin at a time: they meet in its pool. */
const AT_A_TIME = 4;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Lets a few turns of the loop pass, or a moment. */
async function pass(random: Random): Promise<void> {
  if (random.below(8) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  else for (let count = random.below(4); count > 0; count--) await turn();
}

/** What an answer to a target has in its body. */
const bodyFor = (target: string, length: number): string =>
  `<${target}>`.repeat(Math.ceil(length / (target.length + 2)) + 1);

/** A response, most of the time a right one. */
function responseFor(target: string, random: Random): string {
  const body = bodyFor(target, random.pick([0, 10, 1_000, 100_000]));
  const early = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(random.pick([0, 0, 0, 1, 16, 17]));
  const close = random.pick(["", "", "", "Connection: close\r\n"]);
  switch (random.below(8)) {
    case 0:
      return `${early}HTTP/1.1 200 OK\r\n\r\n${body}`;
    case 1:
    case 2:
      return `${early}HTTP/1.1 200 OK\r\n${close}Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
    case 3:
      return `HTTP/1.1 200 OK\r\n${close}Content-Length: ${body.length}\r\n\r\n${body}extra`;
    case 4:
      return (
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n" + body
      );
    default:
      return `${early}HTTP/1.1 200 OK\r\n${close}Content-Length: ${body.length}\r\n\r\n${body}`;
  }
}

/** Serves a connection: answers in pieces, and now and then does something else. */
function misbehave(socket: Socket, random: Random): void {
  let text = "";
  socket.on("end", () => {
    if (random.below(2) === 0) socket.end();
  });
  socket.on("data", (bytes: Buffer) => {
    text += bytes.toString("latin1");
    const target = /(?:^|\r\n|\})[A-Z]+ (\/\d+) HTTP/.exec(text)?.[1];
    if (target === undefined) return;
    text = "";
    void answer(socket, responseFor(target, random), random);
  });
}

async function answer(socket: Socket, response: string, random: Random): Promise<void> {
  const isUntilClose = !/^(content-length|transfer-encoding|upgrade):/im.test(response);
  for (let at = 0; at < response.length && !socket.destroyed;) {
    const next = at + 1 + random.below(random.pick([5, 500, 200_000]));
    socket.write(response.slice(at, next), "latin1");
    at = next;
    if (random.below(3) === 0) await pass(random);
    const what = random.below(60);
    if (what === 0) return void socket.end();
    if (what === 1) return void socket.resetAndDestroy();
    if (what === 2) return void socket.destroy();
    if (what === 3) socket.pause();
    if (what === 4) socket.resume();
  }
  socket.resume();
  if (isUntilClose || random.below(10) === 0) socket.end();
}

/** One request, with whatever its visitor does. @returns The call, and whether the visitor left. */
async function visit(rig: Rig, target: string, random: Random): Promise<[Call, boolean]> {
  const method = random.pick(["GET", "GET", "HEAD", "POST", "DELETE"]);
  const length = method === "POST" ? random.pick([-1, 1, 5_000, 300_000]) : undefined;
  const isUpgrade = method === "GET" && random.below(6) === 0;
  const parts: RequestParts = {
    method,
    target,
    ...(length !== undefined && { length }),
    ...(isUpgrade && { upgrade: "raw" }),
  };
  const call = rig.call(parts);
  const whole = length === undefined ? 0 : length < 0 ? 20_000 : length;
  let written = 0;
  for (;;) {
    await pass(random);
    if (call.isOver && call.head?.status !== 101) return [call, false];
    const what = random.below(40);
    if (what === 0) {
      call.exchange.abort();
      return [call, true];
    }
    if (what === 1) call.exchange.pause();
    if (what === 2) call.exchange.resume();
    if (written < whole) {
      const bytes = new Uint8Array(Math.min(whole - written, 1 + random.below(50_000))).fill(0x7d);
      call.exchange.write(bytes);
      written += bytes.length;
    } else {
      if (isUpgrade) call.exchange.write(bytesOf("}raw}"));
      break;
    }
  }
  call.exchange.end();
  call.exchange.resume();
  // An upgraded connection has no end that must come.
  if (isUpgrade) await call.until("an answer", () => call.head !== undefined || call.isOver);
  if (call.head?.status !== 101) await call.over();
  else call.exchange.abort();
  return [call, call.head?.status === 101];
}

describe("an origin and visitors that do anything", () => {
  test(
    `${ROUNDS} rounds of ${AT_A_TIME} requests`,
    async () => {
      const random = new Random("chaos");
      const bugs: unknown[] = [];
      await using server = await new RawServer((socket) => misbehave(socket, random)).listen({
        host: "127.0.0.1",
      });
      using rig = new Rig(`http://127.0.0.1:${server.port}`, { onBug: (bug) => bugs.push(bug) });
      const ends: Record<string, number> = {};
      for (let round = 0; round < ROUNDS; round += AT_A_TIME) {
        const targets = Array.from({ length: AT_A_TIME }, (_, index) => `/${round + index}`);
        const visits = targets.map((target) => visit(rig, target, random));
        const calls = await within(Promise.all(visits), `round ${round}`);
        for (const [index, [call, hasLeft]] of calls.entries()) {
          const target = targets[index] as string;
          const name = hasLeft ? "left" : (call.log.at(-1) ?? "");
          ends[name] = (ends[name] ?? 0) + 1;
          // Only its own answer, of which a visitor may have a part only if he is told or left.
          const rest = call.text.replaceAll(`<${target}>`, "");
          expect([
            target,
            rest.length <= target.length + 2,
            `<${target}>`.startsWith(rest),
          ]).toEqual([target, true, true]);
          if (name !== "end" || call.head?.status === 101) continue;
          const { length = -1, hasBody = false } = call.head ?? {};
          if (hasBody && length >= 0) expect([target, call.bytes.length]).toEqual([target, length]);
        }
        // What the origin holds open for nobody does not pile up.
        for (const socket of server.sockets.splice(0, server.sockets.length - 8)) socket.destroy();
      }
      console.log(`chaos: ${JSON.stringify(ends)}`);
      expect(bugs).toEqual([]);
      expect(Object.keys(ends)).toContain("end");
    },
    IS_SLOW ? 170_000 : 30_000,
  );
});
