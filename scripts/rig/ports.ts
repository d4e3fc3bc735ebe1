// This file is about ports of 127.0.0.1: whether one is free, one that is, and whether something listens there.
import { connect, createServer } from "node:net";

const HOST = "127.0.0.1";
const LISTENING_MS = 10_000;

/** True if nobody listens there. Somebody may take it a moment later: whoever binds it still has to look at the error. */
export async function isFree(port: number): Promise<boolean> {
  return (await bind(port)) !== undefined;
}

/** A port that the system had free a moment ago. */
export async function freePort(): Promise<number> {
  const port = await bind(0);
  if (port === undefined) throw new Error(`No free port on ${HOST}`);
  return port;
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

function bind(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(undefined));
    server.listen(port, HOST, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" ? address?.port : undefined));
    });
  });
}
