// This file is the shell of one session: its links, its one timer, the loop that performs what the core decided. PROTOCOL §9.
import { SESSION_CODES, STREAM_CODES } from "../wire/index.ts";
import type { BudgetPart, ProcessBudget } from "./budget.ts";
import {
  type LinkNumber,
  SessionCore,
  type SessionInput,
  type SessionOptions,
  type SessionOutput,
  type SessionStats,
  type SessionStatus,
  type StreamId,
} from "./core/index.ts";
import type { EstablishedLink } from "./establish.ts";
import { giveStaging, takeStaging } from "../staging.ts";
import type { KernelTuning } from "./kernel.ts";
import { SocketLink } from "./link.ts";
import type { Stream, StreamEvents } from "./stream.ts";

/** What a session tells its owner. Called synchronously; must not throw. */
export interface SessionEvents {
  /** The peer opened a stream. Returns who takes its events, or undefined to refuse it undelivered. */
  accept(stream: Stream, kind: number): StreamEvents | undefined;
  status(status: SessionStatus): void;
  /** A bug: a handler above threw and its stream was reset, or (no stream) the core did and the session ends. */
  fault(error: unknown, stream: StreamId | undefined): void;
}

/** What a session is made of, and the memory it shares with the others of the process. */
export interface DriverOptions extends Omit<SessionOptions, "budget"> {
  readonly budget: ProcessBudget;
  /** False leaves the sockets of links as the kernel made them. */
  readonly isTuning: boolean;
}

/** A link is tuned when its round trip is known: PING leaves at once, so its answer is here by then, ms. */
const TUNE_MS = 2_000;
/** A timer is moved only when it must fire earlier by more than this, ms. */
const TIMER_SLACK_MS = 1;
/** Longest timer of the runtime, ms. */
const TIMER_MOST_MS = 2 ** 31 - 1;

const NOTHING = new Uint8Array(0);

/** One stream between its owner and the core. */
class SessionStream implements Stream {
  readonly id: StreamId;
  readonly #session: Session;
  readonly #core: SessionCore;
  events: StreamEvents | undefined;
  /** The owner wants no more bytes: those that were on their way out of the core are not given to it. */
  isStopped = false;

  constructor(session: Session, core: SessionCore, id: StreamId) {
    this.#session = session;
    this.#core = core;
    this.id = id;
  }

  write(bytes: Uint8Array, isWhole = false): "more" | "pause" {
    return this.#core.write(this.id, bytes, this.#session.touch(), isWhole);
  }
  finish(): void {
    this.#core.finish(this.id, this.#session.touch());
  }
  reset(code: number): void {
    this.#core.reset(this.id, code, this.#session.touch());
  }
  stop(code: number): void {
    this.isStopped = true;
    this.#core.stop(this.id, code, this.#session.touch());
  }
  consumed(bytes: number): void {
    this.#core.consumed(this.id, bytes, this.#session.touch());
  }
}

/** One session over real sockets. */
export class Session {
  readonly #core: SessionCore;
  readonly #budget: BudgetPart;
  readonly #isTuning: boolean;
  readonly #events: SessionEvents;
  readonly #links = new Map<LinkNumber, SocketLink>();
  /** Links that asked for a batch. */
  readonly #wanting = new Set<LinkNumber>();
  readonly #streams = new Map<StreamId, SessionStream>();
  #isTickScheduled = false;
  #timer: Timer | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #isClosed = false;
  #isDraining = false;
  #isPerforming = false;
  #now = 0;

  constructor(options: DriverOptions, events: SessionEvents) {
    this.#isTuning = options.isTuning;
    this.#budget = options.budget.forSession(options.side);
    // The tick lets the core look at the pressure again.
    this.#budget.whenFull = () => void this.touch();
    this.#core = new SessionCore({ ...options, budget: this.#budget });
    this.#events = events;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** True from GOAWAY of either side on: nothing more is opened. */
  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Present streams. */
  get streams(): number {
    return this.#streams.size;
  }

  /** What the kernel does for the first link; undefined without one. */
  get tuning(): KernelTuning | undefined {
    for (const link of this.#links.values()) return link.tuning;
    return undefined;
  }

  stats(): SessionStats {
    return this.#core.stats();
  }

  /** Gives the session a proven socket as link `number`; bytes that came behind the handshake are in its decoder. */
  attach(number: LinkNumber, { socket, decoder }: EstablishedLink): void {
    const link = new SocketLink(socket, {
      bytes: (bytes) => this.#handle({ kind: "linkBytes", link: number, bytes }),
      writable: () => this.#handle({ kind: "linkWritable", link: number }),
      lost: (cause) => {
        this.#links.delete(number);
        this.#wanting.delete(number);
        this.#handle({ kind: "linkLost", link: number, cause });
      },
    });
    this.#links.set(number, link);
    this.#handle({ kind: "linkAttached", link: number, decoder });
    this.#handle({ kind: "linkBytes", link: number, bytes: NOTHING });
    if (this.#isTuning) setTimeout(() => link.tune(this.stats().rttMs), TUNE_MS).unref();
    // Lost between the end of the handshake and now: no event will tell.
    if (socket.destroyed) link.fail();
  }

  /**
   * Opens a stream: `head` are its first bytes (ownership passes), `fin` says nothing follows.
   * @returns The stream, or why there is none. `attach(stream)` makes the taker of its events; it is called before this returns.
   */
  open(
    kind: number,
    head: Uint8Array,
    fin: boolean,
    attach: (stream: Stream) => StreamEvents,
  ): Stream | "streamLimit" | "detached" | "draining" {
    const id = this.#core.open(kind, head, fin, this.touch());
    if (typeof id === "string") return id;
    const stream = new SessionStream(this, this.#core, id);
    this.#streams.set(id, stream);
    stream.events = attach(stream);
    return stream;
  }

  /** Opens no more and soon accepts no more; streams in progress go on. */
  goAway(code: number, retryAfterMs: number, message: string): void {
    this.#core.goAway(code, retryAfterMs, message, this.touch());
  }

  /** Ends the session and all its streams. */
  close(code: number = SESSION_CODES.NO_ERROR.code, message = ""): void {
    this.#core.close(code, message, this.touch());
  }

  /** A method of the core is about to be called: what it causes is performed in this tick. Returns the time for it. */
  touch(): number {
    this.#scheduleTick();
    // While outputs are performed the time of their input holds: one look at the clock per event is enough.
    return this.#isPerforming ? this.#now : performance.now();
  }

  #scheduleTick(): void {
    if (this.#isTickScheduled) return;
    this.#isTickScheduled = true;
    setImmediate(this.#tick);
  }

  readonly #tick = (): void => {
    this.#isTickScheduled = false;
    this.#handle({ kind: "tick" });
    for (const number of this.#wanting) this.#fill(number);
  };

  #fill(number: LinkNumber): void {
    const link = this.#links.get(number);
    this.#wanting.delete(number);
    if (link === undefined || !link.isIdle) return;
    const buffer = takeStaging();
    let length = 0;
    try {
      length = this.#core.fill(number, buffer, performance.now());
    } catch (error) {
      this.#broken(error);
    }
    if (length > 0) link.write(buffer, length);
    else giveStaging(buffer);
  }

  /** An invariant of the core does not hold: this session ends, the process lives. */
  #broken(error: unknown): void {
    this.#events.fault(error, undefined);
    this.close(SESSION_CODES.INTERNAL_ERROR.code, error instanceof Error ? error.message : "");
  }

  #handle(input: SessionInput): void {
    const now = performance.now();
    this.#now = now;
    this.#isPerforming = true;
    try {
      for (const output of this.#core.handle(input, now)) this.#perform(output);
    } catch (error) {
      this.#broken(error);
    } finally {
      this.#isPerforming = false;
    }
    this.#arm(now);
  }

  #perform(output: SessionOutput): void {
    if ("stream" in output) {
      try {
        this.#performStream(output);
      } catch (error) {
        // A handler above failed: that stream ends on both sides, the session and the process go on.
        this.#events.fault(error, output.stream);
        this.#core.reset(output.stream, STREAM_CODES.INTERNAL_ERROR.code, this.touch());
        this.#core.stop(output.stream, STREAM_CODES.INTERNAL_ERROR.code, this.touch());
      }
      return;
    }
    switch (output.kind) {
      case "wantWrite":
        this.#wanting.add(output.link);
        this.#scheduleTick();
        break;
      case "closeLink": {
        const link = this.#links.get(output.link);
        this.#links.delete(output.link);
        this.#wanting.delete(output.link);
        link?.close();
        break;
      }
      case "pauseLink":
        this.#links.get(output.link)?.pause();
        break;
      case "resumeLink":
        this.#links.get(output.link)?.resume();
        break;
      case "status":
        if (output.status.name === "closed") this.#isClosed = true;
        if (this.#isClosed) this.#budget.end();
        if (output.status.name !== "attached") this.#isDraining = true;
        this.#events.status(output.status);
        break;
      default:
        output satisfies never;
    }
  }

  #performStream(output: Extract<SessionOutput, { stream: StreamId }>): void {
    if (output.kind === "streamOpened") {
      const stream = new SessionStream(this, this.#core, output.stream);
      stream.events = this.#events.accept(stream, output.streamKind);
      if (stream.events === undefined) this.#core.refuse(output.stream, this.touch());
      else this.#streams.set(output.stream, stream);
      return;
    }
    const stream = this.#streams.get(output.stream);
    if (stream === undefined) return; // We refused it.
    if (output.kind === "streamClosed") this.#streams.delete(output.stream);
    const { events } = stream;
    if (events === undefined) return; // Its owner has its bytes back.
    switch (output.kind) {
      case "streamBytes":
        if (!stream.isStopped) events.bytes(output.bytes);
        break;
      case "streamEnded":
        if (!stream.isStopped) events.ended();
        break;
      case "streamWritable":
        events.writable();
        break;
      case "streamReset":
        if (output.replay === undefined || events.undelivered === undefined) {
          events.reset(output.code, output.remote);
          break;
        }
        stream.events = undefined;
        events.undelivered(output.replay);
        break;
      case "streamStopped":
        events.stopped(output.code);
        break;
      case "streamClosed":
        events.closed();
        break;
      default:
        output satisfies never;
    }
  }

  #arm(now: number): void {
    const deadline = this.#core.deadline();
    if (deadline === Number.POSITIVE_INFINITY && this.#isClosed) clearTimeout(this.#timer);
    if (deadline >= this.#timerAt - TIMER_SLACK_MS) return;
    clearTimeout(this.#timer);
    this.#timerAt = deadline;
    this.#timer = setTimeout(this.#fire, Math.min(Math.max(0, deadline - now), TIMER_MOST_MS));
  }

  readonly #fire = (): void => {
    const now = performance.now();
    const lagMs = Math.max(0, now - this.#timerAt);
    this.#timerAt = Number.POSITIVE_INFINITY;
    this.#handle({ kind: "timer", lagMs });
  };
}
