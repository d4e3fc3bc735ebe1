// This file is one link that asks nothing but whether the edge takes a key. PROTOCOL §3.1.
import { Deadlines } from "../deadlines.ts";
import type { Credentials } from "../identity/index.ts";
import { linkEdge } from "./edge-link.ts";
import { readReady, type Ready } from "./ready.ts";

/** @returns What the edge calls the key. @throws TunlError as `linkEdge`: `KEY_REFUSED`, `EDGE_UNREACHABLE`, … */
export async function proveKey(asked: {
  readonly credentials: Credentials;
  readonly label: string;
  readonly version: string;
  readonly waitMs: number;
}): Promise<Ready> {
  const { credentials, label, version, waitMs } = asked;
  const { host, port, fingerprint, key } = credentials;
  using deadlines = new Deadlines((error) => {
    throw error;
  });
  const { link } = await linkEdge({
    ...{ host, port, fingerprint, key, deadlines, label, version, waitMs },
    owner:
      credentials.kind === "account"
        ? { kind: "account" }
        : { kind: "tunnel", tunnel: credentials.name },
    claim: { kind: "auth", replaces: new Uint8Array(0) },
  });
  link.socket.destroy();
  return readReady(link.application);
}
