// This file is the live sessions of the edge: which tunnel they belong to and which names they serve. http.md §5.4, §6.
import { isBelow } from "../../address/index.ts";
import type { Admission, Session } from "../../session/index.ts";

/** What one announcement was granted. */
export interface Announced {
  /** Exact names and `*.x`. */
  readonly hosts: readonly string[];
  /** True: names of the tunnel that no session announced come here (cloudflared's catch-all). */
  readonly takesRest: boolean;
}

/** One live session and what it announced. */
export class LiveSession {
  readonly session: Session;
  readonly admission: Admission;
  /** Session id, key and instance of the process, as the handshake proved them. */
  readonly id: Uint8Array;
  readonly key: Uint8Array;
  readonly instance: Uint8Array;
  /** Label the connector gave itself, for the owner's eyes. */
  readonly label: string;
  /** Its build, likewise its own word. */
  readonly version: string;
  readonly platform: string;
  readonly since: number;
  /** What each announcement in force was granted, by who made it: a new one does not end an older one. */
  readonly #announcements = new Map<object, Announced>();
  /** Exact names and `*.x` of all of them. */
  #hosts: ReadonlySet<string> = new Set();
  /** What stands behind the `*.` of those. */
  #parents: readonly string[] = [];
  #takesRest = false;
  /** Exchanges in progress; decides between replicas. */
  exchanges = 0;
  /** Called when what it serves has changed; set by the registry it is in. */
  onChange: () => void = () => undefined;
  /** Counts up over all picks: among equally busy replicas the one that waited longest is next. */
  pickedAt = 0;

  constructor(
    session: Session,
    admission: Admission,
    identity: {
      readonly id: Uint8Array;
      readonly key: Uint8Array;
      readonly instance: Uint8Array;
      readonly label: string;
      readonly version?: string;
      readonly platform?: string;
    },
    since: number,
  ) {
    this.session = session;
    this.admission = admission;
    this.id = identity.id;
    this.key = identity.key;
    this.instance = identity.instance;
    this.label = identity.label;
    this.version = identity.version ?? "";
    this.platform = identity.platform ?? "";
    this.since = since;
  }

  get hosts(): readonly string[] {
    return [...this.#hosts];
  }

  /** @param by Whose announcement it is; a later one of the same replaces it. */
  announce(by: object, announced: Announced): void {
    this.#announcements.set(by, announced);
    this.#collect();
  }

  withdraw(by: object): void {
    this.#announcements.delete(by);
    this.#collect();
  }

  #collect(): void {
    const all = [...this.#announcements.values()];
    this.#hosts = new Set(all.flatMap(({ hosts }) => hosts));
    this.#parents = [...this.#hosts].filter((host) => host.startsWith("*.")).map(parentOf);
    this.#takesRest = all.some(({ takesRest }) => takesRest);
    this.onChange();
  }

  /** Announced by its own name or by a wildcard above it; `rest` when only the catch-all takes it. */
  serves(host: string): "announced" | "rest" | undefined {
    if (this.#hosts.has(host)) return "announced";
    for (const parent of this.#parents) if (isBelow(host, parent)) return "announced";
    return this.#takesRest ? "rest" : undefined;
  }
}

function parentOf(wildcard: string): string {
  return wildcard.slice(2);
}

const NOBODY: ReadonlySet<LiveSession> = new Set();

/** Sessions by tunnel, in the order they came. */
export class Registry {
  readonly #byTunnel = new Map<string, Set<LiveSession>>();
  #picks = 0;
  /** Called when a session of this tunnel came or serves other names than before: what waits for one may go. */
  onReady: (tunnel: string) => void = () => undefined;

  add(live: LiveSession): void {
    const { id } = live.admission;
    live.onChange = () => this.onReady(id);
    const sessions = this.#byTunnel.get(id);
    if (sessions === undefined) this.#byTunnel.set(id, new Set([live]));
    else sessions.add(live);
    live.onChange();
  }

  remove(live: LiveSession): void {
    const sessions = this.#byTunnel.get(live.admission.id);
    if (!sessions?.delete(live)) return;
    live.onChange = () => undefined;
    if (sessions.size === 0) this.#byTunnel.delete(live.admission.id);
  }

  of(tunnel: string): Iterable<LiveSession> {
    return this.#byTunnel.get(tunnel) ?? [];
  }

  count(tunnel: string): number {
    return this.#byTunnel.get(tunnel)?.size ?? 0;
  }

  *all(): Iterable<LiveSession> {
    for (const sessions of this.#byTunnel.values()) yield* sessions;
  }

  /**
   * Among the sessions that serve the name the one with the fewest exchanges, in turn among equals; those that announced it
   * come first.
   *
   * @param asked Sessions that are out of the question.
   */
  pick(
    tunnel: string,
    host: string,
    asked: ReadonlySet<LiveSession> = NOBODY,
  ): LiveSession | undefined {
    let best: LiveSession | undefined;
    let bestRank = 0;
    for (const live of this.of(tunnel)) {
      if (live.session.isDraining || asked.has(live)) continue;
      const served = live.serves(host);
      const rank = served === "announced" ? 2 : served === "rest" ? 1 : 0;
      if (rank === 0 || rank < bestRank) continue;
      if (rank === bestRank && best !== undefined && !isNext(live, best)) continue;
      best = live;
      bestRank = rank;
    }
    if (best !== undefined) best.pickedAt = ++this.#picks;
    return best;
  }
}

function isNext(live: LiveSession, best: LiveSession): boolean {
  if (live.exchanges !== best.exchanges) return live.exchanges < best.exchanges;
  return live.pickedAt < best.pickedAt;
}
