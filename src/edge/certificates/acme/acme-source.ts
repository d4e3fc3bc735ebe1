// This file is certificates by ACME as a source: it does what the calendar says is due. product.md §7; reliability.md.
import { reached } from "../../../limits.ts";
import type { Logger } from "../../../log.ts";
import type { HasAddress } from "../../dns/index.ts";
import type { CertificateTable } from "../certificates.ts";
import {
  certificateFailed,
  type CertificateSource,
  type CertificateState,
  waitUnless,
} from "../source.ts";
import { attempt } from "./attempt.ts";
import type { Ca } from "./ca.ts";
import type { ChallengeAnswers, ChallengeType } from "./challenges.ts";
import { Coverage, type Line } from "./coverage.ts";
import { type FailureFile, FailureLog } from "./failure-file.ts";
import { Notices, reasonOf } from "./notices.ts";
import { AcmeError } from "./problem.ts";
import { Schedule } from "./schedule.ts";
import { Shelf } from "./shelf.ts";
import type { CertificateStorage } from "./storage.ts";
import type { WeeklyLog } from "./weekly-log.ts";

/** Orders at a time: a name whose order hangs holds one place, and there are more. */
export const MAX_ORDERS = 32;
/** Questions when to renew at a time: an order stands in line with as many, and not with those of a thousand certificates. */
const MAX_QUESTIONS = 4;
const SPENT = "three validations have failed within this hour";
/** The calendar is looked at this often at least: one long timer would miss the time a machine was suspended. */
const LOOK_MS = 60_000;

export interface AcmeSourceOptions {
  /** Canonical domains of the edge. */
  readonly domains: readonly string[];
  readonly ca: Ca;
  readonly storage: CertificateStorage;
  readonly failures: FailureFile;
  /** Counts first certificates; undefined where the CA's limit is not known. */
  readonly weekly: WeeklyLog | undefined;
  readonly answers: ChallengeAnswers;
  readonly challenge: ChallengeType | "auto";
  /** Whether a name has an address, so that nobody asks the CA to find out. */
  readonly hasAddress: HasAddress;
  /** True: one wildcard for each domain whose zone can be edited. */
  readonly usesWildcards: boolean;
  /** Asked once more before each order: a name below a `*.x` goes with it, and nobody says so. */
  readonly isGranted: (name: string) => boolean;
  readonly table: CertificateTable;
  readonly log: Logger;
  /** Wall clock, milliseconds since 1970. */
  readonly clock: () => number;
  readonly random: () => number;
  /** Calls once after so many ms of that clock; the edge does not stay alive for it. */
  readonly later: (ms: number, run: () => void) => Disposable;
}

/** One certificate under way or served. */
interface Entry extends Line {
  /** Ends its order. */
  readonly stop: AbortController;
  /** Settled by the next thing that happens to it. */
  news: PromiseWithResolvers<void>;
}

/** Orders what is granted, renews what is served, and never delays one name for another. */
export class AcmeSource implements CertificateSource {
  readonly #options: AcmeSourceOptions;
  readonly #coverage: Coverage;
  readonly #schedule: Schedule;
  readonly #entries = new Map<string, Entry>();
  readonly #work = new Set<Promise<void>>();
  readonly #shelf: Shelf;
  readonly #failures: FailureLog;
  readonly #notices: Notices;
  #next: Disposable | undefined;
  readonly #decision = Promise.withResolvers<void>();
  #isDecided = false;
  /** To the CA, without an answer yet. */
  #questions = 0;
  #isOver = false;

  constructor(options: AcmeSourceOptions) {
    this.#options = options;
    this.#coverage = new Coverage(options.domains);
    this.#schedule = new Schedule({
      random: options.random,
      maxRunning: MAX_ORDERS,
      onFull: () => reached("certificateOrders"),
    });
    this.#shelf = new Shelf(options);
    this.#failures = new FailureLog({ ...options, validations: this.#schedule.validations });
    this.#notices = new Notices(options);
  }

  /** Wants the domains themselves; orders begin once it is known which of them get a wildcard. */
  start(): void {
    for (const domain of this.#options.domains) this.want(domain);
    this.#run(async () => {
      try {
        await this.#decide();
      } finally {
        for (const name of [...this.#coverage.wanted]) this.#cover(name);
        this.#isDecided = true;
        this.#decision.resolve();
      }
    });
  }

  want(name: string): void {
    if (this.#isOver || !this.#coverage.want(name)) return;
    if (this.#isDecided) this.#cover(name);
  }

  unwant(name: string): void {
    if (this.#options.domains.includes(name) || !this.#coverage.unwant(name)) return;
    // What was granted by a `*.x` alone goes with it.
    const line = this.#coverage.lineOf(name);
    if (!this.#coverage.isUsed(line.id)) this.#drop(line.id);
  }

  retry(name: string): void {
    if (!this.#coverage.isWanted(name)) return;
    this.#schedule.retry(this.#coverage.lineOf(name).id, this.#now());
    this.#look();
  }

  async ready(name: string, signal?: AbortSignal): Promise<void> {
    await waitUnless(this.#decision.promise, signal);
    for (;;) {
      if (this.#options.table.covers(name)) return;
      const entry = this.#entries.get(this.#coverage.lineOf(name).id);
      if (entry === undefined || !this.#coverage.isWanted(name))
        throw certificateFailed(name, "it is not granted");
      const { state, text = "", nextTryAt } = this.state(name);
      if (state === "failed") {
        const next = nextTryAt === undefined ? "" : `, next try at ${clock(nextTryAt)}`;
        throw certificateFailed(name, `${text}${next}`);
      }
      await waitUnless(entry.news.promise, signal);
    }
  }

  arriving(name: string): Promise<void> | undefined {
    if (!this.#coverage.isWanted(name) || this.#options.table.covers(name)) return undefined;
    if (!this.#isDecided) return this.#decision.promise;
    if (this.state(name).state !== "pending") return undefined;
    return this.#entries.get(this.#coverage.lineOf(name).id)?.news.promise;
  }

  state(name: string): CertificateState {
    const now = this.#now();
    const found = this.#options.table.find(name);
    const { id } = this.#coverage.lineOf(name);
    const view = this.#schedule.view(id, now);
    // Without a certificate what waits has failed, in this process or in the one before.
    const isWaiting = view !== undefined && !view.isRunning && view.nextTryAt > now;
    const hasFailed = view !== undefined && (view.failures > 0 || (isWaiting && !view.life));
    const trouble = {
      ...(hasFailed && { text: view.text === "" ? SPENT : view.text }),
      ...(hasFailed && isWaiting && { nextTryAt: view.nextTryAt }),
    };
    if (found !== undefined) return { state: "ready", notAfter: found.notAfter, ...trouble };
    if (!this.#coverage.isWanted(name)) return { state: "none" };
    return { state: hasFailed && isWaiting ? "failed" : "pending", ...trouble };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    this.#next?.[Symbol.dispose]();
    for (const entry of this.#entries.values()) entry.stop.abort();
    await Promise.all(this.#work);
    await this.#failures[Symbol.asyncDispose]();
    await this.#options.weekly?.[Symbol.asyncDispose]();
  }

  /** What an earlier process left, and which domains get one certificate with their wildcard. */
  async #decide(): Promise<void> {
    const { domains, answers, usesWildcards } = this.#options;
    await this.#failures.open();
    await this.#options.weekly?.open();
    if (!usesWildcards) return;
    for (const domain of domains)
      if ((await answers.dns?.serves(domain)) !== false) this.#coverage.useWildcard(domain);
  }

  /** Makes sure that the certificate that is to cover a name is there or on its way. */
  #cover(name: string): void {
    const line = this.#coverage.lineOf(name);
    if (this.#entries.has(line.id)) return;
    const entry: Entry = {
      ...line,
      stop: new AbortController(),
      news: Promise.withResolvers(),
    };
    this.#entries.set(line.id, entry);
    this.#run(async () => {
      await this.#open(entry);
      if (this.#entries.get(entry.id) === entry) this.#look();
    });
  }

  #drop(id: string): void {
    const entry = this.#entries.get(id);
    this.#entries.delete(id);
    this.#schedule.remove(id);
    this.#shelf.drop(id);
    if (entry === undefined) return;
    entry.stop.abort();
    // Whoever waits for it may have another certificate to wait for, or none.
    this.#tell(entry);
  }

  /** Serves what lies on the disk, and puts the certificate into the calendar. */
  async #open(entry: Entry): Promise<void> {
    const { id } = entry;
    const life = await this.#shelf.open(entry);
    // Released while the disk was read.
    if (this.#entries.get(id) !== entry) return this.#shelf.drop(id);
    this.#schedule.add(id, life, this.#now());
    if (life === undefined) return;
    this.#tell(entry);
    this.#notices.found(entry, life);
    if (!this.#shelf.isForeign(id)) return;
    // Visitors had better have it than none; the CA that is to be asked now knows nothing of it.
    this.#schedule.replace(id, this.#now());
    this.#notices.foreign(entry);
  }

  /** Does what is due, and sets the timer for what is due next. */
  #look(): void {
    if (this.#isOver) return;
    const now = this.#now();
    for (const { id, what } of this.#schedule.due(now)) {
      const entry = this.#entries.get(id);
      if (entry === undefined) continue;
      if (what === "order") {
        if (!this.#isGranted(entry)) continue;
        this.#schedule.begin(id);
        this.#run(() => this.#order(entry));
      } else if (this.#questions < MAX_QUESTIONS) {
        // Asked again later whatever becomes of this.
        this.#schedule.suggest(id, undefined, now);
        this.#run(() => this.#ask(entry));
      }
    }
    for (const { id, days } of this.#schedule.warnings(now))
      this.#notices.endsSoon(id, days, this.#schedule.view(id, now)?.text ?? "");
    if (this.#shelf.hasUnsaved) this.#run(() => this.#shelf.saveRest());
    this.#next?.[Symbol.dispose]();
    const next = this.#schedule.nextAt(now) ?? now + LOOK_MS;
    // Due and yet not begun: all places are taken, and each that gets free looks again.
    const delay = next <= now ? LOOK_MS : Math.min(next - now, LOOK_MS);
    this.#next = this.#options.later(delay, () => this.#look());
  }

  /** Forgets names that nobody has any more; false where none is left that this certificate is for. */
  #isGranted({ id }: Entry): boolean {
    const { domains, isGranted } = this.#options;
    for (const name of [...this.#coverage.wanted]) {
      if (this.#coverage.lineOf(name).id !== id) continue;
      if (!domains.includes(name) && !isGranted(name)) this.unwant(name);
    }
    return this.#entries.has(id);
  }

  #run(work: () => Promise<void>): void {
    const running = work()
      .catch((error: unknown) => this.#notices.bug(error))
      .finally(() => this.#work.delete(running));
    this.#work.add(running);
  }

  async #order(entry: Entry): Promise<void> {
    const { id, names, stop } = entry;
    const served = this.#shelf.get(id);
    try {
      const allowance = this.#failures;
      const replaces = this.#shelf.isForeign(id) ? undefined : served?.cert;
      const wanted = { id, names, served, replaces, signal: stop.signal };
      const { cert, key, life, challenge } = await attempt(wanted, { ...this.#options, allowance });
      // Counted by the CA whatever becomes of it here.
      if (!this.#shelf.hadBefore(id)) this.#options.weekly?.came(id);
      if (this.#entries.get(id) !== entry) return;
      const proven = challenge ?? served?.challenge ?? "";
      const ca = this.#options.ca.directory;
      this.#shelf.put(entry, { names, cert, key, challenge: proven, ca }, life);
      this.#schedule.succeeded(id, life, this.#now());
      // Visitors that wait are served before the disk has it.
      this.#tell(entry);
      this.#notices.came(entry, life, served !== undefined);
      this.#settleWildcard(entry, true);
      await this.#shelf.save(id);
    } catch (error) {
      // Dropped meanwhile, or the edge ends: nobody waits for it.
      if (stop.signal.aborted) return;
      this.#failed(entry, error);
    } finally {
      this.#tell(entry);
      this.#look();
    }
  }

  #failed(entry: Entry, error: unknown): void {
    const { id } = entry;
    const now = this.#now();
    const text = reasonOf(error, this.#options.ca.skewMs);
    const after = error instanceof AcmeError ? error.retryAfterMs : undefined;
    this.#schedule.failed(id, text, now, after);
    const next = this.#schedule.view(id, now)?.nextTryAt ?? now;
    this.#notices.failed(id, text, error, next, this.#shelf.get(id) !== undefined);
    this.#settleWildcard(entry, false);
  }

  /** While the wildcard of a domain cannot be had, each of its names has a certificate of its own. */
  #settleWildcard({ id }: Entry, isGood: boolean): void {
    const domain = this.#coverage.domainOf(id);
    if (domain === undefined || !this.#options.usesWildcards) return;
    if (isGood) this.#coverage.useWildcard(domain);
    else if (this.#shelf.get(id) === undefined) this.#coverage.dropWildcard(domain);
    for (const name of [...this.#coverage.wanted]) this.#cover(name);
    if (!isGood) return;
    for (const own of [...this.#entries.keys()])
      if (own !== id && !this.#coverage.isUsed(own) && this.#coverage.lineOf(own).id === id)
        this.#drop(own);
  }

  async #ask(entry: Entry): Promise<void> {
    const served = this.#shelf.get(entry.id);
    if (served === undefined) return;
    this.#questions += 1;
    try {
      const info = await this.#options.ca.renewalInfo(served.cert, entry.stop.signal);
      this.#schedule.suggest(entry.id, info, this.#now(), info?.againMs);
    } catch (error) {
      if (entry.stop.signal.aborted) return;
      this.#notices.notAsked(entry.id, error);
    } finally {
      this.#questions -= 1;
      this.#look();
    }
  }

  #tell(entry: Entry): void {
    const { news } = entry;
    entry.news = Promise.withResolvers();
    news.resolve();
  }

  #now(): number {
    return this.#options.clock();
  }
}

function clock(time: number): string {
  return new Date(time).toISOString().slice(11, 16).concat(" UTC");
}
