// This file is the calls of the edge's owner that give and take: names to tunnels; tunnels, keys, codes and names back. product.md §2.1; A-07.
import { TunlError } from "../../errors.ts";
import type { CallBody } from "../../exchange/index.ts";
import { aliasRecord } from "../dns/index.ts";
import type { Call, CallContext } from "./context.ts";
import { findRevocable, type Revocable } from "./revocable.ts";
import { isEnded, type KeyRow } from "../store/index.ts";
import { shortened, timeOf } from "./tunnel-calls.ts";
import { saidOf } from "./key-calls.ts";

/** Names of one grant. */
const HOSTS_MAX = 64;

/** Each name of a list on its own: one that another tunnel has stops at that one, and says which were granted before it. */
export const grantCall: Call = async (context, _caller, body) => {
  const tunnel = body.text("tunnel");
  const hosts = body.texts("hosts");
  if (hosts.length === 0 || hosts.length > HOSTS_MAX)
    throw new TunlError("USAGE", `Grant has ${hosts.length} names, expected 1 to ${HOSTS_MAX}`);
  const row = context.store.snapshot.findTunnel(tunnel);
  const granted: CallBody[] = [];
  for (const text of hosts) {
    const { host, how } = await context.store.grantHost(tunnel, text);
    const isProven = context.dns.names.isServed(host);
    const proof = aliasRecord(host, row?.id ?? "", context.domains[0] as string);
    granted.push({ host, how, ...(!isProven && { proof }) });
  }
  return { tunnel: { id: row?.id, name: row?.name }, hosts: granted };
};

/** What may be meant is looked for in everything that can be revoked; two answers are an error that lists them. */
export const revokeCall: Call = async (context, _caller, body) => {
  const found = findRevocable(context, body.text("what"));
  const answer = await revoke(context, found);
  return { ...answer, kind: found.kind };
};

async function revoke(context: CallContext, found: Revocable): Promise<CallBody> {
  const { store } = context;
  switch (found.kind) {
    case "tunnel": {
      const { id, name } = found.tunnel;
      const keys = await store.tunnels.shut(id);
      await store.backUp(saidOf(keys, found.tunnel));
      const hosts = [...store.snapshot.hostsOf(id)].map(({ host }) => host);
      return {
        tunnel: { id, name },
        keys: shortened(keys.map(({ keyId }) => keyId)),
        hosts: shortened(hosts),
      };
    }
    case "account": {
      const { id, name } = found.account;
      const keys = await store.tunnels.revokeKeys(undefined, found.keys);
      await store.backUp(saidOf(keys, found.account));
      const tunnels = [...store.snapshot.tunnelsOf(id)].map((tunnel) => tunnel.name);
      return {
        account: { id, name },
        keys: shortened(keys.map(({ keyId }) => keyId)),
        tunnels: shortened(tunnels),
      };
    }
    case "key": {
      const { key, owner } = found;
      const [revoked] = await store.tunnels.revokeKeys(undefined, [key]);
      await store.backUp(`Key "${key.keyId}" of "${owner}" is revoked`);
      const keys = inPlaceOf(context, key).map(({ keyId }) => `${owner}/${keyId}`);
      return { key: key.keyId, of: owner, revokedAt: timeOf(revoked?.revokedAt), keys };
    }
    case "code": {
      const { state, keys } = await store.revokeCode(found.code);
      if (state === "unknown") {
        throw new TunlError("CODE_NOT_FOUND", "No line with this code was made here", {
          hint: "Check that the line was printed by this edge",
        });
      }
      await store.backUp("The line is revoked");
      const made = keys.flatMap((publicKey) => {
        const key = store.snapshot.key(publicKey);
        return key === undefined ? [] : [`${ownerName(context, key.owner)}/${key.keyId}`];
      });
      return { wasOver: state === "over", keys: shortened(made.sort()) };
    }
    case "host": {
      const { host } = found.host;
      const tunnel = store.snapshot.tunnel(found.host.tunnel)?.name;
      await store.releaseHost(host);
      await store.backUp(`${host} is revoked`);
      return { host, of: tunnel, isFixed: found.host.isFixed };
    }
    default:
      return found satisfies never;
  }
}

/** Keys in force that rotations put in its place: whoever had it may have made them himself. */
function inPlaceOf({ store }: CallContext, key: KeyRow): readonly KeyRow[] {
  const found: KeyRow[] = [];
  const now = store.now();
  for (let next = key.replacedBy; next !== undefined;) {
    const row = store.snapshot.key(next);
    if (row !== undefined && !isEnded(row, now)) found.push(row);
    next = row?.replacedBy;
  }
  return found;
}

function ownerName({ store }: CallContext, owner: { kind: string; id: string }): string {
  const row =
    owner.kind === "tunnel" ? store.snapshot.tunnel(owner.id) : store.snapshot.account(owner.id);
  return row?.name ?? "a deleted tunnel";
}
