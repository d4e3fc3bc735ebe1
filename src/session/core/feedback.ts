// This file is what the peer says of the bytes we send: ACK, MAX_STREAM_DATA, STOP_SENDING, and a stream refused. PROTOCOL §2.2, §4.
import { type ControlRecord, STREAM_CODES } from "../../wire/index.ts";
import type { Ledger } from "./ledger.ts";
import type { LinkState } from "./links.ts";
import type { References } from "./references.ts";
import type { StreamState } from "./streams.ts";
import { type PeerLoad, violation } from "./violations.ts";

export class Feedback {
  readonly #ledger: Ledger;
  readonly #references: References;
  readonly #load: PeerLoad;

  constructor(ledger: Ledger, references: References, load: PeerLoad) {
    this.#ledger = ledger;
    this.#references = references;
    this.#load = load;
  }

  /** The application gets all bytes of a refused stream back and may use them elsewhere. */
  returned(stream: StreamState): void {
    const replay = stream.send.bytes.replay();
    stream.replay = replay;
    this.#ledger.resetSending(stream, STREAM_CODES.REFUSED.code);
    this.#ledger.emit({
      kind: "streamReset",
      stream: stream.id,
      code: STREAM_CODES.REFUSED.code,
      remote: true,
      replay,
    });
  }

  stopSending(frame: ControlRecord<"stopSending">, now: number): void {
    const { id, code } = frame;
    const stream = this.#references.find(id, "stopSending");
    if (stream !== undefined) stream.isOpenAcknowledged = true;
    if (stream !== undefined && isRefusal(stream, code)) this.returned(stream);
    else if (stream !== undefined && this.#ledger.resetSending(stream, code)) {
      this.#ledger.emit({ kind: "streamStopped", stream: id, code });
    } else {
      this.#load.changedNothing("stopSending", now);
    }
  }

  acks(link: LinkState, entries: ControlRecord<"ack">["entries"], now: number): void {
    const ledger = this.#ledger;
    const retained = ledger.retained;
    let hasChanged = false;
    for (const { id, received, ended } of entries) {
      const stream = this.#references.find(id, "ack");
      if (stream !== undefined && this.#ack(stream, received, ended, now)) hasChanged = true;
    }
    const freed = retained - ledger.retained;
    if (freed > 0) {
      const isAsking = link.inFlight.acknowledged(freed, ledger.retained, now, ledger.isBacklogged);
      if (isAsking) link.liveness.ask();
    }
    if (!hasChanged) this.#load.changedNothing("ack", now);
  }

  /** Returns false where the entry says nothing new. */
  #ack(stream: StreamState, received: number, ended: boolean, now: number): boolean {
    const { id, send } = stream;
    const isFirst = !stream.isOpenAcknowledged;
    stream.isOpenAcknowledged = true;
    if (ended) {
      if (!send.mayBeEnded) {
        throw violation(
          "PROTOCOL_VIOLATION",
          "ack",
          `Received an end of stream ${id}, which we did not end`,
        );
      }
      if (send.isTerminal) return false;
      this.#ledger.endedSending(stream);
      this.#ledger.forgetIfOver(stream);
      return true;
    }
    if (received > send.highest) {
      throw violation(
        "PROTOCOL_VIOLATION",
        "ack",
        `Received ACK ${received} on stream ${id}, sent were ${send.highest} bytes`,
      );
    }
    return this.#ledger.acknowledged(stream, received, now) || isFirst;
  }

  streamLimits(entries: ControlRecord<"maxStreamData">["entries"], now: number): void {
    let hasChanged = false;
    for (const { id, limit } of entries) {
      const stream = this.#references.find(id, "maxStreamData");
      if (stream === undefined) continue;
      stream.isOpenAcknowledged = true;
      if (!stream.send.credit.raise(limit)) continue;
      hasChanged = true;
      // What waited for nothing else may leave now. What was sent waits for its ACK, whatever the peer grants.
      if (stream.send.bytes.retained === 0) stream.send.waitingSince = now;
      this.#ledger.wake(stream, now);
    }
    if (!hasChanged) this.#load.changedNothing("maxStreamData", now);
  }
}

/**
 * REFUSED by either frame, and true: nothing was acknowledged or delivered, and the application did not give up itself.
 */
export function isRefusal(stream: StreamState, code: number): boolean {
  const { isOurs, send, receive } = stream;
  if (code !== STREAM_CODES.REFUSED.code || !isOurs) return false;
  return (
    send.bytes.acked === 0 &&
    receive.received === 0 &&
    send.state !== "resetSent" &&
    !send.isTerminal
  );
}
