// This file is the tests of transport parameters: every bound of every row, order, unknown ids, defaults. PROTOCOL §2.4.
import { describe, expect, test } from "bun:test";
import type { Value } from "../../src/msgpack/index.ts";
import {
  ABSENT_PARAMETERS,
  agreeParameters,
  checkExtras,
  decodeBody,
  decodeParameters,
  DEFAULT_PARAMETERS,
  encodeBody,
  encodeParameters,
  type ParameterList,
  PARAMETERS,
  WireError,
} from "../../src/wire/index.ts";
import { Random, seedOf } from "../msgpack/random.ts";

const EDGE = { from: "edge", frameType: 6 } as const;
const CONNECTOR = { from: "connector", frameType: 3 } as const;

function refused(list: ParameterList, source: typeof EDGE | typeof CONNECTOR = EDGE): string {
  try {
    decodeParameters(list, source);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    expect([error.code, error.frameType]).toEqual(["PARAMETER", source.frameType]);
    return error.message;
  }
  throw new Error(`expected PARAMETER for ${JSON.stringify(list)}`);
}

describe("parameters", () => {
  test("what each side announces by default reads back", () => {
    for (const from of ["edge", "connector"] as const) {
      const list = encodeParameters(DEFAULT_PARAMETERS[from], from);
      const source = { from, frameType: 3 };
      expect(decodeParameters(list, source)).toEqual(DEFAULT_PARAMETERS[from]);
    }
    expect(encodeParameters(DEFAULT_PARAMETERS.connector, "connector")).not.toContain(
      PARAMETERS.maxLinks.id,
    );
    expect(decodeParameters([], EDGE)).toEqual(ABSENT_PARAMETERS);
  });

  test("every bound of every integer is kept to the unit", () => {
    let rows = 0;
    for (const [name, row] of Object.entries(PARAMETERS)) {
      if (row.kind !== "integer") continue;
      for (const value of [row.min, row.max]) {
        expect(decodeParameters([row.id, value], EDGE)).toEqual({
          ...ABSENT_PARAMETERS,
          [name]: value,
        });
      }
      for (const value of [
        row.min - 1,
        row.max + 1,
        row.min + 0.5,
        "1",
        true,
        undefined,
        [1],
        new Uint8Array(1),
      ]) {
        expect(refused([row.id, value])).toContain(name);
      }
      rows += 1;
    }
    expect(rows).toBe(8);
  });

  test("kinds ascend, stay below 64, and there are at most 64", () => {
    const all = Array.from({ length: 64 }, (_, kind) => kind);
    expect(decodeParameters([3, all], EDGE).acceptKinds).toEqual(all);
    expect(decodeParameters([3, []], EDGE).acceptKinds).toEqual([]);
    for (const kinds of [
      [1, 1],
      [2, 1],
      [64],
      [-1],
      [0.5],
      ["0"],
      [...all, 64],
      1,
      "0",
      undefined,
    ]) {
      expect(refused([3, kinds as Value])).toContain("acceptKinds");
    }
  });

  test("software is a str of at most 64 bytes of UTF-8", () => {
    expect(decodeParameters([64, "x".repeat(64)], EDGE).software).toHaveLength(64);
    for (const text of ["x".repeat(65), "ä".repeat(33), 1, new Uint8Array(4)])
      expect(refused([64, text])).toContain("software");
  });

  test("order, repetition, halves and the number of pairs", () => {
    expect(refused([1, 5, 0, 2 ** 20])).toBe(
      "Received parameter 0 after 1, expected ascending ids",
    );
    expect(refused([1, 5, 1, 5])).toContain("after 1");
    expect(refused([1])).toContain("expected pairs");
    expect(refused([1, 5, 2])).toContain("expected pairs");
    for (const id of [-1, 256, 0.5, "1", undefined, [1]]) expect(refused([id, 1])).toContain("id");
    const optional = (count: number): Value[] =>
      Array.from({ length: count }, (_, index) => [100 + index, 0]).flat();
    expect(decodeParameters(optional(64), EDGE)).toEqual(ABSENT_PARAMETERS);
    expect(refused(optional(65))).toBe("Received 65 parameters, allowed 64");
  });

  test("unknown ids: refused below 64, ignored from 64 on, whatever their value", () => {
    for (const id of [9, 10, 63])
      expect(refused([id, 1])).toBe(`Received unknown critical parameter ${id}`);
    const values: Value[] = [undefined, true, "x", 1.5, [1, [2]], new Uint8Array(9)];
    for (const value of values)
      expect(decodeParameters([65, value, 255, value], EDGE)).toEqual(ABSENT_PARAMETERS);
    checkExtras([64, 1, 255, "x"], EDGE);
    expect(() => checkExtras([0, 1], EDGE)).toThrow("unknown critical extra 0");
    expect(() => checkExtras([64], EDGE)).toThrow("expected pairs");
  });

  test("maxLinks is the edge's alone", () => {
    expect(decodeParameters([5, 8], EDGE).maxLinks).toBe(8);
    expect(refused([5, 8], CONNECTOR)).toContain("allowed only from the edge");
  });

  test("a wrong value of our own is a bug", () => {
    expect(() => encodeParameters({ initialWindow: 1 }, "edge")).toThrow("BUG");
    expect(() => encodeParameters({ acceptKinds: [2, 1] }, "edge")).toThrow("BUG");
  });

  test("the lower announcement holds for both", () => {
    const agreed = agreeParameters(DEFAULT_PARAMETERS.edge, {
      ...DEFAULT_PARAMETERS.connector,
      silenceMs: 5_000,
    });
    expect(agreed).toEqual({ resumeMs: 60_000, silenceMs: 5_000 });
  });

  test("random lists of a signed body read back", () => {
    const random = new Random(seedOf("parameters"));
    const names = Object.keys(PARAMETERS) as (keyof typeof PARAMETERS)[];
    for (let round = 0; round < 500; round++) {
      const chosen: Record<string, unknown> = {};
      for (const name of names) {
        const row = PARAMETERS[name];
        if (random.below(2) === 0 || name === "maxLinks") continue;
        if (row.kind === "integer") chosen[name] = row.min + random.below(row.max - row.min + 1);
        else if (row.kind === "text") chosen[name] = "t".repeat(random.below(65));
        else
          chosen[name] = Array.from({ length: 64 }, (_, kind) => kind).filter(
            () => random.below(9) === 0,
          );
      }
      const parameters = encodeParameters(chosen, "connector");
      const body = encodeBody("auth", {
        key: random.bytes(32),
        instance: random.bytes(16),
        replaces: new Uint8Array(0),
        parameters,
        application: new Uint8Array(0),
      });
      const read = decodeParameters(decodeBody("auth", body).parameters, CONNECTOR);
      expect(read).toEqual({ ...ABSENT_PARAMETERS, ...chosen });
    }
  });
});
