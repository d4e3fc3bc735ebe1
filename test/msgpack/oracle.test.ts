// This file is every schema of the program against the library: same verdict, same values, whatever the form and the damage.
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { decode } from "@msgpack/msgpack";
import { MESSAGES } from "../../src/exchange/messages.ts";
import {
  bin,
  binUpTo,
  bool,
  type Field,
  flatOf,
  int,
  integer,
  list,
  MsgpackError,
  nilable,
  schema,
  strUpTo,
  uint,
  values,
} from "../../src/msgpack/index.ts";
import { FRAME_SPECS, HANDSHAKE_BODIES } from "../../src/wire/index.ts";
import { type Kind, parseNotation, readByNotation, REFUSED } from "./notation.ts";
import { Random, seedOf } from "./random.ts";
import { randomForm, randomValue } from "./random-form.ts";

interface Decoding {
  readonly notation: string;
  decode(bytes: Uint8Array): unknown;
}

const SCHEMAS: readonly (readonly [string, Decoding])[] = [
  ...FRAME_SPECS.flatMap((spec) =>
    spec.schema === undefined ? [] : [[spec.label, spec.schema as Decoding] as const],
  ),
  ...Object.entries(HANDSHAKE_BODIES).map(([name, body]) => [`body of ${name}`, body] as const),
  ...Object.entries(MESSAGES).map(([name, row]) => [`message ${name}`, row.schema] as const),
];

const folder = process.env.TUNL_CORPORA ?? resolve(import.meta.dir, "../../../shared/corpora");
const path = join(folder, "msgpack.jsonl");
const found = existsSync(path);
if (!found) console.warn(`skipped: ${path} is not there (set TUNL_CORPORA)`);

// Damage announces gigabytes, which the library would allocate.
const BOUNDS = { maxArrayLength: 512, maxMapLength: 512 };

/** What the library and the notation make of the bytes: the record, or REFUSED. */
function judge(kind: Kind, bytes: Uint8Array): unknown {
  let value: unknown;
  let raw: unknown;
  try {
    value = decode(bytes, BOUNDS);
    raw = decode(bytes, { ...BOUNDS, rawStrings: true });
  } catch {
    return REFUSED;
  }
  return readByNotation(kind, value, raw);
}

/** Holds ours against the judge. @returns Whether the bytes were accepted. */
function compare(ours: Decoding, kind: Kind, bytes: Uint8Array): boolean {
  const expected = judge(kind, bytes);
  let seen: unknown = REFUSED;
  try {
    seen = ours.decode(bytes);
  } catch (error) {
    if (!(error instanceof MsgpackError)) throw error;
  }
  // The matcher is slow: it looks at what differs, or matches any text.
  if (!Bun.deepEquals(seen, expected, true))
    expect([seen], Buffer.from(bytes).toString("hex")).toEqual([expected]);
  return expected !== REFUSED;
}

function damaged(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = bytes.slice();
  switch (random.below(4)) {
    case 0:
      return copy.subarray(0, random.below(copy.length));
    case 1:
      return Uint8Array.from([...copy.subarray(0, 600), random.below(256)]);
    default:
      // Near the start stand the heads.
      copy[random.below(random.below(2) === 0 ? Math.min(40, copy.length) : copy.length)] =
        random.below(256);
      return copy;
  }
}

describe("oracle", () => {
  const random = new Random(seedOf("oracle"));

  test("knows every schema of the program", () => {
    expect(SCHEMAS.length).toBe(21 + 4 + 7);
  });

  test.each(SCHEMAS)("%s: any form of valid values, and damage", (_name, ours) => {
    const kind = parseNotation(ours.notation);
    let accepted = 0;
    let refused = 0;
    for (let round = 0; round < 150; round++) {
      const bytes = randomForm(randomValue(kind, random), random);
      expect(compare(ours, kind, bytes)).toBe(true);
      for (let time = 0; time < 3; time++) {
        if (compare(ours, kind, damaged(bytes, random))) accepted += 1;
        else refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(50);
    expect(accepted + refused).toBe(450);
  });

  test.skipIf(!found)("every row of the corpus at every kind of field", () => {
    const forms = readFileSync(path, "utf8")
      .trimEnd()
      .split("\n")
      .flatMap((line) => (JSON.parse(line) as { forms: string[] }).forms);
    const fields: readonly Field<unknown>[] = [
      ...[uint, int, integer(1, 200), bool, bin(1), binUpTo(300), strUpTo(5), strUpTo(256)],
      ...[nilable(int), list(uint, 0, 4), list(list(strUpTo(9), 0, 2), 1, 2), values(4)],
    ];
    const singles = fields.map((field) => schema({ value: field }));
    let accepted = 0;
    let compared = 0;
    for (const one of [...singles, schema({ rest: flatOf(int, 0, 9) })]) {
      const kind = parseNotation(one.notation);
      for (const form of forms) {
        for (const hex of [
          `91${form}`,
          `dc0001${form}`,
          `dd00000001${form}`,
          form,
          `9191${form}`,
        ]) {
          if (compare(one, kind, Buffer.from(hex, "hex"))) accepted += 1;
          compared += 1;
        }
      }
    }
    expect(accepted).toBeGreaterThan(1_000);
    expect(compared).toBeGreaterThan(10_000);
  });
});
