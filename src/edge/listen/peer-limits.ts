// This file is the admission of TCP connections: per source, in all, and the penalty box; time is an argument. http.md §1, §14; S-43.
import { parsePeerIp, sourceKey } from "../../address/index.ts";
import { type LimitName, reached } from "../../limits.ts";

/** All limits of admission; `off` switches one off. */
export interface PeerLimitOptions {
  /** Open connections of one source (`limits.connectionsPerIp`). */
  readonly connectionsPerSource: number | "off";
  /** New connections of one source: a token bucket (`limits.acceptPerIp`). */
  readonly acceptRate: { readonly perSecond: number; readonly burst: number } | "off";
  /** Connections in all: `publicConnections` of the descriptors. */
  readonly connections: number | "off";
  /** Connections whose handshake has not ended, in all. */
  readonly pendingHandshakes: number | "off";
  /** How long a source stays in the penalty box. */
  readonly penaltyMs: number | "off";
  /** Told of each refusal. */
  readonly onRefused: (refusal: AdmissionRefusal) => void;
}

export const PEER_LIMIT_DEFAULTS: PeerLimitOptions = {
  connectionsPerSource: 256,
  acceptRate: { perSecond: 20, burst: 60 },
  connections: "off",
  pendingHandshakes: 512,
  penaltyMs: 60_000,
  onRefused: () => undefined,
};

/** Faults that lead into the penalty box: how many within how long. */
export const STRIKES = {
  hello: { count: 10, withinMs: 10_000 },
  linkProof: { count: 10, withinMs: 60_000 },
} as const;

export type StrikeKind = keyof typeof STRIKES;

/** Sources without an open connection that are still remembered; the one unseen for longest is forgotten first. */
export const MAX_IDLE_SOURCES = 65_536;

export const REFUSALS = [
  "penalty",
  "connectionsPerSource",
  "acceptRate",
  "connections",
  "pendingHandshakes",
] as const;

/** The limit a connection was refused for. */
export type AdmissionRefusal = (typeof REFUSALS)[number];

const LIMIT_OF: Readonly<Record<AdmissionRefusal, LimitName>> = {
  penalty: "penaltyBox",
  connectionsPerSource: "connectionsPerSource",
  acceptRate: "acceptsPerSource",
  connections: "connections",
  pendingHandshakes: "pendingHandshakes",
};

/** The place one admitted connection holds. Every method may be called again without effect. */
export interface Place {
  /** The handshake ended well: the connection is no longer pending. */
  settle(): void;
  /** An authenticated link: it no longer counts against its source, only in all. */
  excuse(): void;
  /** The connection is closed. */
  release(): void;
}

interface Source {
  readonly key: string;
  open: number;
  tokens: number;
  /** When `tokens` was last brought up to date. */
  refilledAt: number;
  boxedUntil: number;
  readonly strikes: Partial<Record<StrikeKind, { count: number; since: number }>>;
}

/**
 * Counts connections by source and in all.
 *
 * One instance serves every public listener (443 and 80), because descriptors are one account. Memory is bounded by
 * the connections plus `MAX_IDLE_SOURCES`.
 */
export class PeerLimits {
  readonly #options: PeerLimitOptions;
  /** Sources with open connections, and the others in the order they were last seen. */
  readonly #active = new Map<string, Source>();
  readonly #idle = new Map<string, Source>();
  readonly #refused: Record<AdmissionRefusal, number> = {
    penalty: 0,
    connectionsPerSource: 0,
    acceptRate: 0,
    connections: 0,
    pendingHandshakes: 0,
  };
  #connections = 0;
  #pending = 0;

  constructor(options: Partial<PeerLimitOptions> = {}) {
    this.#options = { ...PEER_LIMIT_DEFAULTS, ...options };
  }

  /**
   * Admits a connection, or names the limit it breaks.
   *
   * @param address Address of the peer as the runtime gives it.
   * @param now Monotonic milliseconds.
   */
  admit(address: string, now: number): Place | AdmissionRefusal {
    const source = this.#touch(sourceOf(address), now);
    const refusal = this.#judge(source, now);
    if (refusal !== undefined) {
      this.#refused[refusal] += 1;
      reached(LIMIT_OF[refusal]);
      this.#options.onRefused(refusal);
      return refusal;
    }
    return this.#take(source);
  }

  /** Notes a fault of the address; the one that fills the measure of `STRIKES` boxes its source. */
  strike(kind: StrikeKind, address: string, now: number): void {
    const source = this.#touch(sourceOf(address), now);
    const { count, withinMs } = STRIKES[kind];
    const past = source.strikes[kind];
    if (past === undefined || now - past.since > withinMs) {
      source.strikes[kind] = { count: 1, since: now };
    } else {
      past.count += 1;
      if (past.count >= count) this.#box(source, now);
    }
  }

  /** Puts the source of the address into the penalty box at once; open connections stay. */
  penalize(address: string, now: number): void {
    this.#box(this.#touch(sourceOf(address), now), now);
  }

  /** Counters: connections and pending handshakes now, refusals since the start. */
  snapshot(): {
    readonly connections: number;
    readonly pendingHandshakes: number;
    readonly sources: number;
    readonly refused: Readonly<Record<AdmissionRefusal, number>>;
  } {
    return {
      connections: this.#connections,
      pendingHandshakes: this.#pending,
      sources: this.#active.size + this.#idle.size,
      refused: { ...this.#refused },
    };
  }

  #judge(source: Source, now: number): AdmissionRefusal | undefined {
    const { connectionsPerSource, acceptRate, connections, pendingHandshakes } = this.#options;
    if (source.boxedUntil > now) return "penalty";
    if (reaches(source.open, connectionsPerSource)) return "connectionsPerSource";
    if (acceptRate !== "off") {
      const gained = ((now - source.refilledAt) / 1_000) * acceptRate.perSecond;
      source.tokens = Math.min(acceptRate.burst, source.tokens + gained);
      source.refilledAt = now;
      if (source.tokens < 1) return "acceptRate";
      source.tokens -= 1;
    }
    if (reaches(this.#connections, connections)) return "connections";
    if (reaches(this.#pending, pendingHandshakes)) return "pendingHandshakes";
    return undefined;
  }

  #take(source: Source): Place {
    this.#connections += 1;
    this.#pending += 1;
    source.open += 1;
    this.#idle.delete(source.key);
    this.#active.set(source.key, source);
    let isPending = true;
    let isCounted = true;
    let isOpen = true;
    const settle = (): void => {
      if (isPending) this.#pending -= 1;
      isPending = false;
    };
    const excuse = (): void => {
      if (isCounted) this.#leave(source);
      isCounted = false;
    };
    const release = (): void => {
      settle();
      excuse();
      if (isOpen) this.#connections -= 1;
      isOpen = false;
    };
    return { settle, excuse, release };
  }

  #leave(source: Source): void {
    source.open -= 1;
    if (source.open > 0) return;
    this.#active.delete(source.key);
    this.#remember(source);
  }

  /** The source of a key, made on first sight; an idle one moves to the young end. */
  #touch(key: string, now: number): Source {
    const active = this.#active.get(key);
    if (active !== undefined) return active;
    const { acceptRate } = this.#options;
    const idle = this.#idle.get(key);
    const source: Source = idle ?? {
      key,
      open: 0,
      tokens: acceptRate === "off" ? 0 : acceptRate.burst,
      refilledAt: now,
      boxedUntil: 0,
      strikes: {},
    };
    this.#idle.delete(key);
    this.#remember(source);
    return source;
  }

  #remember(source: Source): void {
    this.#idle.set(source.key, source);
    if (this.#idle.size <= MAX_IDLE_SOURCES) return;
    reached("sources");
    for (const oldest of this.#idle.keys()) {
      this.#idle.delete(oldest);
      break;
    }
  }

  #box(source: Source, now: number): void {
    if (this.#options.penaltyMs !== "off") source.boxedUntil = now + this.#options.penaltyMs;
  }
}

function reaches(count: number, limit: number | "off"): boolean {
  return limit !== "off" && count >= limit;
}

/** The source an address of the runtime counts for: IPv4 (v4-mapped folded), or the /64 of IPv6. */
function sourceOf(address: string): string {
  const bytes = parsePeerIp(address);
  // Not an address (a unix socket in a test): a source of its own.
  return bytes === undefined ? address : sourceKey(bytes);
}
