import { describe, expect, test } from "bun:test";
import { latin1 } from "../../src/bytes.ts";
import {
  CLASS,
  encodeAscii,
  equalsFolded,
  HEX,
  HEX_VALUE,
  isToken,
  LOWER,
  QUOTED_TEXT,
  skipBlanks,
  TARGET,
  TOKEN,
  trimBlanks,
  VALUE,
} from "../../src/headers/index.ts";

const ALL = Array.from({ length: 256 }, (_, byte) => byte);
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));

describe("grammar", () => {
  // Written anew from the ABNF of RFC 9110 §5.6 and RFC 9112 §3, as an oracle for the table.
  test.each([
    ["token", TOKEN, /[!#$%&'*+\-.^_`|~0-9A-Za-z]/],
    ["value", VALUE, /[\t\x20-\x7e\x80-\xff]/],
    ["target", TARGET, /[\x21-\x22\x24-\x7e]/],
    ["hex", HEX, /[0-9A-Fa-f]/],
    ["quoted text", QUOTED_TEXT, /[\t\x20-\x21\x23-\x5b\x5d-\x7e\x80-\xff]/],
  ])("class %s has exactly its bytes", (_, bit, pattern) => {
    expect(ALL.filter((byte) => ((CLASS[byte] ?? 0) & bit) !== 0)).toEqual(
      ALL.filter((byte) => pattern.test(String.fromCharCode(byte))),
    );
  });

  test("folds ASCII letters and nothing else", () => {
    for (const byte of ALL) {
      const character = String.fromCharCode(byte);
      expect(LOWER[byte]).toBe(/[A-Z]/.test(character) ? byte + 32 : byte);
      expect(HEX_VALUE[byte]).toBe(
        /[0-9A-Fa-f]/.test(character) ? Number.parseInt(character, 16) : 255,
      );
    }
  });

  test("compares, trims and decodes ranges", () => {
    const all = bytes("x \tAb-C\u00e9\t y");
    expect(skipBlanks(all, 1, all.length)).toBe(3);
    expect(trimBlanks(all, 3, 10)).toBe(8);
    expect(trimBlanks(bytes(" \t "), 0, 3)).toBe(0);
    expect(equalsFolded(all, 3, 7, "ab-c")).toBe(true);
    expect(equalsFolded(all, 3, 6, "ab-c")).toBe(false);
    expect(isToken(all, 3, 7)).toBe(true);
    expect(isToken(all, 3, 8)).toBe(false);
    expect(isToken(all, 3, 3)).toBe(false);
    expect(latin1(all, 3, 8)).toBe("Ab-C\u00e9");
  });

  test("encodes printable ASCII and tab only", () => {
    const target = new Uint8Array(8);
    expect(encodeAscii("a\t~ ", target, 2)).toBe(6);
    expect(latin1(target, 2, 6)).toBe("a\t~ ");
    let refused = 0;
    for (const code of [0, 10, 13, 31, 127, 128, 0x10d, 0x10a, 0xff0d]) {
      expect(() => encodeAscii(String.fromCharCode(code), target, 0)).toThrow("printable ASCII");
      refused++;
    }
    expect(refused).toBe(9);
  });
});
