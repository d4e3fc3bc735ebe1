// This file is the listener of port 80: the admission of port 443, then HTTP/1.1 in plain text. http.md §1 "Port 80".
import { createServer, type Server, type Socket } from "node:net";
import { bug } from "../../errors.ts";
import { bind, type ListenAddress } from "./bind.ts";
import type { PeerLimits } from "./peer-limits.ts";
import { remoteOf } from "./remote.ts";
import type { Visitors } from "./visitors.ts";

export interface PlainListenerOptions {
  readonly listen: ListenAddress;
  /** Shared with port 443: descriptors are one account. */
  readonly limits: PeerLimits;
  readonly visitors: Visitors;
  readonly loopMark: string;
}

/** Binds and accepts. @throws TunlError `PORT_IN_USE`, `PORT_FORBIDDEN`, `LISTEN_FAILED`. */
export async function startPlainListener(options: PlainListenerOptions): Promise<PlainListener> {
  const listener = new PlainListener(options);
  await listener.start();
  return listener;
}

export class PlainListener {
  readonly #options: PlainListenerOptions;
  readonly #server: Server;

  constructor(options: PlainListenerOptions) {
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
  }

  async start(): Promise<void> {
    await bind(this.#server, this.#options.listen, "--http");
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null
      ? address.port
      : bug("the plain listener is not bound");
  }

  /** Stops accepting; connections stay. */
  close(): void {
    this.#server.close();
  }

  /**
   * Lets its visitors finish: `Visitors.drain`. `close` comes first, or new ones go on arriving to be sent away.
   *
   * @returns Resolves when the last connection is over.
   */
  drain(): Promise<void> {
    return this.#options.visitors.drain();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#options.visitors.abort();
  }

  #accept(socket: Socket): void {
    // Without a listener an error would end the process; `close` follows and says all there is to say.
    socket.on("error", () => undefined);
    const remote = remoteOf(socket);
    if (remote === undefined) {
      socket.destroy();
      return;
    }
    const place = this.#options.limits.admit(remote.address, performance.now());
    if (typeof place === "string") {
      socket.resetAndDestroy();
      return;
    }
    place.settle();
    socket.once("close", () => place.release());
    const { visitors, loopMark } = this.#options;
    // Every host is "covered" here: there is no certificate to contradict, and nothing but redirects to give.
    visitors.accept(socket, {
      scheme: "http",
      tls: undefined,
      remote,
      covers: () => true,
      publicPorts: [this.port],
      loopMark,
    });
  }
}
