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
  /** Patterns it may claim; empty: any one label below the domains. */
  readonly scope: readonly string[];
  readonly createdAt: number;
  readonly seenAt: number | undefined;
  /** Set once and for ever; the row stays, so that the key can never be enrolled again. */
  readonly revokedAt: number | undefined;
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

/** Each call of the worker: what goes in and what comes out. All are one transaction. */
export interface Calls {
  createCode: { body: Omit<CodeRow, "used" | "createdAt">; value: undefined };
  revokeCode: { body: { readonly hash: Uint8Array }; value: boolean };
  enrol: {
    body: {
      readonly publicKey: Uint8Array;
      readonly codeHash: Uint8Array;
      readonly kind: Owner["kind"];
      readonly name: string;
      readonly label: string;
    };
    value: Enrolled;
  };
  insertHost: {
    body: { readonly host: string; readonly tunnel: string; readonly how: "claimed" | "granted" };
    value: HostRow;
  };
  /** Takes the first free one of the candidates; undefined when all are taken. */
  nameHost: {
    body: {
      readonly tunnel: string;
      readonly publicKey: Uint8Array;
      readonly target: string;
      readonly candidates: readonly string[];
    };
    value: HostRow | undefined;
  };
  removeHost: { body: { readonly host: string }; value: boolean };
  revokeKey: { body: { readonly publicKey: Uint8Array }; value: KeyRow | undefined };
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
