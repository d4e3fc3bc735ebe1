// This file is the JSON of the connector's files: what stands in each and how it is judged when read. product.md §5.
import { canonicalHost } from "../address/index.ts";
import { TunlError } from "../errors.ts";
import type { SigningKey } from "./keys.ts";
import { keyFromSeed } from "./keys.ts";

const VERSION = 1;
const MAX_ADDRESSES = 16;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Which edge a file belongs to. */
type EdgeIdentity = {
  /** The edge's own name, canonical. */
  readonly host: string;
  readonly port: number;
  /** Fingerprint of the edge's key. */
  readonly fingerprint: string;
};

/** A private key and where it came from. */
type KeyOfEdge = EdgeIdentity & {
  readonly key: SigningKey;
  /** SHA-256 of the code that enrolled the key, hexadecimal: the same line typed again means this key. */
  readonly codeHash: string | undefined;
  /** ISO 8601 in UTC; for people. */
  readonly createdAt: string;
};

/** `edge.json`: what is known about an edge besides keys of ours. */
export type EdgeRecord = EdgeIdentity & {
  /** Addresses that worked, newest first, at most 16. */
  readonly addresses: readonly string[];
  /** UUID of the tunnel meant when none is named. */
  readonly tunnel: string | undefined;
  /** ISO 8601 in UTC; the edge joined last is the one meant when none is named. */
  readonly joinedAt: string;
};

/** `<uuid>.json`. */
export type TunnelCredentials = KeyOfEdge & {
  readonly kind: "tunnel";
  /** UUID. */
  readonly tunnel: string;
  readonly name: string;
  /** Label of the key within its tunnel. */
  readonly keyId: string;
};

/** `account.json`. */
export type AccountCredentials = KeyOfEdge & { readonly kind: "account"; readonly keyId: string };

export type Credentials = TunnelCredentials | AccountCredentials;

/** A key that is on disk before ENROLL leaves, and not yet known to be registered. */
export type PendingKey = KeyOfEdge & {
  readonly kind: "tunnel" | "account";
  readonly codeHash: string;
};

/** Writes `edge.json`. */
export function formatEdge(record: EdgeRecord): string {
  return write({
    ...edgeFields(record),
    addresses: record.addresses.slice(0, MAX_ADDRESSES),
    tunnel: record.tunnel,
    joinedAt: record.joinedAt,
  });
}

/** Writes `<uuid>.json`. */
export function formatTunnel(credentials: TunnelCredentials): string {
  const { tunnel, name, keyId } = credentials;
  return write({
    kind: "tunnel",
    ...edgeFields(credentials),
    tunnel,
    name,
    keyId,
    ...keyFields(credentials),
  });
}

/** Writes `account.json`. */
export function formatAccount(credentials: AccountCredentials): string {
  const { keyId } = credentials;
  return write({ kind: "account", ...edgeFields(credentials), keyId, ...keyFields(credentials) });
}

/** Writes a pending key. */
export function formatPending(pending: PendingKey): string {
  return write({
    kind: pending.kind,
    state: "pending",
    ...edgeFields(pending),
    ...keyFields(pending),
  });
}

/**
 * Reads `edge.json`.
 *
 * @param path Named in errors.
 * @throws TunlError `BAD_CREDENTIALS` naming the field, as all readers here.
 */
export function parseEdge(text: string, path: string): EdgeRecord {
  const fields = read(text, path);
  const addresses = fields.value("addresses");
  const isList =
    Array.isArray(addresses) && addresses.every((address) => typeof address === "string");
  if (!isList) throw fields.refuse("addresses", "a list of addresses");
  return {
    ...edgeOf(fields),
    addresses: addresses.slice(0, MAX_ADDRESSES),
    tunnel:
      fields.value("tunnel") === undefined ? undefined : fields.text("tunnel", UUID, "a UUID"),
    joinedAt: fields.text("joinedAt"),
  };
}

/** Reads `<uuid>.json`. */
export function parseTunnel(text: string, path: string): TunnelCredentials {
  const fields = read(text, path);
  if (fields.value("kind") !== "tunnel") throw fields.refuse("kind", '"tunnel"');
  return {
    kind: "tunnel",
    ...edgeOf(fields),
    ...keyOf(fields),
    tunnel: fields.text("tunnel", UUID, "a UUID"),
    name: fields.text("name"),
    keyId: fields.text("keyId"),
  };
}

/** Reads `account.json`. */
export function parseAccount(text: string, path: string): AccountCredentials {
  const fields = read(text, path);
  if (fields.value("kind") !== "account") throw fields.refuse("kind", '"account"');
  return { kind: "account", ...edgeOf(fields), ...keyOf(fields), keyId: fields.text("keyId") };
}

/** Reads a pending key. */
export function parsePending(text: string, path: string): PendingKey {
  const fields = read(text, path);
  const kind = fields.value("kind");
  if (kind !== "tunnel" && kind !== "account") throw fields.refuse("kind", '"tunnel" or "account"');
  const key = keyOf(fields);
  if (key.codeHash === undefined) throw fields.refuse("codeHash", "64 hexadecimal digits");
  return { kind, ...edgeOf(fields), ...key, codeHash: key.codeHash };
}

function edgeFields(identity: EdgeIdentity): Record<string, unknown> {
  return { edge: `${identity.host}:${identity.port}`, edgeKey: identity.fingerprint };
}

function keyFields(owned: KeyOfEdge): Record<string, unknown> {
  const { key, codeHash, createdAt } = owned;
  return { privateKey: Buffer.from(key.seed).toString("base64url"), codeHash, createdAt };
}

function write(fields: Record<string, unknown>): string {
  return `${JSON.stringify({ version: VERSION, ...fields }, undefined, 1)}\n`;
}

function edgeOf(fields: Fields): EdgeIdentity {
  const edge = canonicalHost(Buffer.from(fields.text("edge")));
  if (edge?.port === undefined) throw fields.refuse("edge", "HOST:PORT");
  const fingerprint = fields.text("edgeKey", /^[a-z2-7]{26}$/, "a fingerprint of 26 characters");
  return { host: edge.host, port: edge.port, fingerprint };
}

function keyOf(fields: Fields): KeyOfFile {
  const seed = Buffer.from(fields.secret("privateKey", /^[A-Za-z0-9_-]{43}$/), "base64url");
  const hasCode = fields.value("codeHash") !== undefined;
  return {
    key: keyFromSeed(seed),
    codeHash: hasCode
      ? fields.text("codeHash", /^[0-9a-f]{64}$/, "64 hexadecimal digits")
      : undefined,
    createdAt: fields.text("createdAt"),
  };
}

type KeyOfFile = Pick<KeyOfEdge, "key" | "codeHash" | "createdAt">;

/** The fields of one file, taken out by name with errors that name file and field. */
type Fields = {
  value(name: string): unknown;
  /** A text; `form` and its description where it has one. */
  text(name: string, form?: RegExp, expected?: string): string;
  /** As `text`, for values an error must not quote. */
  secret(name: string, form: RegExp): string;
  refuse(name: string, expected: string): TunlError;
};

function read(text: string, path: string): Fields {
  const fail = (what: string, expected: string): TunlError =>
    new TunlError("BAD_CREDENTIALS", `Reading "${path}": ${what}, expected ${expected}`, {
      hint: "Restore the file, or join the edge again",
    });
  const object = parseObject(text);
  if (object === undefined) throw fail("no JSON object", "one that tunl wrote");
  const foreign = ["TunnelSecret", "AccountTag"].find((name) => Object.hasOwn(object, name));
  if (foreign !== undefined) {
    throw new TunlError(
      "BAD_CREDENTIALS",
      `"${path}" holds Cloudflare credentials (key ${foreign}), expected tunl ones`,
      { hint: "Run tunl tunnel create NAME, which writes those of your own edge" },
    );
  }

  const value = (name: string): unknown => (Object.hasOwn(object, name) ? object[name] : undefined);
  const refuse = (name: string, expected: string): TunlError => {
    const found = value(name);
    return fail(
      found === undefined ? `no field "${name}"` : `field "${name}" is ${JSON.stringify(found)}`,
      expected,
    );
  };
  if (value("version") !== VERSION) throw refuse("version", String(VERSION));
  return {
    value,
    refuse,
    text(name, form, expected = "a text") {
      const found = value(name);
      if (typeof found !== "string" || found === "" || form?.test(found) === false)
        throw refuse(name, expected);
      return found;
    },
    secret(name, form) {
      const found = value(name);
      if (typeof found === "string" && form.test(found)) return found;
      throw fail(`field "${name}" has another form`, "an Ed25519 seed in base64url");
    },
  };
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    // The parser's message may quote the file, which holds a secret; the caller names the path instead.
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
