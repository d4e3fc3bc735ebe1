// This file is the state in memory: what gate and routing read on every handshake and stream. reliability.md §4 item 1; A-08.
import { isBelow, withoutWildcard } from "../../address/index.ts";
import type { Presence } from "../pipeline.ts";
import type { HostWatcher } from "../certificates/index.ts";
import type { GrantView } from "../route/index.ts";
import { Groups } from "./groups.ts";
import type { AccountRow, Change, HostRow, KeyRow, Owner, TunnelRow } from "./records.ts";

/** What hears of keys and tunnels as they change: sessions end with their key. */
export interface SnapshotEvents {
  /** A key was written: new, seen, or not in force any more. */
  key(row: KeyRow): void;
  /** A tunnel is new. */
  tunnelMade(row: TunnelRow): void;
}

/** All rows but codes and audit. Only the store changes it; rows are replaced, never altered. */
export class Snapshot implements GrantView, Presence {
  readonly #accounts = new Map<string, AccountRow>();
  readonly #tunnels = new Map<string, TunnelRow>();
  readonly #tunnelsByName = new Map<string, TunnelRow>();
  readonly #keys = new Map<string, KeyRow>();
  readonly #keysByLabel = new Map<string, KeyRow>();
  /** Tunnels with a key that was not revoked, and how many. */
  readonly #keysInForce = new Map<string, number>();
  readonly #hosts = new Map<string, HostRow>();
  /** `*.x` by its x: the second look-up of `ownerOf` makes no text. */
  readonly #wildcards = new Map<string, HostRow>();
  readonly #randomHosts = new Map<string, HostRow>();
  /** Keys and names by whom they belong to: lists of one tunnel never walk through those of all. */
  readonly #keysByOwner = new Groups<KeyRow>();
  readonly #hostsByTunnel = new Groups<HostRow>();
  readonly #tunnelsByAccount = new Groups<TunnelRow>();
  /** Set by the edge once everything that listens is there. */
  events: SnapshotEvents | undefined;
  readonly #watchers: HostWatcher[] = [];

  /** Tells of names as they are granted and released from now on. */
  watchHosts(watcher: HostWatcher): void {
    this.#watchers.push(watcher);
  }

  /** Applies differences in order. For the store. */
  apply(changes: readonly Change[]): void {
    for (const change of changes) this.#applyOne(change);
  }

  /** Keys in the order they were made, revoked ones too. */
  get keys(): Iterable<KeyRow> {
    return this.#keys.values();
  }

  get tunnels(): Iterable<TunnelRow> {
    return this.#tunnels.values();
  }

  get accounts(): Iterable<AccountRow> {
    return this.#accounts.values();
  }

  get hosts(): Iterable<HostRow> {
    return this.#hosts.values();
  }

  /** True before anything was enrolled or granted. */
  get isEmpty(): boolean {
    return this.#keys.size + this.#tunnels.size + this.#accounts.size === 0;
  }

  /** The key, revoked or not. */
  key(publicKey: Uint8Array): KeyRow | undefined {
    return this.#keys.get(hexOf(publicKey));
  }

  /** The key by its label within its owner. */
  keyOf(owner: Owner, keyId: string): KeyRow | undefined {
    return this.#keysByLabel.get(labelOf(owner, keyId));
  }

  /** Keys of an owner in the order they were made, ended ones too. */
  keysOf(owner: Owner): Iterable<KeyRow> {
    return this.#keysByOwner.of(`${owner.kind} ${owner.id}`);
  }

  hostsOf(tunnel: string): Iterable<HostRow> {
    return this.#hostsByTunnel.of(tunnel);
  }

  tunnelsOf(account: string): Iterable<TunnelRow> {
    return this.#tunnelsByAccount.of(account);
  }

  tunnel(id: string): TunnelRow | undefined {
    return this.#tunnels.get(id);
  }

  /** A tunnel as people name it: by name or UUID. */
  findTunnel(nameOrId: string): TunnelRow | undefined {
    return this.#tunnels.get(nameOrId) ?? this.#tunnelsByName.get(nameOrId);
  }

  lastSeen(tunnel: string): number | undefined {
    return this.#keysInForce.has(tunnel) ? this.#tunnels.get(tunnel)?.seenAt : undefined;
  }

  account(id: string): AccountRow | undefined {
    return this.#accounts.get(id);
  }

  /** The entry of exactly this name or `*.x`. */
  host(host: string): HostRow | undefined {
    return this.#hosts.get(host);
  }

  /** The name remembered for a key and TARGET. */
  randomHost(publicKey: Uint8Array, target: string): HostRow | undefined {
    return this.#randomHosts.get(randomOf(publicKey, target));
  }

  ownerOf(host: string): string | undefined {
    const exact = this.#hosts.get(host);
    if (exact !== undefined) return exact.tunnel;
    if (this.#wildcards.size === 0) return undefined;
    for (let dot = host.indexOf("."); dot !== -1; dot = host.indexOf(".", dot + 1)) {
      const wildcard = this.#wildcards.get(host.slice(dot + 1));
      if (wildcard !== undefined) return wildcard.tunnel;
    }
    return undefined;
  }

  hasForeignBelow(parent: string, tunnel: string): boolean {
    for (const row of this.#hosts.values()) {
      const name = withoutWildcard(row.host);
      if (row.tunnel !== tunnel && isBelow(name, parent)) return true;
    }
    return false;
  }

  #applyOne(change: Change): void {
    switch (change.table) {
      case "accounts":
        this.#accounts.set(change.row.id, change.row);
        return;
      case "tunnels":
        if ("gone" in change) this.#removeTunnel(change.gone);
        else this.#setTunnel(change.row);
        return;
      case "keys":
        this.#setKey(change.row);
        return;
      case "hosts":
        if ("gone" in change) this.#removeHost(change.gone);
        else this.#setHost(change.row);
        return;
      default:
        change satisfies never;
    }
  }

  #setTunnel(row: TunnelRow): void {
    const isNew = !this.#tunnels.has(row.id);
    this.#tunnels.set(row.id, row);
    this.#tunnelsByName.set(row.name, row);
    if (row.account !== undefined) this.#tunnelsByAccount.set(row.account, row.id, row);
    if (isNew) this.events?.tunnelMade(row);
  }

  #removeTunnel(id: string): void {
    const row = this.#tunnels.get(id);
    if (row === undefined) return;
    this.#tunnels.delete(id);
    this.#tunnelsByName.delete(row.name);
    if (row.account !== undefined) this.#tunnelsByAccount.delete(row.account, id);
  }

  #setKey(row: KeyRow): void {
    const hex = hexOf(row.publicKey);
    const { kind, id } = row.owner;
    if (kind === "tunnel") {
      const counted = isInForce(this.#keys.get(hex));
      const count = (this.#keysInForce.get(id) ?? 0) + Number(isInForce(row)) - Number(counted);
      if (count > 0) this.#keysInForce.set(id, count);
      else this.#keysInForce.delete(id);
    }
    this.#keys.set(hex, row);
    this.#keysByLabel.set(labelOf(row.owner, row.keyId), row);
    this.#keysByOwner.set(`${kind} ${id}`, hex, row);
    this.events?.key(row);
  }

  #setHost(row: HostRow): void {
    const old = this.#hosts.get(row.host);
    if (old?.random !== undefined)
      this.#randomHosts.delete(randomOf(old.random.publicKey, old.random.target));
    if (old !== undefined && old.tunnel !== row.tunnel)
      this.#hostsByTunnel.delete(old.tunnel, row.host);
    this.#hostsByTunnel.set(row.tunnel, row.host, row);
    this.#hosts.set(row.host, row);
    if (row.host.startsWith("*.")) this.#wildcards.set(row.host.slice(2), row);
    if (row.random !== undefined)
      this.#randomHosts.set(randomOf(row.random.publicKey, row.random.target), row);
    if (old === undefined) for (const watcher of this.#watchers) watcher.granted(row.host);
  }

  #removeHost(host: string): void {
    const row = this.#hosts.get(host);
    if (row === undefined) return;
    this.#hosts.delete(host);
    this.#hostsByTunnel.delete(row.tunnel, host);
    if (host.startsWith("*.")) this.#wildcards.delete(host.slice(2));
    if (row.random !== undefined)
      this.#randomHosts.delete(randomOf(row.random.publicKey, row.random.target));
    for (const watcher of this.#watchers) watcher.released(host);
  }
}

function isInForce(row: KeyRow | undefined): boolean {
  return row !== undefined && row.revokedAt === undefined;
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}

function labelOf(owner: Owner, keyId: string): string {
  return `${owner.kind} ${owner.id} ${keyId}`;
}

function randomOf(publicKey: Uint8Array, target: string): string {
  return `${hexOf(publicKey)} ${target}`;
}
