// This file is a growing buffer of field lines: kept lines are copied in runs, new ones appended in one pass. http.md §7.
import { cloneBytes, copyBytes } from "../bytes.ts";
import { TunlError } from "../errors.ts";
import { CLASS, TOKEN } from "./grammar.ts";

/** Runs up to this many bytes are copied in a loop: a call costs 30 ns. */
const SHORT_RUN = 64;

/**
 * Writes text as bytes, one per character, refusing what is not HTAB or printable ASCII.
 *
 * The runtime's latin1 write keeps the low byte only, so U+010D U+010A would become a line end (platform trap 16).
 *
 * @returns The offset behind the last byte.
 * @throws TunlError `BAD_FIELD_TEXT`
 */
export function encodeAscii(text: string, target: Uint8Array, offset: number): number {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if ((code < 0x20 && code !== 0x09) || code > 0x7e) {
      const shown = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
      throw new TunlError(
        "BAD_FIELD_TEXT",
        `Header text has ${shown} at ${at}, allowed are printable ASCII and tab`,
      );
    }
    target[offset + at] = code;
  }
  return offset + text.length;
}

/** Lines under construction. Reused: `take` copies the result out, `clear` begins anew. */
export class LineBuffer {
  #bytes: Uint8Array;
  #length = 0;

  constructor(capacity = 2048) {
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  clear(): void {
    this.#length = 0;
  }

  /** Appends `source[start..end)`. */
  append(source: Uint8Array, start = 0, end = source.length): void {
    const size = end - start;
    const at = this.#reserve(size);
    if (size <= SHORT_RUN) {
      for (let step = 0; step < size; step++) this.#bytes[at + step] = source[start + step]!;
    } else {
      copyBytes(source, start, end, this.#bytes, at);
    }
  }

  /**
   * Appends one line. `value` may be bytes that were validated already.
   *
   * @throws TunlError `BAD_FIELD_TEXT` for a name that is not a token or text that is not printable ASCII; nothing is appended.
   */
  appendField(name: string, value: string | Uint8Array): void {
    const before = this.#length;
    const start = this.#reserve(name.length + value.length + 4);
    try {
      let at = encodeAscii(name, this.#bytes, start);
      for (let step = start; step < at; step++) {
        if ((CLASS[this.#bytes[step]!]! & TOKEN) !== 0) continue;
        throw new TunlError("BAD_FIELD_TEXT", `Field name "${name}" is not a token`);
      }
      if (name.length === 0) throw new TunlError("BAD_FIELD_TEXT", "Field name is empty");
      this.#bytes[at++] = 0x3a;
      this.#bytes[at++] = 0x20;
      if (typeof value === "string") at = encodeAscii(value, this.#bytes, at);
      else {
        this.#bytes.set(value, at);
        at += value.length;
      }
      this.#bytes[at++] = 0x0d;
      this.#bytes[at] = 0x0a;
    } catch (error) {
      this.#length = before;
      throw error;
    }
  }

  /** A copy of what was written, of exactly its size; the buffer is empty afterwards. */
  take(): Uint8Array {
    const taken = cloneBytes(this.#bytes, 0, this.#length);
    this.#length = 0;
    return taken;
  }

  #reserve(size: number): number {
    const start = this.#length;
    const needed = start + size;
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
      grown.set(this.#bytes.subarray(0, start));
      this.#bytes = grown;
    }
    this.#length = needed;
    return start;
  }
}
