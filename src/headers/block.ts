// This file is a header or trailer section kept as bytes: found by name without decoding, decoded only when asked. http.md §3.
import { latin1 } from "../bytes.ts";
import { equalsFolded, ODD, trimBlanks } from "./grammar.ts";
import type { NameId } from "./names.ts";
import { lookUpName, nameClass, nameKey, nameKeyOf } from "./names.ts";

// One field is four numbers in the table: start of its line, start and end of its trimmed value, and what is known of its
// name: bits 0..22 `nameKey` (0..8 the length), 23..29 `NameId`, 30 an odd byte in it.
const STRIDE = 4;
const KEY_MASK = 0x7fffff;
const LENGTH_MASK = 0x1ff;
const ODD_BIT = 1 << 30;

/**
 * One header or trailer section: validated `Name: value CRLF` lines in one buffer, and where each part stands.
 *
 * Offsets are offsets in `bytes`. It views the buffer it was read from and never changes it.
 */
export class HeaderBlock {
  /** The buffer the lines stand in; the section is `bytes[start..end)`, without the blank line. */
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly count: number;
  readonly #table: Int32Array;
  #lines: Uint8Array | undefined;

  /** For `FieldTable.block`; everybody else reads a section with `FieldParser` or `parseLines`. */
  constructor(bytes: Uint8Array, start: number, end: number, table: Int32Array) {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.count = table.length / STRIDE;
    this.#table = table;
  }

  /** The lines as a view, made when first asked for. */
  get lines(): Uint8Array {
    this.#lines ??=
      this.start === 0 && this.end === this.bytes.length
        ? this.bytes
        : this.bytes.subarray(this.start, this.end);
    return this.#lines;
  }

  lineStart(index: number): number {
    return this.#table[index * STRIDE]!;
  }

  /** Offset behind the CRLF of the line. */
  lineEnd(index: number): number {
    return index + 1 < this.count ? this.#table[(index + 1) * STRIDE]! : this.end;
  }

  nameEnd(index: number): number {
    return this.#table[index * STRIDE]! + (this.#table[index * STRIDE + 3]! & LENGTH_MASK);
  }

  valueStart(index: number): number {
    return this.#table[index * STRIDE + 1]!;
  }

  valueEnd(index: number): number {
    return this.#table[index * STRIDE + 2]!;
  }

  /** Which of the specially treated names it is, 0 for all others. */
  nameId(index: number): NameId {
    return (this.#table[index * STRIDE + 3]! >> 23) & 0x7f;
  }

  /** Bit set of `names.ts`: framing, hop-by-hop, taken, end-to-end, not a trailer. */
  nameClass(index: number): number {
    return nameClass((this.#table[index * STRIDE + 3]! >> 23) & 0x7f);
  }

  /** True when the name has a byte other than letter, digit and `-`. */
  hasOddName(index: number): boolean {
    return (this.#table[index * STRIDE + 3]! & ODD_BIT) !== 0;
  }

  /** The name in lower case. */
  name(index: number): string {
    return latin1(this.bytes, this.lineStart(index), this.nameEnd(index)).toLowerCase();
  }

  /** The value without surrounding SP and HTAB, a view. */
  value(index: number): Uint8Array {
    return this.bytes.subarray(this.valueStart(index), this.valueEnd(index));
  }

  /** The value as text, one character per byte. */
  text(index: number): string {
    return latin1(this.bytes, this.valueStart(index), this.valueEnd(index));
  }

  /** True when the value is `text` (lower-case ASCII), ASCII letters in any case. */
  valueIs(index: number, text: string): boolean {
    return equalsFolded(this.bytes, this.valueStart(index), this.valueEnd(index), text);
  }

  /** Index of the first field from `from` on with this lower-case name, or -1. */
  find(name: string, from = 0): number {
    if (name.length === 0) return -1;
    const key = nameKeyOf(name);
    for (let index = from; index < this.count; index++) {
      if ((this.#table[index * STRIDE + 3]! & KEY_MASK) !== key) continue;
      if (equalsFolded(this.bytes, this.lineStart(index), this.nameEnd(index), name)) return index;
    }
    return -1;
  }
}

/** Collects the entries of one section while it is parsed. Reused from section to section. */
export class FieldTable {
  #entries = new Int32Array(32 * STRIDE);
  #length = 0;

  get count(): number {
    return this.#length / STRIDE;
  }

  clear(): void {
    this.#length = 0;
  }

  /** Adds the line at `start`. `classes` is the union of the byte classes of its name. */
  add(
    bytes: Uint8Array,
    start: number,
    nameEnd: number,
    valueStart: number,
    valueLimit: number,
    classes: number,
  ): void {
    if (this.#length === this.#entries.length) {
      const grown = new Int32Array(this.#entries.length * 2);
      grown.set(this.#entries);
      this.#entries = grown;
    }
    const key = nameKey(bytes, start, nameEnd);
    const id = lookUpName(bytes, start, nameEnd, key);
    const at = this.#length;
    this.#entries[at] = start;
    this.#entries[at + 1] = valueStart;
    this.#entries[at + 2] = trimBlanks(bytes, valueStart, valueLimit);
    this.#entries[at + 3] = key | (id << 23) | ((classes & ODD) === 0 ? 0 : ODD_BIT);
    this.#length = at + STRIDE;
  }

  /** The section `bytes[start..end)` with the entries collected since `clear`. */
  block(bytes: Uint8Array, start: number, end: number): HeaderBlock {
    return new HeaderBlock(bytes, start, end, this.#entries.slice(0, this.#length));
  }
}

/** A section without fields. */
export const NO_FIELDS = new HeaderBlock(new Uint8Array(0), 0, 0, new Int32Array(0));
