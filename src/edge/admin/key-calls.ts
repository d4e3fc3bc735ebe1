// This file is the calls about keys: public ones only, the edge never sees a secret. http.md §5.4; product.md §2.3; A-07.
import { TunlError } from "../../errors.ts";
import { isEnded, type KeyRow, type TunnelRow } from "../store/index.ts";
import type { Body } from "./body.ts";
import type { Call, CallContext, Caller } from "./context.ts";
import { byOf } from "./context.ts";
import { ownTunnel, timeOf } from "./tunnel-calls.ts";

/** How long an old key works beside the new one where nobody says (product.md §2.3). */
const OVERLAP_MS = 600_000;

export const keyAdd: Call = async (context, caller, body) => {
  const { id, name } = ownTunnel(context, caller, body.text("tunnel"));
  const key = await context.store.tunnels.addKey(byOf(caller), {
    tunnel: id,
    publicKey: body.key("key"),
    label: body.optionalText("label") ?? name,
    kind: kindOf(body),
    hosts: body.texts("hosts"),
    ttlMs: body.optionalNumber("ttlMs"),
  });
  return { tunnel: { id, name }, keyId: key.keyId, expiresAt: timeOf(key.expiresAt) };
};

export const keyRotate: Call = async (context, caller, body) => {
  const { store } = context;
  const old = rotatedKey(context, caller, body);
  const next = body.key("key");
  const overlapMs = body.number("overlapMs", OVERLAP_MS);
  const rotated = await store.tunnels.rotateKey(byOf(caller), old, next, overlapMs);
  const { keyId, revokedAt, expiresAt } = rotated.old;
  const ends = revokedAt === undefined ? "ends" : "is revoked";
  await store.backUp(`Key "${keyId}" ${ends}, "${rotated.key.keyId}" is in its place`);
  return { keyId: rotated.key.keyId, oldEndsAt: timeOf(revokedAt ?? expiresAt) };
};

export const keyRevoke: Call = async (context, caller, body) => {
  const tunnel = ownTunnel(context, caller, body.text("tunnel"));
  const isAll = body.boolean("all");
  const keys = isAll
    ? keysInForce(context, tunnel)
    : [namedKey(context, tunnel, body.text("keyId"))];
  const revoked = await context.store.tunnels.revokeKeys(byOf(caller), keys);
  await context.store.backUp(saidOf(revoked, tunnel));
  return { revoked: revoked.map(({ keyId }) => keyId) };
};

/** An account names the key; the key of a tunnel can only mean itself. */
function rotatedKey(context: CallContext, caller: Caller, body: Body): KeyRow {
  const { snapshot } = context.store;
  const keyId = body.optionalText("keyId");
  if (caller.kind === "tunnel") {
    const own = snapshot.key(caller.key);
    if (own !== undefined && (keyId === undefined || keyId === own.keyId)) return own;
    throw new TunlError("NOT_ALLOWED", "The key of a tunnel may rotate itself only");
  }
  const tunnel = ownTunnel(context, caller, body.text("tunnel"));
  return namedKey(context, tunnel, body.text("keyId"));
}

function namedKey({ store }: CallContext, tunnel: TunnelRow, keyId: string): KeyRow {
  const key = store.snapshot.keyOf({ kind: "tunnel", id: tunnel.id }, keyId);
  if (key !== undefined) return key;
  const shown = JSON.stringify(keyId.slice(0, 64));
  throw new TunlError("KEY_NOT_FOUND", `Tunnel "${tunnel.name}" has no key ${shown}`, {
    hint: `Run tunl tunnel info ${tunnel.name}, it lists the keys`,
  });
}

export function keysInForce({ store }: CallContext, { id }: TunnelRow): readonly KeyRow[] {
  const now = store.now();
  return [...store.snapshot.keysOf({ kind: "tunnel", id })].filter((key) => !isEnded(key, now));
}

/** What is in force, for the text of a failed backup (product.md §8). */
export function saidOf(keys: readonly KeyRow[], { name }: Pick<TunnelRow, "name">): string {
  const [only] = keys;
  if (only !== undefined && keys.length === 1) return `Key "${only.keyId}" of "${name}" is revoked`;
  return `${keys.length} keys of "${name}" are revoked`;
}

function kindOf(body: Body): KeyRow["kind"] {
  const kind = body.optionalText("kind") ?? "key";
  if (kind === "key" || kind === "token") return kind;
  throw new TunlError("USAGE", 'The call has no valid "kind", expected key or token');
}
