// This file is the fields of an array at their positions, and those that repeat to its end. PROTOCOL §2.1.
import type { Cursor } from "./cursor.ts";
import type { Field } from "./fields.ts";
import type { Sink } from "./sink.ts";

/** Fields by name, in wire order. A `Flat` stands last or not at all. */
export interface Fields {
  readonly [name: string]: Field<unknown> | Flat<unknown>;
}

/** What a schema decodes to and encodes from. */
export type RecordOf<F extends Fields> = {
  readonly [K in keyof F]: F[K] extends Flat<infer T>
    ? readonly T[]
    : F[K] extends Field<infer T>
      ? T
      : never;
};

/** Values or groups of values that repeat, without an array of their own, until the enclosing array ends. */
export interface Flat<T> {
  /** Values one repetition takes. */
  readonly width: number;
  readonly notation: string;
  readonly min: number;
  readonly max: number;
  readonly groupMinSize: number;
  /** `name` is that of the whole repetition; groups name their fields themselves. */
  readGroup(from: Cursor, name: string): T;
  writeGroup(group: T, into: Sink): void;
}

/** Records of `fields` that repeat `min` to `max` times: `[id, limit, id, limit, …]`. */
export function flat<F extends { readonly [name: string]: Field<unknown> }>(
  fields: F,
  min: number,
  max: number,
): Flat<RecordOf<F>> {
  const positions = new Positions(fields);
  return {
    width: positions.count,
    notation: `(${positions.notation}) × ${min}…${max}`,
    min,
    max,
    groupMinSize: positions.minSize,
    readGroup: (from) => positions.read(from) as RecordOf<F>,
    writeGroup: (group, into) => positions.write(group, into),
  };
}

/** Single values that repeat `min` to `max` times. */
export function flatOf<T>(field: Field<T>, min: number, max: number): Flat<T> {
  return {
    width: 1,
    notation: `${field.notation} × ${min}…${max}`,
    min,
    max,
    groupMinSize: field.minSize,
    readGroup: (from, name) => field.read(from, name),
    writeGroup: (group, into) => field.write(group, into),
  };
}

/** A run of fields at fixed positions; the part that schemas and groups share. */
export class Positions {
  readonly count: number;
  readonly minSize: number;
  readonly notation: string;
  readonly #names: readonly string[];
  readonly #fields: readonly Field<unknown>[];

  constructor(fields: { readonly [name: string]: Field<unknown> }) {
    this.#names = Object.keys(fields);
    this.#fields = Object.values(fields);
    this.count = this.#fields.length;
    this.notation = Object.entries(fields)
      .map(([name, field]) => `${name} ${field.notation}`)
      .join(", ");
    this.minSize = this.#fields.reduce((sum, field) => sum + field.minSize, 0);
  }

  read(from: Cursor): Record<string, unknown> {
    const record: Record<string, unknown> = {};
    for (let index = 0; index < this.count; index++) {
      const name = this.#names[index] as string;
      record[name] = (this.#fields[index] as Field<unknown>).read(from, name);
    }
    return record;
  }

  write(record: { readonly [name: string]: unknown }, into: Sink): void {
    for (let index = 0; index < this.count; index++) {
      const value = record[this.#names[index] as string];
      (this.#fields[index] as Field<unknown>).write(value, into);
    }
  }
}
