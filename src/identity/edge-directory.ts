// This file is the connector's files about one edge, `edges/<host>[_port]/`, and the two steps that make a key.
// product.md §1.1, §5; PROTOCOL §3.1.
import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { messageOf, TunlError } from "../errors.ts";
import type {
  AccountCredentials,
  Credentials,
  EdgeRecord,
  PendingKey,
  TunnelCredentials,
} from "./credentials.ts";
import {
  formatAccount,
  formatEdge,
  formatPending,
  formatTunnel,
  parseAccount,
  parseEdge,
  parsePending,
  parseTunnel,
} from "./credentials.ts";
import {
  isMissing,
  makePrivateDirectory,
  readSecret,
  unreadable,
  removeFile,
  sweepTemporaries,
  writeFileAtomic,
} from "./files.ts";
import type { JoinLine } from "./join.ts";
import { hashCode } from "./join.ts";
import { generateKey } from "./keys.ts";
import type { SigningKey } from "./keys.ts";

const DEFAULT_PORT = 443;
const EDGE_FILE = "edge.json";
const ACCOUNT_FILE = "account.json";
/** A write takes milliseconds: an unfinished one this old is nobody's any more. */
const LEFT_BEHIND_MS = 3_600_000;
const PENDING_FILE = /^pending-(?:tunnel|account)-[0-9a-f]{32}\.json$/;
const TUNNEL_FILE = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.json$/;

/** What a line means here: a key that was enrolled by it already, or one that ENROLL must still bring to the edge. */
export type Prepared =
  | { readonly state: "known"; readonly credentials: Credentials }
  | {
      readonly state: "pending";
      readonly pending: PendingKey;
      /** False: an earlier attempt left it behind, so the edge may know it. */
      readonly isNew: boolean;
    };

/** What READY said about the owner of the new key. */
export type Joined =
  | {
      readonly kind: "tunnel";
      readonly tunnel: string;
      readonly name: string;
      readonly keyId: string;
    }
  | { readonly kind: "account"; readonly keyId: string };

/**
 * The directory of one edge.
 *
 * A key is on disk before ENROLL leaves (`prepare`), and becomes credentials after READY (`complete`); between
 * the two any number of crashes and lost replies may lie: the same line finds the same key again.
 */
export class EdgeDirectory {
  readonly path: string;
  readonly host: string;
  readonly port: number;

  /** @param base The directory `edges`, which holds one directory per edge. */
  constructor(base: string, host: string, port: number) {
    this.host = host;
    this.port = port;
    this.path = join(base, port === DEFAULT_PORT ? host : `${host}_${port}`);
  }

  /** What is known about the edge; undefined before the first join. */
  async readEdge(): Promise<EdgeRecord | undefined> {
    const path = join(this.path, EDGE_FILE);
    const text = await readSecret(path);
    return text === undefined ? undefined : parseEdge(text, path);
  }

  /** @throws TunlError `STATE_UNWRITABLE`, `INSECURE_FILE`, as everything here that writes. */
  async writeEdge(record: EdgeRecord): Promise<void> {
    await this.#write(EDGE_FILE, formatEdge(record));
  }

  /** The address that worked survives a restart, so a dead resolver does not keep us from the edge. */
  async rememberAddress(address: string): Promise<void> {
    const record = await this.readEdge();
    // Not joined yet: `complete` writes the record first.
    if (record === undefined || record.addresses[0] === address) return;
    const others = record.addresses.filter((known) => known !== address);
    await this.writeEdge({ ...record, addresses: [address, ...others] });
  }

  /** Credentials of one tunnel; undefined if there are none. */
  async readTunnel(tunnel: string): Promise<TunnelCredentials | undefined> {
    const name = `${tunnel}.json`;
    if (!TUNNEL_FILE.test(name)) return undefined;
    const path = join(this.path, name);
    const text = await readSecret(path);
    return text === undefined ? undefined : parseTunnel(text, path);
  }

  /** Credentials of the account; undefined before `tunl login`. */
  async readAccount(): Promise<AccountCredentials | undefined> {
    const path = join(this.path, ACCOUNT_FILE);
    const text = await readSecret(path);
    return text === undefined ? undefined : parseAccount(text, path);
  }

  /** All tunnels with credentials here, by UUID. */
  async listTunnels(): Promise<TunnelCredentials[]> {
    const found: TunnelCredentials[] = [];
    for (const name of (await entriesOf(this.path)).sort()) {
      const tunnel = TUNNEL_FILE.exec(name)?.[1];
      const credentials = tunnel === undefined ? undefined : await this.readTunnel(tunnel);
      if (credentials !== undefined) found.push(credentials);
    }
    return found;
  }

  async writeCredentials(credentials: Credentials): Promise<void> {
    const isTunnel = credentials.kind === "tunnel";
    await this.#write(
      isTunnel ? basename(this.pathOf(credentials.tunnel)) : ACCOUNT_FILE,
      isTunnel ? formatTunnel(credentials) : formatAccount(credentials),
    );
  }

  /**
   * First step of a join: finds the key this line stands for, or makes one and puts it on disk.
   *
   * @param now Wall clock in milliseconds, for `createdAt` and `joinedAt` only.
   * @throws TunlError `EDGE_KEY_MISMATCH` when the code is known here with another edge's fingerprint;
   *   `STATE_UNWRITABLE` when the key cannot be kept.
   */
  async prepare(line: JoinLine, kind: "tunnel" | "account", now: number): Promise<Prepared> {
    const codeHash = Buffer.from(hashCode(line.code)).toString("hex");
    const owned = kind === "tunnel" ? await this.listTunnels() : [await this.readAccount()];
    const credentials = owned.find((candidate) => candidate?.codeHash === codeHash);
    if (credentials !== undefined) {
      assertSameEdge(line, credentials.fingerprint);
      // Left behind by a crash inside `complete`: its last steps are still to be done.
      const pending = await this.#findPending(kind, codeHash);
      if (pending !== undefined) await this.#finish(pending, credentials, now);
      return { state: "known", credentials };
    }
    const found = await this.#findPending(kind, codeHash);
    if (found !== undefined) {
      assertSameEdge(line, found.fingerprint);
      return { state: "pending", pending: found, isNew: false };
    }
    const pending = await this.#makePending(kind, codeHash, line.fingerprint, now);
    return { state: "pending", pending, isNew: true };
  }

  /**
   * The key of an errand that registers one by a call, such as `tunnel create NAME`: made and on disk before the call
   * leaves. The same errand again means the same key, until `discard`.
   *
   * @param errand What the key is for, in words that are the same every time.
   * @param fingerprint Of the edge; a key that was kept for another one is replaced.
   * @returns The key; `isNew` is false for one that an earlier attempt left behind.
   */
  async keepKey(
    errand: string,
    fingerprint: string,
    now: number,
  ): Promise<{ readonly pending: PendingKey; readonly isNew: boolean }> {
    const id = createHash("sha256").update(errand).digest("hex");
    const found = await this.#findPending("tunnel", id);
    if (found?.fingerprint === fingerprint) return { pending: found, isNew: false };
    const pending = await this.#makePending("tunnel", id, fingerprint, now);
    return { pending, isNew: true };
  }

  async #findPending(kind: PendingKey["kind"], codeHash: string): Promise<PendingKey | undefined> {
    const path = this.#pendingPath(kind, codeHash);
    const text = await readSecret(path);
    return text === undefined ? undefined : parsePending(text, path);
  }

  async #makePending(
    kind: PendingKey["kind"],
    codeHash: string,
    fingerprint: string,
    now: number,
  ): Promise<PendingKey> {
    const { host, port } = this;
    const createdAt = formatTime(now);
    const pending = { kind, host, port, fingerprint, key: generateKey(), codeHash, createdAt };
    await this.#write(basename(this.#pendingPath(kind, codeHash)), formatPending(pending));
    return pending;
  }

  /**
   * Second step, after READY: the pending key becomes credentials, a tunnel becomes the edge's default one.
   * May be repeated after a crash at any point.
   */
  async complete(pending: PendingKey, joined: Joined, now: number): Promise<Credentials> {
    const credentials: Credentials = { ...pending, ...joined };
    await this.writeCredentials(credentials);
    await this.#finish(pending, credentials, now);
    return credentials;
  }

  /** The edge is known from here on, and the key is no longer on its way. */
  async #finish(pending: PendingKey, joined: Credentials, now: number): Promise<void> {
    const before = await this.readEdge();
    await this.writeEdge({
      host: this.host,
      port: this.port,
      fingerprint: pending.fingerprint,
      addresses: before?.fingerprint === pending.fingerprint ? before.addresses : [],
      tunnel: joined.kind === "tunnel" ? joined.tunnel : before?.tunnel,
      joinedAt: formatTime(now),
    });
    // Last: as long as it exists the steps above can be repeated.
    await removeFile(this.#pendingPath(pending.kind, pending.codeHash));
  }

  /**
   * The credentials file of a tunnel.
   *
   * @throws TunlError `BAD_ANSWER` for what is no UUID: edges say which tunnels there are, and no file elsewhere is theirs.
   */
  pathOf(tunnel: string): string {
    const name = `${tunnel}.json`;
    if (TUNNEL_FILE.test(name)) return join(this.path, name);
    const shown = JSON.stringify(tunnel.slice(0, 64));
    throw new TunlError("BAD_ANSWER", `The edge named a tunnel ${shown}, expected a UUID`);
  }

  /** The tunnel becomes the edge's default one where there is none yet. */
  async adoptTunnel(tunnel: string): Promise<void> {
    const edge = await this.readEdge();
    if (edge !== undefined && edge.tunnel === undefined) await this.writeEdge({ ...edge, tunnel });
  }

  /**
   * Forgets pending keys that are this one: it became credentials, and a crash kept the copy. A later errand of the same
   * words would mean this key again, which may have ended by then.
   */
  async forgetPending(key: SigningKey): Promise<void> {
    for (const name of await entriesOf(this.path)) {
      if (!PENDING_FILE.test(name)) continue;
      const path = join(this.path, name);
      const text = await readSecret(path);
      if (
        text !== undefined &&
        Buffer.from(key.publicKey).equals(parsePending(text, path).key.publicKey)
      )
        await removeFile(path);
    }
  }

  /** Forgets a tunnel that is no more: its credentials, and that it was the default one. */
  async forgetTunnel(tunnel: string): Promise<void> {
    // A file that cannot be read is forgotten all the same; no copy of its key can be told then.
    const credentials = await this.readTunnel(tunnel).catch(() => undefined);
    if (credentials !== undefined) await this.forgetPending(credentials.key);
    const edge = await this.readEdge();
    if (edge?.tunnel === tunnel) await this.writeEdge({ ...edge, tunnel: undefined });
    await removeFile(this.pathOf(tunnel));
  }

  /** Forgets a pending key: its code was refused for good, or it became credentials. */
  async discard(pending: PendingKey): Promise<void> {
    await removeFile(this.#pendingPath(pending.kind, pending.codeHash));
  }

  async #write(name: string, content: string): Promise<void> {
    await this.#change(() => makePrivateDirectory(this.path));
    await this.#change(() => sweepTemporaries(this.path, LEFT_BEHIND_MS));
    await this.#change(() => writeFileAtomic(join(this.path, name), content));
  }

  /** A full or read-only disk is told with what to do about it. */
  async #change(step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      if (error instanceof TunlError) throw error;
      const reason = messageOf(error);
      throw new TunlError("STATE_UNWRITABLE", `Writing keys in "${this.path}" failed: ${reason}`, {
        cause: error,
        hint: "Make the directory writable for this user and free some space, or choose another with TUNL_HOME",
      });
    }
  }

  #pendingPath(kind: "tunnel" | "account", codeHash: string): string {
    return join(this.path, `pending-${kind}-${codeHash.slice(0, 32)}.json`);
  }
}

/**
 * All edges this machine joined, the one joined last first.
 *
 * @param base The directory `edges`; a missing one has none.
 */
export async function listEdges(base: string): Promise<EdgeRecord[]> {
  const found: EdgeRecord[] = [];
  for (const name of await entriesOf(base)) {
    const path = join(base, name, EDGE_FILE);
    const text = await readSecret(path);
    if (text !== undefined) found.push(parseEdge(text, path));
  }
  return found.sort((a, b) =>
    a.joinedAt === b.joinedAt ? compare(a.host, b.host) : compare(b.joinedAt, a.joinedAt),
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function assertSameEdge(line: JoinLine, fingerprint: string): void {
  if (line.fingerprint === fingerprint) return;
  throw new TunlError(
    "EDGE_KEY_MISMATCH",
    `Line names the edge key ${line.fingerprint}, expected ${fingerprint} as when its code was used`,
    {
      hint: "Copy the whole line again. If the edge was rebuilt, ask for a new one: tunl edge invite",
    },
  );
}

async function entriesOf(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (isMissing(error)) return [];
    throw unreadable(path, error);
  }
}

function formatTime(now: number): string {
  return new Date(now).toISOString();
}
