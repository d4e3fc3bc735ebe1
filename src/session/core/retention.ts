// This file is the bytes of one sending half from the acknowledged offset to the last one written. PROTOCOL §6.1.
import { cloneBytes, copyBytes } from "../../bytes.ts";
import { spent } from "../../received.ts";

/**
 * A queue of chunks with three positions: `acked` <= `sent` <= `written` (absolute offsets in bytes).
 *
 * Chunks are references to what was written; a slice smaller than a quarter of its parent buffer is copied, so that
 * a few bytes never pin a receive buffer of half a megabyte. There is no other log: after the loss of a link `sent`
 * falls back to `acked` and the same chunks are sent again.
 */
export class Retention {
  acked = 0;
  sent = 0;
  written = 0;
  #chunks: Uint8Array[] = [];
  /** Index of the first chunk still held; the array is compacted now and then instead of shifted. */
  #first = 0;
  /** Offset of the first byte of `#chunks[#first]`. */
  #base = 0;
  /** Where `sent` stands: index of its chunk and position in it. */
  #index = 0;
  #position = 0;

  get unsent(): number {
    return this.written - this.sent;
  }

  get retained(): number {
    return this.sent - this.acked;
  }

  /** @param isWhole True for bytes that are no part of a larger buffer. */
  append(bytes: Uint8Array, isWhole: boolean): void {
    if (bytes.length === 0) return;
    this.written += bytes.length;
    if (isWhole || !isSmallSlice(bytes)) {
      this.#chunks.push(bytes);
      return;
    }
    this.#chunks.push(cloneBytes(bytes));
    spent(bytes);
  }

  /** Copies the next `length` unsent bytes to `into` at `at` and moves `sent`. The caller checked that they exist. */
  take(into: Uint8Array, at: number, length: number): void {
    let left = length;
    let to = at;
    while (left > 0) {
      const chunk = this.#chunks[this.#index] as Uint8Array;
      const here = Math.min(left, chunk.length - this.#position);
      copyBytes(chunk, this.#position, this.#position + here, into, to);
      to += here;
      left -= here;
      this.#position += here;
      if (this.#position === chunk.length) {
        this.#index += 1;
        this.#position = 0;
      }
    }
    this.sent += length;
  }

  /** The next `length` unsent bytes as one piece: a view where a chunk holds them all, else a copy. `sent` stays. */
  peek(length: number): Uint8Array {
    const chunk = this.#chunks[this.#index];
    if (length === 0 || chunk === undefined) return EMPTY;
    if (this.#position === 0 && chunk.length === length) return chunk;
    if (chunk.length - this.#position >= length)
      return chunk.subarray(this.#position, this.#position + length);
    const bytes = new Uint8Array(length);
    let copied = 0;
    let position = this.#position;
    for (let index = this.#index; copied < length; index++) {
      const part = (this.#chunks[index] as Uint8Array).subarray(
        position,
        position + length - copied,
      );
      bytes.set(part, copied);
      copied += part.length;
      position = 0;
    }
    return bytes;
  }

  /** Moves `sent` over `length` bytes that were peeked. */
  skip(length: number): void {
    let left = length;
    while (left > 0) {
      const chunk = this.#chunks[this.#index] as Uint8Array;
      const here = Math.min(left, chunk.length - this.#position);
      left -= here;
      this.#position += here;
      if (this.#position === chunk.length) {
        this.#index += 1;
        this.#position = 0;
      }
    }
    this.sent += length;
  }

  /** Frees everything below `offset`, which the caller checked to be at most `sent`. */
  acknowledge(offset: number): void {
    if (offset <= this.acked) return;
    this.acked = offset;
    let chunk = this.#chunks[this.#first];
    while (
      chunk !== undefined &&
      this.#first < this.#index &&
      this.#base + chunk.length <= offset
    ) {
      this.#base += chunk.length;
      this.#chunks[this.#first] = EMPTY;
      spent(chunk);
      this.#first += 1;
      chunk = this.#chunks[this.#first];
    }
    if (this.acked === this.sent) this.#settle();
    if (this.#first === this.#chunks.length) this.#compact(this.#first);
    else if (this.#first >= 64 && this.#first * 2 > this.#chunks.length) this.#compact(this.#first);
  }

  /** Everything unacknowledged is to be sent again. */
  rewind(): void {
    this.sent = this.acked;
    this.#index = this.#first;
    this.#position = this.acked - this.#base;
  }

  /** Forgets all bytes, sent and unsent; offsets stay. */
  drop(): void {
    this.#chunks = [];
    this.#first = 0;
    this.#index = 0;
    this.#position = 0;
    this.#base = this.sent;
    this.acked = this.sent;
    this.written = this.sent;
  }

  /** All bytes still held, in order, for a stream that was refused and is opened again elsewhere. */
  replay(): Uint8Array[] {
    return this.#chunks.slice(this.#first);
  }

  /** The peer has what was sent, and what follows may wait for it long: not in a buffer most of which is of no more use. */
  #settle(): void {
    const chunk = this.#chunks[this.#first];
    if (chunk === undefined || this.#position === 0 || this.#index !== this.#first) return;
    const { byteLength } = chunk.buffer;
    if (byteLength < LARGE_BUFFER || (chunk.length - this.#position) * 2 > byteLength) return;
    this.#chunks[this.#first] = cloneBytes(chunk, this.#position);
    spent(chunk);
    this.#base += this.#position;
    this.#position = 0;
  }

  #compact(count: number): void {
    this.#chunks.splice(0, count);
    this.#first -= count;
    this.#index -= count;
  }
}

const EMPTY = new Uint8Array(0);

/** Smaller ones are not copied out of once more. */
const LARGE_BUFFER = 32 * 1024;

/** Asking for a parent buffer costs as much as copying this many bytes. */
const CHEAP_COPY = 256;

function isSmallSlice(bytes: Uint8Array): boolean {
  return bytes.length <= CHEAP_COPY || bytes.length * 4 < bytes.buffer.byteLength;
}
