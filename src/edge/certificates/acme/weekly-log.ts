// This file is the CA's weekly limit as the edge lives with it: first certificates kept in `acme/<ca>/issued.json`, and who is told near the limit. product.md §7.
import { join } from "node:path";
import { messageOf } from "../../../errors.ts";
import { makePrivateDirectory, readSecret, writeFileAtomic } from "../../../identity/index.ts";
import type { Logger } from "../../../log.ts";
import type { LimitLine } from "../list.ts";
import type { CaAddress } from "./account.ts";
import { fieldsOf } from "./client.ts";
import { parseJson } from "./transport.ts";
import type { Issued, NearLimit, WeeklyCount } from "./weekly-count.ts";

/** The file of one CA: a restart does not make it forget what it gave. */
export class IssuedFile {
  readonly path: string;
  readonly #folder: string;

  constructor(stateDirectory: string, { folder }: CaAddress) {
    this.#folder = join(stateDirectory, "acme", folder);
    this.path = join(this.#folder, "issued.json");
  }

  /** What an earlier process left. @throws where it cannot be read. */
  async load(): Promise<readonly Issued[]> {
    const text = await readSecret(this.path);
    if (text === undefined) return [];
    const { version, first } = fieldsOf(parseJson(text));
    if (version !== 1 || !Array.isArray(first) || !first.every(isIssued))
      throw new Error("it holds no list of certificates");
    return first.map(({ name, at }) => ({ name, at }));
  }

  /** @throws the system's error; what was there before stays whole. */
  async save(first: readonly Issued[]): Promise<void> {
    await makePrivateDirectory(this.#folder);
    await writeFileAtomic(this.path, `${JSON.stringify({ version: 1, first })}\n`);
  }
}

/** What gives the names of a domain one certificate: a key to set, or one to change; with both, shorter names. */
export type Cure = "provider" | "wildcard" | "names";

export interface WeeklyLogOptions {
  readonly count: WeeklyCount;
  readonly file: IssuedFile;
  readonly cure: Cure;
  readonly log: Logger;
  /** Wall clock, milliseconds since 1970. */
  readonly clock: () => number;
}

/** First certificates as they come: counted over restarts, written one after the other. */
export class WeeklyLog {
  readonly #options: WeeklyLogOptions;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: WeeklyLogOptions) {
    this.#options = options;
  }

  /** Counts those of an earlier process. A file that cannot be read costs a late warning and nothing else. */
  async open(): Promise<void> {
    const { count, file, log, clock } = this.#options;
    try {
      count.remember(await file.load(), clock());
    } catch (error) {
      const text = `Reading "${file.path}" failed: ${messageOf(error)}; certificates ordered before this start do not count towards the CA's weekly limit here`;
      log.warn("certificate", text, { path: file.path });
    }
    this.#tell();
  }

  /** A certificate came whose names had none before. */
  came(id: string): void {
    const { count, file, log, clock } = this.#options;
    if (!count.add(id, clock())) return;
    const all = count.all(clock());
    this.#writing = this.#writing.then(async () => {
      try {
        await file.save(all);
      } catch (error) {
        // Counted in memory all the same, and written whole with the next one.
        log.debug("certificate", `Storing "${file.path}" failed: ${messageOf(error)}`);
      }
    });
    this.#tell();
  }

  /** What `tunl status` says. */
  lines(): readonly LimitLine[] {
    const { count, clock } = this.#options;
    return count.near(clock()).map((near) => this.#line(near));
  }

  /** Resolves when all is written. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing;
  }

  #tell(): void {
    const { count, log, clock } = this.#options;
    for (const near of count.untold(clock())) {
      const { domain, issued, limit, oldestLeavesAt, text, hint } = this.#line(near);
      log.warn("certificate.limit", text, { domain, issued, limit, oldestLeavesAt, hint });
    }
  }

  #line({ domain, issued, oldestLeavesAt }: NearLimit): LimitLine {
    const { ca, certificates: limit } = this.#options.count.limit;
    const until = new Date(oldestLeavesAt).toISOString();
    const day = `${until.slice(0, 10)} ${until.slice(11, 16)} UTC`;
    return {
      ...{ domain, ca, issued, limit, days: 7, oldestLeavesAt: until },
      text: `${domain} and names below it have had ${issued} of the ${limit} first certificates that ${ca} gives in 7 days; the oldest counts until ${day}`,
      hint: HINTS[this.#options.cure](domain),
    };
  }
}

const HINTS: Readonly<Record<Cure, (domain: string) => string>> = {
  provider: (domain) =>
    `Set dns.provider in edge.yml: then one wildcard certificate, *.${domain}, is for all names of one label below it`,
  wildcard: (domain) =>
    `Set certificates.wildcard: auto in edge.yml: then one wildcard certificate, *.${domain}, is for all names of one label below it`,
  names: (domain) =>
    `dns.provider is set: names of one label share *.${domain} where it edits the zone, deeper ones do not`,
};

function isIssued(value: unknown): value is Issued {
  const { name, at } = fieldsOf(value);
  return typeof name === "string" && typeof at === "number" && Number.isFinite(at);
}
