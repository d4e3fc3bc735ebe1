// This file is the call `status`: what the edge is doing, for its owner. product.md §2.3.
import type { CallBody } from "../../exchange/index.ts";
import { reachedLimits } from "../../limits.ts";
import type { LiveSession } from "../route/index.ts";
import { isEnded, type Owner, type StoreCondition, type TunnelRow } from "../store/index.ts";
import type { Call, CallContext } from "./context.ts";

export const status: Call = async (context) => {
  const { store, registry, domains, fingerprint, startedAt, dns } = context;
  const { snapshot } = store;
  return {
    pid: process.pid,
    startedAt: startedAt.toISOString(),
    domains,
    fingerprint,
    tunnels: [...snapshot.tunnels].map((tunnel) => tunnelOf(context, tunnel)),
    accounts: [...snapshot.accounts].map(({ id, name }) => ({
      name,
      id,
      keys: labelsInForce(context, { kind: "account", id }),
      sessions: registry.count(id),
      tunnels: [...snapshot.tunnelsOf(id)].length,
    })),
    // Names outside of the domains that are not served: without proof so far, or for a week.
    unproven: [...snapshot.hosts]
      .filter(({ host }) => !dns.names.isServed(host))
      .map(({ host }) => ({ name: host, state: dns.names.stateOf(host) })),
    certificates: context.certificates(),
    certificateLimits: context.certificateLimits(),
    state: stateOf(store.condition),
    ...context.figures(),
    limits: reachedLimits(),
  };
};

function tunnelOf(context: CallContext, { id, name, account }: TunnelRow): CallBody {
  const { store, registry } = context;
  const sessions = [...registry.of(id)];
  return {
    name,
    id,
    account: account === undefined ? undefined : store.snapshot.account(account)?.name,
    keys: labelsInForce(context, { kind: "tunnel", id }),
    connectors: sessions.length,
    links: sessions.reduce((sum, { session }) => sum + session.stats().links, 0),
    streams: sessions.reduce((sum, { session }) => sum + session.streams, 0),
    congestion: [...new Set(sessions.map(({ session }) => session.tuning?.congestion ?? ""))],
    hosts: [...store.snapshot.hostsOf(id)].map(({ host }) => host),
    clones: clonesOf(sessions),
  };
}

function labelsInForce({ store }: CallContext, owner: Owner): readonly string[] {
  const now = store.now();
  const keys = [...store.snapshot.keysOf(owner)].filter((key) => !isEnded(key, now));
  return keys.map(({ keyId }) => keyId);
}

/** Keys that more than one live process has: a copied disk, or two machines with one token. */
function clonesOf(sessions: readonly LiveSession[]): readonly CallBody[] {
  const byKey = new Map<string, LiveSession[]>();
  for (const live of sessions) {
    const { keyId } = live.admission;
    byKey.set(keyId, [...(byKey.get(keyId) ?? []), live]);
  }
  return [...byKey]
    .filter(([, clones]) => clones.length > 1)
    .map(([keyId, clones]) => ({ keyId, labels: clones.map(({ label }) => label) }));
}

function stateOf({ backedUpAt, backupFailure, damage }: StoreCondition): CallBody {
  return {
    ...(backedUpAt !== undefined && { backedUpAt: new Date(backedUpAt).toISOString() }),
    ...(backupFailure !== undefined && { backupFailure }),
    ...(damage !== undefined && { damage }),
  };
}
