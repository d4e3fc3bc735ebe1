// This file is when the CA itself would have a certificate renewed. RFC 9773.
import { loadX509 } from "../x509.ts";
import { type AcmeClient, fieldsOf } from "./client.ts";
import { refusedBy } from "./problem.ts";
import { parseJson } from "./transport.ts";

/** What a CA suggests. */
export interface RenewalInfo {
  /** Wall clock, milliseconds since 1970. */
  readonly start: number;
  readonly end: number;
  /** When to ask again, as far as the CA says. */
  readonly againMs: number | undefined;
}

/**
 * The id of a certificate at its CA: key id of the authority and serial number, each base64url of its DER bytes.
 *
 * @param leaf PEM.
 * @returns undefined where it names no authority key, so that there is no id.
 */
export async function certificateId(leaf: string): Promise<string | undefined> {
  const x509 = await loadX509();
  const certificate = new x509.X509Certificate(leaf);
  const authority = certificate.getExtension(x509.AuthorityKeyIdentifierExtension);
  if (authority?.keyId === undefined) return undefined;
  const keyId = Buffer.from(authority.keyId, "hex").toString("base64url");
  return `${keyId}.${serialId(certificate.serialNumber)}`;
}

/** A serial number as DER has it: a first byte of 80 and more comes behind a 00, which libraries leave out. */
export function serialId(serialHex: string): string {
  const even = serialHex.length % 2 === 0 ? serialHex : `0${serialHex}`;
  const bytes = Buffer.from(even, "hex");
  const isSigned = ((bytes[0] ?? 0) & 0x80) !== 0;
  return Buffer.concat([Buffer.alloc(isSigned ? 1 : 0), bytes]).toString("base64url");
}

/** Asks the CA; undefined where it has no such service. @throws AcmeError. */
export async function askRenewalInfo(
  client: AcmeClient,
  id: string,
  signal: AbortSignal,
): Promise<RenewalInfo | undefined> {
  const { renewalInfo } = await client.directory(signal);
  if (renewalInfo === undefined) return undefined;
  const url = `${renewalInfo.replace(/\/$/, "")}/${id}`;
  const reply = await client.transport.request("GET", url, undefined, signal);
  if (reply.status >= 400)
    throw refusedBy("renewal information", reply.status, reply.problem, reply.retryAfterMs);
  const { start, end } = fieldsOf(fieldsOf(parseJson(reply.text))["suggestedWindow"]);
  const window = {
    start: typeof start === "string" ? Date.parse(start) : Number.NaN,
    end: typeof end === "string" ? Date.parse(end) : Number.NaN,
  };
  // A window that ends before it starts says nothing (RFC 9773 §4.2).
  if (!(window.start < window.end)) return undefined;
  return { ...window, againMs: reply.retryAfterMs };
}
