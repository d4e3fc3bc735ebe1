// This file is a parsed target and its settings to the origin that serves it (product.md §2.2, §3.3).
import type { Deadlines } from "../../deadlines.ts";
import type { Target } from "../target.ts";
import { type OnBug, throwLater } from "./failures.ts";
import { type HostHeader, parseHostHeader } from "./host-header.ts";
import { HttpOrigin } from "./http1.ts";
import type { Origin } from "./origin.ts";
import type { SocketAccount } from "./socket-account.ts";
import { StaticOrigin } from "./static.ts";

/** What the command line says about an origin; everything else has the defaults of product.md §3.4. */
export interface OriginSettings {
  readonly hostHeader: HostHeader;
  readonly originTls: {
    /** False: any certificate is accepted. */
    readonly isVerified: boolean;
    /** PEM roots trusted besides the system's. */
    readonly ca: string | undefined;
    readonly serverName: string | undefined;
  };
}

/** What an origin shares with the others of its process. */
export interface OriginSurroundings {
  readonly deadlines: Deadlines;
  /** Absent: no bound. */
  readonly sockets?: SocketAccount;
  /** Hears of a fault that ended one exchange (S-73); where absent it is thrown to the process's own handler. */
  readonly onBug?: OnBug;
}

/**
 * @throws TunlError `HOST_HEADER_INVALID`, `CA_POOL_INVALID`
 */
export function makeOrigin(
  target: Target,
  settings: OriginSettings,
  { deadlines, sockets, onBug = throwLater }: OriginSurroundings,
): Origin {
  if (target.kind === "static") return new StaticOrigin(target, onBug);
  const { hostHeader, originTls } = settings;
  return new HttpOrigin({
    target,
    deadlines,
    onBug,
    ...(sockets !== undefined && { sockets }),
    hostHeader: hostHeader.kind === "value" ? parseHostHeader(hostHeader.value) : hostHeader,
    tls: {
      caPool: originTls.ca,
      originServerName: originTls.serverName,
      noTlsVerify: !originTls.isVerified,
    },
  });
}
