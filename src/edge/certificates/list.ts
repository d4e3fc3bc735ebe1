// This file is what `tunl status` says of certificates: those that are served, and names that have none yet. product.md §7.
import type { CertificateTable } from "./certificates.ts";
import type { CertificateSource } from "./source.ts";

/** One line. */
export interface CertificateLine {
  /** First name, or the file. */
  readonly name: string;
  /** Absent where there is none to expire. */
  readonly expiresAt?: string;
  readonly state: "ready" | "pending" | "failed";
  /** What is in the way of it, or of its renewal. */
  readonly text?: string;
  readonly nextTryAt?: string;
}

/** A domain that is near the limit of certificates that the CA gives it in some days. */
export interface LimitLine {
  readonly domain: string;
  /** "Let's Encrypt". */
  readonly ca: string;
  /** First certificates of the last `days`, and of how many. */
  readonly issued: number;
  readonly limit: number;
  readonly days: number;
  readonly oldestLeavesAt: string;
  /** All of that in a sentence. */
  readonly text: string;
  /** What makes them fewer. */
  readonly hint: string;
}

/** @param names Domains of the edge and names that are granted. */
export function listCertificates(
  table: CertificateTable,
  source: CertificateSource,
  names: Iterable<string>,
): readonly CertificateLine[] {
  const served = table.all.map(({ id, names: [first = id], notAfter }) => {
    const { text, nextTryAt } = source.state(first);
    const expiresAt = new Date(notAfter).toISOString();
    return { name: id, expiresAt, state: "ready" as const, ...trouble(text, nextTryAt) };
  });
  const missing: CertificateLine[] = [];
  for (const name of new Set(names)) {
    const { state, text, nextTryAt } = source.state(name);
    if (state === "pending" || state === "failed")
      missing.push({ name, state, ...trouble(text, nextTryAt) });
  }
  return [...served, ...missing];
}

function trouble(
  text: string | undefined,
  nextTryAt: number | undefined,
): Pick<CertificateLine, "text" | "nextTryAt"> {
  return {
    ...(text !== undefined && { text }),
    ...(nextTryAt !== undefined && { nextTryAt: new Date(nextTryAt).toISOString() }),
  };
}
