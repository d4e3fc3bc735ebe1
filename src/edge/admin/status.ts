// This file is the call `status`: what the edge is doing, for its owner. product.md §2.3.
import type { CallBody } from "../../exchange/index.ts";
import { reachedLimits } from "../../limits.ts";
import type { StoreCondition } from "../store/index.ts";
import type { Call } from "./context.ts";

export const status: Call = async (context) => {
  const { store, registry, domains, fingerprint, startedAt } = context;
  const tunnels = [...store.snapshot.tunnels].map((tunnel) => {
    const sessions = [...registry.of(tunnel.id)];
    return {
      name: tunnel.name,
      id: tunnel.id,
      connectors: sessions.length,
      links: sessions.reduce((sum, { session }) => sum + session.stats().links, 0),
      streams: sessions.reduce((sum, { session }) => sum + session.streams, 0),
      congestion: [...new Set(sessions.map(({ session }) => session.tuning?.congestion ?? ""))],
      hosts: [...store.snapshot.hosts]
        .filter(({ tunnel: owner }) => owner === tunnel.id)
        .map(({ host }) => host),
    };
  });
  return {
    pid: process.pid,
    startedAt: startedAt.toISOString(),
    domains,
    fingerprint,
    tunnels,
    certificates: context.certificates(),
    state: stateOf(store.condition),
    ...context.figures(),
    limits: reachedLimits(),
  };
};

function stateOf({ backedUpAt, backupFailure, damage }: StoreCondition): CallBody {
  return {
    ...(backedUpAt !== undefined && { backedUpAt: new Date(backedUpAt).toISOString() }),
    ...(backupFailure !== undefined && { backupFailure }),
    ...(damage !== undefined && { damage }),
  };
}
