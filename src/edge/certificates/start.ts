// This file is the choice of a certificate source by `certificates.mode`. product.md §7.
import type { EdgeOptions } from "../../config/index.ts";
import type { Logger } from "../../log.ts";
import { startInternalAuthority } from "./authority.ts";
import type { CertificateTable } from "./certificates.ts";
import { FileSource } from "./file-source.ts";
import type { CertificateSource } from "./source.ts";

export interface StartedCertificates {
  readonly source: CertificateSource;
  /** What visitors import to trust an internal CA. */
  readonly rootPemPath: string | undefined;
}

/**
 * Starts the source that the options name; it fills `table`.
 *
 * @throws TunlError `CERTIFICATE_REFUSED`, `CA_DAMAGED`, `INSECURE_FILE`.
 */
export async function startCertificates(
  options: Pick<EdgeOptions, "certificates" | "stateDirectory">,
  domains: readonly string[],
  table: CertificateTable,
  log: Logger,
): Promise<StartedCertificates> {
  const { certificates, stateDirectory } = options;
  if (certificates.mode === "internal") {
    const authority = await startInternalAuthority({ stateDirectory, domains, table, log });
    return { source: authority, rootPemPath: authority.rootPath };
  }
  const pairs = certificates.pairs.map(({ certPath, keyPath }) => ({
    cert: certPath,
    key: keyPath,
  }));
  const source = new FileSource({ pairs, domains, table, log });
  await source.start();
  return { source, rootPemPath: undefined };
}
