// This file is a TCP proxy between a connector and its edge that fails on request: RST, FIN or silence, at a byte of one direction.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { within } from "../within.ts";

/** `fin`: both sides read an end. `dark`: nothing is forwarded any more, nothing is said. */
export type Fault = "rst" | "fin" | "dark";
export type Direction = "toEdge" | "toConnector";

/** One pair of sockets. */
interface Pair {
  readonly connector: Socket;
  readonly edge: Socket;
  isDark: boolean;
}

/** A fault that waits for its byte. */
interface Armed {
  readonly fault: Fault;
  readonly direction: Direction;
  left: number;
  readonly done: () => void;
}

export class FaultProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #armed: Armed | undefined;

  private constructor(edgePort: number) {
    this.#server = createServer({ allowHalfOpen: true }, (connector) => {
      const edge = connect({ host: "127.0.0.1", port: edgePort, allowHalfOpen: true });
      const pair: Pair = { connector, edge, isDark: false };
      this.#pairs.add(pair);
      this.#forward(pair, connector, edge, "toEdge");
      this.#forward(pair, edge, connector, "toConnector");
    });
  }

  static async start(edgePort: number): Promise<FaultProxy> {
    const proxy = new FaultProxy(edgePort);
    proxy.#server.listen({ host: "127.0.0.1", port: 0 });
    await within(once(proxy.#server, "listening"), "the proxy");
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Fails once, after so many more bytes of a direction; the byte after them is not forwarded. New links are whole again. */
  async failAfter(bytes: number, direction: Direction, fault: Fault): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#armed = { fault, direction, left: bytes, done: resolve };
    await promise;
  }

  /** Fails now what has not failed. */
  failNow(fault: Fault): void {
    this.#armed?.done();
    this.#armed = undefined;
    for (const pair of this.#pairs) this.#fail(pair, fault);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { connector, edge } of this.#pairs) {
      connector.destroy();
      edge.destroy();
    }
    const closed = once(this.#server, "close");
    this.#server.close();
    await within(closed, "the end of the proxy");
  }

  #forward(pair: Pair, from: Socket, to: Socket, direction: Direction): void {
    from.on("error", () => to.resetAndDestroy());
    from.on("end", () => {
      if (!pair.isDark) to.end();
    });
    from.on("close", () => {
      this.#pairs.delete(pair);
      to.destroy();
    });
    from.on("drain", () => to.resume());
    from.on("data", (bytes: Buffer) => {
      if (pair.isDark) return;
      const armed = this.#armed;
      if (armed === undefined || armed.direction !== direction || bytes.length <= armed.left) {
        if (armed?.direction === direction) armed.left -= bytes.length;
        if (!to.write(bytes)) from.pause();
        return;
      }
      this.#armed = undefined;
      pair.isDark = true;
      const fail = (): void => {
        this.#fail(pair, armed.fault);
        armed.done();
      };
      // The last bytes have to be on their way before an RST takes what waits with it. Of an empty write nobody hears.
      if (armed.left === 0) fail();
      else to.write(bytes.subarray(0, armed.left), fail);
    });
  }

  #fail(pair: Pair, fault: Fault): void {
    pair.isDark = true;
    if (fault === "dark") return;
    for (const socket of [pair.connector, pair.edge]) {
      if (fault === "rst") socket.resetAndDestroy();
      else socket.destroy();
    }
  }
}
