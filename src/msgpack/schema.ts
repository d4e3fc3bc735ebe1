// This file is the description of a positional array: its type, its bytes and its validation from one table. PROTOCOL §2.1.
import { DecodeError, Decoder } from "@msgpack/msgpack";
import { bug } from "../errors.ts";
import { MsgpackError, describe, refuse } from "./error.ts";
import type { Field } from "./fields.ts";
import { checkOutline, MAX_DEPTH } from "./outline.ts";
import { type Fields, type Flat, Positions, type RecordOf } from "./positions.ts";
import { arrayHeadSize, writeArrayHead } from "./write.ts";

/** No payload of ours holds a longer array: 128 entries of three values, and room to grow. */
export const MAX_ARRAY_LENGTH = 512;
/** Longest bin of a frame payload; other schemas name their own. */
export const MAX_BIN_LENGTH = 16_384;
/** Longest str anywhere, in bytes. */
export const MAX_STR_LENGTH = 256;

/** The record type of a schema. */
export type Infer<S> = S extends Schema<infer F> ? RecordOf<F> : never;

/**
 * One kind of positional array. Made once by `schema()`, used for every payload of its kind.
 *
 * The library decodes (0.1 to 0.2 µs for an OPEN or ACK of one entry); the outline is checked before it, types, ranges
 * and lengths after it. Writing needs no library: see `write.ts`.
 */
export class Schema<F extends Fields> {
  /** Fewest bytes any record takes; a shorter payload cannot be valid. */
  readonly minSize: number;
  /** Levels of arrays, the outermost counted. */
  readonly depth: number;
  /** The array as the tables of the specification write it: `[upTo u, live u × 1…8]`. */
  readonly notation: string;
  readonly #positions: Positions;
  readonly #flatName: string;
  readonly #flat: Flat<unknown> | undefined;
  readonly #library: Decoder;

  constructor(fields: F, maxBin: number) {
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
    this.depth = 1 + Math.max(this.#positions.depth, tail?.depth ?? 0);
    if (this.depth > MAX_DEPTH) bug(`a schema nests ${this.depth} arrays, allowed ${MAX_DEPTH}`);
    this.#library = libraryDecoder(maxBin);
  }

  /**
   * Decodes exactly one array.
   *
   * @param payload The array, whole and nothing else. Every msgpack form of a value is accepted.
   * @returns The record; its `bin` values are views of `payload`.
   * @throws MsgpackError Bytes left over or missing, wrong count, type, range or length, nesting, maps, ext objects.
   */
  decode(payload: Uint8Array): RecordOf<F> {
    checkOutline(payload, this.depth);
    let values: unknown;
    try {
      values = this.#library.decode(payload);
    } catch (error) {
      // Two classes, one meaning: hostile lengths give DecodeError, missing bytes RangeError.
      if (!(error instanceof RangeError) && !(error instanceof DecodeError)) throw error;
      throw new MsgpackError(`Payload is no valid msgpack: ${error.message}`, error);
    }
    return this.read(values, "payload") as RecordOf<F>;
  }

  /** Checks an array the library has decoded already. @throws MsgpackError */
  read(value: unknown, name: string): { readonly [name: string]: unknown } {
    if (!Array.isArray(value)) return refuse(name, "an array", value);
    const values: readonly unknown[] = value;
    const groups = this.#countGroups(values.length, name);
    const record = this.#positions.read(values, 0);
    const tail = this.#flat;
    if (tail === undefined) return record;
    const list: unknown[] = [];
    for (let index = 0; index < groups; index++) {
      list.push(tail.readGroup(values, this.#positions.count + index * tail.width, this.#flatName));
    }
    record[this.#flatName] = list;
    return record;
  }

  /** Bytes the record takes. A value its field does not allow is a fault of ours: `BUG`. */
  size(record: RecordOf<F>): number {
    const groups = this.#groupsOf(record);
    const tail = this.#flat;
    let size = arrayHeadSize(this.#valueCount(groups)) + this.#positions.size(record);
    if (tail === undefined) return size;
    if (groups.length < tail.min || groups.length > tail.max) {
      bug(`cannot encode ${groups.length} repetitions, expected ${tail.min} to ${tail.max}`);
    }
    for (const group of groups) size += tail.groupSize(group);
    return size;
  }

  /** Writes a record that `size` accepted, for which as many bytes are free. @returns The offset after it. */
  write(record: RecordOf<F>, into: Uint8Array, at: number): number {
    const groups = this.#groupsOf(record);
    let next = writeArrayHead(into, at, this.#valueCount(groups));
    next = this.#positions.write(record, into, next);
    if (this.#flat === undefined) return next;
    for (const group of groups) next = this.#flat.writeGroup(group, into, next);
    return next;
  }

  /** The record in a buffer of its own. */
  encode(record: RecordOf<F>): Uint8Array {
    const bytes = new Uint8Array(this.size(record));
    this.write(record, bytes, 0);
    return bytes;
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

// One reused library decoder per longest bin; none is entered twice at a time, because nothing is called back.
const libraryDecoders = new Map<number, Decoder>();

function libraryDecoder(maxBinLength: number): Decoder {
  const known = libraryDecoders.get(maxBinLength);
  if (known !== undefined) return known;
  const made = new Decoder({
    maxArrayLength: MAX_ARRAY_LENGTH,
    maxBinLength,
    maxStrLength: MAX_STR_LENGTH,
    maxMapLength: 0,
    maxExtLength: 0,
  });
  libraryDecoders.set(maxBinLength, made);
  return made;
}

/**
 * Describes a positional array.
 *
 * @param fields Fields by name, in wire order; a `flat` or `flatOf` may stand last.
 * @param options.maxBin Longest bin the library may accept, in bytes; the fields bound each bin by themselves.
 */
export function schema<F extends Fields>(
  fields: F,
  options: { readonly maxBin?: number } = {},
): Schema<F> {
  return new Schema(fields, options.maxBin ?? MAX_BIN_LENGTH);
}

/** An array inside an array, as a record of its own. */
export function nested<F extends Fields>(inner: Schema<F>): Field<RecordOf<F>> {
  return {
    expects: "an array",
    notation: inner.notation,
    minSize: inner.minSize,
    depth: inner.depth,
    read: (value, name) => inner.read(value, name) as RecordOf<F>,
    size: (record) => inner.size(record),
    write: (record, into, at) => inner.write(record, into, at),
  };
}
