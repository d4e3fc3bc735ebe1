// This file is the records that the edge made: remembered before they are made, removed when their name is gone. product.md §2.3, §6 item 4.
import type { Deadline, Deadlines } from "../../deadlines.ts";
import { TunlError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import type { MadeRecord, Store } from "../store/index.ts";
import type { DnsProvider, DnsRecord, RecordType } from "./provider.ts";

/** How often records of names that are gone are removed, and removed again where that failed, ms. */
const ROUND_MS = 30_000;
/** After a name went: a tunnel that is deleted has many, which go together. */
const SOON_MS = 1_000;

export interface MadeRecordsOptions {
  readonly store: Pick<Store, "snapshot" | "routes">;
  readonly provider: DnsProvider | undefined;
  readonly deadlines: Deadlines;
  readonly log: Logger;
}

/** Codes of a provider that did not make a record, for certain. */
const NOT_MADE: ReadonlySet<string> = new Set(["DNS_REFUSED", "RECORD_IN_THE_WAY"]);

/** What became of the records of a name: all gone, none there, or still there since the provider failed. */
export type Removed = { readonly state: "removed" | "none" | "left"; readonly text: string };

export class MadeRecords implements Disposable {
  readonly #options: MadeRecordsOptions;
  #records: readonly MadeRecord[] = [];
  #round: Deadline | undefined;
  #isFailing = false;

  constructor(options: MadeRecordsOptions) {
    this.#options = options;
    options.store.snapshot.watchHosts({
      granted: () => undefined,
      released: () => {
        if (this.#records.length > 0) this.#schedule(SOON_MS);
      },
    });
  }

  async start(): Promise<void> {
    this.#records = await this.#options.store.routes.records();
    this.#schedule(ROUND_MS);
  }

  of(host: string): readonly MadeRecord[] {
    return this.#records.filter((record) => record.host === host);
  }

  /** Makes a record for a name of a tunnel. @throws TunlError of the provider and of the store. */
  async make(record: DnsRecord, host: string, tunnel: string): Promise<void> {
    const { store, provider } = this.#options;
    const isKnown = this.#records.some((each) => isSame(each, record));
    // First remembered: one that was made and forgotten would be left for ever.
    await store.routes.keepRecord({ ...record, host, tunnel });
    this.#records = await store.routes.records();
    try {
      await provider?.add(record);
    } catch (error) {
      // Refused is not made: should somebody add it by hand, it is not ours to take away. A failure says nothing of that.
      const isRefused = error instanceof TunlError && NOT_MADE.has(error.code);
      if (isRefused && !isKnown) {
        await store.routes.forgetRecord(record);
        this.#records = await store.routes.records();
      }
      throw error;
    }
  }

  /** Removes the records of a name, whoever has it now. */
  async remove(host: string): Promise<Removed> {
    return await this.#removeAll(this.of(host));
  }

  /** Removes the records of names that are gone or belong to another tunnel. */
  async sweep(): Promise<void> {
    const { snapshot } = this.#options.store;
    const orphans = this.#records.filter(
      ({ host, tunnel }) => snapshot.host(host)?.tunnel !== tunnel,
    );
    if (orphans.length === 0) return;
    const { state, text } = await this.#removeAll(orphans);
    if (state === "left" && !this.#isFailing)
      this.#options.log.warn("dns", `Records of names that are gone are still there: ${text}`);
    this.#isFailing = state === "left";
  }

  [Symbol.dispose](): void {
    this.#round?.cancel();
  }

  #schedule(ms: number): void {
    this.#round?.cancel();
    this.#round = this.#options.deadlines.schedule(ms, () => {
      this.#schedule(ROUND_MS);
      this.sweep().catch((error: unknown) => {
        if (!this.#isFailing)
          this.#options.log.warn("dns", `Records were not removed: ${String(error)}`);
        this.#isFailing = true;
      });
    });
  }

  async #removeAll(records: readonly MadeRecord[]): Promise<Removed> {
    const { store, provider } = this.#options;
    if (records.length === 0) return { state: "none", text: "" };
    if (provider === undefined)
      return { state: "left", text: "No dns.provider is set that could remove them" };
    let failure: TunlError | undefined;
    for (const record of records) {
      const { name, type, value } = record;
      try {
        await provider.remove({ name, type: type as RecordType, value });
      } catch (error) {
        if (!(error instanceof TunlError)) throw error;
        failure = error;
        continue;
      }
      await store.routes.forgetRecord(record);
    }
    this.#records = await store.routes.records();
    return failure === undefined
      ? { state: "removed", text: "" }
      : { state: "left", text: failure.message };
  }
}

function isSame(one: Pick<MadeRecord, "name" | "type" | "value">, other: DnsRecord): boolean {
  return one.name === other.name && one.type === other.type && one.value === other.value;
}
