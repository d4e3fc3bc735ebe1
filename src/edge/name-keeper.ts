// This file is names over time: those that the configuration grants, and those that were claimed and nobody uses any more. product.md §3.1 `grants`, `names.keep`.
import type { Deadline, Deadlines } from "../deadlines.ts";
import type { Logger } from "../log.ts";
import type { FixedGrant, Registry } from "./route/index.ts";
import type { Store } from "./store/index.ts";

/**
 * Between two looks, and before the first one: after a long rest of the edge every name looks unused until its connectors
 * are back.
 */
const LOOK_MS = 3_600_000;

export interface NameKeeperOptions {
  readonly store: Pick<Store, "snapshot" | "fixHosts" | "releaseUnused">;
  readonly registry: Registry;
  readonly deadlines: Deadlines;
  readonly log: Logger;
  readonly keepMs: number;
  readonly fixed: readonly FixedGrant[];
}

export class NameKeeper implements Disposable {
  readonly #options: NameKeeperOptions;
  #look: Deadline | undefined;
  #fixing: Promise<void> = Promise.resolve();

  constructor(options: NameKeeperOptions) {
    this.#options = options;
  }

  /** Brings the fixed grants in line with the configuration. A disk that fails stops no edge: what stood before stands. */
  async start(): Promise<void> {
    const { store, fixed } = this.#options;
    const isFixed = fixed.length > 0 || [...store.snapshot.hosts].some((host) => host.isFixed);
    if (isFixed) await this.#fix().catch(this.#failed);
    this.#lookLater();
  }

  /** A tunnel is new: the configuration may have names for it. One after the other, the last state of the tunnels counts. */
  tunnelMade(name: string): void {
    if (!this.#options.fixed.some(({ tunnel }) => tunnel === name)) return;
    this.#fixing = this.#fixing.then(() => this.#fix()).catch(this.#failed);
  }

  /** Frees claimed names that were not used for `names.keep`. */
  async sweep(): Promise<void> {
    const { store, registry, keepMs, log } = this.#options;
    const kept = [...registry.all()].flatMap(({ hosts }) => hosts);
    const freed = await store.releaseUnused(keepMs, kept);
    if (freed.length === 0) return;
    const shown = freed.slice(0, 10).join(", ") + (freed.length > 10 ? " …" : "");
    log.info("domain", `Nobody used ${shown} for so long that others may have it now`);
  }

  [Symbol.dispose](): void {
    this.#look?.cancel();
  }

  async #fix(): Promise<void> {
    const { store, log } = this.#options;
    const others = await store.fixHosts();
    for (const host of others) {
      const owner =
        store.snapshot.tunnel(store.snapshot.ownerOf(host) ?? "")?.name ?? "another tunnel";
      log.warn(
        "domain",
        `grants names ${host}, which belongs to "${owner}" or overlaps with a name of it`,
        {
          hint: `Run tunl edge revoke ${host}, then start the edge again; or change grants`,
        },
      );
    }
  }

  #lookLater(): void {
    this.#look = this.#options.deadlines.schedule(LOOK_MS, () => {
      this.#lookLater();
      this.sweep().catch(this.#failed);
    });
  }

  readonly #failed = (error: unknown): void => {
    // The store has told its owner of the disk; the next look tries again.
    this.#options.log.warn("domain", `Names were not looked after: ${String(error)}`);
  };
}
