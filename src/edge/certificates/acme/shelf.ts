// This file is the certificates that are there: served from memory, kept on the disk, read back at the start. reliability.md §4 item 6.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { messageOf, TunlError } from "../../../errors.ts";
import type { Logger } from "../../../log.ts";
import { type CertificateTable, contextOf } from "../certificates.ts";
import { type Ca, lifeOf } from "./ca.ts";
import type { Line } from "./coverage.ts";
import type { Life } from "./schedule.ts";
import type { CertificateStorage, Found, StoredCertificate } from "./storage.ts";

export interface ShelfOptions {
  /** The one that is asked for certificates now. */
  readonly ca: Pick<Ca, "directory">;
  readonly storage: CertificateStorage;
  readonly table: CertificateTable;
  readonly log: Logger;
  /** Wall clock, milliseconds since 1970. */
  readonly clock: () => number;
}

/** Serving never waits for the disk. */
export class Shelf {
  readonly #options: ShelfOptions;
  readonly #served = new Map<string, StoredCertificate>();
  /** Ids of those that are not on the disk yet. */
  readonly #unsaved = new Set<string>();
  /** Ids whose names had a certificate before, whatever became of it. */
  readonly #had = new Set<string>();
  /** Writes come one after the other: two of one certificate would mix. */
  #saving: Promise<void> = Promise.resolve();

  constructor(options: ShelfOptions) {
    this.#options = options;
  }

  /** What is served. */
  get(id: string): StoredCertificate | undefined {
    return this.#served.get(id);
  }

  /** Serves what lies on the disk, where it is good; undefined where it is not. */
  async open(line: Line): Promise<Life | undefined> {
    const { storage, log } = this.#options;
    const { id } = line;
    try {
      const found = await storage.load(id);
      if (found.kind !== "none" && !isForOthers(found, line)) this.#had.add(id);
      if (found.kind === "whole") return this.#accept(line, found.certificate);
      if (found.kind === "damaged") {
        const text = `The stored certificate of ${id} is damaged (${found.reason}), it is ordered again`;
        log.warn("certificate", text, { name: id });
      }
    } catch (error) {
      this.#had.add(id);
      log.warn(
        "certificate",
        `The stored certificate of ${id} cannot be used: ${messageOf(error)}`,
        {
          name: id,
          ...(error instanceof TunlError && { hint: error.hint }),
        },
      );
    }
    return undefined;
  }

  /** Serves a new one; open connections keep the old one. */
  put({ id, names }: Line, certificate: StoredCertificate, life: Life): void {
    this.#served.set(id, certificate);
    this.#had.add(id);
    this.#options.table.put({ id, names, context: contextOf(certificate), ...life });
  }

  /** What is on the disk stays there, for whoever gets the name again. */
  drop(id: string): void {
    this.#served.delete(id);
    this.#unsaved.delete(id);
    this.#had.delete(id);
    this.#options.table.remove(id);
  }

  /** True where another CA made what is served, such as one for trials that no browser knows. */
  isForeign(id: string): boolean {
    const { ca = "" } = this.#served.get(id) ?? {};
    return ca !== "" && ca !== this.#options.ca.directory;
  }

  /**
   * True where the next certificate of this id is a renewal to a CA that sees its names again, even if what was there is
   * out of its time or damaged.
   */
  hadBefore(id: string): boolean {
    return this.#had.has(id) && !this.isForeign(id);
  }

  /** Writes one; where the disk does not take it, it is tried again by `saveRest`. */
  async save(id: string): Promise<void> {
    this.#unsaved.add(id);
    this.#saving = this.#saving.then(() => this.#saveNow(id));
    await this.#saving;
  }

  /** Writes what the disk did not take before. */
  async saveRest(): Promise<void> {
    for (const id of [...this.#unsaved]) await this.save(id);
  }

  get hasUnsaved(): boolean {
    return this.#unsaved.size > 0;
  }

  #accept(line: Line, stored: StoredCertificate): Life | undefined {
    const leaf = new X509Certificate(stored.cert);
    const life = lifeOf(leaf);
    const isOurs = leaf.checkPrivateKey(createPrivateKey(stored.key));
    const isWhole = line.names.every((name) => stored.names.includes(name));
    if (!isOurs || !isWhole || life.notAfter <= this.#options.clock()) return undefined;
    this.put(line, stored, life);
    return life;
  }

  async #saveNow(id: string): Promise<void> {
    const certificate = this.#served.get(id);
    if (certificate === undefined || !this.#unsaved.delete(id)) return;
    try {
      await this.#options.storage.save(id, certificate);
    } catch (error) {
      if (this.#served.has(id)) this.#unsaved.add(id);
      const text = `Storing the certificate of ${id} failed: ${messageOf(error)}; it is served from memory and stored later`;
      this.#options.log.warn("certificate", text, {
        name: id,
        hint: "Free space where the state lies",
      });
    }
  }
}

/** A folder may hold a certificate with other names: that of `*.x` alone, say, where one with `x` is wanted. */
function isForOthers(found: Found, { names }: Line): boolean {
  if (found.kind !== "whole") return false;
  const had = found.certificate.names;
  return had.length !== names.length || !names.every((name) => had.includes(name));
}
