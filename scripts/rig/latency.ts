// This file is small requests one after the other on one kept connection, and how long each took. reliability.md S-42: others' p99.
import { connect } from "node:tls";
import type { ReaderGoal } from "./reader.ts";

/** Between two requests, ms: a probe, not a load. */
const BETWEEN_MS = 10;
const ANSWER_MS = 10_000;

/** Milliseconds of each of `count` requests for the small page of the rig's nginx. @throws Error unless each is a 200. */
export function latencies({ host, port, context }: ReaderGoal, count: number): Promise<number[]> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, servername: host, secureContext: context });
    const times: number[] = [];
    let received = "";
    let sentAt = 0;
    const ask = (): void => {
      received = "";
      sentAt = performance.now();
      socket.write(`GET /1k HTTP/1.1\r\nHost: ${host}:${port}\r\n\r\n`);
    };
    socket.setTimeout(ANSWER_MS, () => socket.destroy(new Error("no answer within 10 s")));
    socket.on("secureConnect", ask);
    socket.on("data", (bytes: Buffer) => {
      received += bytes.toString("latin1");
      const end = received.indexOf("\r\n\r\n");
      if (end < 0 || received.length < end + 4 + 1_024) return;
      if (!received.startsWith("HTTP/1.1 200 "))
        return void socket.destroy(new Error(`Answered ${received.slice(0, end)}`));
      times.push(performance.now() - sentAt);
      if (times.length < count) return void setTimeout(ask, BETWEEN_MS);
      resolve(times);
      socket.destroy();
    });
    socket.on("error", reject);
    socket.on("close", () =>
      reject(new Error(`The connection ended after ${times.length} answers`)),
    );
  });
}
