// This file is the bytes a reader was given and has not shown yet, and sections of them that come in pieces. http.md §3.
import { spent } from "../received.ts";

/** Smallest buffer for a section that comes in pieces. */
const FIRST_BUFFER_BYTES = 2048;
const NOTHING = new Uint8Array(0);

/** What reads a section; its bytes begin at offset 0 and stay where they are from call to call. */
export interface SectionReader {
  /** Length of the section once `parse` was true. */
  readonly position: number;
  parse(bytes: Uint8Array, end: number): boolean;
}

/** Holds one chunk, and a copy of the head or trailer section that did not end in the chunk it began in. */
export class Intake {
  chunk: Uint8Array = NOTHING;
  /** Offset in `chunk` of the next byte to read. */
  at = 0;
  /** What the section was parsed in: the chunk, a view of it, or the copy. */
  section: Uint8Array = NOTHING;
  #copy: Uint8Array = NOTHING;
  #copied = 0;
  /** Bytes of the chunk that nobody views. */
  #spent = 0;

  /** Bytes of the chunk that were not read. */
  get unread(): number {
    return this.chunk.length - this.at;
  }

  /** The same, and the section in pieces. */
  get held(): number {
    return this.#copied + this.chunk.length - this.at;
  }

  feed(bytes: Uint8Array): void {
    const { unread } = this;
    let chunk = bytes;
    if (unread > 0) {
      chunk = new Uint8Array(unread + bytes.length);
      chunk.set(this.chunk.subarray(this.at));
      chunk.set(bytes, unread);
      this.#spent += unread;
      spent(bytes);
    }
    this.#drop();
    this.chunk = chunk;
  }

  /** So many bytes of the chunk were read and are viewed by nobody. */
  spend(count: number): void {
    this.#spent += count;
  }

  view(start: number, end: number): Uint8Array {
    return start === 0 && end === this.chunk.length ? this.chunk : this.chunk.subarray(start, end);
  }

  takeRest(): Uint8Array {
    const rest = this.view(this.at, this.chunk.length);
    this.#drop();
    return rest;
  }

  /**
   * Parses a section in place while it lies in one chunk, else in the copy, which never holds more than `limit`.
   * The parser refuses a section that reaches `limit` without its end.
   */
  readSection(reader: SectionReader, limit: number): boolean {
    if (this.unread === 0) return false;
    if (this.#copied === 0) {
      const available = this.unread;
      this.section = this.view(this.at, this.chunk.length);
      if (reader.parse(this.section, available)) {
        this.at += reader.position;
        this.release();
        return true;
      }
      this.#keep(available, limit);
      return false;
    }
    this.#keep(Math.min(this.unread, limit - this.#copied), limit);
    this.section = this.#copy;
    if (!reader.parse(this.#copy, this.#copied)) return false;
    // What was copied beyond the end of the section is still in the chunk.
    this.at += reader.position - this.#copied;
    this.#spent += reader.position - this.#copied;
    this.release();
    return true;
  }

  /** Lets go of a chunk that is read: the next one may be long in coming. */
  release(): void {
    if (this.at === this.chunk.length) this.#drop();
  }

  #drop(): void {
    if (this.#spent > 0) spent(this.chunk, this.#spent);
    this.#spent = 0;
    this.chunk = NOTHING;
    this.at = 0;
  }

  /** The section that was read views the copy, so the next one gets another. */
  endSection(): void {
    this.section = NOTHING;
    if (this.#copied === 0) return;
    this.#copy = NOTHING;
    this.#copied = 0;
  }

  /** Moves `size` bytes of the chunk to the copy. */
  #keep(size: number, limit: number): void {
    if (size === 0) return;
    const needed = this.#copied + size;
    if (needed > this.#copy.length) {
      const grown = new Uint8Array(Math.min(limit, Math.max(FIRST_BUFFER_BYTES, needed * 2)));
      grown.set(this.#copy.subarray(0, this.#copied));
      this.#copy = grown;
    }
    this.#copy.set(this.view(this.at, this.at + size), this.#copied);
    this.#copied = needed;
    this.at += size;
    this.#spent += size;
  }
}
