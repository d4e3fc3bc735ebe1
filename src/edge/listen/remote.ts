// This file is who is at the other end of an accepted socket, in the canonical form of addresses. http.md §1 step 1.
import type { Socket } from "node:net";
import { formatIp, parsePeerIp } from "../../address/index.ts";

export interface Remote {
  /** Canonical text; a v4-mapped address as IPv4, without a zone. */
  readonly address: string;
  /** The same as 4 or 16 bytes. */
  readonly bytes: Uint8Array;
  readonly port: number;
}

/** `undefined` once the peer is gone: the runtime forgets its address then. */
export function remoteOf(socket: Socket): Remote | undefined {
  const { remoteAddress, remotePort } = socket;
  if (remoteAddress === undefined || remotePort === undefined) return undefined;
  const bytes = parsePeerIp(remoteAddress);
  return bytes === undefined ? undefined : { address: formatIp(bytes), bytes, port: remotePort };
}
