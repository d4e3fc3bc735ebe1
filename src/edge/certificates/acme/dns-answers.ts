// This file is DNS-01 by way of a DNS provider: a TXT record is added, seen at the zone's own servers, and removed. RFC 8555 §8.4.
import { withoutWildcard } from "../../../address/index.ts";
import { messageOf, TunlError } from "../../../errors.ts";
import type { Logger } from "../../../log.ts";
import type { DnsClient, DnsProvider, DnsRecord } from "../../dns/index.ts";
import type { DnsAnswers } from "./challenges.ts";

/** Secondary servers of a zone take their time; a CA that asks one which does not have the record yet refuses the name. */
const SEEN_MS = 120_000;

export interface ProviderAnswersOptions {
  readonly provider: DnsProvider;
  readonly client: DnsClient;
  readonly log: Logger;
}

/** Answers challenges in the zones that the provider edits. */
export class ProviderAnswers implements DnsAnswers {
  readonly #options: ProviderAnswersOptions;

  constructor(options: ProviderAnswersOptions) {
    this.#options = options;
  }

  async serves(name: string): Promise<boolean | undefined> {
    const { provider, log } = this.#options;
    const bare = withoutWildcard(name);
    try {
      return (await provider.zoneOf(bare)) !== undefined;
    } catch (error) {
      const text = `Asking ${provider.name} for the zone of ${bare} failed: ${messageOf(error)}`;
      log.warn("certificate", text, { name: bare });
      return undefined;
    }
  }

  /** @throws TunlError of the provider; `DNS_TIMEOUT` where the servers of the zone do not show the record. */
  async present(name: string, value: string, signal: AbortSignal): Promise<AsyncDisposable> {
    const { provider, client } = this.#options;
    const record: DnsRecord = { name, type: "TXT", value };
    await provider.add(record);
    const limit = AbortSignal.timeout(SEEN_MS);
    try {
      await client.seen(record, AbortSignal.any([signal, limit]));
    } catch (error) {
      await this.#remove(record);
      signal.throwIfAborted();
      if (!limit.aborted) throw error;
      throw new TunlError(
        "DNS_TIMEOUT",
        `The servers of the zone did not show the TXT record of ${name} within ${SEEN_MS / 1_000} s`,
        { retryable: true },
      );
    }
    return { [Symbol.asyncDispose]: () => this.#remove(record) };
  }

  /** One that stays proves nothing to anybody: its token is spent. */
  async #remove(record: DnsRecord): Promise<void> {
    const { provider, log } = this.#options;
    await provider.remove(record).catch((error: unknown) => {
      const text = `Removing the TXT record of ${record.name} failed: ${messageOf(error)}`;
      log.warn("certificate", text, { name: record.name, hint: "Remove it by hand" });
    });
  }
}
