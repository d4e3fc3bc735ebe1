// This file is the calls about tunnels, by the account that made them: an account never learns of another one's. http.md §5.4; product.md §2.3.
import { TunlError } from "../../errors.ts";
import type { CallBody } from "../../exchange/index.ts";
import { isEnded, type TunnelRow } from "../store/index.ts";
import type { Call, CallContext, Caller } from "./context.ts";
import { byOf } from "./context.ts";

/** A list in a result ends here: a body holds 16 KiB. */
const NAMES_IN_RESULT = 12_000;

export const tunnelCreate: Call = async (context, caller, body) => {
  const order = {
    name: body.text("name"),
    publicKey: body.key("key"),
    label: body.optionalText("label") ?? "",
    hosts: body.texts("hosts"),
  };
  if (order.label === "") order.label = order.name;
  const { tunnel, key, hosts } = await context.store.tunnels.create(keyOf(caller), order);
  return {
    tunnel: { id: tunnel.id, name: tunnel.name },
    keyId: key.keyId,
    hosts: hosts.map(({ host }) => ({ host, state: "granted" })),
  };
};

export const tunnelList: Call = async ({ store, registry }, caller, _body, tell) => {
  if (caller.kind !== "account") return {};
  const now = store.now();
  for (const tunnel of store.snapshot.tunnelsOf(caller.id)) {
    const { id, name } = tunnel;
    tell("tunnel", {
      id,
      name,
      ...timesOf(tunnel),
      connectors: registry.count(id),
      keys: count(store.snapshot.keysOf({ kind: "tunnel", id }), (key) => !isEnded(key, now)),
      hosts: count(store.snapshot.hostsOf(id), () => true),
    });
  }
  return {};
};

export const tunnelInfo: Call = async (context, caller, body, tell) => {
  const { store, registry } = context;
  const tunnel = ownTunnel(context, caller, body.text("tunnel"));
  const { id, name } = tunnel;
  for (const key of store.snapshot.keysOf({ kind: "tunnel", id })) {
    const { keyId, kind, createdAt, seenAt, expiresAt, revokedAt } = key;
    tell("key", {
      ...{ keyId, kind, createdAt: timeOf(createdAt), seenAt: timeOf(seenAt) },
      ...{ expiresAt: timeOf(expiresAt), revokedAt: timeOf(revokedAt) },
    });
  }
  for (const live of registry.of(id)) {
    const { session, admission, label, version, platform, since } = live;
    const { links, streams } = session.stats();
    tell("connector", {
      ...{ label, keyId: admission.keyId, version, platform, since: timeOf(since), links },
      streams,
    });
  }
  for (const { host, how } of store.snapshot.hostsOf(id)) {
    const isServed = [...registry.of(id)].some((live) => live.serves(host) !== undefined);
    const { names } = context.dns;
    const state = names.isServed(host) ? (isServed ? "served" : "offline") : names.stateOf(host);
    tell("host", { host, how, state });
  }
  return { id, name, ...timesOf(tunnel) };
};

export const tunnelDelete: Call = async (context, caller, body) => {
  const { store, registry } = context;
  const { id, name } = ownTunnel(context, caller, body.text("tunnel"));
  const connectors = registry.count(id);
  if (connectors > 0 && !body.boolean("force")) {
    const are = connectors === 1 ? "1 connector is" : `${connectors} connectors are`;
    throw new TunlError("TUNNEL_CONNECTED", `Tunnel "${name}" is in use: ${are} connected`, {
      hint: "Stop them, or repeat with --force: they are cut off for good",
    });
  }
  const { hosts, keys } = await store.tunnels.remove(byOf(caller), id);
  await store.backUp(`Tunnel "${name}" is deleted`);
  return { id, name, hosts: shortened(hosts), keys };
};

/** A tunnel of this account, by name or UUID. @throws TunlError `TUNNEL_NOT_FOUND`, also for one of somebody else. */
export function ownTunnel({ store }: CallContext, caller: Caller, nameOrId: string): TunnelRow {
  const tunnel = store.snapshot.findTunnel(nameOrId);
  const isOwn =
    caller.kind === "owner" ||
    (caller.kind === "account" ? tunnel?.account === caller.id : tunnel?.id === caller.id);
  if (tunnel !== undefined && isOwn) return tunnel;
  const shown = JSON.stringify(nameOrId.slice(0, 64));
  throw new TunlError("TUNNEL_NOT_FOUND", `There is no tunnel ${shown} of yours`, {
    // No tunnel's name has a dot.
    hint: nameOrId.includes(".")
      ? "That is a hostname: write the tunnel's name in its place; tunl tunnel list shows yours"
      : "Run tunl tunnel list to see yours",
  });
}

/** The key a call came by. Calls of the table that need one are not the owner's. */
export function keyOf(caller: Caller): Uint8Array {
  if (caller.kind !== "owner") return caller.key;
  throw new TunlError("NOT_ALLOWED", "The owner of the edge has no key to ask with");
}

export function timeOf(at: number | undefined): string | undefined {
  return at === undefined ? undefined : new Date(at).toISOString();
}

/** As many names as a body holds; the number of all is said beside them. */
export function shortened(names: readonly string[]): readonly string[] {
  let length = 0;
  return names.filter((name) => (length += name.length + 3) <= NAMES_IN_RESULT);
}

function timesOf({ createdAt, seenAt }: TunnelRow): CallBody {
  return { createdAt: timeOf(createdAt), seenAt: timeOf(seenAt) };
}

function count<Row>(rows: Iterable<Row>, isCounted: (row: Row) => boolean): number {
  let sum = 0;
  for (const row of rows) if (isCounted(row)) sum += 1;
  return sum;
}
