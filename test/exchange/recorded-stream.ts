// This file is one stream of a test without a session: what its owner does to it is written down. PROTOCOL §4.
import { type Message, MessageReader } from "../../src/exchange/messages.ts";
import type { Session, Stream, StreamEvents } from "../../src/session/index.ts";

/** A stream that takes everything at once and gives nothing by itself. */
export class RecordedStream implements Stream {
  readonly id = 0;
  /** What was done besides writing, in order: `finish`, `reset CODE`, `stop CODE`. */
  readonly log: string[] = [];
  /** Credit that was returned, bytes. */
  returned = 0;
  readonly #written: Uint8Array[] = [];

  write(bytes: Uint8Array): "more" {
    // The owner may use its buffer again.
    this.#written.push(bytes.slice());
    return "more";
  }
  finish(): void {
    this.log.push("finish");
  }
  reset(code: number): void {
    this.log.push(`reset ${code}`);
  }
  stop(code: number): void {
    this.log.push(`stop ${code}`);
  }
  consumed(bytes: number): void {
    this.returned += bytes;
  }

  /** What was written, read as messages: for streams on which no body followed. */
  get messages(): Message[] {
    const found: Message[] = [];
    for (const bytes of this.#written) {
      const reader = new MessageReader();
      let rest = bytes;
      while (rest.length > 0 && reader.read(rest) === "message") {
        found.push(reader.message);
        rest = reader.rest;
      }
    }
    return found;
  }
}

/** A session that opens this one stream, and hands out who takes its events. */
export function sessionOf(stream: RecordedStream): {
  readonly session: Session;
  readonly events: () => StreamEvents;
} {
  let taker: StreamEvents | undefined;
  const opener: Pick<Session, "open"> = {
    open: (_kind, head, _isWhole, attach) => {
      stream.write(head);
      taker = attach(stream);
      return stream;
    },
  };
  return {
    // Nothing else of a session is asked for by who opens a stream.
    session: opener as Session,
    events: () => {
      if (taker === undefined) throw new Error("No stream was opened");
      return taker;
    },
  };
}
