// This file is the edge's own certificate authority, `certificates.mode: internal`. product.md §7.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { TunlError } from "../../errors.ts";
import {
  hasEntry,
  makePrivateDirectory,
  readSecret,
  writeDirectoryAtomic,
} from "../../identity/index.ts";
import type { Logger } from "../../log.ts";
import { type CertificateTable, contextOf } from "./certificates.ts";
import { BACKDATE_MS, makeLeaf, makeRoot, type PemPair } from "./internal-ca.ts";
import {
  certificateFailed,
  type CertificateSource,
  type CertificateState,
  waitUnless,
} from "./source.ts";

const LEAF_LIFE_MS = 7 * 86_400_000;
/** After a failed renewal a leaf still has a third of its life; the next check tries again. */
const RENEW_AFTER_MS = (LEAF_LIFE_MS * 2) / 3;
/** The wall clock is compared this often: one long timer would miss the time a machine was suspended. */
const RENEWAL_CHECK_MS = 3_600_000;

export interface InternalAuthorityOptions {
  /** The edge's state; the authority lives in `ca/` below it. */
  readonly stateDirectory: string;
  /** Canonical domains of the edge; each leaf covers one and its `*.domain`. */
  readonly domains: readonly string[];
  /** Where the leaves are put. */
  readonly table: CertificateTable;
  readonly log: Logger;
  /** Wall clock, milliseconds since 1970; for tests. */
  readonly clock?: () => number;
}

/**
 * An authority with one root of ten years and leaves of seven days.
 *
 * The root is the only thing on disk; leaves and their keys live in memory and are made again at each start.
 */
export class InternalAuthority implements CertificateSource {
  readonly rootPath: string;
  readonly #root: PemPair;
  readonly #options: InternalAuthorityOptions;
  /** Names of each leaf by its id, in the order they were granted. */
  readonly #leaves = new Map<string, { readonly names: readonly string[]; renewAt: number }>();
  /** Issues run one after the other, so that a grant during a renewal is no race. */
  #work: Promise<void> = Promise.resolve();
  #timer: Timer | undefined;
  readonly #wanted = new Set<string>();
  /** Names whose first leaf is being made. */
  readonly #arriving = new Map<string, Promise<void>>();

  constructor(options: InternalAuthorityOptions, root: PemPair, rootPath: string) {
    this.#options = options;
    this.#root = root;
    this.rootPath = rootPath;
  }

  /** What visitors import to trust this edge. */
  get rootPem(): string {
    return this.#root.cert;
  }

  /** Issues the domains' leaves and starts renewing. */
  async start(): Promise<void> {
    for (const domain of this.#options.domains) await this.#add(domain, [domain, `*.${domain}`]);
    this.#timer = setInterval(() => {
      // Failures are logged leaf by leaf; `renew` itself does not reject.
      void this.renew();
    }, RENEWAL_CHECK_MS);
    this.#timer.unref();
  }

  /**
   * Makes the table cover a granted name or `*.x`; nothing to do where a domain's own leaf covers it.
   *
   * Resolves once visitors are served with it.
   */
  async grant(name: string): Promise<void> {
    // Covered by a leaf that may still be in the making: whoever asked first is ahead in line.
    if (this.#isCovered(name)) return this.#work;
    await this.#add(name, [name]);
  }

  want(name: string): void {
    this.#wanted.add(name);
    if (this.#isCovered(name)) return;
    const made = this.grant(name)
      .catch((error: unknown) => {
        const text = `Making the certificate of "${name}" failed`;
        this.#options.log.error("certificate", text, { name, error: String(error) });
      })
      .finally(() => {
        // Released and granted again meanwhile: then another one is awaited.
        if (this.#arriving.get(name) === made) this.#arriving.delete(name);
      });
    this.#arriving.set(name, made);
  }

  unwant(name: string): void {
    this.#wanted.delete(name);
    this.revoke(name);
  }

  retry(name: string): void {
    if (this.#wanted.has(name)) this.want(name);
  }

  async ready(name: string, signal?: AbortSignal): Promise<void> {
    const made = this.#arriving.get(name);
    if (made !== undefined) await waitUnless(made, signal);
    if (this.#options.table.covers(name)) return;
    throw certificateFailed(name, "the edge's own authority made none; its log says why");
  }

  arriving(name: string): Promise<void> | undefined {
    return this.#arriving.get(name);
  }

  state(name: string): CertificateState {
    const found = this.#options.table.find(name);
    if (found !== undefined) return { state: "ready", notAfter: found.notAfter };
    return { state: this.#arriving.has(name) ? "pending" : "none" };
  }

  /** Stops covering a name that was granted; the domains' own leaves stay. */
  revoke(name: string): void {
    if (this.#options.domains.includes(name) || !this.#leaves.delete(name)) return;
    this.#options.table.remove(name);
  }

  /** Issues every leaf again that has lived two thirds of its time. A failing one never delays another. */
  async renew(): Promise<void> {
    for (const [id, leaf] of [...this.#leaves]) {
      if (!this.#isDue(leaf)) continue;
      try {
        await this.#issue(id);
        this.#options.log.debug("certificate", "Renewed", { name: id });
      } catch (error) {
        this.#options.log.error("certificate", `Renewing the certificate of "${id}" failed`, {
          name: id,
          error: String(error),
        });
      }
    }
  }

  /** Stops renewing; the certificates in the table stay. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this[Symbol.dispose]();
  }

  /** Another grant's wildcard does not count: it may be revoked while this name stays granted. */
  #isCovered(name: string): boolean {
    const parent = name.slice(name.indexOf(".") + 1);
    return this.#leaves.has(name) || this.#options.domains.includes(parent);
  }

  async #add(id: string, names: readonly string[]): Promise<void> {
    this.#leaves.set(id, { names, renewAt: 0 });
    try {
      await this.#issue(id);
    } catch (error) {
      this.#leaves.delete(id);
      throw error;
    }
  }

  #issue(id: string): Promise<void> {
    const issued = this.#work.then(() => this.#issueNow(id));
    // The next in line runs whether or not this one failed; whoever asked for this one gets its error.
    this.#work = issued.catch(() => undefined);
    return issued;
  }

  async #issueNow(id: string): Promise<void> {
    const leaf = this.#leaves.get(id);
    if (leaf === undefined || !this.#isDue(leaf)) return;
    const notBefore = this.#now() - BACKDATE_MS;
    const notAfter = this.#now() + LEAF_LIFE_MS;
    const pem = await makeLeaf(this.#root, leaf.names, { notBefore, notAfter });
    // Revoked while it was made: then nothing may be shown any more.
    if (this.#leaves.get(id) !== leaf) return;
    leaf.renewAt = this.#now() + RENEW_AFTER_MS;
    this.#options.table.put({
      id,
      names: leaf.names,
      context: contextOf(pem),
      notBefore,
      notAfter,
    });
  }

  /** No leaf is renewed later than that from now: the clock was set back, and what was made before is not valid yet. */
  #isDue({ renewAt }: { readonly renewAt: number }): boolean {
    const left = renewAt - this.#now();
    return left <= 0 || left > RENEW_AFTER_MS;
  }

  #now(): number {
    return (this.#options.clock ?? Date.now)();
  }
}

/**
 * Loads the authority from `ca/root.pem` and `ca/root.key`, or makes it, and issues the domains' leaves.
 *
 * @throws TunlError `CA_DAMAGED` when one file is missing, unreadable as PEM, expired or does not fit the other: a root
 *   that visitors trust is never replaced silently. `INSECURE_FILE` for a key that others may read.
 */
export async function startInternalAuthority(
  options: InternalAuthorityOptions,
): Promise<InternalAuthority> {
  const directory = join(options.stateDirectory, "ca");
  const certPath = join(directory, "root.pem");
  const keyPath = join(directory, "root.key");
  const now = (options.clock ?? Date.now)();
  await makePrivateDirectory(options.stateDirectory);
  if (await hasEntry(directory)) await makePrivateDirectory(directory);
  const root = (await loadRoot(certPath, keyPath, now)) ?? (await createRoot(directory, now));
  const authority = new InternalAuthority(options, root, certPath);
  await authority.start();
  return authority;
}

async function loadRoot(
  certPath: string,
  keyPath: string,
  now: number,
): Promise<PemPair | undefined> {
  // The root is handed out to visitors, so its mode is the owner's affair; the key's is not.
  const cert = (await hasEntry(certPath)) ? await readFile(certPath, "utf8") : undefined;
  const key = await readSecret(keyPath);
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined) throw damaged(`"${certPath}" is missing beside its key`);
  if (key === undefined) throw damaged(`"${keyPath}" is missing beside its certificate`);
  let isOwnKey: boolean;
  let notAfter: number;
  try {
    const certificate = new X509Certificate(cert);
    isOwnKey = certificate.checkPrivateKey(createPrivateKey(key));
    notAfter = Date.parse(certificate.validTo);
  } catch (error) {
    throw damaged(`"${certPath}" and "${keyPath}" are not a PEM certificate and its key`, error);
  }
  if (!isOwnKey) throw damaged(`The key in "${keyPath}" does not belong to "${certPath}"`);
  if (now > notAfter)
    throw damaged(`"${certPath}" expired on ${new Date(notAfter).toISOString().slice(0, 10)}`);
  return { cert, key };
}

function damaged(message: string, cause?: unknown): TunlError {
  return new TunlError("CA_DAMAGED", message, {
    cause,
    hint: "Restore both from a backup; removing both makes a new authority that every visitor has to import again",
  });
}

/** Both files come at once: one without the other would be damage. */
async function createRoot(directory: string, now: number): Promise<PemPair> {
  const root = await makeRoot(now);
  await writeDirectoryAtomic(directory, { "root.key": root.key, "root.pem": root.cert });
  return root;
}
