// This file is what a listener decides about its HTTP/1.1 visitors: pipeline, limits, timers. http.md §3.3, §14; S-40 to S-42.
import type { Deadlines } from "../../deadlines.ts";
import type { Http1Limits } from "../../http1/index.ts";
import type { Logger } from "../../log.ts";
import type { Serve } from "../visit.ts";
import type { Orphans } from "./orphans.ts";

/** What all visitor connections of a listener share. */
export interface VisitorOptions {
  readonly serve: Serve;
  readonly deadlines: Deadlines;
  readonly log: Logger;
  /** Bytes without a stream, of all visitors of the edge; an account of its own where undefined. */
  readonly orphans?: Orphans;
  /** Bounds of the grammar (http.md §3.1); `REQUEST_LIMITS` where undefined. */
  readonly http1?: Http1Limits;
  /** What differs from `VISITOR_LIMITS`. */
  readonly limits?: Partial<VisitorLimits>;
  /** What differs from `VISITOR_TIMEOUTS`. */
  readonly timeouts?: Partial<VisitorTimeouts>;
}

/** Waits on a visitor, in milliseconds; 0 is never. Each runs only while tunl waits for that visitor. */
export interface VisitorTimeouts {
  /** A header section, from its first byte to its last. */
  readonly headMs: number;
  /** Between requests, and before the first one. */
  readonly idleMs: number;
  /** Between two reads of a request body that is being read. */
  readonly bodyIdleMs: number;
  /** Data waits and the kernel takes none of it. */
  readonly writeStallMs: number;
  /** The visitor closed its half, the exchange goes on and has nothing to write. */
  readonly halfClosedMs: number;
  /** What is read and dropped after the last response, before the socket is closed. */
  readonly lingerMs: number;
  /** An upgraded connection without a byte either way. */
  readonly upgradeIdleMs: number;
  /** Time over which `bodyRate` is measured; the first such span of a body is free. */
  readonly bodyRateMs: number;
}

export const VISITOR_TIMEOUTS: VisitorTimeouts = {
  headMs: 10_000,
  idleMs: 60_000,
  bodyIdleMs: 60_000,
  writeStallMs: 30_000,
  halfClosedMs: 30_000,
  lingerMs: 2_000,
  upgradeIdleMs: 0,
  bodyRateMs: 10_000,
};

/** The timeouts in force: 0 became infinity, which no clock reaches. */
export function timeoutsOf({ timeouts }: Pick<VisitorOptions, "timeouts">): VisitorTimeouts {
  const all: Record<keyof VisitorTimeouts, number> = { ...VISITOR_TIMEOUTS, ...timeouts };
  for (const name of Object.keys(all) as (keyof VisitorTimeouts)[]) {
    if (all[name] === 0) all[name] = Number.POSITIVE_INFINITY;
  }
  return all;
}

/** Counts and sizes of one visitor connection, in bytes. */
export interface VisitorLimits {
  /** Bytes behind the current request, or of a body nobody reads yet, before the socket is paused. */
  readonly heldBytes: number;
  /** Read and dropped after the last response. */
  readonly lingerBytes: number;
  /** Requests per connection; the last one is answered with `Connection: close`. */
  readonly requests: number;
  /** Least bytes per second of a request body that moves at all; silence is `bodyIdleMs`. */
  readonly bodyRate: number;
  /** Largest request body; undefined is off. */
  readonly bodyBytes: number | undefined;
}

export const VISITOR_LIMITS: VisitorLimits = {
  heldBytes: 32_768,
  lingerBytes: 262_144,
  requests: 10_000,
  bodyRate: 240,
  bodyBytes: undefined,
};
