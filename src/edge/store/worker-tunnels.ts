// This file is changes to tunnels and keys as the edge asks for them: judged by the snapshot, decided in the worker. http.md §5.4; A-08.
import { randomUUID } from "node:crypto";
import { parsePattern } from "../../address/index.ts";
import { TunlError } from "../../errors.ts";
import { decideClaim, isFreeFor, isWithinScope, type NameRules } from "../route/index.ts";
import { assertBetween, canonicalPattern, canonicalScope, notGranted } from "./asked.ts";
import { taken } from "./hostnames.ts";
import { isName } from "./labels.ts";
import type { By, KeyRow, MadeTunnel, Rotated } from "./records.ts";
import type { Snapshot } from "./snapshot.ts";
import type { KeyOrder, TunnelChanges, TunnelOrder } from "./store.ts";
import type { WorkerLine } from "./worker-line.ts";

const MIN_TTL_MS = 1_000;
const MAX_TTL_MS = 3_650 * 86_400_000;
const MAX_OVERLAP_MS = 30 * 86_400_000;
/** Names that one tunnel is made with. */
const MAX_FIRST_HOSTS = 64;

export class WorkerTunnels implements TunnelChanges {
  readonly #line: WorkerLine;
  readonly #snapshot: Snapshot;
  readonly #rules: NameRules;
  readonly #wallClock: () => number;

  constructor(line: WorkerLine, snapshot: Snapshot, rules: NameRules, wallClock: () => number) {
    this.#line = line;
    this.#snapshot = snapshot;
    this.#rules = rules;
    this.#wallClock = wallClock;
  }

  async create(by: Uint8Array, order: TunnelOrder): Promise<MadeTunnel> {
    const { name, publicKey, label } = order;
    if (!isName(name)) throw badName(name);
    assertBetween("number of hosts", order.hosts.length, 0, MAX_FIRST_HOSTS);
    const scope = this.#scopeOf(by);
    // A repeat of a call whose answer was lost finds its names held by the tunnel it made.
    const known = this.#snapshot.key(publicKey)?.owner;
    const id = known?.kind === "tunnel" ? known.id : randomUUID();
    const isRepeat = this.#snapshot.findTunnel(name)?.id === id;
    if (!isRepeat && !isFreeFor(this.#rules, name, scope)) throw nameKept(name);
    const hosts = order.hosts.map((text) => {
      const host = canonicalPattern(text);
      const decision = decideClaim(this.#snapshot, this.#rules, { tunnel: id, name, scope, host });
      if (decision === "notGranted") throw notGranted(host, this.#rules);
      if (decision === "taken") throw taken(host);
      return host;
    });
    const body = { by, id, name, publicKey, label, scope, hosts };
    return await this.#line.call("createTunnel", body, this.#wallClock());
  }

  remove(by: By, tunnel: string): Promise<{ hosts: readonly string[]; keys: number }> {
    return this.#line.call("deleteTunnel", { by, tunnel }, this.#wallClock());
  }

  async addKey(by: By, order: KeyOrder): Promise<KeyRow> {
    const { tunnel, publicKey, label, kind, hosts, ttlMs } = order;
    if (ttlMs !== undefined) assertBetween("ttlMs", ttlMs, MIN_TTL_MS, MAX_TTL_MS);
    const bounds = by === undefined ? [] : this.#scopeOf(by);
    const wished = canonicalScope(hosts);
    for (const host of wished)
      if (!isWithinScope(this.#rules, bounds, parsePattern(host)))
        throw notGranted(host, this.#rules, this.#snapshot.tunnel(tunnel)?.name);
    const now = this.#wallClock();
    const expiresAt = ttlMs === undefined ? undefined : now + ttlMs;
    const scope = wished.length === 0 ? bounds : wished;
    const body = { by, tunnel, publicKey, label, kind, scope, expiresAt };
    return await this.#line.call("addKey", body, now);
  }

  async rotateKey(by: By, old: KeyRow, next: Uint8Array, overlapMs: number): Promise<Rotated> {
    assertBetween("overlapMs", overlapMs, 0, MAX_OVERLAP_MS);
    const now = this.#wallClock();
    const body = { by, publicKey: old.publicKey, next, endsAt: now + overlapMs };
    return await this.#line.call("rotateKey", body, now);
  }

  revokeKeys(by: By, keys: readonly KeyRow[]): Promise<readonly KeyRow[]> {
    const publicKeys = keys.map(({ publicKey }) => publicKey);
    return this.#line.call("revokeKeys", { by, publicKeys }, this.#wallClock());
  }

  async shut(tunnel: string): Promise<readonly KeyRow[]> {
    return await this.#line.call("shutTunnel", { tunnel }, this.#wallClock());
  }

  #scopeOf(by: Uint8Array): readonly string[] {
    return this.#snapshot.key(by)?.scope ?? [];
  }
}

function nameKept(name: string): TunlError {
  return new TunlError(
    "NAME_TAKEN",
    `The name "${name}" is kept for a tunnel with names that this account may not claim`,
    { hint: "Choose another name, or ask the edge's owner for a line made with --name" },
  );
}

function badName(name: string): TunlError {
  const shown = JSON.stringify(name.slice(0, 64));
  return new TunlError(
    "USAGE",
    `Tunnel name is ${shown}, expected 1 to 56 of a-z, 0-9 and - between them`,
    { hint: "Write a name such as my-tunnel" },
  );
}
