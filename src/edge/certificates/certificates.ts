// This file is the table of certificates that visitors are shown: found by name, swapped without touching open connections. http.md §2, S-22.
import { createSecureContext, type SecureContext } from "node:tls";

/** AEAD suites only: TLS 1.3 has no others, of TLS 1.2 the forward-secret ones. */
export const AEAD_SUITES = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");

/** One certificate with its key, ready to be shown. */
export interface Certificate {
  /** What it is swapped by: stays the same over renewals. A file path, or the first name. */
  readonly id: string;
  /** Canonical names, `*.x` for wildcards; at least one. */
  readonly names: readonly string[];
  readonly context: SecureContext;
  /** Wall clock, milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** What the TLS side needs of the certificates. Names are canonical (`address/hostname.ts`). */
export interface Certificates {
  /** Every name of every certificate, in no order. */
  readonly names: readonly string[];
  /** Exact name first, then the one-label wildcard. */
  find(serverName: string): Certificate | undefined;
  contextFor(serverName: string): SecureContext | undefined;
  /** True when a visitor may ask for this name in its SNI, or in Host on a connection whose certificate is `certificate`. */
  covers(name: string, certificate?: Certificate): boolean;
}

/**
 * The table in memory.
 *
 * A later certificate wins a name that an earlier one has too; when it leaves, the earlier one has the name again.
 */
export class CertificateTable implements Certificates {
  readonly #certificates = new Map<string, Certificate>();
  #byName = new Map<string, Certificate>();

  get names(): readonly string[] {
    return [...this.#byName.keys()];
  }

  /** Every certificate, in the order they were put. */
  get all(): readonly Certificate[] {
    return [...this.#certificates.values()];
  }

  find(serverName: string): Certificate | undefined {
    const exact = this.#byName.get(serverName);
    if (exact !== undefined) return exact;
    const wildcard = wildcardOf(serverName);
    return wildcard === undefined ? undefined : this.#byName.get(wildcard);
  }

  contextFor(serverName: string): SecureContext | undefined {
    return this.find(serverName)?.context;
  }

  covers(name: string, certificate?: Certificate): boolean {
    if (certificate === undefined) return this.find(name) !== undefined;
    const wildcard = wildcardOf(name);
    return (
      certificate.names.includes(name) ||
      (wildcard !== undefined && certificate.names.includes(wildcard))
    );
  }

  /** Adds a certificate, or replaces the one with its id; open connections keep the old one. */
  put(certificate: Certificate): void {
    this.#certificates.delete(certificate.id);
    this.#certificates.set(certificate.id, certificate);
    this.#index();
  }

  remove(id: string): void {
    if (this.#certificates.delete(id)) this.#index();
  }

  #index(): void {
    const byName = new Map<string, Certificate>();
    for (const certificate of this.#certificates.values()) {
      for (const name of certificate.names) byName.set(name, certificate);
    }
    this.#byName = byName;
  }
}

/**
 * Makes the TLS context of one certificate.
 *
 * Suites have to be named here: the runtime takes them from the context that `SNICallback` answers, never from the
 * server object; with the minimum version it is the other way round (test/platform/tls.test.ts).
 *
 * @param pem The chain, leaf first, and its private key, both PEM.
 */
export function contextOf(pem: { readonly cert: string; readonly key: string }): SecureContext {
  return createSecureContext({ cert: pem.cert, key: pem.key, ciphers: AEAD_SUITES });
}

/** `*.b.c` for `a.b.c`: the one wildcard that covers a name; `undefined` for a single label. */
function wildcardOf(name: string): string | undefined {
  const dot = name.indexOf(".");
  return dot === -1 ? undefined : `*${name.slice(dot)}`;
}
