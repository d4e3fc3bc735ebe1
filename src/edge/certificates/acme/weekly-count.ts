// This file is how many first certificates a CA gave in a week, of how many. product.md §7; pure, time is an argument.
import { isBelow, withoutWildcard } from "../../../address/index.ts";

const WEEK_MS = 7 * 86_400_000;
/** Somebody is told from this part of the limit on. */
const NEAR = 0.8;
/** The newest are kept: enough for twenty domains at the limit, and at most a third of what a file of the state may have. */
export const MAX_ISSUED = 1_000;

/**
 * A CA's limit of certificates for each registered domain in seven days.
 *
 * Let's Encrypt calls it "New Certificates per Registered Domain": 50 in 7 days, whoever orders them. A certificate for
 * exactly the names of an earlier one is a renewal and does not count; a wildcard counts as one. It gives back evenly, one
 * in about three hours, so what it holds against a domain for the orders of this edge is never more than those of the last
 * seven days. What others order for the domain is not seen here.
 */
export interface WeeklyLimit {
  /** "Let's Encrypt". */
  readonly ca: string;
  readonly certificates: number;
}

/** A first certificate: nothing with its names was there before. */
export interface Issued {
  /** Its first name, `*.x` for a wildcard. */
  readonly name: string;
  /** Wall clock, milliseconds since 1970. */
  readonly at: number;
}

/** A domain that is near the limit. */
export interface NearLimit {
  readonly domain: string;
  readonly issued: number;
  readonly oldestLeavesAt: number;
}

/**
 * First certificates of the last seven days, by domain of the edge.
 *
 * A domain and all names below it have one registered domain, whichever label that is. Names outside of the edge's
 * domains are not counted: without a list of public suffixes nobody can say which of them share one (`a.co.uk` and
 * `b.co.uk` do not, `a.x.org` and `b.x.org` do), and a warning that is wrong is worse than the CA's own refusal, which
 * says so in words.
 */
export class WeeklyCount {
  readonly limit: WeeklyLimit;
  readonly #domains: readonly string[];
  #issued: readonly Issued[] = [];
  /** When somebody was told of a domain. */
  readonly #toldAt = new Map<string, number>();

  /** @param domains Canonical domains of the edge; one that is below another is counted with it. */
  constructor(limit: WeeklyLimit, domains: readonly string[]) {
    this.limit = limit;
    this.#domains = domains.filter((domain) => !domains.some((other) => isBelow(domain, other)));
  }

  /** What an earlier process had. */
  remember(issued: readonly Issued[], now: number): void {
    this.#keep([...issued, ...this.#issued], now);
  }

  /** One more; false for a name that is not counted. */
  add(name: string, now: number): boolean {
    if (this.#domainOf(name) === undefined) return false;
    this.#keep([...this.#issued, { name, at: now }], now);
    return true;
  }

  /** Those of the last seven days, oldest first. */
  all(now: number): readonly Issued[] {
    return this.#issued.filter(({ at }) => isOfThisWeek(at, now));
  }

  /** Domains that have had 80 % of the limit or more. */
  near(now: number): readonly NearLimit[] {
    const recent = this.all(now);
    return this.#domains.flatMap((domain) => {
      const own = recent.filter(({ name }) => this.#domainOf(name) === domain);
      const [oldest] = own;
      if (oldest === undefined || own.length < this.limit.certificates * NEAR) return [];
      return [{ domain, issued: own.length, oldestLeavesAt: oldest.at + WEEK_MS }];
    });
  }

  /** Those of `near` of which nobody was told in the last seven days; now somebody is. */
  untold(now: number): readonly NearLimit[] {
    const news = this.near(now).filter(
      ({ domain }) => !isOfThisWeek(this.#toldAt.get(domain) ?? Number.NEGATIVE_INFINITY, now),
    );
    for (const { domain } of news) this.#toldAt.set(domain, now);
    return news;
  }

  #keep(issued: readonly Issued[], now: number): void {
    this.#issued = issued
      .filter(({ at }) => isOfThisWeek(at, now))
      .sort((one, other) => one.at - other.at)
      .slice(-MAX_ISSUED);
  }

  #domainOf(id: string): string | undefined {
    const name = withoutWildcard(id);
    return this.#domains.find((domain) => name === domain || isBelow(name, domain));
  }
}

/** What lies ahead by less is of a clock that was set back: it counts. By more, it was a wrong clock that wrote it. */
function isOfThisWeek(at: number, now: number): boolean {
  return Math.abs(now - at) < WEEK_MS;
}
