// This file is what the layers above a session hold: one stream, and what they must answer. PROTOCOL §4.

/** What a stream tells its owner. Called synchronously from the session; must not throw. */
export interface StreamEvents {
  /** Bytes of the peer, in order. Answer with `Stream.consumed` once they left tunl (kernel took them, or dropped). */
  bytes(bytes: Uint8Array): void;
  /** The peer finished its direction; all its bytes were given to `bytes`. */
  ended(): void;
  /** The peer abandoned its direction with `code`, or (`remote` false) the session was lost or evicted the stream. */
  reset(code: number, remote: boolean): void;
  /**
   * Of a stream that we opened: the peer took nothing of it, because it refused it or it never left us. `replay` is every
   * byte written so far, to be opened in another session. The stream is over for its owner, nothing follows. Told as
   * `reset` where this is absent.
   */
  undelivered?(replay: readonly Uint8Array[]): void;
  /** The peer wants no more bytes of ours; our direction is already reset with the same code. */
  stopped(code: number): void;
  /** After `write` answered "pause": there is room again. */
  writable(): void;
  /** Both directions are over; nothing follows. */
  closed(): void;
}

/** One bidirectional byte stream of a session, in the hands of one owner. */
export interface Stream {
  readonly id: number;
  /**
   * Appends bytes to our direction; ownership passes to the session until acknowledged, so they must not change.
   * @param isWhole True: they are no part of a larger buffer, which a small slice would pin.
   * @returns "pause": taken, but write no more until `writable`.
   */
  write(bytes: Uint8Array, isWhole?: boolean): "more" | "pause";
  /** Ends our direction after everything written. Idempotent; ignored after `reset`. */
  finish(): void;
  /** Abandons our direction: unsent bytes are dropped. Codes: PROTOCOL §2.3. Ignored once all was acknowledged. */
  reset(code: number): void;
  /** Asks the peer to send no more; bytes held or arriving are dropped and consumed at once, `bytes` is not called again. */
  stop(code: number): void;
  /** Returns credit for bytes given to `bytes`. */
  consumed(bytes: number): void;
}
