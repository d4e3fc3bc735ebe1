// This file is TCP and TLS to an edge: all its addresses, TLS 1.3, ALPN tunl/1. PROTOCOL §3.1, §7.6.
import { isIP, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";

import type { Deadline, Deadlines } from "../deadlines.ts";
import { TunlError } from "../errors.ts";
import {
  type Address,
  alternate,
  isLocalhost,
  literalAddress,
  LOOPBACK,
  type Lookup,
  preferring,
  systemLookup,
} from "./addresses.ts";
import { type AttemptError, race } from "./race.ts";
import { wordsOf } from "../system-words.ts";

/** The one protocol offered: whatever else listens there refuses the handshake. */
export const LINK_PROTOCOL = "tunl/1";

export interface DialOptions {
  /** Name or address of the edge, as configured. */
  readonly host: string;
  readonly port: number;
  readonly family: "auto" | 4 | 6;
  /** Bounds resolving and connecting together. */
  readonly connectTimeoutMs: number;
  readonly tlsTimeoutMs: number;
  readonly deadlines: Deadlines;
  /** The address that worked last: tried first, and alone when the name cannot be resolved. */
  readonly lastGood?: string | undefined;
  /** Stands in for the system's resolver. */
  readonly lookup?: Lookup;
  /** Gives the dial up: whatever was opened is destroyed. */
  readonly signal?: AbortSignal;
}

/** A link before its handshake. */
export interface DialledEdge {
  readonly socket: TLSSocket;
  /** The address that answered: `lastGood` of the next dial. */
  readonly address: string;
}

/**
 * Connects to an edge.
 *
 * Any certificate is accepted: the edge proves its key inside the channel, bound to it (PROTOCOL §3.1). The socket is
 * half-open, nothing was read from it, and its `error` listener is a silent one: `close` tells the rest.
 *
 * @throws TunlError `EDGE_UNREACHABLE`, retryable: no address, nobody listens, too slow, TLS refused, or given up.
 */
export function dialEdge(options: DialOptions): Promise<DialledEdge> {
  return new Promise((resolve, reject) => new Dial(options, resolve, reject).start());
}

class Dial {
  readonly #options: DialOptions;
  readonly #resolve: (edge: DialledEdge) => void;
  readonly #reject: (error: TunlError) => void;
  #isOver = false;
  #deadline: Deadline | undefined;
  #cancelRace: (() => void) | undefined;
  #socket: Socket | undefined;

  constructor(
    options: DialOptions,
    resolve: (edge: DialledEdge) => void,
    reject: (error: TunlError) => void,
  ) {
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(): void {
    const { host, port, signal, connectTimeoutMs, lookup = systemLookup } = this.#options;
    if (signal?.aborted) return this.#fail(`Dialling ${placeOf(host, port)} was given up`);
    signal?.addEventListener("abort", this.#onAbort);
    this.#limit(connectTimeoutMs, host);
    const literal = literalAddress(host);
    if (literal !== undefined) return this.#connect([literal]);
    if (isLocalhost(host)) return this.#connect(LOOPBACK);
    lookup(host, (error, addresses) => {
      if (this.#isOver) return;
      const last = literalAddress(this.#options.lastGood ?? "");
      if (addresses.length > 0) this.#connect(alternate(addresses));
      else if (last !== undefined) this.#connect([last]);
      else
        this.#fail(
          `Cannot resolve "${host}": ${error === undefined ? "no address" : wordsOf(error)}`,
          error,
        );
    });
  }

  #connect(found: readonly Address[]): void {
    const { host, port, family, lastGood } = this.#options;
    const addresses = preferring(
      family === "auto" ? found : found.filter((address) => address.family === family),
      lastGood,
    );
    const only = addresses[0];
    if (only === undefined) return this.#fail(`"${host}" has no IPv${family} address`);
    if (addresses.length === 1) this.#limit(this.#options.connectTimeoutMs, only.host);
    this.#cancelRace = race({ addresses, port }, "racing", {
      connected: (socket, address) => this.#secure(socket, address?.host ?? host),
      failed: (errors) => this.#fail(refusal(errors, port), errors.at(-1)?.error),
    });
  }

  #secure(socket: Socket, address: string): void {
    const { host, port, tlsTimeoutMs } = this.#options;
    const place = placeOf(address, port);
    this.#socket = socket;
    socket.on("error", ignore);
    this.#limit(tlsTimeoutMs, address, "TLS handshake with");
    const settings: ConnectionOptions & { allowHalfOpen: boolean } = {
      socket,
      allowHalfOpen: true,
      minVersion: "TLSv1.3",
      ALPNProtocols: [LINK_PROTOCOL],
      // The certificate says nothing here; PROOF does, over the exporter of this very channel.
      rejectUnauthorized: false,
      ...(literalAddress(host) === undefined ? { servername: host } : {}),
    };
    const secured = connectTls(settings);
    this.#socket = secured;
    secured.on("error", (error: NodeJS.ErrnoException) => {
      this.#fail(`TLS handshake with ${place} failed: ${wordsOf(error)}`, error);
    });
    secured.once("close", () =>
      this.#fail(`TLS handshake with ${place} failed: connection closed`),
    );
    secured.once("secureConnect", () => {
      if (this.#isOver) return;
      if (secured.alpnProtocol !== LINK_PROTOCOL) {
        return this.#fail(`TLS handshake with ${place} failed: that server is no edge`);
      }
      this.#finish();
      this.#resolve({ socket: secured, address });
    });
  }

  readonly #onAbort = (): void => {
    this.#fail(`Dialling ${placeOf(this.#options.host, this.#options.port)} was given up`);
  };

  #limit(afterMs: number, host: string, what = "Dialling"): void {
    this.#deadline?.cancel();
    const text = `${what} ${placeOf(host, this.#options.port)} timed out after ${afterMs / 1_000} s`;
    this.#deadline = this.#options.deadlines.schedule(afterMs, () => this.#fail(text));
  }

  /** The first end wins; also what `error` and `close` of a delivered socket still call. */
  #fail(message: string, cause?: unknown): void {
    if (this.#isOver) return;
    this.#finish();
    this.#cancelRace?.();
    this.#socket?.destroy();
    this.#reject(new TunlError("EDGE_UNREACHABLE", message, { cause, retryable: true }));
  }

  #finish(): void {
    this.#isOver = true;
    this.#deadline?.cancel();
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
  }
}

/** The raw socket below TLS reports what the TLS socket reports too. */
function ignore(): void {
  return;
}

function placeOf(host: string, port: number): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}

function refusal(errors: readonly AttemptError[], port: number): string {
  // Both addresses of a name mostly fail alike, which is said once.
  const places = new Map<string, string[]>();
  for (const { where, error } of errors) {
    const reason = wordsOf(error);
    places.set(reason, [...(places.get(reason) ?? []), placeOf(where, port)]);
  }
  const texts = [...places].map(([reason, alike]) => `${alike.join(" and ")} failed: ${reason}`);
  return `Dialling ${texts.join(", ")}`;
}
