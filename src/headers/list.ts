// This file is the members of a comma-separated value, one after the other and without strings. RFC 9110 §5.6.1.
import { skipBlanks, trimBlanks } from "./grammar.ts";

const COMMA = 0x2c;

/** Walks over the members of lists. Quoted strings are not known: none of the lists read with it has them. */
export class ListCursor {
  /** After `next`: the member is `bytes[start..end)`, blanks around it left out. */
  start = 0;
  end = 0;
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #limit = 0;

  /** Begins the value `bytes[start..end)`. */
  open(bytes: Uint8Array, start: number, end: number): void {
    this.#bytes = bytes;
    this.#at = start;
    this.#limit = end;
  }

  /** Steps to the next member that is not empty (RFC 9110 §5.6.1.2); false when there is none. */
  next(): boolean {
    while (this.#at < this.#limit) {
      let comma = this.#at;
      while (comma < this.#limit && this.#bytes[comma] !== COMMA) comma++;
      this.start = skipBlanks(this.#bytes, this.#at, comma);
      this.end = trimBlanks(this.#bytes, this.start, comma);
      this.#at = comma + 1;
      if (this.start < this.end) return true;
    }
    return false;
  }
}
