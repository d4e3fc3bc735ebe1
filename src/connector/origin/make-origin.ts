// This file is a service and its settings to the origin that serves it (product.md §2.2, §3.3, §3.4).
import type { OriginRequestOptions } from "../../config/index.ts";
import type { Deadlines } from "../../deadlines.ts";
import type { Target } from "../target.ts";
import { type OnBug, throwLater } from "./failures.ts";
import { type HostHeader, parseHostHeader } from "./host-header.ts";
import { HttpOrigin } from "./http1.ts";
import type { IdleAccount } from "./idle-account.ts";
import type { Origin } from "./origin.ts";
import type { SocketAccount } from "./socket-account.ts";
import { StaticOrigin } from "./static.ts";
import type { TrustedRoots } from "./tls.ts";

/** The keys of `originRequest` that an HTTP service honours; the others are not for it, or without effect anywhere. */
export const HONOURED = [
  "connectTimeoutMs",
  "tlsTimeoutMs",
  "tcpKeepAliveMs",
  "noHappyEyeballs",
  "keepAliveConnections",
  "keepAliveTimeoutMs",
  "hostHeader",
  "originServerName",
  "matchSniToHost",
  "caPool",
  "noTlsVerify",
  "disableChunkedEncoding",
] as const satisfies readonly (keyof OriginRequestOptions)[];

/** Settings of one origin. */
export type OriginSettings = Pick<OriginRequestOptions, (typeof HONOURED)[number]>;

/** What an origin shares with the others of its process. */
export interface OriginSurroundings {
  readonly deadlines: Deadlines;
  /** Absent: no bound. */
  readonly sockets?: SocketAccount;
  /** Absent: no bound but that of each origin. */
  readonly idle?: IdleAccount;
  /** Absent: each origin reads its own. */
  readonly roots?: TrustedRoots;
  /** Lines that every request to a service gets besides its own. */
  readonly addedFields?: Uint8Array;
  /** Hears of a fault that ended one exchange (S-73); where absent it is thrown to the process's own handler. */
  readonly onBug?: OnBug;
}

/**
 * @throws TunlError `HOST_HEADER_INVALID`, `CA_POOL_INVALID`
 */
export function makeOrigin(
  target: Target,
  settings: OriginSettings,
  { deadlines, onBug = throwLater, ...shared }: OriginSurroundings,
): Origin {
  if (target.kind === "static") return new StaticOrigin(target, onBug);
  const { hostHeader, caPool, originServerName, matchSniToHost, noTlsVerify, ...others } = settings;
  return new HttpOrigin({
    ...others,
    ...shared,
    target,
    deadlines,
    onBug,
    hostHeader: checked(hostHeader),
    tls: { caPool, originServerName, matchSniToHost, noTlsVerify },
  });
}

function checked(hostHeader: HostHeader): HostHeader {
  return hostHeader.kind === "value" ? parseHostHeader(hostHeader.value) : hostHeader;
}
