// This file is the records that the edge made: remembered before they are made, removed when their name is gone. product.md §2.3, §6 item 4.
import { withoutWildcard } from "../../address/index.ts";
import type { Deadline, Deadlines } from "../../deadlines.ts";
import { TunlError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import type { MadeRecord, Store } from "../store/index.ts";
import {
  type DnsProvider,
  type DnsRecord,
  isSameRecord,
  type RecordType,
  type Replacement,
} from "./provider.ts";

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
  #sweeping: Promise<void> | undefined;
  #isFailing = false;
  /** Changes of a name, one after the other; by name, while there are any. */
  readonly #turns = new Map<string, Promise<unknown>>();

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
    await this.#reload();
    this.#schedule(ROUND_MS);
  }

  of(host: string): readonly MadeRecord[] {
    return this.#records.filter((record) => record.host === host);
  }

  /** True for a record that the edge made, for whichever name. */
  has(record: DnsRecord): boolean {
    return this.#records.some((each) => isSameRecord(each, record));
  }

  /**
   * Runs what looks at the records of a name and changes them, one after the other for each name: between two looks of
   * its own nobody here removes what it saw.
   */
  async inTurn<Value>(host: string, work: () => Promise<Value>): Promise<Value> {
    // A name and the wildcard below it have their text in common.
    const key = withoutWildcard(host);
    const before = this.#turns.get(key);
    const turn = (async (): Promise<Value> => {
      await before;
      return await work();
    })();
    // The next one waits for the end, however this one ended.
    const end = turn.catch(() => undefined);
    this.#turns.set(key, end);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(key) === end) this.#turns.delete(key);
    }
  }

  /**
   * Replaces what stands at a name of a tunnel. In turn.
   *
   * @param ours What is the edge's from now on: what it adds, and what it added before.
   * @throws TunlError of the provider and of the store.
   */
  async make(change: Replacement, ours: readonly DnsRecord[], tunnel: string): Promise<void> {
    const { store, provider } = this.#options;
    const known = ours.filter((record) => this.has(record));
    // First remembered: one that was made and forgotten would be left for ever.
    for (const record of ours)
      await store.routes.keepRecord({ ...record, host: change.name, tunnel });
    await this.#reload();
    if (change.gone.length === 0 && change.added.length === 0) return;
    try {
      await provider?.replace(change);
    } catch (error) {
      // Refused is not made: should somebody add it by hand, it is not ours to take away. A failure says nothing of that.
      if (error instanceof TunlError && NOT_MADE.has(error.code))
        await this.#forget(ours.filter((record) => !known.includes(record)));
      throw error;
    }
    // Nor is what was replaced, should somebody add it again.
    await this.#forget(change.gone.filter((record) => this.has(record)));
  }

  /** Gives a tunnel the addresses that another one left at its name; texts and aliases are of no use to it. In turn. */
  async adopt(host: string, tunnel: string): Promise<boolean> {
    const left = this.of(host).filter(
      (record) => record.tunnel !== tunnel && (record.type === "A" || record.type === "AAAA"),
    );
    for (const { name, type, value } of left)
      await this.#options.store.routes.keepRecord({ name, type, value, host, tunnel });
    if (left.length > 0) await this.#reload();
    return left.length > 0;
  }

  /** True where a replacement whose answer was lost may have removed a record at the name. @param usual What leads here. */
  areInDoubt(host: string, usual: readonly DnsRecord[]): boolean {
    const aliases = this.of(host).filter(({ type }) => type === "CNAME").length;
    const isMixed =
      aliases > 0 && this.of(host).some(({ name, type }) => name === host && type !== "CNAME");
    return isMixed || this.#notAmong(host, usual).length > 0;
  }

  /** Forgets records at a name but those that are there or may come yet: a replacement whose answer was lost was done. In turn. */
  async forgetGone(host: string, thereOrComing: readonly DnsRecord[]): Promise<void> {
    await this.#forget(this.#notAmong(host, thereOrComing));
  }

  /** Removes the records of a name that its tunnel has no more. */
  async remove(host: string): Promise<Removed> {
    return await this.#removeAll(this.of(host));
  }

  /** Removes the records of names that are gone or belong to another tunnel. */
  async sweep(): Promise<void> {
    const orphans = this.#records.filter((record) => this.#isOrphan(record));
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
      // A provider that is slow has one round at a time.
      this.#sweeping ??= this.sweep()
        .catch((error: unknown) => {
          if (!this.#isFailing)
            this.#options.log.warn("dns", `Records were not removed: ${String(error)}`);
          this.#isFailing = true;
        })
        .finally(() => (this.#sweeping = undefined));
    });
  }

  async #removeAll(records: readonly MadeRecord[]): Promise<Removed> {
    const { provider } = this.#options;
    if (records.length === 0) return { state: "none", text: "" };
    if (provider === undefined)
      return { state: "left", text: "No dns.provider is set that could remove them" };
    let failure: TunlError | undefined;
    for (const { host, name, type, value } of records) {
      const record = { name, type: type as RecordType, value };
      failure = (await this.inTurn(host, () => this.#removeOne(provider, record))) ?? failure;
    }
    return failure === undefined
      ? { state: "removed", text: "" }
      : { state: "left", text: failure.message };
  }

  /** In turn. @returns Why it is still there. */
  async #removeOne(provider: DnsProvider, record: DnsRecord): Promise<TunlError | undefined> {
    // While this waited, a tunnel that got the name may have made it its own.
    const row = this.#records.find((each) => isSameRecord(each, record));
    if (row === undefined || !this.#isOrphan(row)) return undefined;
    // The text of a name proves the wildcard below it as well, and the other way round.
    const twin = row.host.startsWith("*.") ? withoutWildcard(row.host) : `*.${row.host}`;
    if (row.type === "TXT" && !this.#isOrphan({ ...row, host: twin })) {
      await this.#options.store.routes.keepRecord({ ...record, host: twin, tunnel: row.tunnel });
      await this.#reload();
      return undefined;
    }
    try {
      await provider.remove(record);
    } catch (error) {
      if (error instanceof TunlError) return error;
      throw error;
    }
    await this.#forget([record]);
    return undefined;
  }

  #isOrphan({ host, tunnel }: MadeRecord): boolean {
    return this.#options.store.snapshot.host(host)?.tunnel !== tunnel;
  }

  #notAmong(host: string, thereOrWanted: readonly DnsRecord[]): readonly MadeRecord[] {
    return this.of(host).filter(
      (record) => record.name === host && !thereOrWanted.some((each) => isSameRecord(each, record)),
    );
  }

  async #forget(records: readonly Pick<MadeRecord, "name" | "type" | "value">[]): Promise<void> {
    for (const record of records) await this.#options.store.routes.forgetRecord(record);
    if (records.length > 0) await this.#reload();
  }

  async #reload(): Promise<void> {
    this.#records = await this.#options.store.routes.records();
  }
}
