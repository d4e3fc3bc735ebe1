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
  readonly #pingMs: number;
  readonly #silenceMs: number;
  #heardAt: number;
  #pingId = 0;
  #pingAt: number | undefined;
  #isPingDue = true;
  /** Id of the PONG that waits to be written; the newest PING wins. */
  #pongId: number | undefined;
  #lastPingAt: number;
  #isPongDue = false;
  /** When the next PONG may leave. */
  #pongAt = Number.NEGATIVE_INFINITY;
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
    // An answer that is so late does not come: the peer answered an older PING in its place.
    const isOpen =
      this.#pingAt !== undefined && now < this.#pingAt + Math.max(SAMPLE_MS, 4 * this.rtt.estimate);
    if (!isOpen && now >= this.#lastPingAt + SAMPLE_MS) this.ask();
  }

  /** A PING leaves with the next batch, and only its answer counts. */
  ask(): void {
    this.#pingAt = undefined;
    this.#isPingDue = true;
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

  /** Returns the round trip in ms; undefined for an id that is not the outstanding one: it is ignored. */
  pong(id: number, now: number): number | undefined {
    if (this.#pingAt === undefined || id !== this.#pingId) return undefined;
    const ms = now - this.#pingAt;
    this.rtt.sample(ms, now);
    this.#pingAt = undefined;
    return ms;
  }

  /**
   * A PING came in: its answer is due, in the place of one that waits. Answers to older ones would say nothing to a peer
   * that waits for this one.
   *
   * @returns False where answers leave as often as they may, so this one waits.
   */
  ping(id: number, now: number): boolean {
    const isNews = this.#pongId === undefined && now >= this.#pongAt;
    this.#pongId = id;
    if (now >= this.#pongAt) this.#isPongDue = true;
    if (!isNews) reached("pongs");
    return isNews;
  }

  /** Id of the PONG that may be written now. */
  get pongDue(): number | undefined {
    return this.#isPongDue ? this.#pongId : undefined;
  }

  tookPong(now: number): void {
    this.#pongId = undefined;
    this.#isPongDue = false;
    this.#pongAt = now + PONG_MS;
  }

  /** The timer ran: `lagMs` is how late. */
  check(now: number, lagMs: number): Pulse {
    if (lagMs > SUSPEND_LAG_MS) {
      this.#heardAt = now;
      this.ask();
      this.#mustAnswerBy = now + Math.max(SUSPECT_MS, 4 * this.rtt.estimate);
    } else if (lagMs > TIMER_LAG_MS) {
      this.#heardAt = Math.min(now, this.#heardAt + lagMs);
      if (this.#mustAnswerBy !== undefined) this.#mustAnswerBy += lagMs;
    }
    if (this.#isRead && now >= this.#lostAt) return "lost";
    if (now >= this.#askAt) this.ask();
    if (this.#pongId !== undefined && now >= this.#pongAt) this.#isPongDue = true;
    return "quiet";
  }

  /** When `check` is wanted next, absolute ms. */
  deadline(): number {
    const isPongWaiting = this.#pongId !== undefined && !this.#isPongDue;
    return Math.min(
      this.#askAt,
      this.#isRead ? this.#lostAt : Number.POSITIVE_INFINITY,
      isPongWaiting ? this.#pongAt : Number.POSITIVE_INFINITY,
    );
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
}
