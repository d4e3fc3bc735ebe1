// This file is the interface of the store. SQLite in a worker implements it today; edges that share state come later.
// reliability.md §4 item 1.
import type { Logger } from "../../log.ts";
import type { NameRules, NameStyle } from "../route/index.ts";
import type {
  AuditRow,
  By,
  Calls,
  CodeRow,
  Enrolled,
  HostProof,
  HostRow,
  KeyRow,
  MadeRecord,
  MadeTunnel,
  Owner,
  Rotated,
} from "./records.ts";
import type { Snapshot } from "./snapshot.ts";

export type StoreOptions = {
  /** The state directory: exists, private. */
  readonly directory: string;
  /** True when this edge existed before: a missing or empty database is then damage, not a first start. */
  readonly isExpected: boolean;
  readonly rules: NameRules;
  /** `names.random` and `names.style`: how names are drawn; undefined: none is. */
  readonly style: NameStyle | undefined;
  readonly log: Logger;
  /** Wall clock in milliseconds; only codes and times for people depend on it. */
  readonly wallClock?: () => number;
};

/** What a new code makes and bounds. */
export type CodeOrder = {
  /** `tunnel`: named `name`, else after the machine. `key`: for the existing tunnel `tunnel` (name or UUID). */
  readonly makes:
    | { readonly kind: "tunnel"; readonly name?: string | undefined }
    | { readonly kind: "key"; readonly tunnel: string }
    | { readonly kind: "account"; readonly name?: string | undefined };
  /** Names and `*.x`; empty: any one label below the domains. At most 64. */
  readonly scope: readonly string[];
  /** 1 s to 30 days. */
  readonly ttlMs: number;
  /** 1 to 1,000 keys. */
  readonly uses: number;
};

export type IssuedCode = {
  /** 16 bytes, nowhere else but here: the store keeps its hash. */
  readonly code: Uint8Array;
  readonly expiresAt: number;
};

/** A proven enrolment. */
export type EnrolRequest = {
  readonly publicKey: Uint8Array;
  readonly code: Uint8Array;
  readonly kind: Owner["kind"];
  /** Wished name of the tunnel or account; any text, it is brought into form. */
  readonly name: string;
  /** Wished label of the key, likewise. */
  readonly label: string;
};

/** The key on whose behalf a name is claimed, as `Admission` names it. */
export type HostOwner = { readonly tunnel: string; readonly keyId: string };

/** How the state on the disk is. */
export type StoreCondition = {
  /** When the newest backup was made, in wall-clock milliseconds. */
  readonly backedUpAt: number | undefined;
  /** Why the last try of a backup failed. */
  readonly backupFailure: string | undefined;
  /** Why no change can be made any more until the edge starts again: memory serves. */
  readonly damage: string | undefined;
};

/** What a tunnel of an account begins with. */
export type TunnelOrder = {
  readonly name: string;
  readonly publicKey: Uint8Array;
  /** Wished label of the key; any text. */
  readonly label: string;
  /** As the connector wrote them; all of them, or there is no tunnel. */
  readonly hosts: readonly string[];
};

/** A further key of a tunnel. */
export type KeyOrder = {
  /** UUID. */
  readonly tunnel: string;
  readonly publicKey: Uint8Array;
  readonly label: string;
  readonly kind: KeyRow["kind"];
  /** What it may claim; empty: what its account may. */
  readonly hosts: readonly string[];
  /** 1 s to 10 years; undefined: for ever. */
  readonly ttlMs: number | undefined;
};

/**
 * Changes to tunnels and keys, on behalf of whoever `by` is: the public key of an account or tunnel, undefined for the
 * owner of the edge. Each is one transaction, and refused with `NOT_ALLOWED` when that key is not in force any more.
 * What they revoke is in force as soon as the promise resolves; `backUp` comes before it is acknowledged.
 */
export interface TunnelChanges {
  /** @throws TunlError `USAGE`, `NAME_TAKEN`, `TUNNEL_LIMIT`, as `claimHost`. */
  create(by: Uint8Array, order: TunnelOrder): Promise<MadeTunnel>;
  /** @throws TunlError `TUNNEL_NOT_FOUND`. */
  remove(by: By, tunnel: string): Promise<{ hosts: readonly string[]; keys: number }>;
  /** @throws TunlError `USAGE`, `TUNNEL_NOT_FOUND`, `HOSTNAME_NOT_GRANTED`, `KEY_LIMIT`. */
  addKey(by: By, order: KeyOrder): Promise<KeyRow>;
  /**
   * @param overlapMs How long the old one still works, 0 to 30 days.
   * @throws TunlError `USAGE`, `KEY_NOT_FOUND`, `KEY_LIMIT`.
   */
  rotateKey(by: By, old: KeyRow, next: Uint8Array, overlapMs: number): Promise<Rotated>;
  revokeKeys(by: By, keys: readonly KeyRow[]): Promise<readonly KeyRow[]>;
  /** Every key of a tunnel, and the codes that would make more; its names stay. For the owner of the edge. */
  shut(tunnel: string): Promise<readonly KeyRow[]>;
}

/** Changes to names by the DNS: claims of accounts, proofs, and which records the edge made. product.md §6. */
export interface RouteChanges {
  /**
   * Makes a name a tunnel's on behalf of its account.
   *
   * @param by Public key of the account.
   * @param tunnel UUID.
   * @throws TunlError as `claimHost`; `TUNNEL_NOT_FOUND`.
   */
  claim(by: Uint8Array, tunnel: string, host: string): Promise<HostRow>;
  /** Frees a name of the account; undefined where it has no such name. */
  release(by: By, host: string): Promise<HostRow | undefined>;
  /** Undefined where the name is not that tunnel's any more. */
  setProof(row: Pick<HostRow, "host" | "tunnel">, proof: HostProof): Promise<HostRow | undefined>;
  /** Remembers a record before it is made: what may be there must not be forgotten. */
  keepRecord(record: Omit<MadeRecord, "createdAt">): Promise<void>;
  /** After it was removed. */
  forgetRecord(record: Pick<MadeRecord, "name" | "type" | "value">): Promise<void>;
  /** All of them, the oldest first. */
  records(): Promise<readonly MadeRecord[]>;
}

/**
 * The edge's memory.
 *
 * Every promise resolves after the commit. All methods reject with `STORE_FULL` (no space), `STORE_FAILED` (the
 * disk or the worker), both for this change only and retryable, `STORE_BUSY` (256 changes wait), `STATE_DAMAGED`
 * (the database was found damaged while running: memory serves, changes are refused until the repair).
 */
export interface Store extends AsyncDisposable {
  /** Reads without waiting; it is changed before the promise of a change resolves. */
  readonly snapshot: Snapshot;

  /** @throws TunlError `USAGE` for an order out of bounds, `TUNNEL_NOT_FOUND`. */
  createCode(order: CodeOrder): Promise<IssuedCode>;
  /** Ends a code, and says which keys it made. */
  revokeCode(code: Uint8Array): Promise<Calls["revokeCode"]["value"]>;
  /** Codes not yet expired. */
  listCodes(): Promise<readonly CodeRow[]>;
  /** Uses the code and stores the key, in one transaction. */
  enrol(request: EnrolRequest): Promise<Enrolled>;

  /**
   * Makes a name the tunnel's, first come; a name it holds already is fine.
   *
   * @param host As the connector wrote it.
   * @throws TunlError `HOSTNAME_TAKEN`, `HOSTNAME_NOT_GRANTED`, `HOSTNAME_LIMIT` (1,000 names of a tunnel).
   */
  claimHost(owner: HostOwner, host: string): Promise<HostRow>;
  /**
   * The name drawn for this key and TARGET, now or earlier.
   *
   * @param target In full form, at most 1,024 characters.
   * @throws TunlError as `claimHost`; `HOSTNAME_NOT_GRANTED` where the key's scope leaves no room for one.
   */
  randomHost(owner: HostOwner, target: string): Promise<HostRow>;
  /**
   * The owner of the edge gives a name (`edge grant`), reserved and foreign ones too.
   *
   * @param tunnel Name or UUID.
   * @throws TunlError `TUNNEL_NOT_FOUND`, `HOSTNAME_TAKEN`, `HOSTNAME_NOT_GRANTED` for what can be nobody's.
   */
  grantHost(tunnel: string, host: string): Promise<HostRow>;
  /** Takes a name from its tunnel; false if it was free. */
  releaseHost(host: string): Promise<boolean>;
  /** Frees claimed names that were not used for so long, except those in use now. */
  releaseUnused(unusedForMs: number, kept: readonly string[]): Promise<readonly string[]>;
  /** Makes the fixed grants those of the rules, for the tunnels there are. @returns Names that other tunnels have. */
  fixHosts(): Promise<readonly string[]>;

  /** Changes to tunnels and keys. */
  readonly tunnels: TunnelChanges;
  /** Changes to names by the DNS. */
  readonly routes: RouteChanges;
  /** Revokes a key for ever; in force as soon as the promise resolves. @throws TunlError `KEY_NOT_FOUND`. */
  revokeKey(owner: Owner, keyId: string): Promise<KeyRow>;
  /**
   * Makes a backup of everything committed so far; requests that wait share one. A revocation is acknowledged behind
   * it, so that no restore brings back a key whose owner was told that it is gone (reliability.md §4 item 5).
   *
   * @param done What is in force already, for the text of a failure: `Key "home" is revoked`.
   * @throws TunlError `NOT_BACKED_UP`: what was committed stays in force, and a backup is tried again every 10 s.
   */
  backUp(done?: string): Promise<void>;
  /** How the state is, for `status`. */
  readonly condition: StoreCondition;
  /** Now, by the clock that keys end by. */
  now(): number;
  /** The newest entries first. */
  listAudit(limit: number): Promise<readonly AuditRow[]>;

  /** Notes that a session of this key is here: on attach, on detach, every 5 minutes. Written in batches. */
  touch(owner: Owner, keyId: string): void;
  /** Notes that a name is in use; likewise. */
  touchHost(host: string): void;
}
