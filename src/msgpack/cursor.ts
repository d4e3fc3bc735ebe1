// This file is the reading of single msgpack values, every form of each, at a place that moves through a payload. PROTOCOL §2.1.
// No library stands between: it asks each payload for its ArrayBuffer, which costs more (0.25 µs) than all values of an OPEN.
import { cloneBytes, latin1 } from "../bytes.ts";
import { MsgpackError } from "./error.ts";

const TWO_32 = 0x1_0000_0000;
// The one view of numbers: the bytes of a float are copied into it.
const FLOAT = new DataView(new ArrayBuffer(8));
// A byte order mark is a character like others, as it is for the library.
const TEXT = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * A place in a payload. Each method reads one value of its kind and moves behind it, or says that another is there.
 *
 * A value cut off counts as another: `describe` finds out which it was, once somebody has to be told.
 */
export class Cursor {
  readonly bytes: Uint8Array;
  readonly end: number;
  at: number;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.bytes = bytes;
    this.end = end;
    this.at = start;
  }

  /** A number in any of its eleven forms, rounded above 2^53; NaN for another value (and for the float that means it). */
  number(): number {
    const at = this.at;
    if (at >= this.end) return Number.NaN;
    const head = this.bytes[at] as number;
    if (head < 0x80) {
      this.at = at + 1;
      return head;
    }
    if (head >= 0xe0) {
      this.at = at + 1;
      return head - 0x100;
    }
    if (head < 0xca || head > 0xd3) return Number.NaN;
    const size = NUMBER_SIZES[head - 0xca] as number;
    if (size > this.end - at) return Number.NaN;
    this.at = at + size;
    return longNumber(this.bytes, at + 1, head);
  }

  /** True or false; `undefined` for another value. */
  bool(): boolean | undefined {
    const head = this.head();
    if (head !== 0xc2 && head !== 0xc3) return undefined;
    this.at += 1;
    return head === 0xc3;
  }

  /** Moves behind a nil. @returns False for another value. */
  nil(): boolean {
    if (this.head() !== 0xc0) return false;
    this.at += 1;
    return true;
  }

  /** Moves behind the head of a bin. @returns Bytes that follow, all there; -1 for another value. */
  binHead(): number {
    const head = this.head();
    return head >= 0xc4 && head <= 0xc6 ? this.#length(1 << (head - 0xc4)) : -1;
  }

  /** Moves behind the head of a str. @returns Bytes of UTF-8 that follow, all there; -1 for another value. */
  strHead(): number {
    const head = this.head();
    if (head >= 0xd9 && head <= 0xdb) return this.#length(1 << (head - 0xd9));
    const length = head & 0x1f;
    if ((head & 0xe0) !== 0xa0 || length >= this.end - this.at) return -1;
    this.at += 1;
    return length;
  }

  /**
   * Moves behind the head of an array.
   *
   * @returns Values that follow; -1 when no array starts here.
   * @throws MsgpackError More values than bytes are left. Each takes one at least: no array costs more than was received.
   */
  arrayHead(): number {
    const head = this.head();
    let size = 1;
    let count = head & 0x0f;
    if ((head & 0xf0) !== 0x90) {
      if (head !== 0xdc && head !== 0xdd) return -1;
      size = head === 0xdc ? 3 : 5;
      if (size > this.end - this.at) return -1;
      count = size === 3 ? u16(this.bytes, this.at + 1) : u32(this.bytes, this.at + 1);
    }
    const left = this.end - this.at - size;
    if (count > left) {
      throw new MsgpackError(`Array announces ${count} values with ${left} bytes left`);
    }
    this.at += size;
    return count;
  }

  /** A view of the next `length` bytes, which a head announced. */
  take(length: number): Uint8Array {
    const from = this.at;
    this.at = from + length;
    return this.bytes.subarray(from, this.at);
  }

  /** The next `length` bytes in an array of their own. */
  copy(length: number): Uint8Array {
    const from = this.at;
    this.at = from + length;
    return cloneBytes(this.bytes, from, this.at);
  }

  /** The next `length` bytes as text, one character per byte. */
  latin1(length: number): string {
    const from = this.at;
    this.at = from + length;
    return latin1(this.bytes, from, this.at);
  }

  /** The next `length` bytes as text. Bytes that are no UTF-8 become replacement characters. */
  text(length: number): string {
    return TEXT.decode(this.take(length));
  }

  /** First byte of the next value; -1 when there is none. */
  head(): number {
    return this.at < this.end ? (this.bytes[this.at] as number) : -1;
  }

  /** Moves behind any value but an array. @throws MsgpackError It is cut off, or a map, an ext object, nothing at all. */
  skipScalar(): void {
    if (this.nil() || this.bool() !== undefined) return;
    const start = this.at;
    let length = this.binHead();
    if (length < 0) length = this.strHead();
    if (length >= 0) {
      this.at += length;
      return;
    }
    this.number();
    if (this.at === start) this.#fault();
  }

  /** The next value in a few words; never its content, which may be a secret. @throws MsgpackError As `skipScalar`. */
  describe(): string {
    const count = this.arrayHead();
    if (count >= 0) return `an array of ${count} values`;
    if (this.nil()) return "nil";
    const bool = this.bool();
    if (bool !== undefined) return String(bool);
    const bin = this.binHead();
    if (bin >= 0) return `a bin of ${bin} bytes`;
    const str = this.strHead();
    if (str >= 0) return `a str of ${str} bytes`;
    const start = this.at;
    const value = this.number();
    return this.at > start ? String(value) : this.#fault();
  }

  /** Moves behind a head whose length takes `size` bytes. @returns The length; -1 when not all of it is there. */
  #length(size: number): number {
    const from = this.at + 1;
    if (size > this.end - from) return -1;
    const bytes = this.bytes;
    const length =
      size === 1 ? (bytes[from] as number) : size === 2 ? u16(bytes, from) : u32(bytes, from);
    if (length > this.end - from - size) return -1;
    this.at = from + size;
    return length;
  }

  /** Where no value could be read. */
  #fault(): never {
    const head = this.head();
    if (!STARTS_NO_VALUE.has(head)) throw new MsgpackError("Payload ends inside a value");
    throw new MsgpackError(
      `Byte 0x${head.toString(16)} starts a map, an ext object or nothing, expected a value`,
    );
  }
}

// Maps, ext objects and the unused byte.
const STARTS_NO_VALUE = new Set([
  ...Array.from({ length: 16 }, (_, count) => 0x80 + count),
  ...[0xc1, 0xc7, 0xc8, 0xc9, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xde, 0xdf],
]);

// Sizes of the numbers from 0xca to 0xd3, heads included: floats, unsigned, signed.
const NUMBER_SIZES = [5, 9, 2, 3, 5, 9, 2, 3, 5, 9] as const;

/** The number whose head is `head`; all its bytes are there, from `at` on. */
function longNumber(bytes: Uint8Array, at: number, head: number): number {
  switch (head) {
    case 0xcc:
      return bytes[at] as number;
    case 0xcd:
      return u16(bytes, at);
    case 0xce:
      return u32(bytes, at);
    case 0xcf:
      return u32(bytes, at) * TWO_32 + u32(bytes, at + 4);
    case 0xd0:
      return ((bytes[at] as number) << 24) >> 24;
    case 0xd1:
      return (u16(bytes, at) << 16) >> 16;
    case 0xd2:
      return u32(bytes, at) | 0;
    case 0xd3:
      return (u32(bytes, at) | 0) * TWO_32 + u32(bytes, at + 4);
    case 0xca:
      FLOAT.setUint32(0, u32(bytes, at));
      return FLOAT.getFloat32(0);
    default:
      FLOAT.setUint32(0, u32(bytes, at));
      FLOAT.setUint32(4, u32(bytes, at + 4));
      return FLOAT.getFloat64(0);
  }
}

function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}

function u32(bytes: Uint8Array, at: number): number {
  return u16(bytes, at) * 0x1_0000 + u16(bytes, at + 2);
}
