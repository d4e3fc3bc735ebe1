// This file is whether the edge's own domains lead to it: said at the start, asked again until they do; nothing waits for it. product.md §1.1.
import type { Deadline, Deadlines } from "../../deadlines.ts";
import type { Logger } from "../../log.ts";
import type { DnsClient } from "./client.ts";
import type { Here } from "./here.ts";
import { leadsWhere } from "./lead.ts";

/** How often it is asked again, ms. */
const ASK_AGAIN_MS = 10_000;

export interface DomainCheckOptions {
  readonly localhostIsHere?: boolean;
  readonly client: DnsClient;
  readonly here: Here;
  readonly domains: readonly string[];
  readonly deadlines: Deadlines;
  readonly log: Logger;
  /** A domain leads here now. */
  readonly onLed: (domain: string) => void;
}

export class DomainCheck implements Disposable {
  readonly #options: DomainCheckOptions;
  readonly #over = new AbortController();
  #next: Deadline | undefined;
  /** What was said last of each domain: a state is told once, however long it lasts. */
  readonly #said = new Map<string, string>();

  constructor(options: DomainCheckOptions) {
    this.#options = options;
  }

  /** Tells of the addresses, then of the domains. @returns As soon as that was done once, or after `withinMs`. */
  async start(withinMs: number): Promise<void> {
    const { here, log } = this.#options;
    const { addresses } = here;
    if (addresses.length > 0)
      log.info("address", addresses.join(", "), { addresses: addresses.join(", ") });
    else {
      const text = "No address of this machine can be reached from the Internet";
      log.warn("address", text, { hint: "Behind a router, start with --public-address IP" });
    }
    const told = Promise.withResolvers<void>();
    const late = this.#options.deadlines.schedule(withinMs, told.resolve);
    void this.#run().then(told.resolve);
    await told.promise;
    late.cancel();
  }

  /** Asks for each domain once. @returns True where all of them lead here. */
  async look(): Promise<boolean> {
    const { domains } = this.#options;
    const done = await Promise.all(domains.map((domain) => this.#lookAt(domain)));
    return done.every(Boolean);
  }

  [Symbol.dispose](): void {
    this.#next?.cancel();
    this.#over.abort(new Error("The edge ends"));
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    try {
      const isDone = await this.look();
      if (isDone || this.#over.signal.aborted) return;
      this.#next = this.#options.deadlines.schedule(ASK_AGAIN_MS, () => void this.#run());
    } catch (error) {
      if (!this.#over.signal.aborted)
        this.#options.log.error("bug", `The domains were not looked at: ${String(error)}`);
    }
  }

  async #lookAt(domain: string): Promise<boolean> {
    const { here, log } = this.#options;
    const names = [domain, `*.${domain}`];
    const found = await Promise.all(
      names.map((name) => leadsWhere(this.#options, name, this.#over.signal)),
    );
    const wrong = names.flatMap((name, index) => (found[index]?.isHere ? [] : [{ name, index }]));
    if (wrong.length === 0) {
      const to = found[0]?.text ?? "";
      this.#say(domain, `${names.join(", ")} -> ${to}`, (text) =>
        log.info("dns", text, { names: names.join(", "), addresses: to }),
      );
      this.#options.onLed(domain);
      return true;
    }
    const cure = wrong.map(({ index }) => found[index]?.cure).find((text) => text !== undefined);
    const texts = wrong.map(({ index }) => found[index]?.text ?? "");
    const records = wrong.flatMap(({ name }) =>
      (here.addresses.length > 0 ? here.addresses : ["the address of this edge"]).map(
        (address) => `${name} ${address.includes(":") ? "AAAA" : "A"} ${address}`,
      ),
    );
    this.#say(domain, texts.join("; "), (text) =>
      log.error("dns", text, {
        names: wrong.map(({ name }) => name).join(", "),
        hint: `${cure ?? `Add ${records.join(", ")} at the DNS provider`}; it is asked again every 10 s`,
      }),
    );
    return false;
  }

  #say(domain: string, text: string, say: (text: string) => void): void {
    if (this.#said.get(domain) === text) return;
    this.#said.set(domain, text);
    say(text);
  }
}
