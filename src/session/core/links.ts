// This file is the links of a session: which are live, what each still owes. PROTOCOL §6.2, §7.1.
import { ACK_BYTES, ACK_DELAY_MS, type FrameDecoder } from "../../wire/index.ts";
import type { LinkNumber, Side } from "./events.ts";
import { InFlight } from "./in-flight.ts";
import { Liveness } from "./liveness.ts";
import { DIRTY, type StreamState } from "./streams.ts";

/** What a link's ACKs still have to say: due by bytes received on it, or by the age of the first thing that wants one. */
export class AckDebt {
  #bytes = 0;
  #since: number | undefined;
  /** Streams with progress on this link since its last ACK; a stream may stand here twice, `dirty` sorts it out. */
  #streams: StreamState[] = [];

  /** `stream` made progress by `bytes` (0 for OPEN, FIN and RESET). */
  add(stream: StreamState, bytes: number, now: number): void {
    if (stream.receive.isAckOwed) {
      this.#bytes += bytes;
      return;
    }
    stream.receive.isAckOwed = true;
    this.#streams.push(stream);
    this.#bytes += bytes;
    this.#since ??= now;
  }

  isDue(now: number): boolean {
    return (
      this.#since !== undefined && (this.#bytes >= ACK_BYTES || now >= this.#since + ACK_DELAY_MS)
    );
  }

  deadline(): number {
    return this.#since === undefined ? Number.POSITIVE_INFINITY : this.#since + ACK_DELAY_MS;
  }

  /** Hands every stream that waits to `mark`, which puts its ACK into the next batch. */
  settle(mark: (stream: StreamState, bits: number) => void): void {
    const streams = this.#streams;
    this.#streams = [];
    this.#bytes = 0;
    this.#since = undefined;
    for (const stream of streams) {
      if (stream.receive.isAckOwed) mark(stream, DIRTY.ack);
    }
  }
}

/** One live link as the core sees it. */
export class LinkState {
  readonly number: LinkNumber;
  readonly decoder: FrameDecoder;
  readonly liveness: Liveness;
  readonly acks = new AckDebt();
  readonly inFlight: InFlight;
  /** False while a batch is on its way into the kernel. */
  isIdle = true;
  /** `wantWrite` was said and not answered by `fill` yet. */
  hasAsked = false;
  /** CLOSE is in the batch: when it left, the link ends. */
  isClosing = false;

  /** @param side Ours. */
  constructor(side: Side, number: LinkNumber, decoder: FrameDecoder, liveness: Liveness) {
    this.inFlight = new InFlight(side);
    this.number = number;
    this.decoder = decoder;
    this.liveness = liveness;
  }
}
