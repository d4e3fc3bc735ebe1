// This file is lists of values of any kind, as parameter lists are: the one kind of field the library decodes. PROTOCOL §2.4.
import { DecodeError, Decoder } from "@msgpack/msgpack";
import type { Cursor } from "./cursor.ts";
import { MsgpackError, refuseNext } from "./error.ts";
import { type Field, unfit } from "./fields.ts";
import type { Sink } from "./sink.ts";
import type { Value } from "./write.ts";

/** No list holds a longer array. */
export const MAX_ARRAY_LENGTH = 512;
/** Longest bin in a list, in bytes. */
export const MAX_BIN_LENGTH = 16_384;
/** Longest str in a list, in bytes. */
export const MAX_STR_LENGTH = 256;
/** The list itself, and one level of arrays among its values. */
const MAX_DEPTH = 2;

// One for all lists; it is never entered twice at a time, because nothing is called back.
const LIBRARY = new Decoder({
  maxArrayLength: MAX_ARRAY_LENGTH,
  maxBinLength: MAX_BIN_LENGTH,
  maxStrLength: MAX_STR_LENGTH,
  maxMapLength: 0,
  maxExtLength: 0,
});

class ValuesField implements Field<readonly Value[]> {
  readonly expects: string;
  readonly notation: string;
  readonly minSize = 1;
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
    this.expects = `an array of at most ${max} values`;
    this.notation = `[any × 0…${max}]`;
  }

  read(from: Cursor, name: string): readonly Value[] {
    const start = from.at;
    const count = from.arrayHead();
    if (count < 0 || count > this.#max) return refuseNext(from, start, name, this.expects);
    skipValues(from, count, MAX_DEPTH);
    const length = from.at - start;
    from.at = start;
    return (decodeList(from.take(length)) as unknown[]).map(nilToUndefined);
  }

  write(value: readonly Value[], into: Sink): void {
    if (value.length > this.#max) unfit(value, this.expects);
    into.value(value);
  }
}

/** An array of at most `max` values of any kind, arrays of scalars among them; the caller checks each. */
export function values(max: number): Field<readonly Value[]> {
  return new ValuesField(max);
}

/**
 * Moves behind `count` values before the library may allocate for them: 16 KiB of `dc 02 00` would make it allocate
 * 22 MiB, because it bounds the length of an array but not the nesting.
 */
function skipValues(from: Cursor, count: number, depth: number): void {
  for (let left = count; left > 0; left--) {
    const inner = from.arrayHead();
    if (inner < 0) {
      from.skipScalar();
    } else if (depth === 1) {
      throw new MsgpackError(`Arrays in a list are nested deeper than ${MAX_DEPTH} levels`);
    } else {
      skipValues(from, inner, depth - 1);
    }
  }
}

function decodeList(bytes: Uint8Array): unknown {
  try {
    return LIBRARY.decode(bytes);
  } catch (error) {
    // Two classes, one meaning: hostile lengths give DecodeError, missing bytes RangeError.
    if (!(error instanceof RangeError) && !(error instanceof DecodeError)) throw error;
    throw new MsgpackError(`List is no valid msgpack: ${error.message}`, error);
  }
}

function nilToUndefined(value: unknown): Value {
  // Only scalars and arrays of them were let through, so this is every type the library returns.
  if (Array.isArray(value)) return value.map(nilToUndefined);
  return value === null ? undefined : (value as Value);
}
