// This file is what calls work with: the edge behind them, who asks, and how they answer. http.md §5.4.
import type { CallBody } from "../../exchange/index.ts";
import type { CertificateLine, CertificateSource, LimitLine } from "../certificates/index.ts";
import type { EdgeDns } from "../dns/index.ts";
import type { LiveSession, Registry } from "../route/index.ts";
import type { By, Store } from "../store/index.ts";
import type { Body } from "./body.ts";

/** What the calls need of the edge. */
export interface CallContext {
  readonly store: Store;
  readonly registry: Registry;
  readonly domains: readonly string[];
  /** Labels that no claim gets. */
  readonly reserved: readonly string[];
  readonly fingerprint: string;
  readonly publicPort: () => number;
  readonly startedAt: Date;
  /** What the edge asks of the DNS and writes to it. */
  readonly dns: EdgeDns;
  /** Where certificates come from. */
  readonly source: CertificateSource;
  readonly certificates: () => readonly CertificateLine[];
  /** Domains near a limit of the CA. */
  readonly certificateLimits: () => readonly LimitLine[];
  /** Entries of every table of the edge, and the bytes it holds. */
  readonly figures: () => CallBody;
}

/** Who makes a call, as its session proved. */
export type Caller =
  | {
      readonly kind: "tunnel" | "account";
      readonly id: string;
      readonly key: Uint8Array;
      readonly live: LiveSession;
    }
  | { readonly kind: "owner" };

/** The key a change is made by; undefined for the owner. */
export function byOf(caller: Caller): By {
  return caller.kind === "owner" ? undefined : caller.key;
}

/**
 * One call: it answers with a body, or throws a TunlError whose code, text and hint are the answer.
 *
 * @param tell Sends an event ahead of the result.
 * @param signal Aborted when the caller is gone.
 */
export type Call = (
  context: CallContext,
  caller: Caller,
  body: Body,
  tell: (event: string, body: CallBody) => void,
  signal: AbortSignal,
) => Promise<CallBody>;
