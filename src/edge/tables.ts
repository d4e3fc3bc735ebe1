// This file is every table of the edge as a number, for `tunl status --json`: without load each is back where it was.
import type { Deadlines } from "../deadlines.ts";
import { totalsOf } from "../session/index.ts";
import type { Orphans, PeerLimits } from "./listen/index.ts";
import type { Registry } from "./route/index.ts";
import type { Service } from "./serve.ts";
import type { Sessions } from "./sessions.ts";

export interface EdgeParts {
  readonly limits: PeerLimits;
  /** Connections of the front door, handed over or not. */
  readonly arrivals: () => number;
  readonly visitors: () => number;
  readonly orphans: Orphans;
  readonly service: Service;
  readonly sessions: Sessions;
  readonly registry: Registry;
  readonly deadlines: Deadlines;
}

/** Entries of each table, and bytes held. A new table of the edge gets a line here. */
export function edgeFigures(parts: EdgeParts): {
  readonly tables: Readonly<Record<string, number>>;
  readonly bytes: Readonly<Record<string, number>>;
} {
  const { limits, service, sessions, registry, deadlines } = parts;
  const { connections, pendingHandshakes } = limits.snapshot();
  const live = [...registry.all()];
  const totals = totalsOf(live.map(({ session }) => session));
  return {
    tables: {
      connections,
      pendingHandshakes,
      arrivals: parts.arrivals(),
      visitors: parts.visitors(),
      requests: service.inProgress,
      parkedRequests: service.parked,
      waitingRequests: service.waiting,
      unansweredRequests: service.unanswered,
      linkHandshakes: sessions.pending,
      exchanges: live.reduce((sum, { exchanges }) => sum + exchanges, 0),
      ...totals.tables,
      deadlines: deadlines.pending,
    },
    bytes: { orphaned: parts.orphans.held, held: sessions.held, ...totals.bytes },
  };
}
