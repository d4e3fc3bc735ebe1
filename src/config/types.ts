// This file is what the two ends run with: validated, in milliseconds and bytes, with absolute paths.
import type { IngressOptions } from "./ingress/types.ts";
import type { FixedGrant } from "./grants.ts";
import type { Address } from "./values.ts";

/** Where certificates come from. */
export type CertificateOptions =
  | { readonly mode: "internal" }
  | { readonly mode: "acme"; readonly acme: AcmeOptions }
  | {
      readonly mode: "files";
      readonly pairs: readonly { readonly certPath: string; readonly keyPath: string }[];
    };

/** A CA, and what it is told. product.md §3.1. */
export interface AcmeOptions {
  /** Known name of a CA, or the https URL of its directory. */
  readonly directory: string;
  readonly email: string | undefined;
  /** True: whatever terms of service the CA has. */
  readonly agreesToTerms: boolean;
  readonly eab: { readonly keyId: string; readonly keyPath: string } | undefined;
  readonly challenge: "auto" | "dns-01" | "tls-alpn-01" | "http-01";
  readonly wildcard: "auto" | "never";
  readonly keyType: "p256" | "p384" | "rsa2048";
  /** PEM roots of a private CA. */
  readonly caPath: string | undefined;
}

/** Limits on visitors; undefined is off. product.md §3.1. */
export interface EdgeLimits {
  readonly connectionsPerIp: number | undefined;
  readonly connectorsPerTunnel: number;
  /** Buffers of all streams, bytes; undefined: a part of the machine's memory. */
  readonly memory: number | undefined;
  readonly acceptPerIp: { readonly perSecond: number; readonly burst: number } | undefined;
  /** Requests in progress of one hostname. */
  readonly concurrent: number;
  /** undefined: no limit. */
  readonly bodyBytes: number | undefined;
  readonly headerBytes: number;
  readonly headerFields: number;
  readonly targetBytes: number;
}

/** Deadlines on visitors and origins in ms; 0 is never. product.md §3.1. */
export interface EdgeTimeouts {
  readonly clientHelloMs: number;
  readonly handshakeMs: number;
  readonly headMs: number;
  readonly idleMs: number;
  readonly bodyIdleMs: number;
  readonly firstByteMs: number;
  readonly writeStallMs: number;
  readonly upgradeIdleMs: number;
}

/** Who may have which name. product.md §3.1 `names` and `grants`, §6. */
export interface NameOptions {
  /** Labels that no tunnel claims; a trailing `*` stands for any ending. */
  readonly reserved: readonly string[];
  readonly claim: "invited" | "all" | "none";
  /** How random names look; undefined: there are none. */
  readonly style: "two-words" | "three-words" | "hex" | undefined;
  /** How long a claimed name stays unused with its tunnel, ms. */
  readonly keepMs: number;
  readonly fixed: readonly FixedGrant[];
}

/** Who edits zones, with the credentials as they stand in their files. */
export type DnsProviderOptions =
  | { readonly name: "cloudflare"; readonly token: string; readonly ttl: number }
  | {
      readonly name: "rfc2136";
      readonly server: { readonly host: string; readonly port: number };
      readonly keyName: string;
      readonly algorithm: "hmac-sha256" | "hmac-sha512";
      readonly secret: Uint8Array;
      readonly ttl: number;
    };

/** What the edge does in the DNS. product.md §3.1 `dns`, §6. */
export interface DnsOptions {
  /** undefined: records are shown, and made by somebody else. */
  readonly provider: DnsProviderOptions | undefined;
  /** What DNS should point to, canonical; empty: the global addresses of this machine. */
  readonly publicAddresses: readonly string[];
  /** Stands in for the DNS in tests: `ip:port` with commas. */
  readonly servers: string | undefined;
  /** Stands in for Cloudflare's API in tests. */
  readonly cloudflareApi: string | undefined;
}

/** What an edge runs with. */
export interface EdgeOptions {
  readonly version: string;
  /** Canonical names without duplicates; empty: those in the state, and without any the edge refuses with `DOMAIN_REQUIRED`. */
  readonly domains: readonly string[];
  readonly stateDirectory: string;
  /** Absolute path of the control socket, at most 107 bytes. */
  readonly adminPath: string;
  readonly listen: Address;
  /** undefined: off. */
  readonly http: Address | undefined;
  readonly certificates: CertificateOptions;
  /** Oldest version of visitors. */
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
  /** How long a request waits for a tunnel that is expected back; 0: not at all. */
  readonly holdMs: number;
  readonly graceMs: number;
  /** Links may ask the kernel for congestion control, links and visitors for a short unsent queue. */
  readonly kernelTuning: boolean;
  readonly limits: EdgeLimits;
  readonly timeouts: EdgeTimeouts;
  readonly names: NameOptions;
  readonly dns: DnsOptions;
  /** True: the edge writes a log line `request` for each request. */
  readonly accessLog: boolean;
}

/** Where a static token stands. */
export type TokenSource =
  | { readonly kind: "text"; readonly name: string; readonly text: string }
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "stdin" };

/** What a connector runs with. */
export interface ConnectorOptions {
  readonly version: string;
  /** Where requests go. */
  readonly ingress: IngressOptions;
  /** A join line as typed: a secret until it was used. */
  readonly join: string | undefined;
  /** Wins over credentials of any kind. */
  readonly token: TokenSource | undefined;
  readonly edge: Address | undefined;
  /** Name or UUID. */
  readonly tunnel: string | undefined;
  /** True: it was typed, so no key of another tunnel will do; a file may name one and hold the key of another. */
  readonly isTunnelTyped: boolean;
  readonly credentialsPath: string | undefined;
  /** Text of a key file, from `credentials-contents`; wins over the path. */
  readonly credentialsText: string | undefined;
  /** Key that the edge must show beside what the credentials say; undefined: theirs alone. */
  readonly fingerprint: string | undefined;
  /** `--name`: one label below a domain of the edge. */
  readonly name: string | undefined;
  /** `--host`: full names or `*.x`, canonical. */
  readonly hosts: readonly string[];
  readonly edgeFamily: "auto" | 4 | 6;
  /** How long the first connect is tried; undefined is for ever. */
  readonly waitMs: number | undefined;
  /** When to end by itself; the command line does it. */
  readonly forMs: number | undefined;
  readonly graceMs: number;
  /** Name of this connector for the edge's owner. */
  readonly label: string;
  /** Directory of the files `<host>[_port]/`. */
  readonly edgesDirectory: string;
  /** Absolute path of this process's control socket, at most 107 bytes. */
  readonly controlPath: string;
  /** Written by the command line after the first link. */
  readonly pidPath: string | undefined;
  /** True: a line per request is shown. */
  readonly accessLog: boolean;
  /** `tag: [K=V]`: each becomes the request header `X-Tunl-Tag-K`. */
  readonly tags: readonly { readonly name: string; readonly value: string }[];
  /** `ha-connections` or `links`, 1 to 8; undefined: as many as this build makes. */
  readonly mostLinks: number | undefined;
  /** Links may ask the kernel for congestion control and a short unsent queue. */
  readonly kernelTuning: boolean;
}

/** Where to ask an edge or connector of this machine. */
export interface OwnerOptions {
  readonly adminPath: string;
  readonly isJson: boolean;
  /** Where to look for more sockets; undefined where one was named. */
  readonly socketDirectory: string | undefined;
}

/** What `tunl edge repair` works on. */
export interface RepairOptions {
  readonly stateDirectory: string;
  readonly isJson: boolean;
  /** True: nothing is asked. */
  readonly isYes: boolean;
}

/** What `tunl edge invite` asks for. */
export interface InviteOptions {
  readonly adminPath: string;
  readonly isJson: boolean;
  readonly name: string | undefined;
  readonly hosts: readonly string[];
  readonly ttlMs: number;
  readonly uses: number;
  /** True: a login line, and `hosts` is what the account's tunnels may claim. */
  readonly isAccount: boolean;
}

/** Where log lines go and how they look. */
export interface LogOptions {
  readonly level: "error" | "warn" | "info" | "debug" | "trace";
  readonly format: "pretty" | "text" | "json";
  /** undefined: stderr. */
  readonly file: string | undefined;
  readonly isColored: boolean;
  /** True at the edge and with several rules, which serve many names: request lines for people say which. */
  readonly showsHosts: boolean;
}
