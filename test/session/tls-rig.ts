// This file is real TLS 1.3 links over loopback, as dialled connectors and accepting edges have them.
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import {
  connect,
  type ConnectionOptions,
  createServer,
  type Server,
  type TLSSocket,
} from "node:tls";
import { makeSelfSigned, type PemPair } from "../../src/edge/certificates/internal-ca.ts";
import { ALPN } from "../../src/session/index.ts";
import { within } from "../within.ts";

let certificate: Promise<PemPair> | undefined;

/** A TLS server that hands out its sockets in the order they were secured. */
export class TlsDoor implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets: TLSSocket[] = [];
  readonly #dialled: TLSSocket[] = [];
  #waiting: ((socket: TLSSocket) => void)[] = [];
  #handed = 0;

  private constructor(server: Server) {
    this.#server = server;
    server.on("secureConnection", (socket) => {
      // What happens to it is told by the handshake; without a listener an RST would end the process.
      socket.on("error", () => undefined);
      this.#sockets.push(socket);
      const next = this.#waiting.shift();
      if (next !== undefined) next(this.#take());
    });
  }

  static async listen(): Promise<TlsDoor> {
    certificate ??= makeSelfSigned("tunl test", 1, Date.now());
    const { cert, key } = await certificate;
    const server = createServer({
      cert,
      key,
      minVersion: "TLSv1.3",
      ALPNProtocols: [ALPN],
      allowHalfOpen: true,
    });
    server.listen(0, "127.0.0.1");
    await within(once(server, "listening"), "the listener");
    return new TlsDoor(server);
  }

  #take(): TLSSocket {
    const socket = this.#sockets[this.#handed];
    if (socket === undefined) throw new Error("No socket was secured");
    this.#handed += 1;
    return socket;
  }

  /** The next secured socket. */
  accept(): Promise<TLSSocket> {
    if (this.#handed < this.#sockets.length) return Promise.resolve(this.#take());
    const { promise, resolve } = Promise.withResolvers<TLSSocket>();
    this.#waiting.push(resolve);
    return within(promise, "a link to be accepted");
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Dials this door, or another port that leads to it; any certificate will do. */
  async dial(port = this.port): Promise<TLSSocket> {
    const options: ConnectionOptions = {
      port,
      host: "127.0.0.1",
      ALPNProtocols: [ALPN],
      minVersion: "TLSv1.3",
      rejectUnauthorized: false,
    };
    const socket = connect(options);
    socket.on("error", () => undefined);
    this.#dialled.push(socket);
    await within(once(socket, "secureConnect"), "the TLS handshake");
    return socket;
  }

  /** Both ends of a new link. */
  async pair(port?: number): Promise<{ readonly edge: TLSSocket; readonly connector: TLSSocket }> {
    const [connector, edge] = await Promise.all([this.dial(port), this.accept()]);
    return { edge, connector };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of [...this.#dialled, ...this.#sockets]) socket.destroy();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    await within(promise, "the listener to close");
  }
}

/** Bytes that arrive on a socket, kept beside whoever else reads them. */
export function recorded(socket: TLSSocket): { readonly bytes: () => Buffer } {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(Buffer.from(chunk)));
  return { bytes: () => Buffer.concat(chunks) };
}
