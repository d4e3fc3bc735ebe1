// This file is the store as the edge holds it: a snapshot to read, a worker to change it. reliability.md §4 item 1.
import { randomInt } from "node:crypto";
import { TunlError } from "../../errors.ts";
import { hashCode, makeCode, sweepTemporaries } from "../../identity/index.ts";
import {
  decideClaim,
  decideGrant,
  drawName,
  fixedOwner,
  isReserved,
  randomBase,
} from "../route/index.ts";
import type { Decision, NameStyle } from "../route/index.ts";
import { Backups, notBackedUp } from "./backups.ts";
import {
  assertBetween,
  assertWhole,
  canonicalPattern,
  canonicalScope,
  noRandomName,
  notGranted,
} from "./asked.ts";
import { unwritable } from "./database.ts";
import { taken } from "./hostnames.ts";
import type {
  AuditRow,
  Calls,
  CodeRow,
  Enrolled,
  HostRow,
  KeyRow,
  Owner,
  TunnelRow,
} from "./records.ts";
import { Snapshot } from "./snapshot.ts";
import type {
  CodeOrder,
  EnrolRequest,
  HostOwner,
  IssuedCode,
  RouteChanges,
  Store,
  StoreCondition,
  StoreOptions,
  TunnelChanges,
} from "./store.ts";
import { LastSeen } from "./last-seen.ts";
import { WorkerLine } from "./worker-line.ts";
import { WorkerRoutes } from "./worker-routes.ts";
import { WorkerTunnels } from "./worker-tunnels.ts";

const MIN_TTL_MS = 1_000;
const MAX_TTL_MS = 30 * 86_400_000;
const MAX_USES = 1_000;
const MAX_TARGET = 1_024;
const MAX_AUDIT_PAGE = 1_000;
/** Names drawn at once, and how often: with half of all names in use the last draw fails once in 2^64. */
const CANDIDATES = 16;
const DRAWS = 4;

/**
 * Starts the worker, opens the state and removes what unfinished writes left in its directory.
 *
 * @throws TunlError `STATE_LOCKED`, `STATE_DAMAGED`, `STATE_TOO_NEW`, `STATE_UNWRITABLE`, `INSECURE_FILE`, `STORE_FAILED`.
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  const snapshot = new Snapshot();
  const now = (options.wallClock ?? Date.now)();
  const line = await WorkerLine.open({ ...options, now }, snapshot);
  try {
    // Under the lock nobody else writes here, and no backup of ours has begun: it would be swept away with the rest.
    await sweepTemporaries(options.directory, 0);
  } catch (error) {
    await line[Symbol.asyncDispose]();
    throw unwritable(options.directory, error);
  }
  return new WorkerStore(line, snapshot, options);
}

class WorkerStore implements Store {
  readonly snapshot: Snapshot;
  readonly #line: WorkerLine;
  readonly #options: StoreOptions;
  readonly #wallClock: () => number;
  readonly #lastSeen: LastSeen;
  readonly #backups: Backups;
  readonly tunnels: TunnelChanges;
  readonly routes: RouteChanges;

  constructor(line: WorkerLine, snapshot: Snapshot, options: StoreOptions) {
    this.snapshot = snapshot;
    this.#line = line;
    this.#options = options;
    this.#wallClock = options.wallClock ?? Date.now;
    this.tunnels = new WorkerTunnels(line, snapshot, options.rules, this.#wallClock);
    this.routes = new WorkerRoutes(line, snapshot, options.rules, this.#wallClock);
    this.#lastSeen = new LastSeen(
      (batch) => line.call("seen", batch, this.#wallClock()),
      options.log,
    );
    this.#backups = new Backups({
      make: () => line.backUp(this.#wallClock()),
      newest: line.newestBackup,
      wallClock: this.#wallClock,
      log: options.log,
    });
    this.#backups.start();
  }

  async createCode(order: CodeOrder): Promise<IssuedCode> {
    const { makes, ttlMs, uses } = order;
    assertBetween("ttlMs", ttlMs, MIN_TTL_MS, MAX_TTL_MS);
    assertBetween("uses", uses, 1, MAX_USES);
    const scope = canonicalScope(order.scope);
    const tunnel = makes.kind === "key" ? this.#tunnelNamed(makes.tunnel).id : undefined;
    const name = makes.kind === "key" ? undefined : makes.name;
    const code = makeCode();
    const now = this.#wallClock();
    const expiresAt = now + ttlMs;
    await this.#line.call(
      "createCode",
      { hash: hashCode(code), makes: makes.kind, tunnel, name, scope, uses, expiresAt },
      now,
    );
    return { code, expiresAt };
  }

  revokeCode(code: Uint8Array): Promise<Calls["revokeCode"]["value"]> {
    return this.#line.call("revokeCode", { hash: hashCode(code) }, this.#wallClock());
  }

  listCodes(): Promise<readonly CodeRow[]> {
    return this.#line.call("listCodes", undefined, this.#wallClock());
  }

  enrol(request: EnrolRequest): Promise<Enrolled> {
    const { publicKey, kind, name, label } = request;
    const codeHash = hashCode(request.code);
    const kept = this.#options.rules.fixed.map(({ tunnel }) => tunnel);
    const body = { publicKey, codeHash, kind, name, label, kept };
    return this.#line.call("enrol", body, this.#wallClock());
  }

  async claimHost({ tunnel, keyId }: HostOwner, text: string): Promise<HostRow> {
    const key = this.#keyOf({ kind: "tunnel", id: tunnel }, keyId);
    const host = canonicalPattern(text);
    const decision = decideClaim(this.snapshot, this.#options.rules, {
      tunnel,
      name: this.snapshot.tunnel(tunnel)?.name,
      scope: key.scope,
      host,
    });
    return await this.#insert(decision, { by: key.publicKey, host, tunnel, how: "claimed" });
  }

  async grantHost(nameOrId: string, text: string): Promise<HostRow> {
    const tunnel = this.#tunnelNamed(nameOrId).id;
    const host = canonicalPattern(text);
    assertWhole(host, this.#options.rules.domains);
    const decision = decideGrant(this.snapshot, this.#options.rules, tunnel, host);
    return await this.#insert(decision, { by: undefined, host, tunnel, how: "granted" });
  }

  async randomHost({ tunnel, keyId }: HostOwner, target: string): Promise<HostRow> {
    const key = this.#keyOf({ kind: "tunnel", id: tunnel }, keyId);
    const { publicKey, scope } = this.#successorOf(key);
    const remembered = this.snapshot.randomHost(publicKey, target);
    if (remembered !== undefined) return remembered;
    assertBetween("characters of TARGET", target.length, 0, MAX_TARGET);
    const { rules, style } = this.#options;
    const base = randomBase(rules, scope);
    if (style === undefined) throw noRandomNames();
    if (base === undefined) throw noRandomName();
    for (let draw = 0; draw < DRAWS; draw++) {
      const candidates = this.#drawCandidates(base, style);
      const row = await this.#line.call(
        "nameHost",
        { by: key.publicKey, tunnel, publicKey, target, candidates },
        this.#wallClock(),
      );
      if (row !== undefined) return row;
    }
    throw new TunlError(
      "HOSTNAME_TAKEN",
      `No free random name below ${base} after ${DRAWS * CANDIDATES} tries`,
      {
        retryable: true,
        hint: "Choose a --name, or on the edge: names.style three-words",
      },
    );
  }

  releaseHost(text: string): Promise<boolean> {
    return this.#line.call("removeHost", { host: canonicalPattern(text) }, this.#wallClock());
  }

  releaseUnused(unusedForMs: number, kept: readonly string[]): Promise<readonly string[]> {
    const now = this.#wallClock();
    return this.#line.call("removeUnused", { usedBefore: now - unusedForMs, kept }, now);
  }

  fixHosts(): Promise<readonly string[]> {
    const grants = this.#options.rules.fixed.flatMap(({ tunnel, hosts }) => {
      const id = this.snapshot.findTunnel(tunnel)?.id;
      return id === undefined ? [] : hosts.map((host) => ({ host, tunnel: id }));
    });
    return this.#line.call("fixHosts", { grants }, this.#wallClock());
  }

  async revokeKey(owner: Owner, keyId: string): Promise<KeyRow> {
    const key = this.#keyOf(owner, keyId);
    return (await this.tunnels.revokeKeys(undefined, [key]))[0] as KeyRow;
  }

  now(): number {
    return this.#wallClock();
  }

  listAudit(limit: number): Promise<readonly AuditRow[]> {
    return this.#line.call(
      "listAudit",
      { limit: Math.min(limit, MAX_AUDIT_PAGE) },
      this.#wallClock(),
    );
  }

  touch(owner: Owner, keyId: string): void {
    const at = this.#wallClock();
    const key = this.snapshot.keyOf(owner, keyId);
    if (key === undefined) return;
    this.snapshot.apply([{ table: "keys", row: { ...key, seenAt: at } }]);
    this.#lastSeen.key(key.publicKey, at);
    const tunnel = owner.kind === "tunnel" ? this.snapshot.tunnel(owner.id) : undefined;
    if (tunnel === undefined) return;
    this.snapshot.apply([{ table: "tunnels", row: { ...tunnel, seenAt: at } }]);
    this.#lastSeen.tunnel(tunnel.id, at);
  }

  touchHost(host: string): void {
    const at = this.#wallClock();
    const row = this.snapshot.host(host);
    if (row === undefined) return;
    this.snapshot.apply([{ table: "hosts", row: { ...row, usedAt: at } }]);
    this.#lastSeen.host(host, at);
  }

  async backUp(done = "The change is in force"): Promise<void> {
    try {
      await this.#backups.backUp();
    } catch (error) {
      throw notBackedUp(done, error);
    }
  }

  get condition(): StoreCondition {
    const { newest, failure } = this.#backups;
    return {
      backedUpAt: newest?.at,
      backupFailure: failure?.message,
      damage: this.#line.damage?.message,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#backups[Symbol.dispose]();
    await this.#lastSeen[Symbol.asyncDispose]();
    await this.#line[Symbol.asyncDispose]();
  }

  /** Turns a decision into a row: "held" by an own `*.x` gets a row of its own too, so that it can be seen and released. */
  async #insert(decision: Decision, wanted: Calls["insertHost"]["body"]): Promise<HostRow> {
    if (decision === "notGranted") throw notGranted(wanted.host, this.#options.rules);
    if (decision === "taken") throw taken(wanted.host);
    const held = this.snapshot.host(wanted.host);
    if (held !== undefined && (held.how === "granted" || wanted.how === "claimed")) return held;
    return await this.#line.call("insertHost", wanted, this.#wallClock());
  }

  #drawCandidates(base: string, style: NameStyle): string[] {
    const { rules } = this.#options;
    const isOneLabel = rules.domains.includes(base);
    const candidates: string[] = [];
    for (let draw = 0; draw < CANDIDATES; draw++) {
      const label = drawName(style, (below) => randomInt(below));
      // Below a domain a label may be reserved; below a name of the scope it is an inner one and free.
      const isFree = !isOneLabel || !isReserved(label, rules.reserved);
      const host = `${label}.${base}`;
      if (isFree && fixedOwner(rules.fixed, { host, isWildcard: false }) === undefined)
        candidates.push(host);
    }
    return candidates;
  }

  #keyOf(owner: Owner, keyId: string): KeyRow {
    const key = this.snapshot.keyOf(owner, keyId);
    if (key === undefined) throw keyNotFound(keyId);
    return key;
  }

  /** Names are remembered for a key and those that took its place, so that a rotation costs nobody a name. */
  #successorOf(key: KeyRow): KeyRow {
    let newest = key;
    for (let next = key.replacedBy; next !== undefined; next = newest.replacedBy) {
      const row = this.snapshot.key(next);
      if (row === undefined) break;
      newest = row;
    }
    return newest;
  }

  #tunnelNamed(nameOrId: string): TunnelRow {
    const tunnel = this.snapshot.findTunnel(nameOrId);
    if (tunnel !== undefined) return tunnel;
    throw new TunlError("TUNNEL_NOT_FOUND", `No tunnel is named "${nameOrId}"`, {
      hint: nameOrId.includes(".")
        ? "That is a hostname: write the tunnel's name in its place; tunl status lists the tunnels"
        : "Run tunl status, it lists the tunnels",
    });
  }
}

function noRandomNames(): TunlError {
  return new TunlError("HOSTNAME_NOT_GRANTED", "This edge hands out no random names", {
    hint: "Choose a name: --name LABEL, or --host NAME",
  });
}

function keyNotFound(keyId: string): TunlError {
  return new TunlError("KEY_NOT_FOUND", `No key is named "${keyId}"`);
}
