// This file is READY's application as the edge sends it: whose key it was, and where names are. PROTOCOL §12.4.
import { TunlError } from "../errors.ts";

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** READY's view of the key that was proven. */
export interface Ready {
  /** undefined for the key of an account. */
  readonly tunnel: { readonly id: string; readonly name: string } | undefined;
  /** Name of the account; undefined for the key of a tunnel, and where an older edge does not say. */
  readonly account: string | undefined;
  readonly keyId: string;
  readonly domains: readonly string[];
  readonly publicPort: number;
  /** What an account may claim; empty: any free label below the domains. */
  readonly scope: readonly string[];
}

/** @throws TunlError `EDGE_UNREACHABLE`, retryable, for what no edge of this protocol sends. */
export function readReady(application: Uint8Array): Ready {
  const { tunnel, account, keyId, domains, publicPort, scope = [] } = parse(application);
  const isWhole =
    typeof keyId === "string" &&
    typeof publicPort === "number" &&
    isTexts(domains) &&
    isTexts(scope);
  if (!isWhole) throw refuse("lacks what it must have");
  const told = { keyId, domains, publicPort, scope };
  if (tunnel === null || tunnel === undefined) {
    const name = typeof account === "string" ? account : undefined;
    return { tunnel: undefined, account: name, ...told };
  }
  const { id, name } = isObject(tunnel) ? tunnel : {};
  // It becomes the name of a file: anything but a UUID may be a path.
  if (typeof id !== "string" || !UUID.test(id) || typeof name !== "string")
    throw refuse("names no tunnel");
  return { tunnel: { id, name }, account: undefined, ...told };
}

function parse(application: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(application).toString("utf8"));
  } catch (error) {
    throw refuse("is no JSON", error);
  }
  if (isObject(value)) return value;
  throw refuse("is no object");
}

function refuse(what: string, cause?: unknown): TunlError {
  return new TunlError("EDGE_UNREACHABLE", `The edge's READY ${what}`, { cause, retryable: true });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
