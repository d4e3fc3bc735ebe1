// This file is the choice of a certificate source by `certificates.mode`. product.md §7.
import type { EdgeOptions } from "../../config/index.ts";
import type { HasAddress } from "../dns/index.ts";
import type { Logger } from "../../log.ts";
import type { ChallengeAnswers, DnsAnswers } from "./acme/challenges.ts";
import { startInternalAuthority } from "./authority.ts";
import type { CertificateTable } from "./certificates.ts";
import { FileSource } from "./file-source.ts";
import type { LimitLine } from "./list.ts";
import type { CertificateSource } from "./source.ts";

export interface StartedCertificates {
  readonly source: CertificateSource;
  /** What visitors import to trust an internal CA. */
  readonly rootPemPath: string | undefined;
  /** What the listeners show to a CA that validates; undefined where none does. */
  readonly answers: ChallengeAnswers | undefined;
  /** Domains that are near a limit of the CA. */
  limits(): readonly LimitLine[];
  /** Orders what is due: called once the listeners are open, because the CA will knock at them. */
  begin(): void;
}

export interface CertificateSetup {
  readonly options: Pick<EdgeOptions, "certificates" | "stateDirectory" | "version">;
  /** Canonical domains of the edge. */
  readonly domains: readonly string[];
  /** Answers to DNS-01; undefined without a DNS provider. */
  readonly dns: DnsAnswers | undefined;
  readonly hasAddress: HasAddress;
  /** True while a tunnel has the name. */
  readonly isGranted: (name: string) => boolean;
  /** Filled by the source. */
  readonly table: CertificateTable;
  readonly log: Logger;
}

/** @throws TunlError `CERTIFICATE_REFUSED`, `CA_DAMAGED`, `INSECURE_FILE`, `CONFIG_INVALID`. */
export async function startCertificates(setup: CertificateSetup): Promise<StartedCertificates> {
  const { options, domains, dns, hasAddress, isGranted, table, log } = setup;
  const { certificates, stateDirectory, version } = options;
  const nothing = {
    ...{ rootPemPath: undefined, answers: undefined },
    ...{ limits: () => [], begin: () => undefined },
  };
  switch (certificates.mode) {
    case "internal": {
      const source = await startInternalAuthority({ stateDirectory, domains, table, log });
      return { ...nothing, source, rootPemPath: source.rootPath };
    }
    case "files": {
      const pairs = certificates.pairs.map(({ certPath, keyPath }) => ({
        cert: certPath,
        key: keyPath,
      }));
      const source = new FileSource({ pairs, domains, table, log });
      await source.start();
      return { ...nothing, source };
    }
    case "acme": {
      // 100 ms and some MB that the other modes do without.
      const { startAcme } = await import("./acme/index.ts");
      const { acme } = certificates;
      const started = await startAcme({
        ...{ acme, stateDirectory, version, domains, dns, hasAddress, isGranted, table, log },
      });
      return { ...nothing, ...started, begin: () => started.source.start() };
    }
    default:
      certificates satisfies never;
      throw new Error("BUG: unknown mode");
  }
}
