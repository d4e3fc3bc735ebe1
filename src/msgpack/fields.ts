// This file is the kinds of fields a schema is made of: what each accepts, and how it is written. PROTOCOL §2.1.
import { bug } from "../errors.ts";
import type { Cursor } from "./cursor.ts";
import { MsgpackError, describe, refuseNext } from "./error.ts";
import type { Sink } from "./sink.ts";
import { arrayHeadSize, binHeadSize, textSize } from "./write.ts";

/** One position of an array. */
export interface Field<T> {
  /** The form it accepts, for people. */
  readonly expects: string;
  /** The form as the tables of the specification write it (PROTOCOL §2.2): `u`, `0…63`, `b32`, `s≤64`. */
  readonly notation: string;
  /** Fewest bytes a value can take on the wire. */
  readonly minSize: number;
  /** Reads the next value. @throws MsgpackError naming `name`, the value found and the form expected. */
  read(from: Cursor, name: string): T;
  /** Writes a value. One the form does not allow is a fault of ours: `BUG`. */
  write(value: T, into: Sink): void;
}

/** Refuses to write. */
export function unfit(value: unknown, expects: string): never {
  return bug(`cannot encode ${describe(value)}, expected ${expects}`);
}

class IntegerField implements Field<number> {
  readonly expects: string;
  readonly notation: string;
  readonly minSize = 1;
  readonly #min: number;
  readonly #max: number;

  constructor(min: number, max: number) {
    this.#min = min;
    this.#max = max;
    this.expects = `an integer from ${min} to ${max}`;
    const isSafe = max === Number.MAX_SAFE_INTEGER;
    const isUnsigned = isSafe && min === 0;
    const isSigned = isSafe && min === Number.MIN_SAFE_INTEGER;
    this.notation = isUnsigned ? "u" : isSigned ? "i" : `${min}…${max}`;
  }

  read(from: Cursor, name: string): number {
    const start = from.at;
    const value = from.number();
    // Any number format may carry an integer: 3.0 as float 64 is 3. Adding 0 turns -0 into 0.
    if (this.#fits(value)) return value + 0;
    return refuseNext(from, start, name, this.expects);
  }

  write(value: number, into: Sink): void {
    if (this.#fits(value)) into.int(value);
    else unfit(value, this.expects);
  }

  #fits(value: number): boolean {
    return value >= this.#min && value <= this.#max && Number.isInteger(value);
  }
}

class BoolField implements Field<boolean> {
  readonly expects = "a bool";
  readonly notation = "f";
  readonly minSize = 1;

  read(from: Cursor, name: string): boolean {
    return from.bool() ?? refuseNext(from, from.at, name, this.expects);
  }

  write(value: boolean, into: Sink): void {
    if (typeof value === "boolean") into.bool(value);
    else unfit(value, this.expects);
  }
}

class BinField implements Field<Uint8Array> {
  readonly expects: string;
  readonly notation: string;
  readonly minSize: number;
  readonly #min: number;
  readonly #max: number;
  readonly #only: readonly number[] | undefined;
  readonly #isCopied: boolean;

  constructor(min: number, max: number, only?: readonly number[], isCopied = false) {
    this.#isCopied = isCopied;
    this.#min = min;
    this.#max = max;
    this.#only = only;
    this.minSize = binHeadSize(min) + min;
    const sizes = only?.join(" or ") ?? (min === max ? String(max) : `at most ${max}`);
    this.expects = `a bin of ${sizes} bytes`;
    this.notation = `b${only?.join("|") ?? (min === max ? String(max) : `≤${max}`)}`;
  }

  read(from: Cursor, name: string): Uint8Array {
    const start = from.at;
    const length = from.binHead();
    // Another value is -1 bytes long, which no bin is.
    if (this.#fits(length)) return this.#isCopied ? from.copy(length) : from.take(length);
    return refuseNext(from, start, name, this.expects);
  }

  /** The same bin, decoded as a copy. */
  copied(): BinField {
    return new BinField(this.#min, this.#max, this.#only, true);
  }

  write(value: Uint8Array, into: Sink): void {
    if (this.#fits(value.length)) into.bin(value);
    else unfit(value, this.expects);
  }

  #fits(length: number): boolean {
    if (length < this.#min || length > this.#max) return false;
    return this.#only === undefined || this.#only.includes(length);
  }
}

/** A bin that holds printable ASCII, as text on our side. */
class AsciiField implements Field<string> {
  readonly expects: string;
  readonly notation: string;
  readonly minSize = 2;
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
    this.expects = `a bin of at most ${max} bytes of printable ASCII`;
    this.notation = `a≤${max}`;
  }

  read(from: Cursor, name: string): string {
    const start = from.at;
    const length = from.binHead();
    if (length >= 0 && length <= this.#max) {
      const text = from.latin1(length);
      if (PRINTABLE.test(text)) return text;
      throw new MsgpackError(`Received "${name}" with a byte that is no printable ASCII`);
    }
    return refuseNext(from, start, name, this.expects);
  }

  write(value: string, into: Sink): void {
    if (value.length <= this.#max && PRINTABLE.test(value)) into.ascii(value);
    else unfit(value, this.expects);
  }
}

const PRINTABLE = /^[\x20-\x7e]*$/;

class StrField implements Field<string> {
  readonly expects: string;
  readonly notation: string;
  readonly minSize = 1;
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
    this.expects = `a str of at most ${max} bytes`;
    this.notation = `s≤${max}`;
  }

  read(from: Cursor, name: string): string {
    const start = from.at;
    const length = from.strHead();
    if (length >= 0 && length <= this.#max) {
      const text = from.text(length);
      // Bytes that are no UTF-8 grow when they are replaced: what was read can be written.
      if (this.#fits(text)) return text;
    }
    return refuseNext(from, start, name, this.expects);
  }

  write(value: string, into: Sink): void {
    if (this.#fits(value)) into.str(value);
    else unfit(value, this.expects);
  }

  #fits(value: string): boolean {
    // A UTF-16 unit takes at most 3 bytes of UTF-8: most texts need no count.
    return (
      value.length * 3 <= this.#max || (value.length <= this.#max && textSize(value) <= this.#max)
    );
  }
}

class NilableField<T> implements Field<T | undefined> {
  readonly expects: string;
  readonly notation: string;
  readonly minSize = 1;
  readonly #field: Field<T>;

  constructor(field: Field<T>) {
    this.#field = field;
    this.expects = `${field.expects} or nil`;
    this.notation = `${field.notation}|nil`;
  }

  read(from: Cursor, name: string): T | undefined {
    return from.nil() ? undefined : this.#field.read(from, name);
  }

  write(value: T | undefined, into: Sink): void {
    if (value === undefined) into.nil();
    else this.#field.write(value, into);
  }
}

class ListField<T> implements Field<readonly T[]> {
  readonly expects: string;
  readonly notation: string;
  readonly minSize: number;
  readonly #item: Field<T>;
  readonly #min: number;
  readonly #max: number;

  constructor(item: Field<T>, min: number, max: number) {
    this.#item = item;
    this.#min = min;
    this.#max = max;
    this.minSize = arrayHeadSize(min) + min * item.minSize;
    this.expects = `an array of ${min} to ${max} values`;
    this.notation = `[${item.notation} × ${min}…${max}]`;
  }

  read(from: Cursor, name: string): readonly T[] {
    const start = from.at;
    const count = from.arrayHead();
    if (!this.#fits(count)) return refuseNext(from, start, name, this.expects);
    const list: T[] = [];
    for (let index = 0; index < count; index++) list.push(this.#item.read(from, name));
    return list;
  }

  write(value: readonly T[], into: Sink): void {
    if (!this.#fits(value.length)) unfit(value, this.expects);
    into.arrayHead(value.length);
    for (const item of value) this.#item.write(item, into);
  }

  #fits(count: number): boolean {
    return count >= this.#min && count <= this.#max;
  }
}

/** An integer 0 to 2^53 - 1. */
export const uint: Field<number> = new IntegerField(0, Number.MAX_SAFE_INTEGER);
/** A safe integer of either sign. */
export const int: Field<number> = new IntegerField(
  Number.MIN_SAFE_INTEGER,
  Number.MAX_SAFE_INTEGER,
);
/** True or false, no number. */
export const bool: Field<boolean> = new BoolField();

/** An integer from `min` to `max`, both allowed. */
export function integer(min: number, max: number): Field<number> {
  return new IntegerField(min, max);
}

/** A bin of exactly `length` bytes. Decoded: a view of the payload, to be copied by whoever keeps it. */
export function bin(length: number): BinField {
  return new BinField(length, length);
}

/** A bin of at most `max` bytes. Decoded as by `bin`. */
export function binUpTo(max: number): BinField {
  return new BinField(0, max);
}

/** A bin of one of the lengths given, in bytes. Decoded as by `bin`. */
export function binOf(...lengths: readonly number[]): BinField {
  return new BinField(Math.min(...lengths), Math.max(...lengths), lengths);
}

/** A bin decoded as an array of its own, for whoever keeps it: a view would pin the whole payload. */
export function copied(field: BinField): Field<Uint8Array> {
  return field.copied();
}

/** A bin of at most `max` bytes of printable ASCII, as text. */
export function asciiUpTo(max: number): Field<string> {
  return new AsciiField(max);
}

/** A text of at most `max` bytes of UTF-8; only for people. */
export function strUpTo(max: number): Field<string> {
  return new StrField(max);
}

/** The field, or nil; `undefined` in records. */
export function nilable<T>(field: Field<T>): Field<T | undefined> {
  return new NilableField(field);
}

/** An array of `min` to `max` values of one kind. */
export function list<T>(item: Field<T>, min: number, max: number): Field<readonly T[]> {
  return new ListField(item, min, max);
}
