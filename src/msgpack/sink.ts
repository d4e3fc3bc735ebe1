// This file is the buffer values are written to before anybody knows how many bytes they will take. PROTOCOL §2.1.
import {
  type Value,
  valueSize,
  writeArrayHead,
  writeBin,
  writeBinHead,
  writeBool,
  writeInt,
  writeNil,
  writeStr,
  writeValue,
} from "./write.ts";

const FIRST_SIZE = 4_096;

/** A buffer that grows with what is written and is reused for the next record; its bytes are copied out once. */
export class Sink {
  bytes = new Uint8Array(FIRST_SIZE);
  at = 0;

  int(value: number): void {
    this.#reserve(9);
    this.at = writeInt(this.bytes, this.at, value);
  }

  bool(value: boolean): void {
    this.#reserve(1);
    this.at = writeBool(this.bytes, this.at, value);
  }

  nil(): void {
    this.#reserve(1);
    this.at = writeNil(this.bytes, this.at);
  }

  bin(value: Uint8Array): void {
    this.#reserve(5 + value.length);
    this.at = writeBin(this.bytes, this.at, value);
  }

  /** Printable ASCII as a bin. */
  ascii(value: string): void {
    this.#reserve(5 + value.length);
    const at = writeBinHead(this.bytes, this.at, value.length);
    for (let index = 0; index < value.length; index++)
      this.bytes[at + index] = value.charCodeAt(index);
    this.at = at + value.length;
  }

  str(value: string): void {
    // A UTF-16 unit takes at most 3 bytes of UTF-8.
    this.#reserve(5 + 3 * value.length);
    this.at = writeStr(this.bytes, this.at, value);
  }

  arrayHead(count: number): void {
    this.#reserve(3);
    this.at = writeArrayHead(this.bytes, this.at, count);
  }

  value(value: Value): void {
    this.#reserve(valueSize(value));
    this.at = writeValue(this.bytes, this.at, value);
  }

  #reserve(size: number): void {
    const needed = this.at + size;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, 2 * this.bytes.length));
    grown.set(this.bytes);
    this.bytes = grown;
  }
}
