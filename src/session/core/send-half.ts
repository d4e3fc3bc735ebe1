// This file is the sending half of a stream. PROTOCOL §4; compare RFC 9000 §3.1.
//
//   ready ──OPEN, first DATA──▶ send ──FIN sent──▶ dataSent ──ACK ended──▶ dataRecvd
//     │                          │                    │
//     └────────── reset() ───────┴────────────────────┴──▶ resetSent ──ACK ended──▶ resetRecvd
import { bug } from "../../errors.ts";
import { Retention } from "./retention.ts";
import { SendCredit } from "./send-credit.ts";

export type SendState = "ready" | "send" | "dataSent" | "resetSent" | "dataRecvd" | "resetRecvd";

const NEXT: Readonly<Record<SendState, readonly SendState[]>> = {
  ready: ["send", "dataSent", "resetSent"],
  send: ["dataSent", "resetSent"],
  dataSent: ["dataRecvd", "resetSent"],
  resetSent: ["resetRecvd"],
  dataRecvd: [],
  resetRecvd: [],
};

export class SendHalf {
  readonly bytes = new Retention();
  readonly credit: SendCredit;
  #state: SendState = "ready";
  /** Since when bytes wait for the peer, its credit or an ACK that brings something: the last one that did, the sending of the first of them, or its writing. */
  waitingSince = Number.POSITIVE_INFINITY;
  #isFinishing = false;
  #resetCode: number | undefined;
  /** Highest offset ever sent: the final size of a reset. Survives a rewind. */
  #highest = 0;

  constructor(limit: number) {
    this.credit = new SendCredit(limit);
  }

  get state(): SendState {
    return this.#state;
  }

  get isTerminal(): boolean {
    return this.#state === "dataRecvd" || this.#state === "resetRecvd";
  }

  /** True while the application may still write. */
  get isOpen(): boolean {
    return !this.#isFinishing && (this.#state === "ready" || this.#state === "send");
  }

  get resetCode(): number {
    return this.#resetCode ?? bug("reset code of a half that was not reset");
  }

  get highest(): number {
    return this.#highest;
  }

  /** True when FIN was sent, or RESET was decided: the peer may say `ended`. */
  get mayBeEnded(): boolean {
    return this.#state === "dataSent" || this.#state === "resetSent" || this.isTerminal;
  }

  /** True when the next frame ends the direction without a byte: FIN is due and everything is sent. */
  get isFinDue(): boolean {
    return (
      this.#isFinishing &&
      this.bytes.unsent === 0 &&
      (this.#state === "ready" || this.#state === "send")
    );
  }

  finish(): boolean {
    if (!this.isOpen) return false;
    this.#isFinishing = true;
    return true;
  }

  /** Drops unsent and retained bytes. Returns false where nothing is left to abandon. */
  reset(code: number): boolean {
    if (this.isTerminal || this.#state === "resetSent") return false;
    this.#resetCode = code;
    this.bytes.drop();
    this.#become("resetSent");
    return true;
  }

  /** The next `length` bytes are going into a frame; `fin` is decided here. Returns whether FIN rides on it. */
  send(into: Uint8Array, at: number, length: number): boolean {
    this.bytes.take(into, at, length);
    return this.#counted();
  }

  /** Likewise for bytes that were peeked. */
  sendPeeked(length: number): boolean {
    this.bytes.skip(length);
    return this.#counted();
  }

  #counted(): boolean {
    if (this.bytes.sent > this.#highest) this.#highest = this.bytes.sent;
    const isFin = this.#isFinishing && this.bytes.unsent === 0;
    if (isFin) this.#become("dataSent");
    else if (this.#state === "ready") this.#become("send");
    return isFin;
  }

  /** All bytes and FIN, or RESET, have arrived. */
  ended(): void {
    if (this.isTerminal) return;
    // The peer has all of it: what the last flight was made of is free.
    if (this.#state === "dataSent") this.bytes.acknowledge(this.bytes.sent);
    this.bytes.drop();
    this.#become(this.#state === "resetSent" ? "resetRecvd" : "dataRecvd");
  }

  #become(next: SendState): void {
    if (!NEXT[this.#state].includes(next))
      bug(`sending half cannot go from ${this.#state} to ${next}`);
    this.#state = next;
  }
}
