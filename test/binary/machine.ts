// This file is what a machine with keys asks of an edge, in the process of the test: enrol, prove a key, call; an answer is an acknowledgement.
import { callEdge, proveKey } from "../../src/connector/index.ts";
import { linkEdge } from "../../src/connector/edge-link.ts";
import { Deadlines } from "../../src/deadlines.ts";
import { TunlError } from "../../src/errors.ts";
import type { CallBody } from "../../src/exchange/index.ts";
import { type Credentials, generateKey, parseJoinLine } from "../../src/identity/index.ts";
import type { SigningKey } from "../../src/identity/index.ts";

/** How this machine calls itself. */
const SELF = { label: "machine", version: "0.0.0", waitMs: 500 };

/** Enough of credentials for whoever only proves and asks. */
export type Key = { readonly kind: Credentials["kind"]; readonly key: SigningKey };
/** Where the edge is, and which. */
export type Reached = {
  readonly host: string;
  readonly port: number;
  readonly fingerprint: string;
};

/** Where the edge of a line is now. */
export function reachedBy(line: string, port: number): Reached {
  const { host, fingerprint } = parseJoinLine(line);
  return { host, port, fingerprint };
}

/** Uses a line for a key. Resolves when the edge said READY. */
export async function enrol(line: string, key: Key, port: number): Promise<void> {
  const { code } = parseJoinLine(line);
  using deadlines = new Deadlines((error) => {
    throw error;
  });
  const { link } = await linkEdge({
    ...{ ...SELF, ...reachedBy(line, port), key: key.key, deadlines },
    owner: key.kind === "account" ? { kind: "account" } : { kind: "tunnel", tunnel: "home" },
    claim: { kind: "enrol", code, name: "home" },
  });
  link.socket.destroy();
}

/** Makes one call. Resolves with the result the edge gave. */
export function ask(at: Reached, key: Key, name: string, body: CallBody): Promise<CallBody> {
  return callEdge({ ...SELF, credentials: credentialsOf(at, key), name, body, timeoutMs: 20_000 });
}

/** True: the edge takes the key. False: it refuses it. */
export async function isAccepted(at: Reached, key: Key): Promise<boolean> {
  try {
    await proveKey({ ...SELF, waitMs: 5_000, credentials: credentialsOf(at, key) });
    return true;
  } catch (error) {
    if (error instanceof TunlError && error.code === "KEY_REFUSED") return false;
    throw error;
  }
}

export function newKey(kind: Key["kind"]): Key {
  return { kind, key: generateKey() };
}

/** As calls carry a public key. */
export function publicText({ key }: Key): string {
  return Buffer.from(key.publicKey).toString("base64url");
}

function credentialsOf(at: Reached, { kind, key }: Key): Credentials {
  const common = { ...at, key, codeHash: undefined, createdAt: "", keyId: "" };
  return kind === "account" ? { ...common, kind } : { ...common, kind, tunnel: "", name: "home" };
}
