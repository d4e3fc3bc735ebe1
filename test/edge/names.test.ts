import { describe, expect, test } from "bun:test";
import { parsePattern } from "../../src/address/index.ts";
import { drawName, isReserved, RESERVED_LABELS } from "../../src/edge/route/names.ts";
import { ADJECTIVES, NOUNS } from "../../src/edge/route/words.ts";

describe("names", () => {
  test("come from two lists of enough short words, each word once", () => {
    expect(ADJECTIVES.length).toBeGreaterThanOrEqual(256);
    expect(NOUNS.length).toBeGreaterThanOrEqual(512);
    for (const word of [...ADJECTIVES, ...NOUNS]) expect(word).toMatch(/^[a-z]{3,8}$/);
    expect(new Set([...ADJECTIVES, ...NOUNS]).size).toBe(ADJECTIVES.length + NOUNS.length);
    for (const list of [ADJECTIVES, NOUNS]) expect([...list].sort()).toEqual([...list]);
  });

  test("reach every word, the first and the last", () => {
    expect(drawName("two-words", () => 0)).toBe(`${ADJECTIVES[0]}-${NOUNS[0]}`);
    expect(drawName("two-words", (below) => below - 1)).toBe(
      `${ADJECTIVES.at(-1)}-${NOUNS.at(-1)}`,
    );
    expect(ADJECTIVES).toContain("brave");
    expect(NOUNS).toContain("otter");
  });

  test.each(["two-words", "three-words", "hex"] as const)(
    "in style %s are labels of at most 26 characters",
    (style) => {
      let number = 7;
      for (let round = 0; round < 500; round++) {
        const label = drawName(
          style,
          (below) => (number = (number * 48_271) % 2_147_483_647) % below,
        );
        expect(label.length).toBeLessThanOrEqual(26);
        expect(parsePattern(`${label}.example.com`)).toEqual({
          host: `${label}.example.com`,
          isWildcard: false,
        });
        expect(isReserved(label, RESERVED_LABELS)).toBe(false);
      }
    },
  );

  test("that are reserved are known by label or by beginning", () => {
    for (const label of ["www", "mail", "ns1", "autodiscover", "_acme-challenge"])
      expect(isReserved(label, RESERVED_LABELS)).toBe(true);
    for (const label of ["www2", "app", "ns"])
      expect(isReserved(label, RESERVED_LABELS)).toBe(false);
    expect(isReserved("staging-2", ["staging-*"])).toBe(true);
    expect(isReserved("www", [])).toBe(false);
  });
});
