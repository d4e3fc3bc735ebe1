// This file is the session core: streams above links as a calculation, without clock, socket or randomness. PROTOCOL §4 to §9.
import { messageOf } from "../../errors.ts";
import {
  CLOSE_LINGER_MS,
  type FrameDecoder,
  GOAWAY_ACCEPT_MS,
  ORDINAL_DRAIN,
  SESSION_CODES,
  STREAM_CODES,
  WireError,
} from "../../wire/index.ts";
import { TransportError } from "../errors.ts";
import { Batch } from "./batch.ts";
import type {
  LinkLoss,
  LinkNumber,
  SessionInput,
  SessionOptions,
  SessionOutput,
  SessionStats,
  StreamId,
} from "./events.ts";
import { Inbound } from "./inbound.ts";
import { Ledger, streamCodeFor } from "./ledger.ts";
import { Overload } from "./overload.ts";
import { firstWindow } from "./receive-window.ts";
import { DIRTY, StreamState } from "./streams.ts";

type State = "open" | "closed";

/**
 * One session. `handle` applies inputs and returns what the shell must do; the other methods are the application's.
 * What those cause waits for the next `handle`, so nothing grows under the loop that performs outputs.
 */
export class SessionCore {
  readonly #options: SessionOptions;
  readonly #ledger: Ledger;
  readonly #inbound: Inbound;
  readonly #batch: Batch;
  readonly #overload: Overload;
  #state: State = "open";
  #isDraining = false;
  #isPeerDraining = false;
  #refuseFrom = Number.POSITIVE_INFINITY;
  #closeLinksAt = Number.POSITIVE_INFINITY;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#ledger = new Ledger(options);
    this.#batch = new Batch(this.#ledger);
    this.#inbound = new Inbound(this.#ledger, {
      goAway: (code, retryAfterMs) => {
        if (this.#isPeerDraining) return false;
        this.#isPeerDraining = true;
        this.#ledger.emit({
          kind: "status",
          status: { name: "draining", remote: true, code, retryAfterMs },
        });
        return true;
      },
      closed: (code, message, now) => this.#end(true, code, message, now),
    });
    this.#overload = new Overload(this.#ledger, {
      valve: (isReading, now) => this.#ledger.links.read(isReading, now),
      evict: (stream, now) => this.#evict(stream, now),
    });
  }

  /** Applies one input at time `now` (monotonic ms). The outputs are valid until the next call. */
  handle(input: SessionInput, now: number): readonly SessionOutput[] {
    this.#ledger.beginHandling();
    switch (input.kind) {
      case "linkAttached":
        this.#attach(input.link, input.decoder, now);
        break;
      case "linkBytes":
        this.#receive(input.link, input.bytes, now);
        break;
      case "linkWritable":
        this.#writable(input.link);
        break;
      case "linkLost":
        this.#lose(input.link, input.cause, now);
        break;
      case "timer":
        this.#timer(input.lagMs, now);
        break;
      case "tick":
        break;
      default:
        input satisfies never;
    }
    if (this.#state === "open") this.#overload.look(now);
    this.#askToWrite();
    return this.#ledger.endHandling();
  }

  /** Fills the next batch of an idle link. Returns its length, 0 when there is nothing to write. */
  fill(link: LinkNumber, into: Uint8Array, now: number): number {
    const state = this.#ledger.links.get(link);
    if (state === undefined || !state.isIdle) return 0;
    state.hasAsked = false;
    if (this.#isSilent) return 0;
    const length = this.#batch.fill(state, into, now);
    if (length > 0) state.isIdle = false;
    return length;
  }

  // The application

  /** Opens a stream whose first bytes are `head`; no round trip. `fin`: nothing follows. */
  open(
    kind: number,
    head: Uint8Array,
    fin: boolean,
    now: number,
  ): StreamId | "streamLimit" | "detached" | "draining" {
    const ledger = this.#ledger;
    if (this.#state === "closed" || this.#isDraining || this.#isPeerDraining) return "draining";
    const link = this.#ledger.links.newest;
    if (link === undefined) return "detached";
    if (!ledger.streams.canOpen) return "streamLimit";
    if (ledger.streams.nextOrdinal >= ORDINAL_DRAIN) {
      this.goAway(SESSION_CODES.NO_ERROR.code, 0, "Stream ids are used up", now);
      return "draining";
    }
    const { budget, remote } = this.#options;
    const window = firstWindow(budget.receive, ledger.streams.size, budget.pressure());
    const stream = new StreamState(
      ledger.streams.takeId(),
      kind,
      true,
      link.number,
      remote.initialWindow,
      window,
    );
    ledger.streams.add(stream);
    ledger.written(stream, head, true, now);
    if (fin) stream.send.finish();
    ledger.wake(stream, now);
    this.#options.trace.stream("opened", stream.id);
    return stream.id;
  }

  /** Appends bytes; "pause" asks to wait for `streamWritable`. Ignored when the direction is over. */
  write(id: StreamId, bytes: Uint8Array, now: number, isWhole = false): "more" | "pause" {
    const stream = this.#ledger.streams.get(id);
    if (stream === undefined) return "more";
    if (!stream.send.isOpen) {
      stream.replay?.push(bytes);
      return "more";
    }
    this.#ledger.written(stream, bytes, isWhole, now);
    this.#ledger.wake(stream, now);
    if (stream.send.bytes.unsent <= this.#ledger.pauseThreshold(stream)) return "more";
    stream.isPaused = true;
    return "pause";
  }

  finish(id: StreamId, now: number): void {
    const stream = this.#ledger.streams.get(id);
    if (stream?.send.finish()) this.#ledger.wake(stream, now);
  }

  /** Only as the immediate answer to `streamOpened`: nothing was delivered, the opener may use the bytes elsewhere. */
  refuse(id: StreamId, now: number): void {
    const stream = this.#ledger.streams.get(id);
    if (stream !== undefined) this.#inbound.refuse(stream, now);
  }

  reset(id: StreamId, code: number, now: number): void {
    const stream = this.#ledger.streams.get(id);
    if (stream === undefined || !this.#ledger.resetSending(stream, code)) return;
    this.#options.trace.stream("reset", id, code);
    this.#ledger.wake(stream, now);
  }

  stop(id: StreamId, code: number, now: number): void {
    const stream = this.#ledger.streams.get(id);
    if (stream === undefined || stream.receive.isTerminal || stream.receive.stopCode !== undefined)
      return;
    stream.receive.stopCode = code;
    if (stream.receive.isOpen) this.#ledger.mark(stream, DIRTY.stop);
    const { held } = stream.receive;
    if (held > 0) this.#ledger.consumed(stream, held, now);
  }

  consumed(id: StreamId, bytes: number, now: number): void {
    const stream = this.#ledger.streams.get(id);
    // After stop() everything counted as consumed already.
    if (stream === undefined || stream.receive.stopCode !== undefined) return;
    this.#ledger.consumed(stream, bytes, now);
  }

  /** Says that we open no more and soon accept no more; streams in progress go on. */
  goAway(code: number, retryAfterMs: number, message: string, now: number): void {
    if (this.#state === "closed" || this.#isDraining) return;
    this.#isDraining = true;
    const rtt = this.#ledger.links.newest?.liveness.rtt.estimate ?? 0;
    this.#refuseFrom = now + Math.max(GOAWAY_ACCEPT_MS, 2 * rtt);
    this.#ledger.debts.goAway = { code, retryAfterMs, message };
    this.#ledger.emit({
      kind: "status",
      status: { name: "draining", remote: false, code, retryAfterMs },
    });
  }

  /** Ends the session: CLOSE on every link, all streams end with a local reset. */
  close(code: number, message: string, now: number): void {
    if (this.#state === "closed") return;
    this.#closeWith(code, 0, message, now);
  }

  /** When `handle` wants the input `timer`, absolute ms; Infinity for never. */
  deadline(): number {
    if (this.#state === "closed") return this.#closeLinksAt;
    let deadline = Math.min(this.#refuseFrom, this.#overload.deadline());
    for (const link of this.#ledger.links.values()) {
      deadline = Math.min(deadline, link.acks.deadline(), link.liveness.deadline());
    }
    return deadline;
  }

  stats(): SessionStats {
    const ledger = this.#ledger;
    return {
      streams: ledger.streams.size,
      received: ledger.window.received,
      consumed: ledger.window.consumed,
      receiveLimit: ledger.window.limit,
      retained: ledger.retained,
      unsent: ledger.unsent,
      sent: ledger.credit.used,
      sendLimit: ledger.credit.limit,
      links: ledger.links.size,
      rttMs: this.#ledger.links.newest?.liveness.rtt.smoothed,
      inFlightBound: this.#ledger.links.newest?.inFlight.bound ?? 0,
      isReading: this.#overload.isReading,
      owing: ledger.owing,
    };
  }

  // Links

  #attach(number: LinkNumber, decoder: FrameDecoder | undefined, now: number): void {
    const { links } = this.#ledger;
    if (this.#state === "closed") return links.close(number);
    links.attach(number, decoder, now);
    if (!this.#overload.isReading) links.read(false, now, number);
  }

  /** Nobody reads what the stream brings, and there is no room for it any more. */
  #evict({ id }: StreamState, now: number): void {
    const { code } = STREAM_CODES.OVERLOADED;
    this.#options.trace.stream("evicted", id, code);
    // First, because a stream of which only reading is left ends with it.
    this.#ledger.emit({ kind: "streamReset", stream: id, code, remote: false });
    this.stop(id, code, now);
    this.reset(id, code, now);
  }

  #receive(number: LinkNumber, bytes: Uint8Array, now: number): void {
    const link = this.#ledger.links.get(number);
    if (link === undefined || this.#state === "closed") return;
    link.liveness.heard(now);
    try {
      this.#inbound.apply(link, bytes, now);
      // CLOSE may have ended it meanwhile.
      if (this.#state === "open" && link.acks.isDue(now)) link.acks.settle(this.#markDirty);
    } catch (error) {
      if (error instanceof WireError || error instanceof TransportError) {
        this.#fail(error.sessionCode, error.frameType, error.message, now);
      } else {
        // A broken invariant of ours costs this session, never the process.
        const text = messageOf(error);
        this.#fail(SESSION_CODES.INTERNAL_ERROR.code, 0, text, now);
      }
    }
  }

  readonly #markDirty = (stream: StreamState, bits: number): void =>
    this.#ledger.mark(stream, bits);

  #writable(number: LinkNumber): void {
    const link = this.#ledger.links.get(number);
    if (link === undefined) return;
    link.isIdle = true;
    if (link.isClosing) this.#ledger.links.close(number);
  }

  #lose(number: LinkNumber, cause: LinkLoss, now: number): void {
    const { links } = this.#ledger;
    const isOpen = this.#state === "open";
    // Both ends announce resumeMs 0 until links can be replaced: without a link nothing is kept.
    if (links.lost(number, cause, isOpen) && isOpen && links.size === 0)
      this.#end(false, SESSION_CODES.NO_ERROR.code, `The link was lost (${cause})`, now);
  }

  #timer(lagMs: number, now: number): void {
    if (this.#state === "closed") {
      if (now >= this.#closeLinksAt) this.#closeLinks();
      return;
    }
    if (now >= this.#refuseFrom) {
      this.#inbound.isRefusing = true;
      this.#refuseFrom = Number.POSITIVE_INFINITY;
    }
    for (const link of [...this.#ledger.links.values()]) {
      if (link.acks.isDue(now)) link.acks.settle(this.#markDirty);
      if (link.liveness.check(now, lagMs) === "lost") {
        this.#ledger.emit({ kind: "closeLink", link: link.number });
        this.#lose(link.number, "silence", now);
      }
    }
  }

  /** Closed, and no CLOSE of ours is to be said. */
  get #isSilent(): boolean {
    return this.#state === "closed" && this.#ledger.debts.close === undefined;
  }

  #askToWrite(): void {
    if (this.#isSilent) return;
    for (const link of this.#ledger.links.values()) {
      if (link.isIdle && !link.hasAsked && this.#batch.hasWork(link)) {
        link.hasAsked = true;
        this.#ledger.emit({ kind: "wantWrite", link: link.number });
      }
    }
  }

  // The end

  /** A frame broke a rule, or we broke an invariant. */
  #fail(code: number, frameType: number, message: string, now: number): void {
    this.#options.trace.violation(code, frameType, message);
    this.#closeWith(code, frameType, message, now);
  }

  #closeWith(code: number, frameType: number, message: string, now: number): void {
    this.#ledger.debts.close = { code, frameType, message };
    this.#closeLinksAt = now + CLOSE_LINGER_MS;
    this.#end(false, code, message, now);
  }

  #closeLinks(): void {
    this.#ledger.links.closeAll();
    this.#closeLinksAt = Number.POSITIVE_INFINITY;
  }

  #end(remote: boolean, code: number, message: string, now: number): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#ledger.endAllStreams(streamCodeFor(code), now);
    this.#ledger.emit({ kind: "status", status: { name: "closed", remote, code, message } });
    if (remote) this.#closeLinks();
  }
}
