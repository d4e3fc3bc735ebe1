// This file is about ports of 127.0.0.1: whether one is free, one that is, and whether something listens there.
import { connect, createServer } from "node:net";

const HOST = "127.0.0.1";
const LISTENING_MS = 10_000;

/** True if nobody listens there. Somebody may take it a moment later: whoever binds it still has to look at the error. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, HOST, () => server.close(() => resolve(true)));
  });
}

/** Ports that were given already: whoever has one listens there a moment later. */
const given = new Set<number>();

/**
 * A port on which nobody listens now, below those that the system hands out by itself: no connection beside it gets it in
 * between, not even while who listened there is started again.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) return port;
  }
  throw new Error(`No port between 10000 and 30000 is free on ${HOST}`);
}

/** Waits until a connection is accepted. @throws Error after 10 s. */
export async function listening(port: number): Promise<void> {
  const deadline = performance.now() + LISTENING_MS;
  while (!(await canConnect(port))) {
    if (performance.now() > deadline)
      throw new Error(`Nothing listens on ${HOST}:${port} after ${LISTENING_MS / 1_000} s`);
    await Bun.sleep(10);
  }
}

/** True if a connection is accepted. */
export function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: HOST, port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
