// This file is the deadlines of one visitor connection: what is waited for in each state, and since when. http.md §14; S-40 to S-42.
import type { Deadlines } from "../../deadlines.ts";
import { reached } from "../../limits.ts";
import { BodyPace } from "./body-pace.ts";
import { LazyDeadline } from "./lazy-deadline.ts";
import type { VisitorLimits, VisitorTimeouts } from "./visitor-options.ts";

/** What the clock has to know about its connection. */
export interface Waiting {
  readonly state: "head" | "exchange" | "upgraded" | "closing" | "closed";
  /** Bytes written and not taken by the kernel. */
  readonly queued: number;
  /** The visitor has to send body bytes next. */
  readonly isBodyAwaited: boolean;
  /** The visitor sent its request and a FIN: it can only read from now on. */
  readonly isHalfClosed: boolean;
  /** A deadline passed; the clock is not armed then. */
  overdue(what: Overdue): void;
}

/** Which deadline passed, as named in the limits. */
export type Overdue =
  | "idleTime"
  | "headTime"
  | "bodyIdle"
  | "bodyRate"
  | "writeStall"
  | "halfClosed"
  | "upgradeIdle"
  | "lingerTime";

const NEVER = Number.POSITIVE_INFINITY;

/** Keeps the times of a connection's last events; `watch` after each change that may bring a deadline nearer. */
export class VisitorClock {
  readonly pace: BodyPace;
  readonly #timeouts: VisitorTimeouts;
  readonly #waiting: Waiting;
  readonly #deadline: LazyDeadline;
  #idleSince = 0;
  /** First byte of an unfinished head; 0 is none. */
  #headSince = 0;
  #finAt = 0;
  #progressAt = 0;
  #receivedAt = 0;
  #lingerSince = 0;

  constructor(
    deadlines: Deadlines,
    timeouts: VisitorTimeouts,
    limits: VisitorLimits,
    waiting: Waiting,
  ) {
    this.#timeouts = timeouts;
    this.#waiting = waiting;
    this.pace = new BodyPace(timeouts, limits);
    this.#deadline = new LazyDeadline(deadlines, (now) => this.#wake(now));
  }

  /** Nothing of the next request has come yet. */
  idle(now: number): void {
    this.#idleSince = now;
    this.#headSince = 0;
    this.watch(now);
  }

  /** Part of a head is there. */
  headBegan(now: number): void {
    if (this.#headSince > 0) return;
    this.#headSince = now;
    this.watch(now);
  }

  headDone(): void {
    this.#headSince = 0;
  }

  get isIdle(): boolean {
    return this.#headSince === 0;
  }

  /** The kernel took bytes, or the first ones wait for it. */
  progress(now: number): void {
    this.#progressAt = now;
  }

  received(now: number): void {
    this.#receivedAt = now;
  }

  fin(now: number): void {
    this.#finAt = now;
    this.watch(now);
  }

  linger(now: number): void {
    this.#lingerSince = now;
    this.watch(now);
  }

  /** Makes sure that the nearest deadline will be noticed. */
  watch(now: number): void {
    this.#deadline.arm(this.#next(), now);
  }

  stop(): void {
    this.#deadline.cancel();
  }

  #wake(now: number): void {
    const what = this.#passed(now);
    if (what !== undefined) {
      reached(what);
      this.#waiting.overdue(what);
    }
    this.watch(now);
  }

  /** Checked in the order of the states; one deadline at a time, since each of them ends what it watched. */
  #passed(now: number): Overdue | undefined {
    switch (this.#waiting.state) {
      case "head":
        if (now < this.#next()) return undefined;
        return this.#headSince > 0 ? "headTime" : "idleTime";
      case "exchange":
        if (now >= this.#stall()) return "writeStall";
        return (
          (this.#waiting.isBodyAwaited ? this.pace.broken(now) : undefined) ??
          (now >= this.#halfClosed() ? "halfClosed" : undefined)
        );
      case "upgraded":
        if (now >= this.#stall()) return "writeStall";
        return now >= this.#upgradeIdle() ? "upgradeIdle" : undefined;
      case "closing":
        if (now < this.#next()) return undefined;
        return this.#waiting.queued > 0 ? "writeStall" : "lingerTime";
      case "closed":
        return undefined;
    }
  }

  #next(): number {
    switch (this.#waiting.state) {
      case "head":
        if (this.#headSince > 0) return this.#headSince + this.#timeouts.headMs;
        return this.#idleSince + this.#timeouts.idleMs;
      case "exchange": {
        const body = this.#waiting.isBodyAwaited ? this.pace.dueAt : NEVER;
        return Math.min(this.#stall(), body, this.#halfClosed());
      }
      case "upgraded":
        return Math.min(this.#stall(), this.#upgradeIdle());
      case "closing":
        // What is still queued has the time of any write; the lingering begins when it is gone.
        return this.#waiting.queued > 0
          ? this.#stall()
          : this.#lingerSince + this.#timeouts.lingerMs;
      case "closed":
        return NEVER;
    }
  }

  #stall(): number {
    return this.#waiting.queued > 0 ? this.#progressAt + this.#timeouts.writeStallMs : NEVER;
  }

  #halfClosed(): number {
    if (!this.#waiting.isHalfClosed || this.#waiting.queued > 0) return NEVER;
    return Math.max(this.#finAt, this.#progressAt) + this.#timeouts.halfClosedMs;
  }

  #upgradeIdle(): number {
    return Math.max(this.#receivedAt, this.#progressAt) + this.#timeouts.upgradeIdleMs;
  }
}
