// This file is the codec tests of transport frames, made from the table of all frames. PROTOCOL §2.1, §2.2.
import { describe, expect, test } from "bun:test";
import { encode } from "@msgpack/msgpack";
import { extHeadSize, writeExt32Head } from "../../src/msgpack/index.ts";
import {
  encodeFrame,
  FRAME_SPECS,
  type FrameDecoder,
  type FrameSpec,
  WireError,
} from "../../src/wire/index.ts";
import { Random, seedOf } from "../msgpack/random.ts";
import { framed, valuesOf } from "./damage.ts";
import { formAt, wrongValues } from "./forms.ts";
import { feedAll, hexOf, randomFrame, randomRecord, readerOf, toPlain } from "./samples.ts";

const random = new Random(seedOf("frames"));
const ROUNDS = 12;

/** The code of the error that reading these bytes ends with, "" for none. */
function codeOf(decoder: FrameDecoder, bytes: Uint8Array): string {
  try {
    feedAll(decoder, bytes);
    return "";
  } catch (error) {
    if (error instanceof WireError) return error.code;
    throw error;
  }
}

/** The payload of a frame in any form. */
function payloadOf(frame: Uint8Array): Uint8Array {
  const form = frame[0] as number;
  return frame.subarray(form >= 0xd4 ? 2 : form === 0xc7 ? 3 : form === 0xc8 ? 4 : 6);
}

describe.each(FRAME_SPECS.map((spec) => [spec.label, spec] as const))(
  "frame %s",
  (_label, spec) => {
    test("round trip", () => {
      for (let round = 0; round < ROUNDS; round++) {
        const frame = randomFrame(spec, random);
        const seen = feedAll(readerOf(spec), frame);
        expect(seen).toHaveLength(1);
        expect(seen[0]?.name).toBe(spec.name);
        expect(seen[0]?.raw).toBe(hexOf(frame));
        if (spec.schema === undefined) {
          expect(seen[0]?.bytes).toBe(
            hexOf(frame.subarray(frame.length - (seen[0]?.bytes.length ?? 0) / 2)),
          );
        } else {
          // The record encodes to the same bytes again, so no field was lost.
          const record = readerOf(spec);
          record.feed(frame.slice());
          expect(record.next()).toBe(spec.name);
          expect(hexOf(encodeFrame(spec.name as "ack", record.record(spec.name as "ack")))).toBe(
            hexOf(frame),
          );
        }
      }
    });

    test("every strict prefix yields nothing and is no error", () => {
      const frame = small(spec);
      for (let end = 0; end < frame.length; end++) {
        const decoder = readerOf(spec);
        expect(feedAll(decoder, frame.subarray(0, end))).toEqual([]);
        expect(decoder.held).toBe(end);
      }
    });

    test("every split in two, and byte by byte, yields the same frames", () => {
      const second = small(spec);
      const both = new Uint8Array(2 * second.length);
      both.set(second);
      both.set(second, second.length);
      const whole = feedAll(readerOf(spec), both);
      expect(whole).toHaveLength(2);
      for (let split = 1; split < both.length; split += 1) {
        const decoder = readerOf(spec);
        const seen = [
          ...feedAll(decoder, both.subarray(0, split)),
          ...feedAll(decoder, both.subarray(split)),
        ];
        expect(seen).toEqual(whole);
        expect(decoder.held).toBe(0);
      }
      const decoder = readerOf(spec);
      const seen = [];
      for (const byte of both) seen.push(...feedAll(decoder, Uint8Array.of(byte)));
      expect(seen).toEqual(whole);
    });

    test("every ext form that fits is accepted", () => {
      const payload = payloadOf(small(spec));
      const expected = feedAll(readerOf(spec), framed(spec, payload)).map((seen) => ({
        ...seen,
        raw: "",
      }));
      const heads: number[][] = [
        [0xc9, 0, 0, payload.length >>> 8, payload.length & 0xff, spec.type],
      ];
      heads.push([0xc8, payload.length >>> 8, payload.length & 0xff, spec.type]);
      if (payload.length < 256) heads.push([0xc7, payload.length, spec.type]);
      const fixed = [1, 2, 4, 8, 16].indexOf(payload.length);
      if (fixed >= 0) heads.push([0xd4 + fixed, spec.type]);
      for (const head of heads) {
        const seen = feedAll(readerOf(spec), Uint8Array.from([...head, ...payload]));
        expect(seen.map((each) => ({ ...each, raw: "" }))).toEqual(expected);
      }
      expect(heads.length).toBeGreaterThanOrEqual(2);
    });

    test("a length above the maximum or below the minimum is refused at the head", () => {
      for (const [length, code] of [
        [spec.max + 1, "FRAME_TOO_LARGE"],
        [2 ** 32 - 1, "FRAME_TOO_LARGE"],
        [spec.min - 1, "FRAME_ENCODING"],
        [0, "FRAME_ENCODING"],
      ] as const) {
        const head = new Uint8Array(6);
        writeExt32Head(head, 0, spec.type, length);
        const decoder = readerOf(spec);
        // Five of the six bytes do not say the type: nothing to refuse yet.
        expect(codeOf(decoder, head.subarray(0, 5))).toBe("");
        expect(codeOf(decoder, head.subarray(5))).toBe(code);
        expect(decoder.snapshot().allocated).toBeLessThan(64);
      }
      for (const length of [spec.min, spec.max]) {
        const head = new Uint8Array(6);
        writeExt32Head(head, 0, spec.type, length);
        expect(codeOf(readerOf(spec), head)).toBe("");
      }
    });

    test("is refused in the other phase and from the side that may not send it", () => {
      const frame = small(spec);
      const allowed = readerOf(spec);
      if (spec.phase === "handshake") {
        allowed.enterLive(0);
      } else {
        const early = readerOf({ ...spec, phase: "handshake" });
        expect(codeOf(early, frame)).toBe("UNEXPECTED_FRAME");
      }
      if (spec.phase === "handshake") expect(codeOf(allowed, frame)).toBe("UNEXPECTED_FRAME");
      if (spec.direction === "both") return;
      const wrong = readerOf({
        ...spec,
        direction: spec.direction === "toEdge" ? "toConnector" : "toEdge",
      });
      expect(codeOf(wrong, frame)).toBe("UNEXPECTED_FRAME");
    });
  },
);

const ARRAYS = FRAME_SPECS.filter((spec) => spec.schema !== undefined).map(
  (spec) => [spec.label, spec] as const,
);

describe.each(ARRAYS)("array frame %s", (_label, spec) => {
  test("wrong counts, a trailing byte and a payload cut short are refused", () => {
    const payload = payloadOf(small(spec));
    const longer = Uint8Array.from([...payload, 0xc0]);
    expect(codeOf(readerOf(spec), framed(spec, longer))).toBe("FRAME_ENCODING");
    expect(codeOf(readerOf(spec), framed(spec, payload.subarray(0, -1)))).toBe("FRAME_ENCODING");
    const values = valuesOf(spec, random);
    expect(codeOf(readerOf(spec), framed(spec, encode([...values, null])))).toBe("FRAME_ENCODING");
    // A SYNC may name fewer live links, but not none.
    const fewer = values.slice(0, spec.name === "sync" ? 1 : -1);
    expect(codeOf(readerOf(spec), framed(spec, encode(fewer)))).toBe("FRAME_ENCODING");
    expect(codeOf(readerOf(spec), framed(spec, encode([])))).toBe("FRAME_ENCODING");
  });

  test("each position of a wrong type or out of range is refused", () => {
    const values = valuesOf(spec, random);
    let refused = 0;
    for (const position of values.keys()) {
      for (const wrong of wrongValues(formAt(spec, position))) {
        const payload = encode(values.with(position, wrong));
        const code = payload.length > spec.max ? "FRAME_TOO_LARGE" : "FRAME_ENCODING";
        const found = codeOf(readerOf(spec), framed(spec, payload));
        expect([position, wrong, found]).toEqual([position, wrong, code]);
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThanOrEqual(values.length * 5);
  });
});

/** A frame of its kind whose payload is not longer than some hundred bytes. */
function small(spec: FrameSpec): Uint8Array {
  for (let attempt = 0; attempt < 1_000; attempt++) {
    const frame = randomFrame(spec, random);
    if (frame.length < 600) return frame;
  }
  throw new Error(`No small ${spec.label} in 1,000 attempts`);
}

describe("frames", () => {
  test("the table has a frame for every type of the specification, once", () => {
    expect(FRAME_SPECS).toHaveLength(24);
    expect(new Set(FRAME_SPECS.map((spec) => spec.type)).size).toBe(24);
    for (const spec of FRAME_SPECS) expect(spec.min).toBeLessThanOrEqual(spec.max);
  });

  test("the longest record of every array frame fits into its maximum", () => {
    const top = Number.MAX_SAFE_INTEGER;
    const filled = <T>(length: number, value: T): T[] => Array.from({ length }, () => value);
    const longest = {
      sync: { upTo: top, live: filled(8, top) },
      close: { code: top, frameType: 127, retryAfterMs: top, message: "x".repeat(256) },
      open: { id: top, kind: 63, fin: true, receiveLimit: top, data: new Uint8Array(16_320) },
      reset: { id: top, code: top, finalSize: top },
      ack: { entries: filled(128, { id: top, received: top, ended: true }) },
      maxStreamData: { entries: filled(128, { id: top, limit: top }) },
      auth: { body: new Uint8Array(5_050), signature: new Uint8Array(64) },
      resume: { body: new Uint8Array(954), signature: new Uint8Array(64) },
      edgeAuth: { body: new Uint8Array(1_900), signature: new Uint8Array(64) },
    } as const;
    for (const [name, record] of Object.entries(longest)) {
      const size = encodeFrame(name as "ack", record as never).length;
      const max = FRAME_SPECS.find((spec) => spec.name === name)?.max as number;
      expect(size - extHeadSize(size - 4)).toBeLessThanOrEqual(max);
    }
  });

  test("SYNC wants live links ascending, none above upTo", () => {
    const sync = FRAME_SPECS.find((spec) => spec.name === "sync") as FrameSpec;
    for (const values of [
      [5, 2, 1],
      [5, 2, 2],
      [5, 1, 6],
      [0, 1],
    ]) {
      expect(codeOf(readerOf(sync), framed(sync, encode(values)))).toBe("FRAME_ENCODING");
    }
    expect(toPlain(feedAll(readerOf(sync), framed(sync, encode([5, 1, 5])))[0]?.record)).toEqual({
      upTo: 5,
      live: [1, 5],
    });
  });
});
