// This file is small real servers and waits with a deadline for the tests of sockets.
import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { within } from "../within.ts";

/** Waits turn by turn for something that no event tells. */
export async function eventually(what: string, holds: () => boolean, ms = 5_000): Promise<void> {
  const until = performance.now() + ms;
  while (!holds()) {
    if (performance.now() > until) throw new Error(`Waited ${ms} ms for ${what}`);
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

/** A promise with its ends outside. */
export function deferred<T>(): PromiseWithResolvers<T> {
  return Promise.withResolvers<T>();
}

/** A raw TCP server; connections are half-open, their errors recorded, all of them destroyed at the end. */
export class RawServer {
  readonly sockets: Socket[] = [];
  readonly errors: NodeJS.ErrnoException[] = [];
  readonly server: Server;
  readonly #arrivals: ((socket: Socket) => void)[] = [];
  #next = 0;

  constructor(accept: (socket: Socket, index: number) => void = () => {}) {
    this.server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on("error", (error) => this.errors.push(error));
      this.sockets.push(socket);
      accept(socket, this.sockets.length - 1);
      this.#arrivals.shift()?.(socket);
    });
  }

  async listen(where: { host: string; port?: number } | { path: string }): Promise<this> {
    this.server.listen("path" in where ? where : { port: 0, ...where });
    await within(once(this.server, "listening"), "a listening server");
    return this;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** The next connection that nobody has asked for yet. */
  accepted(): Promise<Socket> {
    const socket = this.sockets[this.#next++];
    if (socket !== undefined) return Promise.resolve(socket);
    const { promise, resolve } = deferred<Socket>();
    this.#arrivals.push(resolve);
    return within(promise, "a connection");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    if (!this.server.listening) return;
    const closed = once(this.server, "close");
    this.server.close();
    await within(closed, "a closed server");
  }
}

/** Resolves once `socket` has received `length` bytes. */
export function received(socket: Socket, length: number): Promise<Buffer> {
  const { promise, resolve, reject } = deferred<Buffer>();
  const chunks: Buffer[] = [];
  let total = 0;
  const onData = (chunk: Buffer): void => {
    chunks.push(chunk);
    total += chunk.length;
    if (total < length) return;
    socket.off("data", onData);
    resolve(Buffer.concat(chunks));
  };
  socket.on("data", onData);
  socket.once("close", () => reject(new Error(`Closed after ${total} of ${length} bytes`)));
  return within(promise, `${length} bytes`);
}

/** Resolves at the end of the peer's direction, with everything it sent: "end" for FIN, the error's code for RST. */
export function drained(socket: Socket): Promise<{ bytes: Buffer; how: string }> {
  const { promise, resolve } = deferred<{ bytes: Buffer; how: string }>();
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.once("end", () => resolve({ bytes: Buffer.concat(chunks), how: "end" }));
  socket.once("error", (error: NodeJS.ErrnoException) => {
    resolve({ bytes: Buffer.concat(chunks), how: error.code ?? error.message });
  });
  return within(promise, "the end of a connection");
}
