// This file is the fields of an array at their positions, and those that repeat to its end. PROTOCOL §2.1.
import type { Field } from "./fields.ts";

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
  readonly depth: number;
  /** `name` is that of the whole repetition; groups name their fields themselves. */
  readGroup(values: readonly unknown[], from: number, name: string): T;
  groupSize(group: T): number;
  writeGroup(group: T, into: Uint8Array, at: number): number;
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
    depth: positions.depth,
    readGroup: (values, from) => positions.read(values, from) as RecordOf<F>,
    groupSize: (group) => positions.size(group),
    writeGroup: (group, into, at) => positions.write(group, into, at),
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
    depth: field.depth,
    readGroup: (values, from, name) => field.read(values[from], name),
    groupSize: (group) => field.size(group),
    writeGroup: (group, into, at) => field.write(group, into, at),
  };
}

/** A run of fields at fixed positions; the part that schemas and groups share. */
export class Positions {
  readonly count: number;
  readonly minSize: number;
  readonly depth: number;
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
    this.depth = this.#fields.reduce((depth, field) => Math.max(depth, field.depth), 0);
  }

  read(values: readonly unknown[], from: number): Record<string, unknown> {
    const record: Record<string, unknown> = {};
    for (let index = 0; index < this.count; index++) {
      const name = this.#names[index] as string;
      const field = this.#fields[index] as Field<unknown>;
      record[name] = field.read(values[from + index], name);
    }
    return record;
  }

  size(record: { readonly [name: string]: unknown }): number {
    let size = 0;
    for (let index = 0; index < this.count; index++) {
      size += (this.#fields[index] as Field<unknown>).size(record[this.#names[index] as string]);
    }
    return size;
  }

  write(record: { readonly [name: string]: unknown }, into: Uint8Array, at: number): number {
    let next = at;
    for (let index = 0; index < this.count; index++) {
      const value = record[this.#names[index] as string];
      next = (this.#fields[index] as Field<unknown>).write(value, into, next);
    }
    return next;
  }
}
