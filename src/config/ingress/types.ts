// This file is the rules a connector runs with, from a TARGET or from a file: resolved, in milliseconds. product.md §3.3, §3.4.

/** Where requests go, rule by rule; the first that matches wins. */
export interface IngressOptions {
  readonly rules: readonly IngressRule[];
  /** Path of the file they came from; undefined: a TARGET. */
  readonly file: string | undefined;
}

/** One rule. */
export interface IngressRule {
  /** Canonical name or `*.x`; "" takes every host. */
  readonly hostname: string;
  /** RE2 source, searched in the percent-decoded path; undefined takes every path. */
  readonly path: string | undefined;
  readonly service: ServiceOptions;
  readonly originRequest: OriginRequestOptions;
  /** True: targets that two programs may read differently are passed on where a path decides (S-37). */
  readonly allowAmbiguousPaths: boolean;
}

/** An HTTP service on TCP. */
export interface HttpService {
  readonly kind: "http";
  readonly isTls: boolean;
  /** Lower case, ASCII; an IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
  /** As Host of a request: the port only where it is not the scheme's own. */
  readonly authority: string;
  /** Full form, the identity of the service: "http://localhost:8000". */
  readonly url: string;
}

/** An HTTP service on a socket file. */
export interface UnixService {
  readonly kind: "unix";
  readonly isTls: boolean;
  readonly path: string;
  readonly authority: string;
  /** "unix:/run/app.sock" or "unix+tls:/run/app.sock". */
  readonly url: string;
}

/** A service the connector answers for itself. */
export interface StaticService {
  readonly kind: "static";
  /** Status of an empty answer; `undefined` is the built-in page. */
  readonly status: number | undefined;
  /** "http_status:404" or "hello_world". */
  readonly url: string;
}

/** A TCP service whose visitors come by WebSocket. */
export interface TcpService {
  readonly kind: "tcp";
  readonly scheme: string;
  readonly host: string;
  readonly port: number;
  readonly url: string;
}

/** A destination that the client names (`bastion`), or a SOCKS5 exit (`socks-proxy`). */
export interface ExitService {
  readonly kind: "bastion" | "socks";
  readonly url: string;
}

/** Every `service` a rule may name. This build serves the first three kinds; the others are refused at the start. */
export type ServiceOptions = HttpService | UnixService | StaticService | TcpService | ExitService;

/** Host sent to the origin: the visitor's, the service's own, or a value. */
export type HostHeaderOptions =
  { readonly kind: "keep" | "origin" } | { readonly kind: "value"; readonly value: string };

/** Which addresses `socks-proxy` may dial; the first that holds the address decides. */
export interface IpRuleOptions {
  /** CIDR. */
  readonly prefix: string;
  /** Empty: every port. */
  readonly ports: readonly number[];
  readonly allow: boolean;
}

/** `originRequest` of a rule: every key has a value. product.md §3.4. */
export interface OriginRequestOptions {
  readonly connectTimeoutMs: number;
  readonly tlsTimeoutMs: number;
  readonly tcpKeepAliveMs: number;
  readonly noHappyEyeballs: boolean;
  readonly keepAliveConnections: number;
  readonly keepAliveTimeoutMs: number;
  /** `httpHostHeader`, or `--host-header`. */
  readonly hostHeader: HostHeaderOptions;
  /** undefined: the host of the service. */
  readonly originServerName: string | undefined;
  readonly matchSniToHost: boolean;
  /** PEM text of roots beside the system's. */
  readonly caPool: string | undefined;
  readonly noTlsVerify: boolean;
  readonly disableChunkedEncoding: boolean;
  readonly bastionMode: boolean;
  /** Known and without effect, as in cloudflared. */
  readonly proxyAddress: string;
  readonly proxyPort: number;
  readonly proxyType: "" | "socks";
  readonly ipRules: readonly IpRuleOptions[];
  readonly http2Origin: boolean;
  readonly access: AccessOptions;
}

/** Who may pass: `required` without the rest is refused at the start until the edge has policies. */
export interface AccessOptions {
  readonly required: boolean;
  readonly teamName: string;
  readonly audTag: readonly string[];
  readonly environment: string;
}

/** What a rule has that says nothing else. */
export const ORIGIN_REQUEST_DEFAULTS: OriginRequestOptions = {
  connectTimeoutMs: 30_000,
  tlsTimeoutMs: 10_000,
  tcpKeepAliveMs: 30_000,
  noHappyEyeballs: false,
  keepAliveConnections: 100,
  keepAliveTimeoutMs: 90_000,
  hostHeader: { kind: "keep" },
  originServerName: undefined,
  matchSniToHost: false,
  caPool: undefined,
  noTlsVerify: false,
  disableChunkedEncoding: false,
  bastionMode: false,
  proxyAddress: "127.0.0.1",
  proxyPort: 0,
  proxyType: "",
  ipRules: [],
  http2Origin: false,
  access: { required: false, teamName: "", audTag: [], environment: "" },
};
