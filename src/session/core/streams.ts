// This file is the stream table of a session: ids, who may open how many, and what an id means. PROTOCOL §2.2, §4.
import { STREAMS_LEFT_LOW } from "../../wire/index.ts";
import type { LinkNumber, StreamId } from "./events.ts";
import { ReceiveHalf } from "./receive-half.ts";
import { SendPace } from "./scheduler.ts";
import { SendHalf } from "./send-half.ts";

/** Control frames a stream owes; a frame is built from current values when a batch is filled. */
export const DIRTY = { ack: 1, limit: 2, reset: 4, stop: 8, finish: 16 } as const;

/** Everything a session knows of one present stream. */
export class StreamState {
  readonly id: StreamId;
  readonly kind: number;
  readonly isOurs: boolean;
  readonly send: SendHalf;
  readonly receive: ReceiveHalf;
  readonly pace = new SendPace();
  /** Bytes per turn in quanta, 1..16. */
  weight = 1;
  /** Link of the sending half. */
  link: LinkNumber;
  /** Link on which the newest OPEN, DATA, DATA_FIN or RESET arrived: ACKs go there. */
  ackLink: LinkNumber;
  /** Bits of `DIRTY`. */
  dirty = 0;
  isQueued = false;
  isDirtyQueued = false;
  /** OPEN is still to be sent (ours only). */
  needsOpen: boolean;
  /** Something about the stream came back, so its OPEN arrived. */
  isOpenAcknowledged = false;
  /** `write` said pause and `streamWritable` is owed. */
  isPaused = false;
  /** We refused it: its bytes are dropped unacknowledged until the opener resets (PROTOCOL §4). */
  isRefused = false;
  /** The application never heard of it: it came while we drain. */
  isUnannounced = false;
  /** RESET came, even if everything had arrived before it. */
  hasPeerReset = false;
  /** The peer refused it (ours only): what the application gets back, which also takes what it writes before it hears of it. */
  replay: Uint8Array[] | undefined;

  constructor(
    id: StreamId,
    kind: number,
    isOurs: boolean,
    link: LinkNumber,
    sendLimit: number,
    receiveWindow: number,
  ) {
    this.id = id;
    this.kind = kind;
    this.isOurs = isOurs;
    this.link = link;
    this.ackLink = link;
    this.needsOpen = isOurs;
    this.send = new SendHalf(sendLimit);
    this.receive = new ReceiveHalf(receiveWindow);
  }

  get isOver(): boolean {
    return this.send.isTerminal && this.receive.isTerminal;
  }
}

/** What an id of a received frame refers to; the order of the table in PROTOCOL §2.2. */
export type IdMeaning = "present" | "forgotten" | "overLimit" | "peerUnopened" | "oursUnopened";

const SIDE_BIT = { edge: 0, connector: 1 } as const;

export class StreamTable {
  readonly #streams = new Map<StreamId, StreamState>();
  readonly #ourBit: number;
  readonly #concurrency: number;
  #nextOrdinal: number;
  /** How many streams the peer lets us open in the session's lifetime. */
  #openLimit: number;
  /** Streams the peer opened and both sides finished. */
  #peerClosed = 0;
  #peerHighest = -1;
  /** Ordinals below the highest that were never opened: links overtook each other. */
  readonly #gaps = new Set<number>();
  /** What we announced as MAX_STREAMS. */
  announced: number;

  constructor(
    side: "edge" | "connector",
    concurrency: number,
    openLimit: number,
    firstOrdinal: number,
  ) {
    this.#ourBit = SIDE_BIT[side];
    this.#concurrency = concurrency;
    this.#openLimit = openLimit;
    this.#nextOrdinal = firstOrdinal;
    this.announced = concurrency;
  }

  get size(): number {
    return this.#streams.size;
  }

  get values(): Iterable<StreamState> {
    return this.#streams.values();
  }

  get gaps(): number {
    return this.#gaps.size;
  }

  get(id: StreamId): StreamState | undefined {
    return this.#streams.get(id);
  }

  get canOpen(): boolean {
    return this.#nextOrdinal < this.#openLimit;
  }

  get nextOrdinal(): number {
    return this.#nextOrdinal;
  }

  /** Returns false for an old or repeated count. */
  raiseOpenLimit(count: number): boolean {
    if (count <= this.#openLimit) return false;
    this.#openLimit = count;
    return true;
  }

  takeId(): StreamId {
    const id = 2 * this.#nextOrdinal + this.#ourBit;
    this.#nextOrdinal += 1;
    return id;
  }

  add(stream: StreamState): void {
    this.#streams.set(stream.id, stream);
  }

  meaning(id: StreamId): IdMeaning {
    if (this.#streams.has(id)) return "present";
    const ordinal = Math.floor(id / 2);
    if (id % 2 === this.#ourBit) return ordinal >= this.#nextOrdinal ? "oursUnopened" : "forgotten";
    if (ordinal >= this.announced) return "overLimit";
    return ordinal > this.#peerHighest || this.#gaps.has(ordinal) ? "peerUnopened" : "forgotten";
  }

  isOurs(id: StreamId): boolean {
    return id % 2 === this.#ourBit;
  }

  /** The peer opened `id`, which `meaning` called unopened. Returns true when MAX_STREAMS rose and is to be announced. */
  opened(id: StreamId): boolean {
    const ordinal = Math.floor(id / 2);
    for (let gap = this.#peerHighest + 1; gap < ordinal; gap++) this.#gaps.add(gap);
    if (ordinal > this.#peerHighest) this.#peerHighest = ordinal;
    this.#gaps.delete(ordinal);
    // Streams that closed while plenty were left gave nothing back then; there may be no other close for an hour.
    return this.#raise();
  }

  /** Forgets a stream that is over on both sides. Returns true when MAX_STREAMS rose and is to be announced. */
  forget(stream: StreamState): boolean {
    this.#streams.delete(stream.id);
    if (stream.isOurs) return false;
    this.#peerClosed += 1;
    return this.#raise();
  }

  /** What can be announced is when it is a quarter of the concurrency, or when the peer has few streams left. */
  #raise(): boolean {
    const limit = this.#peerClosed + this.#concurrency;
    if (limit === this.announced) return false;
    const left = this.announced - (this.#peerHighest + 1);
    if (limit - this.announced < this.#concurrency / 4 && left >= STREAMS_LEFT_LOW) return false;
    this.announced = limit;
    return true;
  }
}
