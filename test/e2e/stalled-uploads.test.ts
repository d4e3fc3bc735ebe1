// This file is an origin that stops reading while many upload to it: what waits for it is in the account, and nothing besides. PROTOCOL §5.3, §6.4; R-29.
import { once } from "node:events";
import type { TLSSocket } from "node:tls";
import { describe, expect, test } from "bun:test";
import { eventually } from "../binary/program.ts";
import { within } from "../within.ts";
import { rssOf, statusOf } from "./figures.ts";
import { App, CAN_RUN, TestEdge, Tunnel } from "./rig.ts";
import { dial } from "./visitor.ts";

const MIB = 1_024 * 1_024;
const UPLOADS = 40;
const BODY = 16 * MIB;
/** A connection that waits, its TLS and its exchange, and what the collector has not looked at, MiB each. */
const EACH_MIB = 0.8;

/** Sends a body for as long as it is taken. */
async function upload(edge: TestEdge, host: string): Promise<TLSSocket> {
  const socket = dial(edge, host);
  await within(once(socket, "secureConnect"), "a TLS handshake");
  const piece = Buffer.alloc(MIB);
  let left = BODY;
  const send = (): void => {
    while (left > 0) {
      left -= piece.length;
      if (!socket.write(piece)) return;
    }
  };
  socket.on("drain", send);
  socket.write(
    `POST /upload HTTP/1.1\r\nHost: ${host}:${edge.port}\r\nContent-Length: ${BODY}\r\n\r\n`,
  );
  send();
  return socket;
}

describe.skipIf(!CAN_RUN || process.platform !== "linux")("an origin that stops reading", () => {
  test(`makes ${UPLOADS} uploads wait: the edge holds of each what it counts`, async () => {
    await using app = await App.start();
    await using edge = await TestEdge.start({
      config: "limits: {connectionsPerIp: off, acceptPerIp: off}\n",
    });
    await using tunnel = await Tunnel.start({ target: String(app.port), name: "app", edge });
    for (let round = 0; round < 10; round++) await tunnel.get("/");
    await app.process.freeze();
    const before = rssOf(edge.process.pid);
    const errors: Error[] = [];
    const sockets: TLSSocket[] = [];
    for (let count = 0; count < UPLOADS; count++) {
      const socket = await upload(edge, tunnel.host);
      socket.on("error", (error: Error) => errors.push(error));
      sockets.push(socket);
    }
    // It stands still when all have sent what is taken of them.
    let last = -1;
    const { bytes, tables } = await eventually(async () => {
      await Bun.sleep(300);
      const status = await statusOf(edge);
      const unsent = status.bytes["unsent"] as number;
      const stands = unsent === last && unsent > 0;
      last = unsent;
      return stands ? status : undefined;
    }, "uploads that stand still");
    const held = (bytes["held"] as number) / MIB;
    // What was freed a moment ago is still in the hands of the allocator.
    const grown = await eventually(
      () => {
        const more = rssOf(edge.process.pid) - before;
        return more < held + EACH_MIB * UPLOADS ? more : undefined;
      },
      `${held.toFixed(0)} MiB counted, and at most ${EACH_MIB} MiB more of each`,
    );
    console.log(
      `${UPLOADS} uploads wait: ${held.toFixed(0)} MiB counted, ${grown.toFixed(0)} MiB more used`,
    );
    expect(tables["requests"]).toBe(UPLOADS);
    // They go on when the origin does.
    app.process.thaw();
    await eventually(
      async () => ((await statusOf(edge)).bytes["unsent"] !== last ? true : undefined),
      "progress",
    );
    expect((await tunnel.get("/bytes/1000")).status).toBe(200);
    expect(errors).toEqual([]);
    for (const socket of sockets) socket.destroy();
    await eventually(
      async () => ((await statusOf(edge)).tables["requests"] === 0 ? true : undefined),
      "an edge without requests",
    );
  }, 60_000);
});
