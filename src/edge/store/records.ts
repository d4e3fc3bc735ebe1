// This file is the rows of the state as everyone outside SQL sees them, and the calls the worker answers.
// reliability.md §4; times are wall-clock milliseconds of the edge.

/** Whose key it is. */
export type Owner = { readonly kind: "tunnel" | "account"; readonly id: string };

export type AccountRow = {
  readonly id: string;
  readonly name: string;
  /** Patterns its tunnels may claim; empty: any one label below the domains. */
  readonly scope: readonly string[];
  readonly createdAt: number;
};

export type TunnelRow = {
  /** UUID. */
  readonly id: string;
  readonly name: string;
  /** The account that made it; undefined for one made by a join line. */
  readonly account: string | undefined;
  readonly createdAt: number;
  /** When a session of it was last here (http.md §12 item 3). */
  readonly seenAt: number | undefined;
};

export type KeyRow = {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly owner: Owner;
  /** Label, unique within the owner, revoked keys included. */
  readonly keyId: string;
  /** A token is a key that was made elsewhere and carried to where it is used. */
  readonly kind: "key" | "token";
  /** Patterns it may claim; empty: any one label below the domains. */
  readonly scope: readonly string[];
  readonly createdAt: number;
  readonly seenAt: number | undefined;
  /** Set once and for ever; the row stays, so that the key can never be enrolled again. */
  readonly revokedAt: number | undefined;
  /** From then on it opens nothing: a token's time, or the overlap of a rotation. */
  readonly expiresAt: number | undefined;
  /** The key that a rotation put in its place. */
  readonly replacedBy: Uint8Array | undefined;
};

export type HostRow = {
  /** Canonical name or `*.x`. */
  readonly host: string;
  /** UUID of the one tunnel it belongs to. */
  readonly tunnel: string;
  readonly how: "claimed" | "granted" | "random";
  /** For a random name: the key and TARGET it is remembered for. */
  readonly random: { readonly publicKey: Uint8Array; readonly target: string } | undefined;
  readonly createdAt: number;
  readonly usedAt: number;
  /** Granted by the edge's configuration. */
  readonly isFixed: boolean;
  /** Of a name outside of the domains; undefined: it never was seen. */
  readonly proof: HostProof | undefined;
};

/** That whoever owns a name in the DNS wants this tunnel to have it (product.md §6 item 3). */
export type HostProof = {
  /** `suspended`: it was missing for too long, and the name is served no more until it is back. */
  readonly state: "proven" | "suspended";
  /** When it was last seen; undefined for a name of before proofs were asked for. */
  readonly at: number | undefined;
  /** Since when it is missing. */
  readonly failedSince: number | undefined;
};

/** A record in the DNS that the edge made, and what for. */
export type MadeRecord = {
  readonly name: string;
  readonly type: string;
  readonly value: string;
  readonly host: string;
  /** UUID. */
  readonly tunnel: string;
  readonly createdAt: number;
};

export type CodeRow = {
  /** SHA-256, 32 bytes. */
  readonly hash: Uint8Array;
  readonly makes: "tunnel" | "key" | "account";
  /** UUID of the tunnel that gets the key, for `makes` "key". */
  readonly tunnel: string | undefined;
  /** Name of what is made, in place of the one the connector wishes. */
  readonly name: string | undefined;
  readonly scope: readonly string[];
  readonly uses: number;
  readonly used: number;
  readonly createdAt: number;
  readonly expiresAt: number;
};

export type AuditRow = {
  readonly id: number;
  readonly at: number;
  readonly event: string;
  readonly fields: Readonly<Record<string, string | number>>;
};

/** One difference to the snapshot; applying it twice is harmless. */
export type Change =
  | { readonly table: "accounts"; readonly row: AccountRow }
  | { readonly table: "tunnels"; readonly row: TunnelRow }
  | { readonly table: "tunnels"; readonly gone: string }
  | { readonly table: "keys"; readonly row: KeyRow }
  | { readonly table: "hosts"; readonly row: HostRow }
  | { readonly table: "hosts"; readonly gone: string };

/** Why an enrolment was refused; for the edge's log only. */
export type Refusal =
  "unknownCode" | "expiredCode" | "usedCode" | "otherKind" | "revokedKey" | "registeredKey";

/** Outcome of an enrolment; a refusal is an answer, no error. */
export type Enrolled =
  | {
      readonly state: "enrolled";
      readonly owner: Owner;
      /** Of the tunnel or account. */
      readonly name: string;
      readonly keyId: string;
      /** True when this key had used this code before: the reply was lost. */
      readonly isRepeat: boolean;
    }
  | { readonly state: "refused"; readonly reason: Refusal };

/** A tunnel that an account has made, and what it got with it. */
export type MadeTunnel = {
  readonly tunnel: TunnelRow;
  readonly key: KeyRow;
  readonly hosts: readonly HostRow[];
};

/** A key that ends, and the one that took its place. */
export type Rotated = { readonly key: KeyRow; readonly old: KeyRow };

/**
 * Who asks for a change: a public key, which is looked at inside the transaction, since it may have been revoked while
 * the change waited for the disk; undefined is the owner of the edge.
 */
export type By = Uint8Array | undefined;

/** Each call of the worker: what goes in and what comes out. All are one transaction. */
export interface Calls {
  createCode: { body: Omit<CodeRow, "used" | "createdAt">; value: undefined };
  revokeCode: {
    body: { readonly hash: Uint8Array };
    value: {
      /** How it stood: no such code, over already, or ended by this call. */
      readonly state: "unknown" | "over" | "ended";
      /** Public keys it made. */
      readonly keys: readonly Uint8Array[];
    };
  };
  enrol: {
    body: {
      readonly publicKey: Uint8Array;
      readonly codeHash: Uint8Array;
      readonly kind: Owner["kind"];
      readonly name: string;
      readonly label: string;
      /** Names of tunnels that a line for certain names does not make. */
      readonly kept: readonly string[];
    };
    value: Enrolled;
  };
  insertHost: {
    body: {
      readonly by: By;
      readonly host: string;
      readonly tunnel: string;
      readonly how: "claimed" | "granted";
    };
    value: HostRow;
  };
  /** Takes the first free one of the candidates; undefined when all are taken. */
  nameHost: {
    body: {
      readonly by: Uint8Array;
      readonly tunnel: string;
      /** What the name is remembered for: the key that asks, or the one in its place. */
      readonly publicKey: Uint8Array;
      readonly target: string;
      readonly candidates: readonly string[];
    };
    value: HostRow | undefined;
  };
  removeHost: { body: { readonly host: string }; value: boolean };
  /** Claimed and random names that nobody used since; those in `kept` are in use now. */
  removeUnused: {
    body: { readonly usedBefore: number; readonly kept: readonly string[] };
    value: readonly string[];
  };
  /** Makes the fixed grants those of the configuration; answers names that other tunnels have. */
  fixHosts: {
    body: { readonly grants: readonly { readonly host: string; readonly tunnel: string }[] };
    value: readonly string[];
  };
  createTunnel: {
    body: {
      readonly by: Uint8Array;
      /** UUID of a new one. */
      readonly id: string;
      readonly name: string;
      readonly publicKey: Uint8Array;
      readonly label: string;
      readonly scope: readonly string[];
      readonly hosts: readonly string[];
    };
    value: MadeTunnel;
  };
  deleteTunnel: {
    body: { readonly by: By; readonly tunnel: string };
    value: { readonly hosts: readonly string[]; readonly keys: number };
  };
  addKey: {
    body: {
      readonly by: By;
      readonly tunnel: string;
      readonly publicKey: Uint8Array;
      readonly label: string;
      readonly kind: KeyRow["kind"];
      readonly scope: readonly string[];
      readonly expiresAt: number | undefined;
    };
    value: KeyRow;
  };
  rotateKey: {
    body: {
      readonly by: By;
      readonly publicKey: Uint8Array;
      readonly next: Uint8Array;
      /** When the old one ends. */
      readonly endsAt: number;
    };
    value: Rotated;
  };
  revokeKeys: {
    body: { readonly by: By; readonly publicKeys: readonly Uint8Array[] };
    value: readonly KeyRow[];
  };
  /** Revokes every key of a tunnel and ends the codes that would make more. */
  shutTunnel: { body: { readonly tunnel: string }; value: readonly KeyRow[] };
  /** Claims a name for a tunnel of the account that asks. */
  claimRoute: {
    body: { readonly by: By; readonly tunnel: string; readonly host: string };
    value: HostRow;
  };
  /** Frees a name of a tunnel of the account that asks; undefined where it has no such name. */
  releaseRoute: { body: { readonly by: By; readonly host: string }; value: HostRow | undefined };
  /** Undefined where the name is not that tunnel's any more. */
  setProof: {
    body: { readonly host: string; readonly tunnel: string; readonly proof: HostProof };
    value: HostRow | undefined;
  };
  keepRecord: { body: Omit<MadeRecord, "createdAt">; value: undefined };
  forgetRecord: { body: Pick<MadeRecord, "name" | "type" | "value">; value: undefined };
  listRecords: { body: undefined; value: readonly MadeRecord[] };
  seen: { body: Seen; value: undefined };
  listCodes: { body: undefined; value: readonly CodeRow[] };
  listAudit: { body: { readonly limit: number }; value: readonly AuditRow[] };
}

export type CallName = keyof Calls;

/** A batch of last-seen times. */
export type Seen = {
  readonly keys: readonly { readonly publicKey: Uint8Array; readonly at: number }[];
  readonly tunnels: readonly { readonly id: string; readonly at: number }[];
  readonly hosts: readonly { readonly host: string; readonly at: number }[];
};
