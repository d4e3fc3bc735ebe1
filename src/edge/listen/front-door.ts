// This file is the front door: the one public TLS listener; admits, reads the ClientHello, decides, hands over. http.md §1.
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { Server as TlsServer, TLSSocket } from "node:tls";
import type { Deadlines } from "../../deadlines.ts";
import { bug } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import { CHALLENGE_PROTOCOL } from "../certificates/index.ts";
import { Arrival, type ArrivalContext, type ArrivalTimeouts, type Decision } from "./arrival.ts";
import { bind, type ListenAddress } from "./bind.ts";
import { ALERT, type ClientHello } from "./client-hello.ts";
import { LINK_PROTOCOL } from "./links.ts";
import type { PeerLimits } from "./peer-limits.ts";

export interface FrontDoorOptions {
  readonly listen: ListenAddress;
  /** Shared with port 80: descriptors are one account. */
  readonly limits: PeerLimits;
  readonly timeouts: ArrivalTimeouts;
  readonly deadlines: Deadlines;
  readonly log: Logger;
  /** True when a certificate here covers the canonical name, or one is being ordered for it. */
  readonly isCovered: (serverName: string) => boolean;
  readonly visitors: TlsServer;
  readonly links: TlsServer;
  /** Answers of TLS-ALPN-01; absent where no CA validates. */
  readonly challenges?: {
    readonly server: TlsServer;
    /** True while a CA is expected to ask for this canonical name. */
    isExpected(serverName: string): boolean;
  };
}

/** Who a ClientHello belongs to. First match wins: the table of http.md §1. */
export function decide(
  hello: ClientHello,
  doors: Pick<FrontDoorOptions, "isCovered" | "visitors" | "links" | "challenges">,
): Decision {
  if (hello.alpn.length === 1 && hello.alpn[0] === LINK_PROTOCOL) {
    return { kind: "handOver", server: doors.links };
  }
  const { challenges } = doors;
  if (
    challenges !== undefined &&
    hello.alpn.length === 1 &&
    hello.alpn[0] === CHALLENGE_PROTOCOL &&
    hello.serverName !== undefined &&
    challenges.isExpected(hello.serverName)
  ) {
    return { kind: "handOver", server: challenges.server };
  }
  if (hello.serverName !== undefined && doors.isCovered(hello.serverName)) {
    return { kind: "handOver", server: doors.visitors };
  }
  // Never a default certificate: it would tell a scanner whose edge this is (S-22).
  return { kind: "refuse", alert: ALERT.unrecognizedName };
}

/**
 * Binds the listener and starts accepting.
 *
 * The front door owns each connection until its TLS handshake has ended; then `visitors` or `links` have given it to
 * their own callback. An exception about one connection ends that connection only.
 *
 * @throws TunlError `PORT_IN_USE`, `PORT_FORBIDDEN`, `LISTEN_FAILED`.
 */
export async function startFrontDoor(options: FrontDoorOptions): Promise<FrontDoor> {
  const door = new FrontDoor(options);
  await door.start();
  return door;
}

export class FrontDoor {
  readonly #options: FrontDoorOptions;
  readonly #server: Server;
  /** Every connection that is not closed, by `peerKey`. */
  readonly #arrivals = new Map<string, Arrival>();

  constructor(options: FrontDoorOptions) {
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  }

  async start(): Promise<void> {
    const { visitors, links, listen, log } = this.#options;
    this.#server.on("connection", this.#onConnection);
    visitors.on("secureConnection", this.#onSecure);
    links.on("secureConnection", this.#onSecure);
    this.#options.challenges?.server.on("secureConnection", this.#onSecure);
    await bind(this.#server, listen, "--listen");
    this.#server.on("error", (error) =>
      log.error("listen", `The listener failed: ${error.message}`),
    );
  }

  get port(): number {
    return this.address.port;
  }

  get address(): AddressInfo {
    const address = this.#server.address();
    return typeof address === "object" && address !== null
      ? address
      : bug("the front door is not bound");
  }

  /** Connections that are not closed, those handed over included. */
  get size(): number {
    return this.#arrivals.size;
  }

  /** A link has proven its key: it no longer counts against the connections of its address. */
  excuseLink(socket: TLSSocket): void {
    this.#arrivals.get(peerKey(socket))?.place.excuse();
  }

  /** A link has failed to prove its key; the tenth within a minute boxes its source. */
  strikeLink(address: string): void {
    this.#options.limits.strike("linkProof", address, performance.now());
  }

  /** Stops accepting; connections stay. The port is free when this returns. */
  close(): void {
    this.#server.close();
  }

  /** Stops accepting and closes every connection, handed over or not. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    // The server's own close event comes before those of its last sockets, whose places are given back there.
    const closed = [...this.#arrivals.values()].map((arrival) => arrival.abort());
    await Promise.all(closed);
    this.#options.visitors.off("secureConnection", this.#onSecure);
    this.#options.links.off("secureConnection", this.#onSecure);
    this.#options.challenges?.server.off("secureConnection", this.#onSecure);
  }

  readonly #onConnection = (socket: Socket): void => {
    const { log } = this.#options;
    socket.on("error", (error) =>
      log.debug("listen", "A connection failed", { error: error.message }),
    );
    try {
      this.#accept(socket);
    } catch (error) {
      this.#fail(socket, error);
    }
  };

  #accept(socket: Socket): void {
    const address = socket.remoteAddress;
    // Gone between the kernel's accept and ours.
    if (address === undefined) return void socket.destroy();
    const now = performance.now();
    const place = this.#options.limits.admit(address, now);
    if (typeof place === "string") return void socket.resetAndDestroy();
    const arrival = new Arrival(socket, place, this.#contextFor(socket, address), now);
    const key = peerKey(socket);
    this.#arrivals.set(key, arrival);
    socket.once("close", () => {
      if (this.#arrivals.get(key) === arrival) this.#arrivals.delete(key);
    });
    arrival.start();
  }

  #contextFor(socket: Socket, address: string): ArrivalContext {
    const { deadlines, timeouts, limits, log } = this.#options;
    return {
      deadlines,
      timeouts,
      decide: (hello) => decide(hello, this.#options),
      onMalformed: (reason) => {
        log.debug("listen", "Refused a ClientHello", { address, reason });
        limits.strike("hello", address, performance.now());
      },
      onBug: (error) => this.#fail(socket, error),
    };
  }

  readonly #onSecure = (socket: TLSSocket): void => {
    // Absent when the peer left while the event was under way; its close has done the accounts.
    const arrival = this.#arrivals.get(peerKey(socket));
    if (arrival?.state === "handshake") arrival.complete();
  };

  #fail(socket: Socket, error: unknown): void {
    this.#options.log.error("listen", "BUG: accepting a connection failed", {
      error: String(error),
    });
    socket.destroy();
  }
}

/** Names a TCP connection to this listener; the TLS socket on top of a raw one answers the same. */
function peerKey(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort} ${socket.localAddress}`;
}
