// This file is what the id of a received frame refers to: the first table of PROTOCOL §2.2 with ids, row by row.
import { reached } from "../../limits.ts";
import type { Ledger } from "./ledger.ts";
import type { StreamState } from "./streams.ts";
import { type LiveFrameName, type PeerLoad, violation } from "./violations.ts";

export class References {
  readonly #ledger: Ledger;
  readonly #load: PeerLoad;

  constructor(ledger: Ledger, load: PeerLoad) {
    this.#ledger = ledger;
    this.#load = load;
  }

  /** For ACK, MAX_STREAM_DATA and STOP_SENDING: undefined for a forgotten stream, of which nothing follows. */
  find(id: number, frame: LiveFrameName): StreamState | undefined {
    const stream = this.#ledger.streams.get(id);
    // One of ours whose OPEN has not left yet cannot be known to the peer.
    if (stream?.needsOpen) this.refuseState(id, frame, "which was not opened");
    if (stream === undefined) this.#checkForgotten(id, frame);
    return stream;
  }

  /** For DATA, DATA_FIN and RESET: undefined for a forgotten stream, which is answered. */
  findOrAnswer(id: number, frame: LiveFrameName, now: number): StreamState | undefined {
    const stream = this.find(id, frame);
    if (stream === undefined) this.answer(id, frame, now);
    return stream;
  }

  /** A repeat for a stream that is over here. */
  answer(id: number, frame: LiveFrameName, now: number): void {
    this.#load.changedNothing(frame, now);
    if (this.#ledger.answerForgotten(id)) return;
    reached("forgottenFrames");
    const most = this.#ledger.forgottenMax;
    throw violation(
      "EXCESSIVE_LOAD",
      frame,
      `Received ${most + 1} frames for streams that are over and read no answer, allowed ${most}`,
    );
  }

  /** The peer has no right to so many streams. */
  checkLimit(id: number, frame: LiveFrameName): void {
    const { streams } = this.#ledger;
    if (streams.meaning(id) !== "overLimit") return;
    throw violation(
      "STREAM_LIMIT",
      frame,
      `Received stream ${id}, allowed are ${streams.announced} streams`,
    );
  }

  refuseState(id: number, frame: LiveFrameName, why: string): never {
    throw violation("STREAM_STATE", frame, `Received a frame for stream ${id}, ${why}`);
  }

  #checkForgotten(id: number, frame: LiveFrameName): void {
    this.checkLimit(id, frame);
    if (this.#ledger.streams.meaning(id) !== "forgotten")
      this.refuseState(id, frame, "which was not opened");
  }
}
