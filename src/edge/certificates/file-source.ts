// This file is the owner's own certificate files as a source, `certificates.mode: files`. product.md §7.
import type { Logger } from "../../log.ts";
import type { CertificateTable } from "./certificates.ts";
import { type CertificateFiles, readCertificateFiles } from "./files.ts";
import { certificateFailed, type CertificateSource, type CertificateState } from "./source.ts";

export interface FileSourceOptions {
  readonly pairs: readonly CertificateFiles[];
  /** Canonical domains of the edge: it is said where no certificate names them. */
  readonly domains: readonly string[];
  readonly table: CertificateTable;
  readonly log: Logger;
  /** Wall clock, milliseconds since 1970; for tests. */
  readonly clock?: () => number;
}

/** So long before its end a certificate of the owner's is spoken of, ms. */
const ENDS_SOON_MS = 14 * 86_400_000;

/** Serves what the files name; what they do not name is refused in the TLS handshake. */
export class FileSource implements CertificateSource {
  readonly #options: FileSourceOptions;

  constructor(options: FileSourceOptions) {
    this.#options = options;
  }

  /** @throws TunlError `CERTIFICATE_REFUSED`, `INSECURE_FILE`: at the start every pair has to be good. */
  async start(): Promise<void> {
    const { pairs, table } = this.#options;
    for (const pair of pairs) table.put(await readCertificateFiles(pair, this.#now()));
    this.#warn();
  }

  want(): void {}

  unwant(): void {}

  async ready(name: string): Promise<void> {
    if (this.#options.table.covers(name)) return;
    throw certificateFailed(name, "no certificate file names it", {
      hint: "Add a certificate that names it to certificates.files of the edge",
    });
  }

  arriving(): undefined {
    return undefined;
  }

  state(name: string): CertificateState {
    const found = this.#options.table.find(name);
    if (found === undefined) return { state: "failed", text: "no certificate file names it" };
    return { state: "ready", notAfter: found.notAfter };
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /** What the files leave to be desired: visitors would meet it first. */
  #warn(): void {
    const { table, domains, log } = this.#options;
    for (const domain of domains) {
      const missing = [domain, `*.${domain}`].filter((name) => !table.names.includes(name));
      if (missing.length === 0) continue;
      const text = `No certificate names ${missing.join(" and ")}: those visitors are refused in the TLS handshake`;
      log.warn("certificate", text, { domain, hint: "Add a certificate that names them" });
    }
    for (const { id, notAfter } of table.all) {
      if (notAfter - this.#now() > ENDS_SOON_MS) continue;
      const day = new Date(notAfter).toISOString().slice(0, 10);
      log.warn("certificate", `"${id}" expires on ${day}`, {
        hint: "Renew it, then restart the edge",
      });
    }
  }

  #now(): number {
    return (this.#options.clock ?? Date.now)();
  }
}
