// This file is the tests of schemas: what is accepted, what is refused, and that the library reads what we write.
import { describe, expect, test } from "bun:test";
import { decode, encode } from "@msgpack/msgpack";
import { TunlError } from "../../src/errors.ts";
import {
  bin,
  binOf,
  binUpTo,
  bool,
  flat,
  ExtHead,
  extHeadSize,
  type Field,
  flatOf,
  int,
  integer,
  list,
  MsgpackError,
  nested,
  nilable,
  schema,
  strUpTo,
  uint,
  values,
} from "../../src/msgpack/index.ts";
import { Random, seedOf } from "./random.ts";

/** The shape of a request head (http.md §5.1): every kind of field in one place. */
const HEAD = schema({
  id: bin(16),
  method: binUpTo(64),
  scheme: integer(0, 1),
  fields: binUpTo(40 * 1_024),
  length: int,
  upgrade: nilable(binUpTo(64)),
  visitor: nested(
    schema({ address: binOf(4, 16), port: integer(0, 65_535), protocol: strUpTo(16) }),
  ),
  tls: nilable(
    nested(schema({ version: strUpTo(16), name: strUpTo(253), print: nilable(bin(32)) })),
  ),
});

const SAMPLE = {
  id: new Uint8Array(16).fill(7),
  method: Buffer.from("GET"),
  scheme: 0,
  fields: new Uint8Array(20_000).fill(0x61),
  length: -1,
  upgrade: undefined,
  visitor: { address: Uint8Array.of(127, 0, 0, 1), port: 4711, protocol: "h2" },
  tls: { version: "TLSv1.3", name: "app.example.com", print: undefined },
};

function refused(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof MsgpackError) return error.message;
    throw error;
  }
  throw new Error("expected a MsgpackError, nothing was thrown");
}

describe("schema", () => {
  test("decodes what it encoded, nil, negative integers and nested arrays included", () => {
    const decoded = HEAD.decode(HEAD.encode(SAMPLE));
    expect(decoded.length).toBe(-1);
    expect(decoded.upgrade).toBeUndefined();
    expect(decoded.visitor).toEqual(SAMPLE.visitor);
    expect(decoded.tls).toEqual(SAMPLE.tls);
    expect(decoded.fields).toEqual(SAMPLE.fields);
    expect(HEAD.decode(HEAD.encode({ ...SAMPLE, tls: undefined })).tls).toBeUndefined();
  });

  test("writes what the library writes", () => {
    const expected = encode([
      SAMPLE.id,
      SAMPLE.method,
      0,
      SAMPLE.fields,
      -1,
      null,
      [SAMPLE.visitor.address, 4711, "h2"],
      ["TLSv1.3", "app.example.com", null],
    ]);
    expect(HEAD.encode(SAMPLE)).toEqual(expected);
    expect(HEAD.size(SAMPLE)).toBe(expected.length);
  });

  test("writes at an offset and touches nothing around it", () => {
    const size = HEAD.size(SAMPLE);
    const into = new Uint8Array(size + 20).fill(0xee);
    expect(HEAD.write(SAMPLE, into, 10)).toBe(10 + size);
    expect(into.subarray(0, 10)).toEqual(new Uint8Array(10).fill(0xee));
    expect(into.subarray(10 + size)).toEqual(new Uint8Array(10).fill(0xee));
    expect(HEAD.decode(into.subarray(10, 10 + size)).visitor.port).toBe(4711);
  });

  test("gives bin values as views of the payload", () => {
    const bytes = HEAD.encode(SAMPLE);
    const decoded = HEAD.decode(bytes);
    expect(decoded.fields.buffer).toBe(bytes.buffer);
    expect(decoded.visitor.address.buffer).toBe(bytes.buffer);
  });

  test("decodes a part of a buffer, and reads nothing behind its end", () => {
    const bytes = HEAD.encode(SAMPLE);
    const chunk = new Uint8Array(bytes.length + 20).fill(0x05);
    chunk.set(bytes, 10);
    const end = 10 + bytes.length;
    expect(HEAD.decode(chunk, 10, end)).toEqual(HEAD.decode(bytes));
    refused(() => HEAD.decode(chunk, 10, end - 1));
    expect(refused(() => HEAD.decode(chunk, 10, end + 2))).toContain("2 bytes are left over");
    // The bytes that are missing follow, but belong to something else.
    const cut = new Map<Field<unknown>, readonly string[]>([
      [uint, ["cc", "cd00", "ce000000", "cf00", "ca000000"]],
      [nilable(binUpTo(9)), ["c4", "c401", "c500", "c5000200"]],
      [strUpTo(9), ["a1", "a2c3", "d9", "d901"]],
      [list(strUpTo(9), 0, 2), ["dc00", "91cd00", "91a2c3"]],
      [values(2), ["dd0000", "91cd00", "91a2c3", "9191cc", "91c40200"]],
    ]);
    const forms = [...cut].flatMap(([field, all]) => all.map((hex) => ({ field, hex })));
    for (const { field, hex } of forms) {
      const bytes = Buffer.from(`91${hex}0000000000000000`, "hex");
      const message = refused(() => schema({ v: field }).decode(bytes, 0, 1 + hex.length / 2));
      expect([hex, message]).toEqual([hex, "Payload ends inside a value"]);
    }
    expect(forms.length).toBeGreaterThan(20);
  });

  test("writes an ext object under the smallest head, within the size allowed", () => {
    const one = schema({ data: binUpTo(70_000) });
    const head = new ExtHead();
    for (const length of [0, 5, 12, 13, 14, 252, 253, 254, 255, 65_531, 65_532, 65_533, 70_000]) {
      const record = { data: new Uint8Array(length).fill(9) };
      const size = one.size(record);
      const bytes = one.encodeExt(0x21, record, size);
      const start = head.read(bytes, 0, bytes.length);
      expect([start, head.type, head.length]).toEqual([extHeadSize(size), 0x21, size]);
      expect(bytes.subarray(start)).toEqual(one.encode(record));
      expect(() => one.encodeExt(0x21, record, size - 1)).toThrow(
        `BUG: ext object 33 of ${size} bytes, allowed ${size - 1}`,
      );
    }
  });

  test("refuses every strict prefix and a trailing byte", () => {
    const bytes = HEAD.encode({ ...SAMPLE, fields: new Uint8Array(10) });
    for (let end = 0; end < bytes.length; end++) refused(() => HEAD.decode(bytes.subarray(0, end)));
    expect(bytes.length).toBeGreaterThan(50);
    const longer = new Uint8Array(bytes.length + 1);
    longer.set(bytes);
    expect(refused(() => HEAD.decode(longer))).toContain("1 bytes are left over");
  });

  test("reads integers from every number format, floats too, and 0 from -0", () => {
    const one = schema({ n: uint });
    const forms = [
      "05",
      "cc05",
      "cd0005",
      "ce00000005",
      "cf0000000000000005",
      "d005",
      "d10005",
      "d200000005",
    ];
    forms.push("d30000000000000005", "ca40a00000", "cb4014000000000000");
    for (const form of forms) expect(one.decode(Buffer.from(`91${form}`, "hex")).n).toBe(5);
    const zero = one.decode(Buffer.from("91cb8000000000000000", "hex")).n;
    expect(Object.is(zero, 0)).toBe(true);
  });

  test("refuses numbers that are no integers in range", () => {
    const one = schema({ n: integer(1, 63) });
    for (const value of [0, 64, -1, 1.5, Number.NaN, Infinity, 2 ** 53, "5", true, null, [5]]) {
      refused(() => one.decode(encode([value])));
    }
    const any = schema({ n: uint });
    expect(any.decode(encode([2 ** 53 - 1])).n).toBe(2 ** 53 - 1);
    for (const hex of [
      "cf0020000000000000",
      "cf0020000000000001",
      "cfffffffffffffffff",
      "ff",
      "cb4340000000000000",
    ]) {
      refused(() => any.decode(Buffer.from(`91${hex}`, "hex")));
    }
    const signed = schema({ n: int });
    expect(signed.decode(encode([-(2 ** 53) + 1])).n).toBe(-(2 ** 53) + 1);
    refused(() => signed.decode(Buffer.from("91d3ffe0000000000000", "hex")));
  });

  test("writes integers of either sign as the library does, every size and border", () => {
    const one = schema({ n: int });
    const random = new Random(seedOf("integers"));
    const numbers = [0, -1];
    for (let bits = 5; bits < 53; bits++) {
      for (const near of [-1, 0, 1]) numbers.push(2 ** bits + near, -(2 ** bits) + near);
    }
    for (let round = 0; round < 500; round++) numbers.push(random.integer(), -random.integer());
    for (const n of numbers) {
      const bytes = one.encode({ n });
      expect([n, one.decode(bytes).n]).toEqual([n, n + 0]);
      expect(decode(bytes)).toEqual([n + 0]);
      expect(bytes.length).toBe(encode([n]).length);
    }
  });

  test("names the field, the value and the form expected", () => {
    const pair = schema({ id: uint, kind: integer(0, 63) });
    expect(refused(() => pair.decode(encode([1, 64])))).toBe(
      'Received 64 for "kind", expected an integer from 0 to 63',
    );
    expect(refused(() => pair.decode(encode([1])))).toBe(
      'Received an array of 1 values for "payload", expected 2',
    );
  });

  test("bounds bin by bytes and str by bytes of UTF-8", () => {
    const s = schema({ b: bin(4), up: binUpTo(2), of: binOf(0, 16), s: strUpTo(4) });
    const good = [new Uint8Array(4), new Uint8Array(2), new Uint8Array(16), "äö"];
    s.decode(encode(good));
    const wrong: [number, unknown][] = [
      [0, new Uint8Array(3)],
      [0, new Uint8Array(5)],
      [0, "four"],
      [1, new Uint8Array(3)],
      [2, new Uint8Array(1)],
      [2, new Uint8Array(15)],
      [3, "äöü"],
      [3, "fives"],
      [3, new Uint8Array(2)],
    ];
    for (const [index, value] of wrong)
      refused(() => s.decode(encode(good.with(index, value as string))));
  });

  test("repeats groups to the end of the array, within bounds", () => {
    const ack = schema({ entries: flat({ id: uint, ended: bool }, 1, 3) });
    const entry = { id: 300, ended: true };
    for (const count of [1, 2, 3]) {
      const record = { entries: Array.from({ length: count }, () => entry) };
      expect(ack.decode(ack.encode(record))).toEqual(record);
    }
    for (const flatValues of [
      [],
      [1],
      [1, true, 2],
      [1, true, 1, true, 1, true, 1, true],
      [true, 1],
    ]) {
      refused(() => ack.decode(encode(flatValues)));
    }
    const sync = schema({ upTo: uint, live: flatOf(uint, 1, 8) });
    expect(sync.decode(encode([9, 1, 2])).live).toEqual([1, 2]);
    refused(() => sync.decode(encode([9])));
    refused(() => sync.decode(encode([9, 1, 2, 3, 4, 5, 6, 7, 8, 9])));
  });

  test("knows the fewest bytes of any record, and its notation", () => {
    expect(schema({ id: uint, data: binUpTo(5), key: bin(32), s: strUpTo(9) }).minSize).toBe(
      1 + 1 + 2 + 34 + 1,
    );
    expect(schema({ entries: flat({ a: uint, b: bool }, 2, 9) }).minSize).toBe(5);
    expect(schema({ upTo: uint, live: flatOf(uint, 1, 8) }).notation).toBe(
      "[upTo u, live u × 1…8]",
    );
  });

  test("turns a value its own table does not allow into a BUG, not into bytes", () => {
    const s = schema({ n: integer(0, 3), b: binUpTo(2), l: list(uint, 0, 2) });
    const good = { n: 1, b: new Uint8Array(2), l: [1] };
    s.encode(good);
    for (const wrong of [
      { n: 4 },
      { n: 0.5 },
      { n: Number.NaN },
      { b: new Uint8Array(3) },
      { l: [1, 2, 3] },
      { l: [-1] },
    ]) {
      let code = "";
      try {
        s.encode({ ...good, ...wrong });
      } catch (error) {
        code = error instanceof TunlError ? error.code : String(error);
      }
      expect(code).toBe("BUG");
    }
  });
});

describe("announcements", () => {
  const open = schema({ a: uint, b: binUpTo(16_384), c: values(128) });

  test("allocates nothing for an array that announces 50 million values", () => {
    for (const hex of [
      "dd02faf080",
      "9301dd02faf080",
      "93dd02faf080",
      "9301c40102dd02faf080",
      "dcffff",
      "ddffffffff",
    ]) {
      const before = process.memoryUsage().rss;
      refused(() => open.decode(Buffer.from(hex, "hex")));
      expect(process.memoryUsage().rss - before).toBeLessThan(8 * 1_048_576);
    }
  });

  test("says how much an array announces and how much is there", () => {
    expect(refused(() => open.decode(Buffer.from("dd02faf080", "hex")))).toBe(
      "Array announces 50000000 values with 0 bytes left",
    );
    const long = schema({ v: values(512) });
    expect(long.decode(encode([new Array(512).fill(0)])).v).toHaveLength(512);
    expect(refused(() => long.decode(encode([new Array(513).fill(0)])))).toContain("513");
  });

  test("refuses nesting before the library allocates for each level", () => {
    const payload = new Uint8Array(16_383);
    for (let at = 0; at < payload.length; at += 3) payload.set([0xdc, 0x02, 0x00], at);
    refused(() => open.decode(payload));
    const first = schema({ v: values(512) });
    payload.set([0x91, 0xdc, 0x02, 0x00, 0xdc, 0x02, 0x00, 0xdc, 0x02, 0x00]);
    expect(refused(() => first.decode(payload))).toContain("nested deeper than 2");
    const before = process.memoryUsage().rss;
    // Each of these would be 22 MiB of arrays.
    for (let round = 0; round < 100; round++) refused(() => first.decode(payload));
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1_048_576);
    refused(() => schema({ a: uint }).decode(Buffer.from("919100", "hex")));
  });

  test("refuses maps, ext objects, the unused byte and anything but an array outside", () => {
    for (const hex of [
      "9380",
      "93de0000",
      "93df00000000",
      "93d410aa",
      "93c70010",
      "93d6ff00000000",
      "93c1",
    ]) {
      refused(() => open.decode(Buffer.from(hex + "0000", "hex")));
    }
    for (const hex of ["", "c0", "07", "a0", "c400", "80", "d51000", "cb0000000000000000"]) {
      refused(() => open.decode(Buffer.from(hex, "hex")));
    }
  });
});
