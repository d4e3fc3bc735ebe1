// This file is the tests of the encoder: the fast paths write what the table writes, bounds are kept. PROTOCOL §2.1.
import { describe, expect, test } from "bun:test";
import {
  ACK_ENTRY_MAX,
  decodeBody,
  encodeBody,
  encodeFrame,
  ENTRIES_HEAD_MAX,
  fitMessage,
  frameSize,
  MAX_STREAM_DATA_ENTRY_MAX,
  OPEN_HEADER_MAX,
  openSize,
  WireError,
  writeAck,
  writeFrame,
  writeMaxStreamData,
  writeOpen,
} from "../../src/wire/index.ts";
import { Random, seedOf } from "../msgpack/random.ts";
import { hexOf } from "./samples.ts";

const random = new Random(seedOf("encoder"));

describe("encoder", () => {
  test("writeAck and writeMaxStreamData write what the table writes", () => {
    const into = new Uint8Array(4_096);
    for (const count of [1, 2, 5, 6, 7, 8, 127, 128]) {
      const ack = Array.from({ length: count }, () => ({
        id: random.integer(),
        received: random.integer(),
        ended: random.below(2) === 1,
      }));
      const flatAck = ack.flatMap((entry) => [entry.id, entry.received, entry.ended ? 1 : 0]);
      const end = writeAck(into, 3, [...flatAck, 99, 99, 99], count);
      expect(hexOf(into.subarray(3, end))).toBe(hexOf(encodeFrame("ack", { entries: ack })));
      const limits = ack.map((entry) => ({ id: entry.id, limit: entry.received }));
      const flat = limits.flatMap((entry) => [entry.id, entry.limit]);
      const next = writeMaxStreamData(into, 3, Float64Array.from(flat), count);
      expect(hexOf(into.subarray(3, next))).toBe(
        hexOf(encodeFrame("maxStreamData", { entries: limits })),
      );
    }
  });

  test("the bounds for filling a batch hold for the largest values", () => {
    const top = Number.MAX_SAFE_INTEGER;
    const into = new Uint8Array(4_096);
    for (const count of [1, 16, 128]) {
      const flat = Array.from({ length: 3 * count }, () => top);
      expect(writeAck(into, 0, flat, count)).toBeLessThanOrEqual(
        ENTRIES_HEAD_MAX + count * ACK_ENTRY_MAX,
      );
      expect(writeMaxStreamData(into, 0, flat, count)).toBeLessThanOrEqual(
        ENTRIES_HEAD_MAX + count * MAX_STREAM_DATA_ENTRY_MAX,
      );
    }
    expect(openSize(top, top, 16_320) - 16_320).toBe(OPEN_HEADER_MAX);
  });

  test("writeOpen writes what the table writes, and its size is known before", () => {
    const into = new Uint8Array(17_000);
    for (const length of [0, 1, 13, 200, 255, 256, 16_320]) {
      const data = random.bytes(length);
      const record = {
        id: random.integer(),
        kind: random.below(64),
        fin: length % 2 === 0,
        receiveLimit: random.integer(),
        data,
      };
      const end = writeOpen(into, 7, record.id, record.kind, record.fin, record.receiveLimit, data);
      expect(hexOf(into.subarray(7, end))).toBe(hexOf(encodeFrame("open", record)));
      expect(end - 7).toBe(openSize(record.id, record.receiveLimit, length));
      expect(end - 7).toBe(frameSize("open", record));
    }
  });

  test("a frame that does not fit is a bug of ours, never a frame cut short", () => {
    const into = new Uint8Array(10);
    expect(writeFrame("ping", { id: 1 }, into, 6)).toBe(10);
    expect(() => writeFrame("ping", { id: 1 }, into, 7)).toThrow("BUG");
    expect(() => writeAck(into, 5, [1, 2, 1], 1)).toThrow("BUG");
    expect(() => writeMaxStreamData(into, 7, [1, 2], 1)).toThrow("BUG");
    expect(() => writeOpen(into, 2, 0, 1, false, 0, new Uint8Array(2))).toThrow("BUG");
    expect(() => writeAck(new Uint8Array(9_999), 0, [], 0)).toThrow("BUG");
    expect(() => writeAck(new Uint8Array(9_999), 0, new Float64Array(999), 129)).toThrow("BUG");
  });

  test("a message is cut to 256 bytes without splitting a character", () => {
    expect(fitMessage("short")).toBe("short");
    expect(fitMessage("x".repeat(256))).toBe("x".repeat(256));
    expect(fitMessage("x".repeat(300))).toBe("x".repeat(256));
    expect(fitMessage("ä".repeat(300))).toBe("ä".repeat(128));
    expect(fitMessage("x" + "😀".repeat(100))).toBe("x" + "😀".repeat(63));
    encodeFrame("refused", { code: 1, retryAfterMs: 0, message: fitMessage("😀".repeat(100)) });
  });

  test("a body is decoded after its signature: its faults are FRAME_ENCODING of its frame", () => {
    const body = { key: random.bytes(32), sessionId: random.bytes(16), link: 1, live: [0, 3] };
    const bytes = encodeBody("resume", body);
    expect(decodeBody("resume", bytes)).toEqual(body);
    for (const wrong of [
      bytes.subarray(1),
      bytes.subarray(0, -1),
      Uint8Array.from([...bytes, 0]),
      new Uint8Array(0),
    ]) {
      let error: unknown;
      try {
        decodeBody("resume", wrong);
      } catch (caught) {
        error = caught;
      }
      expect(error).toBeInstanceOf(WireError);
      expect([(error as WireError).code, (error as WireError).frameType]).toEqual([
        "FRAME_ENCODING",
        5,
      ]);
    }
  });
});
