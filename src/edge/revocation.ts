// This file is what ends at once when the state says so: sessions of keys that are not in force any more. A-07.
import type { Deadline, Deadlines } from "../deadlines.ts";
import type { Logger } from "../log.ts";
import { SESSION_CODES } from "../session/index.ts";
import type { LiveSession, Registry } from "./route/index.ts";
import { isEnded, type KeyRow, type Snapshot, type SnapshotEvents } from "./store/index.ts";

/** How often the ends of keys are looked at while sessions of such keys are live, ms. */
const LOOK_MS = 250;

export interface RevocationOptions {
  readonly snapshot: Pick<Snapshot, "key">;
  readonly registry: Registry;
  readonly deadlines: Deadlines;
  readonly log: Logger;
  /** The clock that keys end by. */
  readonly now: () => number;
  readonly onTunnelMade: (name: string) => void;
}

/** Hears every change of the state and every session; whoever revokes need not think of what is live. */
export class Revocation implements SnapshotEvents {
  readonly #options: RevocationOptions;
  /** Sessions of keys that end by themselves. */
  readonly #timed = new Set<LiveSession>();
  #look: Deadline | undefined;

  constructor(options: RevocationOptions) {
    this.#options = options;
  }

  /** Sessions that are looked at again and again. */
  get timed(): number {
    return this.#timed.size;
  }

  /** A session is attached: its key may have been revoked behind the look of the gate. */
  attached(live: LiveSession): void {
    this.#judge(live, this.#options.snapshot.key(live.key));
  }

  detached(live: LiveSession): void {
    this.#timed.delete(live);
  }

  // SnapshotEvents

  key(row: KeyRow): void {
    // Nearly every change of a key is a last-seen time.
    if (row.revokedAt === undefined && row.expiresAt === undefined) return;
    for (const live of [...this.#options.registry.of(row.owner.id)])
      if (Buffer.compare(live.key, row.publicKey) === 0) this.#judge(live, row);
  }

  tunnelMade({ name }: { readonly name: string }): void {
    this.#options.onTunnelMade(name);
  }

  #judge(live: LiveSession, row: KeyRow | undefined): void {
    if (row !== undefined && !isEnded(row, this.#options.now())) {
      if (row.expiresAt === undefined) this.#timed.delete(live);
      else this.#timed.add(live);
      return this.#watch();
    }
    this.#timed.delete(live);
    const { kind, name, keyId } = live.admission;
    const how = row?.revokedAt === undefined ? "has ended" : "was revoked";
    this.#options.log.info(
      "revoked",
      `Key "${keyId}" of ${kind} "${name}" ${how}, its session ends`,
      {
        keyId,
        [kind]: name,
      },
    );
    live.session.close(SESSION_CODES.REVOKED.code, `The key ${how}`);
  }

  /** By looking and not by a timer each: the clock of keys is the wall's, which may be set at any time. */
  #watch(): void {
    if (this.#timed.size === 0 || this.#look !== undefined) return;
    this.#look = this.#options.deadlines.schedule(LOOK_MS, () => {
      this.#look = undefined;
      for (const live of [...this.#timed]) this.attached(live);
      this.#watch();
    });
  }
}
