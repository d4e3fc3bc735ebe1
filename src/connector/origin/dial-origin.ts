// This file is a connection to an origin: which addresses, how long, what a failure is called (http.md §11, R-23).
import type { Socket } from "node:net";

import type { Deadline, Deadlines } from "../../deadlines.ts";
import type { Failure, FailureCode } from "../../exchange/index.ts";
import {
  type Address,
  alternate,
  isLocalhost,
  literalAddress,
  LOOPBACK,
  type Lookup,
  preferring,
  systemLookup,
} from "../addresses.ts";
import { type AttemptError, type Endpoint, race } from "../race.ts";
import type { HttpTarget, UnixTarget } from "../target.ts";
import { failure, isRefusal, reasonOf } from "./failures.ts";
import type { OriginTls } from "./tls.ts";

/** Someone who restarts a dev server costs a visitor this much patience, not an error. */
export const REFUSED_RETRY_MS = 1_000;
/** Between two attempts of that second. */
export const REFUSED_PAUSE_MS = 100;
/** An origin that has refused for this long is down: its answer is immediate. */
export const REFUSED_DOWN_MS = 10_000;
/** What Go's dialer does where nothing is said. */
const TCP_KEEP_ALIVE_MS = 15_000;
export const NAME_FRESH_MS = 30_000;
/** When the resolver fails, older answers are better than none. */
export const NAME_STALE_MS = 300_000;

export interface OriginDialerOptions {
  readonly target: HttpTarget | UnixTarget;
  /** Absent: plain TCP. */
  readonly tls: OriginTls | undefined;
  /** Bounds resolving, all addresses and the retries together; 0: the kernel and the visitor's patience do. */
  readonly connectTimeoutMs: number;
  /** 0: the visitor's patience bounds it. */
  readonly tlsTimeoutMs: number;
  /** 0: `TCP_KEEP_ALIVE_MS`, as in cloudflared. */
  readonly tcpKeepAliveMs: number;
  /** True: addresses are tried one after the other. */
  readonly noHappyEyeballs: boolean;
  readonly deadlines: Deadlines;
  readonly lookup?: Lookup;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

/** What became of a dial. A delivered socket is half-open and not paused; its owner adds an `error` listener at once. */
export interface DialEvents {
  connected(socket: Socket): void;
  /** `sent` is false: no byte of a request left. */
  failed(failure: Failure): void;
}

/** Dials one origin, again and again; remembers which family worked, what its name meant and since when it refuses. */
export class OriginDialer {
  readonly options: OriginDialerOptions;
  readonly now: () => number;
  readonly #literal: Address | undefined;
  #lastGood: string | undefined;
  #refusedSince: number | undefined;
  #known: { readonly addresses: readonly Address[]; readonly at: number } | undefined;

  constructor(options: OriginDialerOptions) {
    this.options = options;
    this.now = options.now ?? (() => performance.now());
    const { target } = options;
    this.#literal = target.kind === "http" ? literalAddress(target.host) : undefined;
  }

  /**
   * Starts a dial; exactly one event follows, asynchronously.
   *
   * @param serverName Name for TLS; unused without.
   * @returns Gives the dial up: no event follows.
   */
  dial(serverName: string, events: DialEvents): () => void {
    const dial = new OriginDial(this, serverName, events);
    dial.start();
    return () => dial.cancel();
  }

  /** Where to connect now, in which order. */
  resolve(done: (endpoint: Endpoint | NodeJS.ErrnoException) => void): void {
    const { target, lookup = systemLookup } = this.options;
    if (target.kind === "unix") return done({ path: target.path });
    const { host, port } = target;
    if (this.#literal !== undefined) return done({ addresses: [this.#literal], port });
    // Never resolved: one family of the hosts file is not the one the dev server chose (platform.md §2).
    if (isLocalhost(host)) return done({ addresses: preferring(LOOPBACK, this.#lastGood), port });
    const known = this.#known;
    const age = known === undefined ? Number.POSITIVE_INFINITY : this.now() - known.at;
    if (known !== undefined && age <= NAME_FRESH_MS)
      return done({ addresses: known.addresses, port });
    lookup(host, (error, addresses) => {
      if (addresses.length > 0) {
        this.#known = { addresses: alternate(addresses), at: this.now() };
        done({ addresses: this.#known.addresses, port });
      } else if (known !== undefined && age <= NAME_STALE_MS)
        done({ addresses: known.addresses, port });
      else done(error ?? new Error("the name has no address"));
    });
  }

  succeeded(address: Address | undefined): void {
    this.#refusedSince = undefined;
    this.#lastGood = address?.host;
  }

  /** @returns True when it has refused long enough to be called down. */
  refused(): boolean {
    this.#refusedSince ??= this.now();
    return this.now() - this.#refusedSince >= REFUSED_DOWN_MS;
  }
}

/** One dial: resolve, race, perhaps again for a second, then TLS. */
class OriginDial {
  readonly #dialer: OriginDialer;
  readonly #serverName: string;
  readonly #events: DialEvents;
  readonly #startedAt: number;
  #isOver = false;
  #deadline: Deadline | undefined;
  #cancelRace: (() => void) | undefined;
  #pause: Timer | undefined;
  #socket: Socket | undefined;

  constructor(dialer: OriginDialer, serverName: string, events: DialEvents) {
    this.#dialer = dialer;
    this.#serverName = serverName;
    this.#events = events;
    this.#startedAt = dialer.now();
  }

  start(): void {
    const { connectTimeoutMs } = this.#dialer.options;
    this.#limit(connectTimeoutMs, "ORIGIN_CONNECT_TIMEOUT", "Connecting to");
    this.#attempt();
  }

  cancel(): void {
    this.#finish();
    this.#cancelRace?.();
    this.#socket?.destroy();
  }

  #attempt(): void {
    this.#dialer.resolve((endpoint) => {
      if (this.#isOver) return;
      if (endpoint instanceof Error) {
        const text = `Cannot resolve ${this.#dialer.options.target.url}: ${reasonOf(endpoint)}`;
        return this.#fail("ORIGIN_UNREACHABLE", text);
      }
      const { noHappyEyeballs, connectTimeoutMs } = this.#dialer.options;
      const elapsed = this.#dialer.now() - this.#startedAt;
      const withinMs = connectTimeoutMs === 0 ? undefined : connectTimeoutMs - elapsed;
      this.#cancelRace = race(endpoint, noHappyEyeballs ? { withinMs } : "racing", {
        connected: (socket, address) => this.#connected(socket, address),
        failed: (errors) => this.#attemptFailed(errors),
      });
    });
  }

  #attemptFailed(errors: readonly AttemptError[]): void {
    const { url } = this.#dialer.options.target;
    const reasons = errors
      .map(({ where, error }) => `${where} ${error.code ?? error.message}`)
      .join(", ");
    const text = `Connecting to ${url} failed: ${reasons}`;
    if (!errors.some(({ error }) => isRefusal(error))) {
      const isTimeout = errors.every(({ error }) => error.code === "ETIMEDOUT");
      return this.#fail(isTimeout ? "ORIGIN_CONNECT_TIMEOUT" : "ORIGIN_UNREACHABLE", text);
    }
    const isDown = this.#dialer.refused();
    const elapsed = this.#dialer.now() - this.#startedAt;
    if (isDown || elapsed + REFUSED_PAUSE_MS > REFUSED_RETRY_MS) {
      return this.#fail("ORIGIN_REFUSED", text);
    }
    this.#pause = setTimeout(() => this.#attempt(), REFUSED_PAUSE_MS);
  }

  #connected(socket: Socket, address: Address | undefined): void {
    const { options } = this.#dialer;
    this.#dialer.succeeded(address);
    if (options.target.kind === "http")
      socket.setKeepAlive(true, options.tcpKeepAliveMs || TCP_KEEP_ALIVE_MS);
    if (options.tls === undefined) {
      this.#finish();
      this.#events.connected(socket);
      return;
    }
    // The raw socket stays listened to; what it reports, TLS on top reports as well (test/platform/sockets.test.ts).
    socket.on("error", ignore);
    this.#limit(options.tlsTimeoutMs, "ORIGIN_TLS", "TLS handshake with");
    const secured = options.tls.connect(socket, this.#serverName);
    this.#socket = secured;
    const text = `TLS handshake with ${options.target.url} failed`;
    const onError = (error: Error): void => this.#fail("ORIGIN_TLS", `${text}: ${reasonOf(error)}`);
    const onClose = (): void => this.#fail("ORIGIN_TLS", `${text}: connection closed`);
    secured.on("error", onError);
    secured.once("close", onClose);
    secured.once("secureConnect", () => {
      if (this.#isOver) return;
      this.#finish();
      this.#events.connected(secured);
      secured.off("error", onError);
      secured.off("close", onClose);
    });
  }

  #limit(afterMs: number, code: FailureCode, what: string): void {
    this.#deadline?.cancel();
    if (afterMs === 0) return;
    const text = `${what} ${this.#dialer.options.target.url} timed out after ${afterMs / 1_000} s`;
    this.#deadline = this.#dialer.options.deadlines.schedule(afterMs, () => this.#fail(code, text));
  }

  #fail(code: FailureCode, detail: string): void {
    if (this.#isOver) return;
    this.cancel();
    this.#events.failed(failure(code, false, detail));
  }

  #finish(): void {
    this.#isOver = true;
    this.#deadline?.cancel();
    clearTimeout(this.#pause);
  }
}

function ignore(): void {
  return;
}
