// This file is the msgpack test suite of the corpora against ext heads and fields: rows of ext, timestamp, number, bignum, bin, str, bool, nil.
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import {
  binUpTo,
  bool,
  ExtHead,
  type Field,
  int,
  MsgpackError,
  nilable,
  schema,
  strUpTo,
  writeExtHead,
} from "../../src/msgpack/index.ts";

interface Row {
  readonly id: string;
  readonly value: { readonly [kind: string]: unknown };
  readonly forms: readonly string[];
}

const folder = process.env.TUNL_CORPORA ?? resolve(import.meta.dir, "../../../shared/corpora");
const path = join(folder, "msgpack.jsonl");
const found = existsSync(path);
if (!found) console.warn(`skipped: ${path} is not there (set TUNL_CORPORA)`);
const rows: readonly Row[] = found
  ? readFileSync(path, "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Row)
  : [];

function of(kind: string): Row[] {
  return rows.filter((row) => kind in row.value);
}

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll("-", ""), "hex"));
}

function array(form: string): Uint8Array {
  return hex(`91${form}`);
}

/** Decodes every form of every row of a kind to the expected value, and finds our encoding among the forms. */
function judge<T>(kind: string, field: Field<T>, expected: (value: unknown) => T): number {
  const one = schema({ value: field });
  let forms = 0;
  for (const row of of(kind)) {
    const value = expected(row.value[kind]);
    for (const form of row.forms) {
      expect(one.decode(array(form)).value).toEqual(value);
      forms += 1;
    }
    const written = Buffer.from(one.encode({ value })).toString("hex").slice(2);
    expect(row.forms).toContain(written);
    // Ours is the smallest of all.
    for (const form of row.forms) expect(written.length).toBeLessThanOrEqual(form.length);
  }
  return forms;
}

describe.skipIf(!found)("msgpack test suite", () => {
  test("ext rows: type, length and payload of every form, and the smallest form written", () => {
    const head = new ExtHead();
    let forms = 0;
    for (const row of of("ext")) {
      const [type, payload] = row.value["ext"] as [number, string];
      const bytes = hex(payload);
      for (const form of row.forms.map(hex)) {
        const size = head.read(form, 0, form.length);
        expect([head.type, head.length]).toEqual([type, bytes.length]);
        expect(form.subarray(size)).toEqual(bytes);
        forms += 1;
      }
      const into = new Uint8Array(6);
      const written = Buffer.from(into.subarray(0, writeExtHead(into, 0, type, bytes.length)));
      expect(row.forms).toContain(Buffer.concat([written, bytes]).toString("hex"));
    }
    expect(forms).toBeGreaterThan(10);
  });

  test("timestamp rows are ext objects of type -1, never dates", () => {
    const head = new ExtHead();
    let forms = 0;
    for (const form of of("timestamp").flatMap((row) => row.forms.map(hex))) {
      expect(head.read(form, 0, form.length)).toBeGreaterThan(0);
      expect(head.type).toBe(-1);
      forms += 1;
    }
    expect(forms).toBeGreaterThan(5);
  });

  test("number rows: integers in every format, fractions refused", () => {
    const one = schema({ value: int });
    const fractions = of("number").filter((row) => !Number.isInteger(row.value["number"]));
    for (const form of fractions.flatMap((row) => row.forms)) {
      expect(() => one.decode(array(form))).toThrow(MsgpackError);
    }
    expect(fractions.length).toBeGreaterThan(0);
    let forms = 0;
    for (const row of of("number").filter((each) => Number.isInteger(each.value["number"]))) {
      for (const form of row.forms) {
        expect(one.decode(array(form)).value).toBe(row.value["number"] as number);
        forms += 1;
      }
      const written = one.encode({ value: row.value["number"] as number });
      expect(row.forms).toContain(Buffer.from(written).toString("hex").slice(2));
    }
    expect(forms).toBeGreaterThan(100);
  });

  test("bignum rows are refused above 2^53 - 1, exact below", () => {
    const one = schema({ value: int });
    let refused = 0;
    for (const row of of("bignum")) {
      const value = BigInt(row.value["bignum"] as string);
      const isSafe = value === BigInt.asIntN(54, value) && value > -(2n ** 53n);
      for (const form of row.forms) {
        if (isSafe) {
          expect(BigInt(one.decode(array(form)).value)).toBe(value);
          continue;
        }
        expect(() => one.decode(array(form))).toThrow(MsgpackError);
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(2);
  });

  test("bin, str, bool and nil rows in every form", () => {
    expect(judge("binary", binUpTo(100_000), (value) => hex(value as string))).toBeGreaterThan(5);
    expect(judge("bool", bool, (value) => value as boolean)).toBe(2);
    expect(judge("nil", nilable(bool), () => undefined)).toBe(1);
    expect(judge("string", strUpTo(256), (value) => value as string)).toBeGreaterThan(10);
  });

  test("map and ext rows are no value of a payload", () => {
    const one = schema({ value: nilable(int) });
    const forms = [...of("map"), ...of("ext"), ...of("timestamp")].flatMap((row) => row.forms);
    for (const form of forms) expect(() => one.decode(array(form))).toThrow(MsgpackError);
    expect(forms.length).toBeGreaterThan(20);
  });
});
