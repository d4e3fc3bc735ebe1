// This file is an address whose kernel drops every SYN: the queue of a listener that never accepts is full (Linux).
import { connect, type Socket } from "node:net";

import { eventually } from "./sockets.ts";
import { within } from "../within.ts";

/** Listens, says where, and blocks its loop for good. */
const PROGRAM = `
const server = require("node:net").createServer();
server.listen({ host: "127.0.0.1", port: 0, backlog: 1 }, () => {
  require("node:fs").writeSync(1, String(server.address().port) + "\\n");
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});
`;

/** Why there is no black hole on this machine, or undefined. */
export const noBlackHole =
  process.platform === "linux" ? undefined : "a full listen queue drops SYNs on Linux only";

/** 127.0.0.1 and a port on which connects hang. */
export class BlackHole {
  readonly port: number;
  readonly #process: Bun.Subprocess;
  readonly #fillers: readonly Socket[];

  constructor(port: number, process: Bun.Subprocess, fillers: readonly Socket[]) {
    this.port = port;
    this.#process = process;
    this.#fillers = fillers;
  }

  static async open(): Promise<BlackHole> {
    const child = Bun.spawn([process.execPath, "-e", PROGRAM], {
      stdout: "pipe",
      stderr: "inherit",
    });
    const { value } = await within(child.stdout.getReader().read(), "the port");
    const port = Number(new TextDecoder().decode(value));
    const fillers: Socket[] = [];
    let connected = 0;
    const fill = (): void => {
      const socket = connect({ host: "127.0.0.1", port });
      socket.on("error", () => {});
      socket.once("connect", () => {
        connected += 1;
        fill();
      });
      fillers.push(socket);
    };
    fill();
    // The queue is full when the newest connect has not come through for many turns of the loop, 50 ms at least.
    let seen = -1;
    let since = performance.now();
    await eventually("a full queue", () => {
      if (connected !== seen) {
        seen = connected;
        since = performance.now();
      }
      return performance.now() - since > 50;
    });
    return new BlackHole(port, child, fillers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#fillers) socket.destroy();
    this.#process.kill("SIGKILL");
    await within(this.#process.exited, "the end of the listener");
  }
}
