// This file is the owner's own certificate files as a source, `certificates.mode: files`: watched, and swapped while visitors are served. product.md §7.
import { stat } from "node:fs/promises";
import { messageOf, TunlError } from "../../errors.ts";
import { isMissing } from "../../identity/index.ts";
import type { Logger } from "../../log.ts";
import type { CertificateTable } from "./certificates.ts";
import { ExpiryWarnings } from "./expiry.ts";
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
  /** How often the files are looked at; a test that looks itself leaves no room for others. */
  readonly lookMs?: number;
}

/**
 * The files are looked at this often. Watching by the kernel's events would miss network file systems, and directories
 * that are exchanged as a whole.
 */
const LOOK_MS = 2_000;
/** What was refused is read again after so many looks, a minute: it becomes valid, or a disk recovers, without a change of the files. */
const AGAIN_LOOKS = 30;

/** One pair and what was seen of its files. */
interface Pair extends CertificateFiles {
  /** What the files looked like when they were read last, for good or bad. */
  read: string;
  /** What they looked like at the last look: they are read once they stay so, which a half-written one does not. */
  seen: string;
  /** What was said against the files, once; undefined while they are served. */
  refused: string | undefined;
  /** Looks until they are read again all the same. */
  looksLeft: number;
  expiry: ExpiryWarnings;
}

/** Serves what the files name; what they do not name is refused in the TLS handshake. */
export class FileSource implements CertificateSource {
  readonly #options: FileSourceOptions;
  readonly #pairs: readonly Pair[];
  #timer: Timer | undefined;
  #looking: Promise<void> | undefined;

  constructor(options: FileSourceOptions) {
    this.#options = options;
    this.#pairs = options.pairs.map(({ cert, key }) => ({
      ...{ cert, key, read: "", seen: "", refused: undefined, looksLeft: 0 },
      expiry: new ExpiryWarnings(),
    }));
  }

  /** @throws TunlError `CERTIFICATE_REFUSED`, `INSECURE_FILE`: at the start every pair has to be good. */
  async start(): Promise<void> {
    const { table } = this.#options;
    for (const pair of this.#pairs) {
      pair.read = pair.seen = await looksOf(pair);
      table.put(await readCertificateFiles(pair, this.#now()));
    }
    this.#warnOfNames();
    this.#warnOfEnds();
    this.#timer = setInterval(() => {
      // A disk that hangs is not asked twice.
      this.#looking ??= this.look().finally(() => (this.#looking = undefined));
    }, this.#options.lookMs ?? LOOK_MS);
    this.#timer.unref();
  }

  /** Looks at every file once: what has changed, and stays as it is, is read and served. One bad pair delays no other. */
  async look(): Promise<void> {
    for (const pair of this.#pairs) {
      try {
        await this.#lookAt(pair);
      } catch (error) {
        this.#refuse(pair, error);
      }
    }
    this.#warnOfEnds();
  }

  want(): void {}

  unwant(): void {}

  retry(): void {}

  async ready(name: string): Promise<void> {
    if (this.#options.table.covers(name)) return;
    throw certificateFailed(name, NOT_NAMED, {
      hint: "Add a certificate that names it to certificates.files of the edge",
    });
  }

  arriving(): undefined {
    return undefined;
  }

  state(name: string): CertificateState {
    const found = this.#options.table.find(name);
    if (found === undefined) return { state: "failed", text: NOT_NAMED };
    return { state: "ready", notAfter: found.notAfter };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }

  async #lookAt(pair: Pair): Promise<void> {
    const { table, log } = this.#options;
    const now = await looksOf(pair);
    const isSettled = now === pair.seen;
    pair.seen = now;
    if (!isSettled || (now === pair.read && !this.#isDueAgain(pair))) return;
    pair.read = now;
    const certificate = await readCertificateFiles(pair, this.#now());
    // Written again while it was read: the next look decides.
    pair.seen = await looksOf(pair);
    if (pair.seen !== now) return;
    table.put(certificate);
    pair.refused = undefined;
    pair.expiry = new ExpiryWarnings();
    const day = dayOf(certificate.notAfter);
    log.info(
      "certificate",
      `"${pair.cert}" is new, serves ${certificate.names.join(", ")} until ${day}`,
      {
        path: pair.cert,
      },
    );
    this.#warnOfNames();
  }

  #isDueAgain(pair: Pair): boolean {
    if (pair.refused === undefined) return false;
    pair.looksLeft -= 1;
    return pair.looksLeft <= 0;
  }

  #refuse(pair: Pair, error: unknown): void {
    const text = messageOf(error);
    pair.looksLeft = AGAIN_LOOKS;
    if (pair.refused === text) return;
    pair.refused = text;
    this.#options.log.warn("certificate", `${text}; the certificate that was there stays in use`, {
      path: pair.cert,
      ...(error instanceof TunlError && { hint: error.hint }),
    });
  }

  /** What the files leave to be desired: visitors would meet it first. */
  #warnOfNames(): void {
    const { table, domains, log } = this.#options;
    for (const domain of domains) {
      const missing = [domain, `*.${domain}`].filter((name) => !table.names.includes(name));
      if (missing.length === 0) continue;
      const text = `No certificate names ${missing.join(" and ")}: those visitors are refused in the TLS handshake`;
      log.warn("certificate", text, { domain, hint: "Add a certificate that names them" });
    }
  }

  #warnOfEnds(): void {
    const { table, log } = this.#options;
    for (const { cert, expiry } of this.#pairs) {
      const served = table.all.find(({ id }) => id === cert);
      if (served === undefined || expiry.due(served.notAfter, this.#now()) === undefined) continue;
      const verb = served.notAfter < this.#now() ? "expired" : "expires";
      log.warn("certificate", `"${cert}" ${verb} on ${dayOf(served.notAfter)}`, {
        path: cert,
        hint: "Renew it: the new files are served without a restart",
      });
    }
  }

  #now(): number {
    return (this.#options.clock ?? Date.now)();
  }
}

const NOT_NAMED = "no certificate file names it";

/** Which files these are, and in which state: changes with a write, a rename, a link that leads elsewhere. */
async function looksOf({ cert, key }: CertificateFiles): Promise<string> {
  const parts = await Promise.all(
    [cert, key].map(async (path) => {
      try {
        const { dev, ino, size, mtimeMs, ctimeMs } = await stat(path);
        return [dev, ino, size, mtimeMs, ctimeMs].join(" ");
      } catch (error) {
        if (isMissing(error)) return "missing";
        throw error;
      }
    }),
  );
  return parts.join(" ");
}

function dayOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}
