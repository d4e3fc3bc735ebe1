// This file is valid values for a notation, and their bytes in any form msgpack has for them: the smallest is only one.
import type { Kind } from "./notation.ts";
import type { Random } from "./random.ts";

/** A value as the library would decode it: arrays, `null` for nil. */
export type Plain = number | boolean | string | Uint8Array | null | readonly Plain[];

const TEXTS = ["", "a", "h2", "Grüße", "日本", "🚇 tunl", "x".repeat(40)];

export function randomValue(kind: Kind, random: Random): Plain {
  switch (kind.is) {
    case "integer": {
      if (random.below(4) === 0) return random.pick([kind.min, kind.max]);
      const value = random.pick([random.integer(), random.below(300), -random.below(300)]);
      return Math.min(kind.max, Math.max(kind.min, value));
    }
    case "bool":
      return random.below(2) === 1;
    case "bin": {
      const most = Math.min(kind.max, random.pick([3, 40, 300]));
      const length = random.pick([kind.min, Math.max(kind.min, random.below(most + 1))]);
      return random.bytes(kind.only.length > 0 ? random.pick(kind.only) : length);
    }
    case "ascii": {
      const bytes = random.bytes(random.below(Math.min(kind.max, 40) + 1));
      return bytes.map((byte) => 0x20 + (byte % 0x5f));
    }
    case "str":
      return random.pick(TEXTS.filter((text) => Buffer.byteLength(text) <= kind.max));
    case "nilable":
      return random.below(2) === 0 ? null : randomValue(kind.kind, random);
    case "list":
      return repeat(kind, random, () => randomValue(kind.item, random));
    case "record": {
      const rest = kind.rest;
      const row = kind.fields.map((field) => randomValue(field.kind, random));
      if (rest === undefined) return row;
      const groups = repeat(rest, random, () =>
        rest.group.map((field) => randomValue(field.kind, random)),
      );
      return [...row, ...groups.flat()];
    }
    case "any":
      return random.below(4) === 0
        ? Array.from({ length: random.below(20) }, () => randomScalar(random))
        : randomScalar(random);
    default:
      return kind satisfies never;
  }
}

function repeat<T>(bounds: { min: number; max: number }, random: Random, make: () => T): T[] {
  const some = bounds.min + random.below(Math.min(20, bounds.max - bounds.min + 1));
  return Array.from({ length: random.pick([bounds.min, some, some, some]) }, make);
}

function randomScalar(random: Random): Plain {
  return random.pick<() => Plain>([
    () => random.integer(),
    () => -random.integer(),
    () => random.below(2) === 1,
    () => null,
    () => 1.5,
    () => random.pick(TEXTS),
    () => random.bytes(random.below(300)),
  ])();
}

/** The bytes of a value; every form that holds it is as likely. */
export function randomForm(value: Plain, random: Random): Uint8Array {
  const bytes: number[] = [];
  put(bytes, value, random);
  return Uint8Array.from(bytes);
}

function put(into: number[], value: Plain, random: Random): void {
  if (value === null) into.push(0xc0);
  else if (typeof value === "boolean") into.push(value ? 0xc3 : 0xc2);
  else if (typeof value === "number") into.push(...random.pick(numberForms(value)));
  else if (typeof value === "string") {
    const text = Buffer.from(value);
    const heads = lengthForms(text.length, [0xd9, 0xda, 0xdb]);
    if (text.length < 32) heads.push([0xa0 | text.length]);
    into.push(...random.pick(heads), ...text);
  } else if (value instanceof Uint8Array) {
    into.push(...random.pick(lengthForms(value.length, [0xc4, 0xc5, 0xc6])), ...value);
  } else {
    const heads = lengthForms(value.length, [undefined, 0xdc, 0xdd]);
    if (value.length < 16) heads.push([0x90 | value.length]);
    into.push(...random.pick(heads));
    for (const item of value) put(into, item, random);
  }
}

/** Heads with a length of one, two and four bytes, as far as it fits. */
function lengthForms(length: number, heads: readonly (number | undefined)[]): number[][] {
  return heads.flatMap((head, power) => {
    const size = 2 ** power;
    if (head === undefined || length >= 256 ** size) return [];
    return [
      [head, ...Array.from({ length: size }, (_, at) => (length >>> (8 * (size - 1 - at))) & 255)],
    ];
  });
}

/** Every form that carries exactly this number. */
function numberForms(value: number): number[][] {
  const view = new DataView(new ArrayBuffer(9));
  const forms: number[][] = [];
  const add = (head: number, size: number, set: () => void) => {
    view.setUint8(0, head);
    set();
    forms.push([...new Uint8Array(view.buffer, 0, 1 + size)]);
  };
  add(0xcb, 8, () => view.setFloat64(1, value));
  if (Math.fround(value) === value) add(0xca, 4, () => view.setFloat32(1, value));
  if (!Number.isInteger(value)) return forms;
  if (value >= 0) {
    if (value < 2 ** 7) forms.push([value]);
    if (value < 2 ** 8) add(0xcc, 1, () => view.setUint8(1, value));
    if (value < 2 ** 16) add(0xcd, 2, () => view.setUint16(1, value));
    if (value < 2 ** 32) add(0xce, 4, () => view.setUint32(1, value));
    add(0xcf, 8, () => view.setBigUint64(1, BigInt(value)));
  }
  if (value < 0 && value >= -32) forms.push([value & 0xff]);
  if (value >= -(2 ** 7) && value < 2 ** 7) add(0xd0, 1, () => view.setInt8(1, value));
  if (value >= -(2 ** 15) && value < 2 ** 15) add(0xd1, 2, () => view.setInt16(1, value));
  if (value >= -(2 ** 31) && value < 2 ** 31) add(0xd2, 4, () => view.setInt32(1, value));
  add(0xd3, 8, () => view.setBigInt64(1, BigInt(value)));
  return forms;
}
