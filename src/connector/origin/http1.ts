// This file is an HTTP/1.1 service on TCP, TLS or a socket file as an origin (http.md §11).
import type { Deadlines } from "../../deadlines.ts";
import type { RequestHead } from "../../exchange/index.ts";
import type { Lookup } from "../addresses.ts";
import type { HttpTarget, UnixTarget } from "../target.ts";
import type { ConnectionOwner, OriginConnection } from "./connection.ts";
import { OriginDialer } from "./dial-origin.ts";
import { type OnBug, throwLater } from "./failures.ts";
import { type HostHeader, HostRewrite } from "./host-header.ts";
import { Http1Exchange } from "./http1-exchange.ts";
import { IdleAccount } from "./idle-account.ts";
import type { Origin, OriginEvents, OriginExchange } from "./origin.ts";
import { ConnectionPool } from "./pool.ts";
import { SocketAccount } from "./socket-account.ts";
import { OriginTls, type OriginTlsOptions, type TrustedRoots } from "./tls.ts";

/** Settings of one origin; names follow `originRequest` (product.md §3.4). */
export interface HttpOriginOptions {
  readonly target: HttpTarget | UnixTarget;
  readonly deadlines: Deadlines;
  readonly hostHeader?: HostHeader;
  readonly tls?: OriginTlsOptions;
  readonly connectTimeoutMs?: number;
  readonly tlsTimeoutMs?: number;
  readonly tcpKeepAliveMs?: number;
  /** True: the addresses of a name are tried one after the other. */
  readonly noHappyEyeballs?: boolean;
  /** Most idle connections; 0 turns reuse off. */
  readonly keepAliveConnections?: number;
  /** 0: until the origin closes it, or another one takes its place. */
  readonly keepAliveTimeoutMs?: number;
  /** True: a body of unknown length is collected (≤ 1 MiB) instead of sent in chunks. */
  readonly disableChunkedEncoding?: boolean;
  /** Lines that every request gets besides its own. */
  readonly addedFields?: Uint8Array;
  /** Shared by all origins of a process; without it there is no bound. */
  readonly sockets?: SocketAccount;
  /** The same for idle connections. */
  readonly idle?: IdleAccount;
  /** Shared, so that equal roots are parsed once. */
  readonly roots?: TrustedRoots;
  readonly lookup?: Lookup;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
  /** A fault of ours ended one exchange; `throwLater` when absent. */
  readonly onBug?: OnBug;
}

export const HTTP_ORIGIN_DEFAULTS = {
  hostHeader: { kind: "keep" },
  connectTimeoutMs: 30_000,
  tlsTimeoutMs: 10_000,
  tcpKeepAliveMs: 30_000,
  noHappyEyeballs: false,
  keepAliveConnections: 100,
  keepAliveTimeoutMs: 90_000,
  disableChunkedEncoding: false,
} as const satisfies Omit<HttpOriginOptions, "target" | "deadlines">;

const NO_FIELDS = new Uint8Array(0);

/** What the exchanges of one origin share. */
export interface HttpOriginParts extends ConnectionOwner {
  readonly url: string;
  readonly dialer: OriginDialer;
  readonly sockets: SocketAccount;
  readonly pool: ConnectionPool<OriginConnection>;
  readonly rewrite: HostRewrite;
  readonly tls: OriginTls | undefined;
  readonly collectsBodies: boolean;
  readonly addedFields: Uint8Array;
  readonly idle: IdleAccount;
}

/** An `http://`, `https://` or socket file service. */
export class HttpOrigin implements Origin {
  readonly url: string;
  readonly #parts: HttpOriginParts;

  /** @throws TunlError `CA_POOL_INVALID` when `tls.caPool` holds no certificate. */
  constructor(options: HttpOriginOptions) {
    const settings = { ...HTTP_ORIGIN_DEFAULTS, ...options };
    const { target, deadlines } = settings;
    const now = settings.now ?? (() => performance.now());
    const host = target.kind === "http" ? target.host : target.authority;
    const tls = target.isTls ? new OriginTls(host, settings.tls ?? {}, settings.roots) : undefined;
    const idle = settings.idle ?? new IdleAccount(Number.POSITIVE_INFINITY);
    const pool = new ConnectionPool<OriginConnection>({
      connections: settings.keepAliveConnections,
      account: idle,
      idleMs: settings.keepAliveTimeoutMs || Number.POSITIVE_INFINITY,
      deadlines,
      now,
    });
    this.url = target.url;
    this.#parts = {
      url: target.url,
      dialer: new OriginDialer({ ...settings, tls, now }),
      sockets: settings.sockets ?? new SocketAccount(Number.POSITIVE_INFINITY),
      pool,
      rewrite: new HostRewrite(settings.hostHeader, target),
      tls,
      collectsBodies: settings.disableChunkedEncoding,
      addedFields: settings.addedFields ?? NO_FIELDS,
      idle,
      onIdleEnd: (connection) => pool.remove(connection),
      onBug: settings.onBug ?? throwLater,
    };
  }

  get idleConnections(): number {
    return this.#parts.pool.size;
  }

  request(head: RequestHead, events: OriginEvents): OriginExchange {
    const exchange = new Http1Exchange(this.#parts, head, events);
    exchange.start();
    return exchange;
  }

  close(): void {
    this.#parts.pool.close();
  }
}
