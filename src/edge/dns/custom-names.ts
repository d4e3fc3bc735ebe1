// This file is the names outside of the edge's domains: served once their proof was seen, looked at daily, suspended when it is gone for a week. product.md §6 item 3; R-20.
import { isBelow, withoutWildcard } from "../../address/index.ts";
import type { Deadline, Deadlines } from "../../deadlines.ts";
import type { Logger } from "../../log.ts";
import type { GrantedNames } from "../certificates/index.ts";
import type { HostRow, Store } from "../store/index.ts";
import type { DnsClient } from "./client.ts";
import { aliasRecord, findProof, type Proof, textRecord } from "./proof.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** A name without proof for so long is served no more. */
export const SUSPEND_AFTER_MS = 7 * DAY_MS;
/** How often a name is looked at: with its proof, without it, and while somebody waits for it. */
const LOOK_MS = { proven: DAY_MS, missing: HOUR_MS, watched: 15_000 } as const;
/** How often those that are due are sought, ms. */
const ROUND_MS = 5_000;
/** Names that are looked at at a time. */
const AT_ONCE = 4;

/** `own`: below the domains of the edge, nothing to prove. */
export type NameState = "own" | "proven" | "unproven" | "suspended";

export interface CustomNamesOptions {
  readonly store: Pick<Store, "snapshot" | "routes" | "now">;
  readonly client: DnsClient;
  readonly domains: readonly string[];
  readonly deadlines: Deadlines;
  readonly log: Logger;
}

export class CustomNames implements Disposable {
  readonly #options: CustomNamesOptions;
  /** When a name is due, by the clock of the store. */
  readonly #dueAt = new Map<string, number>();
  readonly #watchers = new Map<string, Set<(state: NameState) => void>>();
  readonly #provenWatchers: ((host: string) => void)[] = [];
  /** Names that announcements of a tunnel brought, one after the other; by tunnel, while there are any. */
  readonly #turns = new Map<string, Promise<unknown>>();
  #round: Deadline | undefined;
  #isLooking = false;
  #isFailing = false;
  readonly #over = new AbortController();

  constructor(options: CustomNamesOptions) {
    this.#options = options;
    options.store.snapshot.watchHosts({
      granted: (host) => this.#dueAt.delete(host),
      released: (host) => this.#dueAt.delete(host),
    });
  }

  start(): void {
    this.#round = this.#options.deadlines.schedule(ROUND_MS, () => {
      this.start();
      void this.look();
    });
  }

  /** True for a name outside of the domains. */
  isForeign(host: string): boolean {
    const name = withoutWildcard(host);
    return this.#options.domains.every((domain) => name !== domain && !isBelow(name, domain));
  }

  /** False for a name whose proof was never seen, or is gone for too long. Asked for each request: a few look-ups. */
  isServed(host: string): boolean {
    const state = this.stateOf(host);
    return state === "own" || state === "proven";
  }

  stateOf(host: string): NameState {
    if (!this.isForeign(host)) return "own";
    return this.#governing(host)?.proof?.state ?? "unproven";
  }

  /** Since when the proof is missing, wall clock; undefined where it is there. */
  failedSince(host: string): number | undefined {
    return this.#governing(host)?.proof?.failedSince;
  }

  /**
   * Tells of each change of a name's state from now on, and has it looked at often while it is not proven.
   *
   * @returns Ends it.
   */
  watch(host: string, watcher: (state: NameState) => void): () => void {
    const watchers = this.#watchers.get(host) ?? new Set();
    this.#watchers.set(host, watchers.add(watcher));
    if (!this.isServed(host)) this.#dueAt.delete(host);
    return () => {
      watchers.delete(watcher);
      if (watchers.size === 0) this.#watchers.delete(host);
    };
  }

  /** The granted names that a certificate may be wanted for: nobody orders one for a name that is not proven. */
  provable({ snapshot }: Pick<Store, "snapshot">): GrantedNames {
    const isServed = (host: string): boolean => this.isServed(host);
    return {
      hosts: [...snapshot.hosts].filter(({ host }) => isServed(host)),
      watchHosts: (watcher) => {
        snapshot.watchHosts({
          granted: (host) => {
            if (isServed(host)) watcher.granted(host);
          },
          released: (host) => watcher.released(host),
        });
        this.#provenWatchers.push((host) => watcher.granted(host));
      },
    };
  }

  /** Looks at every name that is due. One round at a time. Never rejects. */
  async look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      const { snapshot, now } = this.#options.store;
      const at = now.call(this.#options.store);
      const due = [...snapshot.hosts].filter(
        ({ host }) => this.isForeign(host) && isDue(this.#dueAt.get(host) ?? 0, at),
      );
      const next = due.values();
      const work = async (): Promise<void> => {
        for (const { host } of next) await this.#checkCalmly(host, at);
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
    } finally {
      this.#isLooking = false;
    }
  }

  /** What cannot be kept now is looked at again in a while; the owner is told of the disk once, and by the store. */
  async #checkCalmly(host: string, at: number): Promise<void> {
    try {
      await this.check(host);
      this.#isFailing = false;
    } catch (error) {
      if (this.#over.signal.aborted) return;
      this.#dueAt.set(host, at + LOOK_MS.watched);
      if (!this.#isFailing)
        this.#options.log.warn("proof", `Proofs were not looked at: ${String(error)}`);
      this.#isFailing = true;
    }
  }

  /** As `check`, behind what is looked at for the same tunnel: its thousand names are not a thousand questions at once. */
  async checkInTurn(host: string, tunnel: string, signal: AbortSignal): Promise<void> {
    const before = this.#turns.get(tunnel);
    const turn = (async (): Promise<void> => {
      await before;
      if (!signal.aborted) await this.check(host, signal);
    })();
    // The next one waits for the end, however this one ended.
    const end = turn.catch(() => undefined);
    this.#turns.set(tunnel, end);
    try {
      await turn;
    } finally {
      if (this.#turns.get(tunnel) === end) this.#turns.delete(tunnel);
    }
  }

  /** Looks at one name now, and keeps what came of it. @returns undefined for a name that needs no proof. */
  async check(host: string, signal: AbortSignal = this.#over.signal): Promise<Proof | undefined> {
    const { store, client, domains } = this.#options;
    const row = store.snapshot.host(host);
    if (row === undefined || !this.isForeign(host)) return undefined;
    const by = row.proof?.state === "proven" ? "any" : "every";
    const proof = await findProof(client, { host, tunnel: row.tunnel, domains, by }, signal);
    await this.settle(row, proof);
    return proof;
  }

  /** Keeps what was seen of a name's proof; what is not known changes nothing. */
  async settle(row: HostRow, proof: Proof): Promise<void> {
    const { store, log } = this.#options;
    const { host, tunnel } = row;
    const now = store.now();
    const before = row.proof;
    const failedSince = before?.failedSince ?? now;
    switch (proof.state) {
      case "proven":
        await store.routes.setProof(row, { state: "proven", at: now, failedSince: undefined });
        break;
      case "missing":
        if (before?.state === "proven") {
          const state = now - failedSince >= SUSPEND_AFTER_MS ? "suspended" : "proven";
          if (state !== before.state || before.failedSince === undefined)
            await store.routes.setProof(row, { state, at: before.at, failedSince });
        }
        break;
      case "unknown":
        log.debug("proof", `Nobody says whether ${host} is proven: ${proof.text}`, { host });
        break;
      default:
        proof.state satisfies never;
    }
    // A name that went to another tunnel meanwhile has a proof of its own to find.
    const after = store.snapshot.host(host);
    if (after?.tunnel !== tunnel) return;
    this.#dueAt.set(host, now + this.#pause(after, proof));
    this.#tell(row, after, proof);
  }

  [Symbol.dispose](): void {
    this.#round?.cancel();
    this.#over.abort(new Error("The edge ends"));
  }

  #pause({ host, proof }: HostRow, found: Proof): number {
    if (found.state === "proven") return LOOK_MS.proven;
    const isWaitedFor = proof?.state !== "proven" && this.#watched(host).length > 0;
    return isWaitedFor ? LOOK_MS.watched : LOOK_MS.missing;
  }

  /** A `*.x` speaks for the names below it, which are watched by their own. */
  #watched(host: string): [string, ReadonlySet<(state: NameState) => void>][] {
    const below = host.startsWith("*.") ? host.slice(2) : undefined;
    return [...this.#watchers].filter(
      ([watched]) => watched === host || (below !== undefined && isBelow(watched, below)),
    );
  }

  #tell(before: HostRow, after: HostRow, { server }: Proof): void {
    const { host, proof } = after;
    this.#log(before, after, server);
    if (before.proof?.state === proof?.state) return;
    if (proof?.state === "proven") for (const watcher of this.#provenWatchers) watcher(host);
    for (const [watched, watchers] of this.#watched(host))
      for (const watcher of [...watchers]) watcher(this.stateOf(watched));
  }

  #log(before: HostRow, after: HostRow, server: string): void {
    const { log, domains } = this.#options;
    const { host, tunnel, proof } = after;
    const { name, value } = aliasRecord(host, tunnel, domains[0] as string);
    const text = textRecord(host, tunnel);
    const hint = `Its owner adds ${name} CNAME ${value}, or ${text.name} TXT ${text.value}`;
    const [was, is] = [before.proof, proof];
    if (is?.state === "suspended") {
      if (was?.state !== "suspended")
        log.warn("proof", `${host} is suspended: its proof is gone since a week`, { host, hint });
    } else if (is?.failedSince !== undefined) {
      if (was?.failedSince === undefined)
        log.warn("proof", `${host} lost its proof and is suspended in a week`, { host, hint });
    } else if (is !== undefined && (was?.state !== "proven" || was.failedSince !== undefined))
      log.info("proof", `${host} is proven, seen at ${server}`, { host, server });
  }

  /** The entry that speaks for a name: its own if it has a proof, else the nearest `*.x` of its tunnel that has one. */
  #governing(host: string): HostRow | undefined {
    const { snapshot } = this.#options.store;
    const own = snapshot.host(host);
    if (own?.proof !== undefined) return own;
    let nearest = own;
    for (let dot = host.indexOf("."); dot !== -1; dot = host.indexOf(".", dot + 1)) {
      const row = snapshot.host(`*.${host.slice(dot + 1)}`);
      if (row === undefined || (nearest !== undefined && row.tunnel !== nearest.tunnel)) continue;
      if (row.proof !== undefined) return row;
      nearest ??= row;
    }
    return nearest;
  }
}

/** No name rests longer than a day: what lies further ahead was set before the clock was set back. */
function isDue(dueAt: number, now: number): boolean {
  return dueAt <= now || dueAt > now + LOOK_MS.proven;
}
