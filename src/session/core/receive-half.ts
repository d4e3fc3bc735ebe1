// This file is the receiving half of a stream. PROTOCOL §4; compare RFC 9000 §3.2.
//
//   recv ──FIN──▶ sizeKnown ──all bytes──▶ dataRecvd ──consumed──▶ dataRead
//    └────────RESET──┴──▶ resetRecvd ──application told──▶ resetRead
//
// Bytes arrive in order on one link, so `sizeKnown` is passed at once today; it is drawn because a reordering link needs it.
import { bug } from "../../errors.ts";
import { ReceiveWindow } from "./receive-window.ts";

export type ReceiveState =
  "recv" | "sizeKnown" | "dataRecvd" | "dataRead" | "resetRecvd" | "resetRead";

const NEXT: Readonly<Record<ReceiveState, readonly ReceiveState[]>> = {
  recv: ["sizeKnown", "resetRecvd"],
  sizeKnown: ["dataRecvd", "resetRecvd"],
  dataRecvd: ["dataRead"],
  dataRead: [],
  resetRecvd: ["resetRead"],
  resetRead: [],
};

export class ReceiveHalf {
  readonly window: ReceiveWindow;
  /** Contiguous offset: everything below has arrived. */
  received = 0;
  finalSize: number | undefined;
  /** Code of our STOP_SENDING; bytes are dropped and consumed at once. */
  stopCode: number | undefined;
  /** Progress that no ACK told the peer yet. */
  isAckOwed = false;
  #state: ReceiveState = "recv";

  constructor(firstWindow: number) {
    this.window = new ReceiveWindow(firstWindow);
  }

  get state(): ReceiveState {
    return this.#state;
  }

  get isTerminal(): boolean {
    return this.#state === "dataRead" || this.#state === "resetRead";
  }

  /** True until all bytes and FIN, or RESET, have arrived. */
  get isOpen(): boolean {
    return this.#state === "recv" || this.#state === "sizeKnown";
  }

  /** What an ACK entry says as `ended`. */
  get hasEnded(): boolean {
    return !this.isOpen;
  }

  get held(): number {
    return this.received - this.window.consumed;
  }

  /** FIN told the final size. */
  sized(finalSize: number): void {
    if (this.finalSize !== undefined) return;
    this.finalSize = finalSize;
    this.#become("sizeKnown");
  }

  /** Is called after `received` or `finalSize` changed. Returns true once, when everything has arrived. */
  complete(): boolean {
    if (this.#state !== "sizeKnown" || this.received !== this.finalSize) return false;
    this.#become("dataRecvd");
    return true;
  }

  /** Is called after consumption. */
  read(): void {
    if (this.#state === "dataRecvd" && this.window.consumed === this.finalSize)
      this.#become("dataRead");
  }

  /** RESET arrived, or the session ended: the rest never comes. Returns the bytes that count as received, and as consumed, by it. */
  reset(finalSize: number): { received: number; consumed: number } {
    const counted = {
      received: finalSize - this.received,
      consumed: finalSize - this.window.consumed,
    };
    this.finalSize = finalSize;
    this.received = finalSize;
    this.window.consumed = finalSize;
    this.#become("resetRecvd");
    this.#become("resetRead");
    return counted;
  }

  #become(next: ReceiveState): void {
    if (!NEXT[this.#state].includes(next))
      bug(`receiving half cannot go from ${this.#state} to ${next}`);
    this.#state = next;
  }
}
