// This file is all visitor connections of the edge's HTTP/1.1 listeners: counted, drained, ended. http.md §3.3, §14.
import type { Socket } from "node:net";
import type { VisitorPeer } from "../request.ts";
import { VisitorConnection } from "./http1.ts";
import { Orphans } from "./orphans.ts";
import type { VisitorOptions } from "./visitor-options.ts";

/** The visitor connections that share one set of options. */
export class Visitors {
  readonly #options: VisitorOptions;
  readonly #connections = new Set<VisitorConnection>();
  #isDraining = false;
  readonly #drained = Promise.withResolvers<void>();

  constructor(options: VisitorOptions) {
    this.#options = { orphans: new Orphans(), ...options };
  }

  get count(): number {
    return this.#connections.size;
  }

  /**
   * Serves a socket that will speak HTTP/1.1, from its next byte on.
   *
   * @param socket Made with `allowHalfOpen`; after the TLS handshake where there is one. Bytes read before must be put
   *   back with `unshift`.
   * @param onClosed Called once when the connection is over.
   */
  accept(socket: Socket, peer: VisitorPeer, onClosed?: () => void): VisitorConnection {
    const connection = new VisitorConnection(socket, peer, this.#options, () => {
      this.#connections.delete(connection);
      onClosed?.();
      if (this.#isDraining && this.#connections.size === 0) this.#drained.resolve();
    });
    this.#connections.add(connection);
    connection.start();
    if (this.#isDraining) connection.drain();
    return connection;
  }

  /**
   * Idle connections are closed, the others after their response, which says so. Upgraded ones go on until they end or
   * are aborted.
   *
   * @returns Resolves when the last connection is over.
   */
  drain(): Promise<void> {
    this.#isDraining = true;
    for (const connection of [...this.#connections]) connection.drain();
    if (this.#connections.size === 0) this.#drained.resolve();
    return this.#drained.promise;
  }

  /** Resets every connection that is left. */
  abort(): void {
    for (const connection of [...this.#connections]) connection.abort();
  }
}
