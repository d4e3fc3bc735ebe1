// This file is one end of a raw connection and its bytes: a visitor on TLS, an origin on TCP, TLS or a socket file.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import { WAIT_MS, within } from "../within.ts";
import type { Reachable } from "./rig.ts";

/** How the other side's direction ended: FIN, or RST. */
export type Ending = "end" | "reset";

/** One end of a connection, with everything that came. Half-open: its own direction ends when the test says so. */
export class Peer implements Disposable {
  readonly socket: Socket;
  readonly #chunks: Buffer[] = [];
  #text: string | undefined;
  #ending: Ending | undefined;
  #isClosed = false;
  readonly #checks = new Set<() => void>();

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (bytes: Buffer) => {
      this.#chunks.push(bytes);
      this.#text = undefined;
      this.#changed();
    });
    socket.on("end", () => this.#end("end"));
    socket.on("error", () => this.#end("reset"));
    socket.on("close", () => {
      this.#isClosed = true;
      this.#changed();
    });
  }

  /** Everything received, one character per byte. */
  get text(): string {
    this.#text ??= Buffer.concat(this.#chunks).toString("latin1");
    return this.#text;
  }

  /** How the other direction ended, if it did. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  /** Calls back with the head of each request; for requests without a body. */
  onHead(answer: (head: string) => void): void {
    let from = 0;
    this.socket.on("data", () => {
      for (let end; (end = this.text.indexOf("\r\n\r\n", from)) >= 0;) {
        const head = this.text.slice(from, end + 4);
        from = end + 4;
        answer(head);
      }
    });
  }

  send(text: string): void {
    this.socket.write(text, "latin1");
  }

  fin(text = ""): void {
    this.socket.end(text, "latin1");
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }

  /** Waits until the text received so far fits. */
  async until(fits: string | ((text: string) => boolean), what = `${fits}`): Promise<string> {
    const holds = typeof fits === "string" ? (text: string) => text.includes(fits) : fits;
    await this.#when(() => holds(this.text), what);
    return this.text;
  }

  /** Waits for the end of the other direction. A reset after a FIN is `untilReset`. */
  async ended(withinMs = WAIT_MS): Promise<Ending> {
    await this.#when(() => this.#ending !== undefined, "the end of a direction", withinMs);
    return this.#ending as Ending;
  }

  /** Waits for an RST, also behind a FIN. */
  async untilReset(): Promise<void> {
    await this.#when(() => this.#ending === "reset", "an RST");
  }

  async closed(): Promise<void> {
    await this.#when(() => this.#isClosed, "the end of a connection");
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  #end(how: Ending): void {
    // Our own destroy() ends it, too; the first word of the other side counts, and an RST after its FIN.
    if (how === "reset" || this.#ending === undefined) this.#ending = how;
    this.#changed();
  }

  #changed(): void {
    for (const check of this.#checks) check();
  }

  async #when(holds: () => boolean, what: string, withinMs = WAIT_MS): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const check = (): void => {
      if (holds()) resolve();
    };
    this.#checks.add(check);
    check();
    try {
      await within(promise, what, withinMs);
    } catch (error) {
      const so = `${this.text.length} bytes, ending ${this.#ending}: ${JSON.stringify(this.text.slice(0, 400))}`;
      throw new Error(`${(error as Error).message}; so far ${so}`, { cause: error });
    } finally {
      this.#checks.delete(check);
    }
  }
}

/** A visitor on TLS whose half of the connection may end alone. */
export async function visit(edge: Reachable, host: string): Promise<Peer> {
  const socket = connectTls({
    host: "127.0.0.1",
    port: edge.port,
    servername: host,
    ca: readFileSync(edge.ca),
    ALPNProtocols: ["http/1.1"],
    allowHalfOpen: true,
  } as Parameters<typeof connectTls>[0]);
  await within(once(socket, "secureConnect"), "the TLS handshake");
  return new Peer(socket);
}

export interface RawOriginSetup {
  /** Socket file; else a port of 127.0.0.1. */
  readonly path?: string;
  readonly port?: number;
  /** PEM; absent: no TLS. */
  readonly key?: string;
  readonly cert?: string;
}

/** An origin made of bytes. What arrives is handed out in order by `accepted`, or to `serve`. */
export class RawOrigin implements AsyncDisposable {
  readonly peers: Peer[] = [];
  readonly #server: Server;
  readonly #waiting: ((peer: Peer) => void)[] = [];
  #next = 0;

  constructor(setup: RawOriginSetup, serve: (peer: Peer) => void) {
    const accept = (socket: Socket): void => {
      const peer = new Peer(socket);
      this.peers.push(peer);
      serve(peer);
      this.#waiting.shift()?.(peer);
    };
    const { key, cert } = setup;
    const open = { allowHalfOpen: true };
    this.#server =
      key === undefined || cert === undefined
        ? createServer(open, accept)
        : createTlsServer({ ...open, key, cert } as object, accept);
    // A handshake that fails is the subject of a test, not its fault.
    this.#server.on("tlsClientError", () => undefined);
  }

  static async start(
    setup: RawOriginSetup = {},
    serve: (peer: Peer) => void = () => undefined,
  ): Promise<RawOrigin> {
    const origin = new RawOrigin(setup, serve);
    const { path, port = 0 } = setup;
    origin.#server.listen(path === undefined ? { host: "127.0.0.1", port } : { path });
    await within(once(origin.#server, "listening"), "the origin");
    return origin;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** The next connection nobody has asked for yet. */
  accepted(): Promise<Peer> {
    const peer = this.peers[this.#next++];
    if (peer !== undefined) return Promise.resolve(peer);
    const { promise, resolve } = Promise.withResolvers<Peer>();
    this.#waiting.push(resolve);
    return within(promise, "a connection at the origin");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const peer of this.peers) peer[Symbol.dispose]();
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    await within(closed, "the end of the origin");
  }
}
