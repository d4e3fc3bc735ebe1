// This file is the notation of schemas as a second, naive reader: what decoded values must be, from `[upTo u, live u × 1…8]`.
import { isUtf8 } from "node:buffer";
import { expect } from "bun:test";

/** One kind of value, as the tables of the specification write it (PROTOCOL §2.2). */
export type Kind =
  | { readonly is: "integer"; readonly min: number; readonly max: number }
  | { readonly is: "bool" | "any" }
  | { readonly is: "bin"; readonly min: number; readonly max: number; readonly only: number[] }
  | { readonly is: "str"; readonly max: number }
  | { readonly is: "ascii"; readonly max: number }
  | { readonly is: "nilable"; readonly kind: Kind }
  | { readonly is: "list"; readonly item: Kind; readonly min: number; readonly max: number }
  | { readonly is: "record"; readonly fields: readonly Named[]; readonly rest: Rest | undefined };

interface Named {
  readonly name: string;
  readonly kind: Kind;
}

interface Rest {
  readonly name: string;
  /** One nameless field: single values, otherwise records. */
  readonly group: readonly Named[];
  readonly min: number;
  readonly max: number;
}

/** The verdict on bytes or values that a schema does not describe. */
export const REFUSED = Symbol("refused");

/** Reads a notation. Repeated groups have no name of their own; ours are all called `entries`. */
export function parseNotation(text: string): Kind {
  const nil = /^(.*)\|nil$/s.exec(text);
  if (nil !== null) return { is: "nilable", kind: parseNotation(nil[1] as string) };
  if (text === "u") return { is: "integer", min: 0, max: Number.MAX_SAFE_INTEGER };
  if (text === "i") {
    return { is: "integer", min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER };
  }
  if (text === "f") return { is: "bool" };
  if (text === "any") return { is: "any" };
  const range = /^(-?\d+)…(\d+)$/.exec(text);
  if (range !== null) return { is: "integer", min: Number(range[1]), max: Number(range[2]) };
  const ascii = /^a≤(\d+)$/.exec(text);
  if (ascii !== null) return { is: "ascii", max: Number(ascii[1]) };
  const size = /^([bs])(≤?)([\d|]+)$/.exec(text);
  if (size !== null) {
    const only = (size[3] as string).split("|").map(Number);
    const max = Math.max(...only);
    if (size[1] === "s") return { is: "str", max };
    return size[2] === "≤"
      ? { is: "bin", min: 0, max, only: [] }
      : { is: "bin", min: Math.min(...only), max, only };
  }
  const inside = /^\[(.*)\]$/s.exec(text)?.[1];
  if (inside === undefined) throw new Error(`no notation: ${text}`);
  return parseArray(inside);
}

function parseArray(text: string): Kind {
  const fields: Named[] = [];
  for (const part of split(text)) {
    const repeat = /^(.*) × (\d+)…(\d+)$/s.exec(part);
    if (repeat === null) {
      fields.push(named(part));
      continue;
    }
    const what = repeat[1] as string;
    const bounds = { min: Number(repeat[2]), max: Number(repeat[3]) };
    if (what.startsWith("(")) {
      const group = split(what.slice(1, -1)).map(named);
      return { is: "record", fields, rest: { name: "entries", group, ...bounds } };
    }
    if (!/^\w+ /.test(what)) return { is: "list", item: parseNotation(what), ...bounds };
    const single = named(what);
    return {
      is: "record",
      fields,
      rest: { name: single.name, group: [{ ...single, name: "" }], ...bounds },
    };
  }
  return { is: "record", fields, rest: undefined };
}

function named(text: string): Named {
  const space = text.indexOf(" ");
  return { name: text.slice(0, space), kind: parseNotation(text.slice(space + 1)) };
}

/** Splits at the commas outside brackets. */
function split(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (let at = 0; at < text.length; at++) {
    if ("[(".includes(text[at] as string)) depth += 1;
    else if ("])".includes(text[at] as string)) depth -= 1;
    else if (text[at] === "," && depth === 0) {
      parts.push(text.slice(from, at));
      from = at + 2;
    }
  }
  if (from < text.length) parts.push(text.slice(from));
  return parts;
}

/**
 * What a schema must make of a value the library decoded; REFUSED when it is not of its kind.
 *
 * @param raw The same value with each str as its bytes: the library invents characters for bytes that are no UTF-8.
 */
export function readByNotation(kind: Kind, value: unknown, raw: unknown): unknown {
  switch (kind.is) {
    case "integer":
      return Number.isSafeInteger(value) && within(value as number, kind)
        ? Number(value) + 0
        : REFUSED;
    case "bool":
      return typeof value === "boolean" ? value : REFUSED;
    case "bin": {
      if (!(value instanceof Uint8Array) || !within(value.length, kind)) return REFUSED;
      const fits = kind.only.length === 0 || kind.only.includes(value.length);
      return fits ? new Uint8Array(value) : REFUSED;
    }
    case "ascii":
      return value instanceof Uint8Array &&
        value.length <= kind.max &&
        value.every((byte) => byte >= 0x20 && byte <= 0x7e)
        ? Buffer.from(value).toString("latin1")
        : REFUSED;
    case "str": {
      if (typeof value !== "string" || (raw as Uint8Array).length > kind.max) return REFUSED;
      const text = Buffer.from(raw as Uint8Array).toString();
      return Buffer.byteLength(text) <= kind.max ? text : REFUSED;
    }
    case "nilable":
      return value === null ? undefined : readByNotation(kind.kind, value, raw);
    case "list":
      if (!Array.isArray(value) || !within(value.length, kind)) return REFUSED;
      return kind.item.is === "any" ? readAny(value, raw, 2) : readEach(kind.item, value, raw);
    case "record":
      return Array.isArray(value) ? readRecord(kind, value, raw as unknown[]) : REFUSED;
    default:
      throw new Error("only a list holds values of any kind");
  }
}

function readEach(kind: Kind, values: readonly unknown[], raw: unknown): unknown {
  const read = values.map((value, at) => readByNotation(kind, value, (raw as unknown[])[at]));
  return read.includes(REFUSED) ? REFUSED : read;
}

function readRecord(
  kind: Extract<Kind, { is: "record" }>,
  values: readonly unknown[],
  raw: readonly unknown[],
): unknown {
  const { fields, rest } = kind;
  const width = rest?.group.length ?? 1;
  const groups = (values.length - fields.length) / width;
  if (!Number.isInteger(groups) || !within(groups, rest ?? { min: 0, max: 0 })) return REFUSED;
  const row = (of: readonly Named[], from: number) =>
    of.map(({ name, kind: each }, at) => {
      return [name, readByNotation(each, values[from + at], raw[from + at])] as const;
    });
  const read = [...row(fields, 0)];
  const repeated = Array.from({ length: groups }, (_, group) =>
    row(rest?.group ?? [], fields.length + group * width),
  );
  if ([read, ...repeated].flat().some(([, value]) => value === REFUSED)) return REFUSED;
  if (rest === undefined) return Object.fromEntries(read);
  const isSingle = rest.group[0]?.name === "";
  const entries = repeated.map((group) => (isSingle ? group[0]?.[1] : Object.fromEntries(group)));
  return Object.fromEntries([...read, [rest.name, entries]]);
}

/** Scalars and `depth` levels of arrays; the bounds of lists (PROTOCOL §2.1). */
function readAny(value: unknown, raw: unknown, depth: number): unknown {
  if (Array.isArray(value)) {
    if (depth === 0 || value.length > 512) return REFUSED;
    const read = value.map((each, at) => readAny(each, (raw as unknown[])[at], depth - 1));
    return read.includes(REFUSED) ? REFUSED : read;
  }
  if (value === null) return undefined;
  if (typeof value === "string") {
    if ((raw as Uint8Array).length > 256) return REFUSED;
    // For bytes that are no UTF-8 the library reads on behind the text: what it finds depends on the bytes there.
    return isUtf8(raw as Uint8Array) ? value : expect.any(String);
  }
  if (value instanceof Uint8Array) {
    return value.length <= 16_384 ? new Uint8Array(value) : REFUSED;
  }
  return typeof value === "object" ? REFUSED : value;
}

function within(value: number, bounds: { readonly min: number; readonly max: number }): boolean {
  return value >= bounds.min && value <= bounds.max;
}
