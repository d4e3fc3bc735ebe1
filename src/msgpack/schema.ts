// This file is the description of a positional array: its type, its bytes and its validation from one table. PROTOCOL §2.1.
import { bug } from "../errors.ts";
import { Cursor } from "./cursor.ts";
import { describe, MsgpackError, refuseNext } from "./error.ts";
import { EXT_HEAD_MAX, extHeadSize, writeExtHead } from "./ext.ts";
import type { Field } from "./fields.ts";
import { type Fields, type Flat, Positions, type RecordOf } from "./positions.ts";
import { Sink } from "./sink.ts";
import { arrayHeadSize } from "./write.ts";

/** The record type of a schema. */
export type Infer<S> = S extends Schema<infer F> ? RecordOf<F> : never;

/**
 * One kind of positional array. Made once by `schema()`, used for every payload of its kind.
 *
 * Each field reads its own value from the bytes, so type, range and length are known before anything is made of them.
 */
export class Schema<F extends Fields> {
  /** Fewest bytes any record takes; a shorter payload cannot be valid. */
  readonly minSize: number;
  /** The array as the tables of the specification write it: `[upTo u, live u × 1…8]`. */
  readonly notation: string;
  readonly #positions: Positions;
  readonly #flatName: string;
  readonly #flat: Flat<unknown> | undefined;

  constructor(fields: F) {
    const fixed: Record<string, Field<unknown>> = {};
    let flatName = "";
    let tail: Flat<unknown> | undefined;
    for (const [name, field] of Object.entries(fields)) {
      if (tail !== undefined) bug(`"${flatName}" repeats to the end, but "${name}" follows it`);
      if ("width" in field) {
        flatName = name;
        tail = field;
      } else {
        fixed[name] = field;
      }
    }
    this.#positions = new Positions(fixed);
    this.#flatName = flatName;
    this.#flat = tail;
    const ends =
      tail === undefined
        ? []
        : [tail.notation.startsWith("(") ? tail.notation : `${flatName} ${tail.notation}`];
    this.notation = `[${[this.#positions.notation, ...ends].filter((part) => part !== "").join(", ")}]`;
    const groups = tail === undefined ? 0 : tail.min * tail.groupMinSize;
    const least = this.#positions.count + (tail === undefined ? 0 : tail.min * tail.width);
    this.minSize = arrayHeadSize(least) + this.#positions.minSize + groups;
  }

  /**
   * Decodes exactly one array, from `start` to `end`. Every msgpack form of a value is accepted.
   *
   * @returns The record; its `bin` values are views of `bytes`.
   * @throws MsgpackError Bytes left over or missing, wrong count, type, range or length, maps, ext objects.
   */
  decode(bytes: Uint8Array, start = 0, end = bytes.length): RecordOf<F> {
    const from = new Cursor(bytes, start, end);
    const record = this.read(from, "payload");
    if (from.at === end) return record;
    throw new MsgpackError(`${end - from.at} bytes are left over after the array`);
  }

  /** Reads an array inside another. @throws MsgpackError */
  read(from: Cursor, name: string): RecordOf<F> {
    const start = from.at;
    const count = from.arrayHead();
    if (count < 0) return refuseNext(from, start, name, "an array");
    const groups = this.#countGroups(count, name);
    const record = this.#positions.read(from);
    const tail = this.#flat;
    if (tail !== undefined) {
      const list: unknown[] = [];
      for (let index = 0; index < groups; index++) list.push(tail.readGroup(from, this.#flatName));
      record[this.#flatName] = list;
    }
    // Name by name and kind by kind what `fields` lists; the compiler does not follow a loop over them.
    return record as RecordOf<F>;
  }

  /** Writes an array inside another. A value its field does not allow is a fault of ours: `BUG`. */
  writeTo(record: RecordOf<F>, into: Sink): void {
    const groups = this.#groupsOf(record);
    const tail = this.#flat;
    into.arrayHead(this.#valueCount(groups));
    this.#positions.write(record, into);
    if (tail === undefined) return;
    if (groups.length < tail.min || groups.length > tail.max) {
      bug(`cannot encode ${groups.length} repetitions, expected ${tail.min} to ${tail.max}`);
    }
    for (const group of groups) tail.writeGroup(group, into);
  }

  /** Bytes the record takes; as much work as to encode it. */
  size(record: RecordOf<F>): number {
    return this.#encode(record) - EXT_HEAD_MAX;
  }

  /** Writes a record for which `size` bytes are free. @returns The offset after it. */
  write(record: RecordOf<F>, into: Uint8Array, at: number): number {
    const end = this.#encode(record);
    into.set(SINK.bytes.subarray(EXT_HEAD_MAX, end), at);
    return at + end - EXT_HEAD_MAX;
  }

  /** The record in a buffer of its own. */
  encode(record: RecordOf<F>): Uint8Array {
    const end = this.#encode(record);
    return SINK.bytes.slice(EXT_HEAD_MAX, end);
  }

  /** The record as an ext object with the smallest head, in a buffer of its own. More than `max` bytes of payload: `BUG`. */
  encodeExt(type: number, record: RecordOf<F>, max: number): Uint8Array {
    const end = this.#encode(record);
    const size = end - EXT_HEAD_MAX;
    if (size > max) bug(`ext object ${type} of ${size} bytes, allowed ${max}`);
    const start = EXT_HEAD_MAX - extHeadSize(size);
    writeExtHead(SINK.bytes, start, type, size);
    return SINK.bytes.slice(start, end);
  }

  /** Writes to the sink, behind room for the head of an ext object. @returns The end. */
  #encode(record: RecordOf<F>): number {
    SINK.at = EXT_HEAD_MAX;
    this.writeTo(record, SINK);
    return SINK.at;
  }

  #groupsOf(record: { readonly [name: string]: unknown }): readonly unknown[] {
    if (this.#flat === undefined) return NO_GROUPS;
    const groups = record[this.#flatName];
    return Array.isArray(groups)
      ? groups
      : bug(`cannot encode ${describe(groups)}, expected a list`);
  }

  #valueCount(groups: readonly unknown[]): number {
    return this.#positions.count + groups.length * (this.#flat?.width ?? 0);
  }

  /** Repetitions in an array of `count` values. */
  #countGroups(count: number, name: string): number {
    const fixed = this.#positions.count;
    const tail = this.#flat;
    if (tail === undefined) {
      if (count === fixed) return 0;
      throw new MsgpackError(
        `Received an array of ${count} values for "${name}", expected ${fixed}`,
      );
    }
    const groups = (count - fixed) / tail.width;
    if (Number.isInteger(groups) && groups >= tail.min && groups <= tail.max) return groups;
    throw new MsgpackError(
      `Received an array of ${count} values for "${name}", expected ${fixed} and ${tail.min} to ${tail.max} times ${tail.width}`,
    );
  }
}

const NO_GROUPS: readonly unknown[] = [];

// One for all schemas: nothing is called back while a record is written.
const SINK = new Sink();

/**
 * Describes a positional array.
 *
 * @param fields Fields by name, in wire order; a `flat` or `flatOf` may stand last.
 */
export function schema<F extends Fields>(fields: F): Schema<F> {
  return new Schema(fields);
}

/** An array inside an array, as a record of its own. */
export function nested<F extends Fields>(inner: Schema<F>): Field<RecordOf<F>> {
  return {
    expects: "an array",
    notation: inner.notation,
    minSize: inner.minSize,
    read: (from, name) => inner.read(from, name),
    write: (record, into) => inner.writeTo(record, into),
  };
}
