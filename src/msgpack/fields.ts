// This file is the kinds of fields a schema is made of: what each accepts, and how it is written. PROTOCOL §2.1.
import { bug } from "../errors.ts";
import { describe, refuse } from "./error.ts";
import {
  arrayHeadSize,
  binHeadSize,
  intSize,
  strSize,
  textSize,
  type Value,
  valueSize,
  writeArrayHead,
  writeBin,
  writeBool,
  writeInt,
  writeNil,
  writeStr,
  writeValue,
} from "./write.ts";

/** One position of an array. */
export interface Field<T> {
  /** The form it accepts, for people. */
  readonly expects: string;
  /** The form as the tables of the specification write it (PROTOCOL §2.2): `u`, `0…63`, `b32`, `s≤64`. */
  readonly notation: string;
  /** Fewest bytes a value can take on the wire. */
  readonly minSize: number;
  /** Levels of arrays inside; 0 for a scalar. */
  readonly depth: number;
  /** Checks a decoded value. @throws MsgpackError naming `name`, the value and the form expected. */
  read(value: unknown, name: string): T;
  /** Bytes on the wire. A value the form does not allow is a fault of ours: `BUG`. */
  size(value: T): number;
  /** Writes a value that `size` accepted. @returns The offset after it. */
  write(value: T, into: Uint8Array, at: number): number;
}

function unfit(value: unknown, expects: string): never {
  return bug(`cannot encode ${describe(value)}, expected ${expects}`);
}

class IntegerField implements Field<number> {
  readonly expects: string;
  readonly notation: string;
  readonly minSize = 1;
  readonly depth = 0;
  readonly #min: number;
  readonly #max: number;

  constructor(min: number, max: number) {
    this.#min = min;
    this.#max = max;
    this.expects = `an integer from ${min} to ${max}`;
    const bounds = max === Number.MAX_SAFE_INTEGER ? (min === 0 ? "u" : "i") : undefined;
    this.notation = bounds ?? `${min}…${max}`;
  }

  read(value: unknown, name: string): number {
    // Any number format may carry an integer: 3.0 as float 64 is 3. Adding 0 turns -0 into 0.
    if (typeof value === "number" && this.#fits(value)) return value + 0;
    return refuse(name, this.expects, value);
  }

  size(value: number): number {
    return this.#fits(value) ? intSize(value) : unfit(value, this.expects);
  }

  write(value: number, into: Uint8Array, at: number): number {
    return writeInt(into, at, value);
  }

  #fits(value: number): boolean {
    return value >= this.#min && value <= this.#max && Number.isSafeInteger(value);
  }
}

class BoolField implements Field<boolean> {
  readonly expects = "a bool";
  readonly notation = "f";
  readonly minSize = 1;
  readonly depth = 0;

  read(value: unknown, name: string): boolean {
    return typeof value === "boolean" ? value : refuse(name, this.expects, value);
  }
  size(value: boolean): number {
    return typeof value === "boolean" ? 1 : unfit(value, this.expects);
  }
  write(value: boolean, into: Uint8Array, at: number): number {
    return writeBool(into, at, value);
  }
}

class BinField implements Field<Uint8Array> {
  readonly expects: string;
  readonly notation: string;
  readonly minSize: number;
  readonly depth = 0;
  readonly #min: number;
  readonly #max: number;
  readonly #only: readonly number[] | undefined;

  constructor(min: number, max: number, only?: readonly number[]) {
    this.#min = min;
    this.#max = max;
    this.#only = only;
    this.minSize = binHeadSize(min) + min;
    const sizes = only?.join(" or ") ?? (min === max ? String(max) : `at most ${max}`);
    this.expects = `a bin of ${sizes} bytes`;
    this.notation = `b${only?.join("|") ?? (min === max ? String(max) : `≤${max}`)}`;
  }

  read(value: unknown, name: string): Uint8Array {
    return value instanceof Uint8Array && this.#fits(value)
      ? value
      : refuse(name, this.expects, value);
  }
  size(value: Uint8Array): number {
    return this.#fits(value)
      ? binHeadSize(value.length) + value.length
      : unfit(value, this.expects);
  }
  write(value: Uint8Array, into: Uint8Array, at: number): number {
    return writeBin(into, at, value);
  }

  #fits(value: Uint8Array): boolean {
    if (value.length < this.#min || value.length > this.#max) return false;
    return this.#only === undefined || this.#only.includes(value.length);
  }
}

class StrField implements Field<string> {
  readonly expects: string;
  readonly notation: string;
  readonly minSize = 1;
  readonly depth = 0;
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
    this.expects = `a str of at most ${max} bytes`;
    this.notation = `s≤${max}`;
  }

  read(value: unknown, name: string): string {
    return typeof value === "string" && this.#fits(value)
      ? value
      : refuse(name, this.expects, value);
  }
  size(value: string): number {
    return this.#fits(value) ? strSize(value) : unfit(value, this.expects);
  }
  write(value: string, into: Uint8Array, at: number): number {
    return writeStr(into, at, value);
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
  readonly depth: number;
  readonly #field: Field<T>;

  constructor(field: Field<T>) {
    this.#field = field;
    this.expects = `${field.expects} or nil`;
    this.notation = `${field.notation}|nil`;
    this.depth = field.depth;
  }

  read(value: unknown, name: string): T | undefined {
    return value === null ? undefined : this.#field.read(value, name);
  }
  size(value: T | undefined): number {
    return value === undefined ? 1 : this.#field.size(value);
  }
  write(value: T | undefined, into: Uint8Array, at: number): number {
    return value === undefined ? writeNil(into, at) : this.#field.write(value, into, at);
  }
}

class ListField<T> implements Field<readonly T[]> {
  readonly expects: string;
  readonly notation: string;
  readonly minSize: number;
  readonly depth: number;
  readonly #item: Field<T>;
  readonly #min: number;
  readonly #max: number;

  constructor(item: Field<T>, min: number, max: number) {
    this.#item = item;
    this.#min = min;
    this.#max = max;
    this.minSize = arrayHeadSize(min) + min * item.minSize;
    this.depth = item.depth + 1;
    this.expects = `an array of ${min} to ${max} values`;
    this.notation = `[${item.notation} × ${min}…${max}]`;
  }

  read(value: unknown, name: string): readonly T[] {
    if (!Array.isArray(value) || !this.#fits(value.length))
      return refuse(name, this.expects, value);
    return value.map((item: unknown) => this.#item.read(item, name));
  }
  size(value: readonly T[]): number {
    if (!this.#fits(value.length)) unfit(value, this.expects);
    let size = arrayHeadSize(value.length);
    for (const item of value) size += this.#item.size(item);
    return size;
  }
  write(value: readonly T[], into: Uint8Array, at: number): number {
    let next = writeArrayHead(into, at, value.length);
    for (const item of value) next = this.#item.write(item, into, next);
    return next;
  }

  #fits(count: number): boolean {
    return count >= this.#min && count <= this.#max;
  }
}

class ValuesField implements Field<readonly Value[]> {
  readonly expects: string;
  readonly notation: string;
  readonly minSize = 1;
  // The list itself, and one level of arrays among its values.
  readonly depth = 2;
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
    this.expects = `an array of at most ${max} values`;
    this.notation = `[any × 0…${max}]`;
  }

  read(value: unknown, name: string): readonly Value[] {
    return Array.isArray(value) && value.length <= this.#max
      ? value.map(nilToUndefined)
      : refuse(name, this.expects, value);
  }
  size(value: readonly Value[]): number {
    return value.length <= this.#max ? valueSize(value) : unfit(value, this.expects);
  }
  write(value: readonly Value[], into: Uint8Array, at: number): number {
    return writeValue(into, at, value);
  }
}

function nilToUndefined(value: unknown): Value {
  // The outline let only scalars and arrays of them through, so this is every type the library returns.
  if (Array.isArray(value)) return value.map(nilToUndefined);
  return value === null ? undefined : (value as Value);
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
export function bin(length: number): Field<Uint8Array> {
  return new BinField(length, length);
}

/** A bin of at most `max` bytes. Decoded: a view of the payload. */
export function binUpTo(max: number): Field<Uint8Array> {
  return new BinField(0, max);
}

/** A bin of one of the lengths given, in bytes. Decoded: a view of the payload. */
export function binOf(...lengths: readonly number[]): Field<Uint8Array> {
  return new BinField(Math.min(...lengths), Math.max(...lengths), lengths);
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

/** An array of at most `max` values of any kind, arrays of scalars among them; the caller checks each. */
export function values(max: number): Field<readonly Value[]> {
  return new ValuesField(max);
}
