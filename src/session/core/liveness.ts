// This file is one link's pulse: when to send PING, when to call the link dead. PROTOCOL §7.1.
import { reached } from "../../limits.ts";
import { PONGS_PER_SECOND, SUSPECT_MS, SUSPEND_LAG_MS, TIMER_LAG_MS } from "../../wire/index.ts";
import { Rtt } from "./rtt.ts";

/** While data moves, one PING per this time keeps the round trip known. */
const SAMPLE_MS = 5_000;
/** At most one answered PING per this time. */
const PONG_MS = 1_000 / PONGS_PER_SECOND;

/** What the peer's silence asks for now. */
export type Pulse = "quiet" | "lost";

/** Clocks of one link, in monotonic ms. Any byte received proves it alive. */
export class Liveness {
  readonly rtt = new Rtt();
  /** Id of the PONG that waits to be written; the newest PING wins. */
  pongId: number | undefined;
  readonly #pingMs: number;
  readonly #silenceMs: number;
  #heardAt: number;
  #pingId = 0;
  #pingAt: number | undefined;
  #isPingDue = true;
  #lastPingAt: number;
  #lastPongAt = Number.NEGATIVE_INFINITY;
  #mustAnswerBy: number | undefined;
  #isRead = true;

  /**
   * @param silenceMs Own verdict on a silent link.
   * @param pingMs Silence after which this side asks.
   */
  constructor(silenceMs: number, pingMs: number, now: number) {
    this.#silenceMs = silenceMs;
    this.#pingMs = pingMs;
    this.#heardAt = now;
    this.#lastPingAt = now;
  }

  heard(now: number): void {
    this.#heardAt = now;
    this.#mustAnswerBy = undefined;
  }

  /** A link that we do not read is not judged; its peer hears of us all the same. */
  read(isRead: boolean, now: number): void {
    this.#isRead = isRead;
    if (isRead) this.heard(now);
  }

  /** Stream bytes were sent: the round trip is sampled while the link is busy. */
  busy(now: number): void {
    if (this.#pingAt === undefined && now - this.#lastPingAt >= SAMPLE_MS) this.#isPingDue = true;
  }

  get isPingDue(): boolean {
    return this.#isPingDue;
  }

  /** Takes the id of the PING that is being written now. */
  takePing(now: number): number {
    this.#isPingDue = false;
    this.#pingAt = now;
    this.#lastPingAt = now;
    this.#pingId += 1;
    return this.#pingId;
  }

  /** Returns false for an id that is not the outstanding one: it is ignored. */
  pong(id: number, now: number): boolean {
    if (this.#pingAt === undefined || id !== this.#pingId) return false;
    this.rtt.sample(now - this.#pingAt, now);
    this.#pingAt = undefined;
    return true;
  }

  /** A PING came in. Returns true when its PONG is to be written. */
  ping(id: number, now: number): boolean {
    if (now - this.#lastPongAt < PONG_MS) {
      reached("pongs");
      return false;
    }
    this.pongId = id;
    this.#lastPongAt = now;
    return true;
  }

  /** The timer ran: `lagMs` is how late. */
  check(now: number, lagMs: number): Pulse {
    if (lagMs > SUSPEND_LAG_MS) {
      this.#heardAt = now;
      this.#askNow();
      this.#mustAnswerBy = now + Math.max(SUSPECT_MS, 4 * this.rtt.estimate);
    } else if (lagMs > TIMER_LAG_MS) {
      this.#heardAt = Math.min(now, this.#heardAt + lagMs);
      if (this.#mustAnswerBy !== undefined) this.#mustAnswerBy += lagMs;
    }
    if (this.#isRead && now >= this.#lostAt) return "lost";
    if (now >= this.#askAt) this.#askNow();
    return "quiet";
  }

  /** When `check` is wanted next, absolute ms. */
  deadline(): number {
    return this.#isRead ? Math.min(this.#lostAt, this.#askAt) : this.#askAt;
  }

  get #lostAt(): number {
    return Math.min(
      this.#heardAt + this.#silenceMs,
      this.#mustAnswerBy ?? Number.POSITIVE_INFINITY,
    );
  }

  /** Silence makes us ask, and ask again: the peer may have ignored a PING that came too soon after another. */
  get #askAt(): number {
    if (this.#isPingDue) return Number.POSITIVE_INFINITY;
    return Math.max(this.#heardAt, this.#lastPingAt) + this.#pingMs;
  }

  /** The answer to an outstanding PING says nothing any more: ask anew. */
  #askNow(): void {
    this.#pingAt = undefined;
    this.#isPingDue = true;
  }
}
