// This file is the requests that wait for a connector to come back: parked, first come first served, bounded. http.md §12; R-27.
import type { Deadlines } from "../../deadlines.ts";
import { type LimitName, reached } from "../../limits.ts";

/** Requests that wait for one hostname. */
export const HOLD_PER_HOST = 100;
/** Requests that wait in all. */
export const HOLD_IN_ALL = 2_000;
/** Bytes that they hold in all: heads, what came along of their bodies, and what a connector gave back. */
export const HOLD_BYTES = HOLD_IN_ALL * 36 * 1024;
/** A tunnel that was here so lately is expected back, ms. */
export const EXPECTED_BACK_MS = 600_000;
/** Nothing tells of new stream credit, or of a session that has a link again: those that wait look again after this, ms. */
const LOOK_MS = 250;

/** A request that waits. Called synchronously. */
export interface Waiter {
  /** A session may be ready. Unless it went it keeps its place: no session can take it, or none has room for any. */
  go(): "gone" | "away" | "busy";
  /** Its time is over, or nobody is expected any more. It has left its place. */
  expired(): void;
}

/** One request's place. */
export interface Place {
  /** It waits no more. Idempotent. */
  leave(): void;
}

interface Queue {
  readonly tunnel: string;
  readonly places: Set<HeldPlace>;
}

interface HeldPlace extends Place {
  readonly waiter: Waiter;
}

export interface HoldOptions {
  /** How long a request waits, ms; 0: none does. */
  readonly holdMs: number;
  readonly deadlines: Pick<Deadlines, "schedule">;
}

/** All requests that wait, by hostname in the order they came. */
export class Hold {
  readonly holdMs: number;
  readonly #deadlines: HoldOptions["deadlines"];
  readonly #queues = new Map<string, Queue>();
  readonly #hostsOf = new Map<string, Set<string>>();
  #count = 0;
  #bytes = 0;
  #isLooking = false;
  #isClosed = false;

  constructor({ holdMs, deadlines }: HoldOptions) {
    this.holdMs = holdMs;
    this.#deadlines = deadlines;
  }

  /** Requests that wait. */
  get count(): number {
    return this.#count;
  }

  /** True where nobody waits, and nobody is let in. */
  get isClosed(): boolean {
    return this.#isClosed || this.holdMs === 0;
  }

  /**
   * Takes a place behind those that wait for the same name.
   *
   * @param forMs What is left of its time.
   * @param bytes What the request holds.
   * @returns Which bound leaves no room for it, where one does.
   */
  park(
    tunnel: string,
    host: string,
    waiter: Waiter,
    forMs: number,
    bytes: number,
  ): Place | "hostFull" | "full" {
    const queue = this.#queues.get(host) ?? { tunnel, places: new Set() };
    const limit = this.#limitFor(queue, bytes);
    if (limit !== undefined) {
      reached(limit);
      return limit === "holdPerHost" ? "hostFull" : "full";
    }
    const deadline = this.#deadlines.schedule(forMs, () => {
      place.leave();
      reached("holdTime");
      waiter.expired();
    });
    const place: HeldPlace = {
      waiter,
      leave: () => {
        if (!queue.places.delete(place)) return;
        deadline.cancel();
        this.#count -= 1;
        this.#bytes -= bytes;
        if (queue.places.size === 0) this.#forget(host, queue);
      },
    };
    queue.places.add(place);
    this.#queues.set(host, queue);
    const hosts = this.#hostsOf.get(queue.tunnel);
    if (hosts === undefined) this.#hostsOf.set(queue.tunnel, new Set([host]));
    else hosts.add(host);
    this.#count += 1;
    this.#bytes += bytes;
    this.#look();
    return place;
  }

  /** A session of the tunnel is ready: of each name as many go as it takes, in their order. */
  release(tunnel: string): void {
    for (const host of [...(this.#hostsOf.get(tunnel) ?? [])]) {
      const places = this.#queues.get(host)?.places ?? [];
      for (const place of places) {
        const outcome = place.waiter.go();
        if (outcome === "busy") break;
        if (outcome === "gone") place.leave();
      }
    }
  }

  /** Nobody comes back any more: those that wait are told, and nobody is let in. */
  close(): void {
    this.#isClosed = true;
    for (const { places } of [...this.#queues.values()]) {
      for (const place of [...places]) {
        place.leave();
        place.waiter.expired();
      }
    }
  }

  #limitFor({ places }: Queue, bytes: number): LimitName | undefined {
    if (places.size >= HOLD_PER_HOST) return "holdPerHost";
    if (this.#count >= HOLD_IN_ALL) return "holdInAll";
    return this.#bytes + bytes > HOLD_BYTES ? "holdBytes" : undefined;
  }

  #forget(host: string, { tunnel }: Queue): void {
    this.#queues.delete(host);
    const hosts = this.#hostsOf.get(tunnel);
    hosts?.delete(host);
    if (hosts?.size === 0) this.#hostsOf.delete(tunnel);
  }

  #look(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#deadlines.schedule(LOOK_MS, () => {
      this.#isLooking = false;
      if (this.#count > 0) this.#look();
      for (const tunnel of [...this.#hostsOf.keys()]) this.release(tunnel);
    });
  }
}
