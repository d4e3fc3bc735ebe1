// This file is the tests of ext heads: every form, in pieces, and what is written. PROTOCOL §2.1.
import { describe, expect, test } from "bun:test";
import { ExtHead, extHeadSize, writeExt32Head, writeExtHead } from "../../src/msgpack/index.ts";

const FORMS: readonly { bytes: number[]; length: number }[] = [
  { bytes: [0xd4, 0x10], length: 1 },
  { bytes: [0xd5, 0x10], length: 2 },
  { bytes: [0xd6, 0x10], length: 4 },
  { bytes: [0xd7, 0x10], length: 8 },
  { bytes: [0xd8, 0x10], length: 16 },
  { bytes: [0xc7, 0xff, 0x10], length: 255 },
  { bytes: [0xc7, 0x00, 0x10], length: 0 },
  { bytes: [0xc8, 0x01, 0x02, 0x10], length: 258 },
  { bytes: [0xc9, 0xff, 0x02, 0x03, 0x04, 0x10], length: 0xff020304 },
];

describe("ext", () => {
  test("reads every form at any offset, and needs all bytes of the head", () => {
    const head = new ExtHead();
    for (const form of FORMS) {
      const bytes = Uint8Array.from([0xaa, 0xbb, ...form.bytes]);
      for (let end = 2; end < bytes.length; end++) expect(head.read(bytes, 2, end)).toBe(0);
      expect(head.read(bytes, 2, bytes.length)).toBe(form.bytes.length);
      expect(head.length).toBe(form.length);
      expect(head.type).toBe(0x10);
    }
  });

  test("shows negative types in every form", () => {
    const head = new ExtHead();
    for (const form of FORMS) {
      for (const [byte, type] of [
        [0xff, -1],
        [0x80, -128],
        [0x7f, 127],
      ] as const) {
        const bytes = Uint8Array.from([...form.bytes.slice(0, -1), byte]);
        expect(head.read(bytes, 0, bytes.length)).toBe(bytes.length);
        expect(head.type).toBe(type);
      }
    }
  });

  test("refuses every first byte that starts no ext object, whatever follows", () => {
    const head = new ExtHead();
    let refused = 0;
    for (let byte = 0; byte < 256; byte++) {
      const isExt = (byte >= 0xd4 && byte <= 0xd8) || (byte >= 0xc7 && byte <= 0xc9);
      if (isExt) continue;
      expect(head.read(Uint8Array.of(byte), 0, 1)).toBe(-1);
      refused += 1;
    }
    expect(refused).toBe(256 - 8);
  });

  test("writes the smallest form, which reads back", () => {
    const head = new ExtHead();
    const bytes = new Uint8Array(8);
    const lengths = [0, 1, 2, 3, 4, 5, 8, 9, 15, 16, 17, 255, 256, 65_535, 65_536, 2 ** 32 - 1];
    const sizes = [3, 2, 2, 3, 2, 3, 2, 3, 3, 2, 3, 3, 4, 4, 6, 6];
    for (const [index, length] of lengths.entries()) {
      expect(extHeadSize(length)).toBe(sizes[index] as number);
      expect(writeExtHead(bytes, 1, 0x21, length)).toBe(1 + extHeadSize(length));
      expect(head.read(bytes, 1, 8)).toBe(extHeadSize(length));
      expect([head.type, head.length]).toEqual([0x21, length]);
    }
  });

  test("writes ext 32 for any length when asked to", () => {
    const bytes = new Uint8Array(6);
    expect(writeExt32Head(bytes, 0, 0x20, 21)).toBe(6);
    expect(Buffer.from(bytes).toString("hex")).toBe("c90000001520");
  });
});
