// This file is the bytes a stream keeps until they are acknowledged: their order, and whose memory they are in. PROTOCOL §6.1; R-29.
import { describe, expect, test } from "bun:test";
import { received } from "../../../src/received.ts";
import { Retention } from "../../../src/session/core/retention.ts";
import { Random, seedsOf } from "../../sim/random.ts";
import { pattern } from "./peer.ts";

describe("retention", () => {
  test("gives the bytes written, in order, across chunks", () => {
    const retention = new Retention();
    retention.append(pattern(5), true);
    retention.append(pattern(0), true);
    retention.append(pattern(7, 35), true);
    const into = new Uint8Array(14);
    retention.take(into, 1, 3);
    retention.take(into, 4, 9);
    expect(into).toEqual(Uint8Array.from([0, ...pattern(12), 0]));
    expect([retention.unsent, retention.retained, retention.written]).toEqual([0, 12, 12]);
  });

  test("peeks without moving, as a view where one chunk holds it", () => {
    const retention = new Retention();
    const chunk = pattern(10);
    retention.append(chunk, true);
    retention.append(pattern(10, 70), true);
    expect(retention.peek(4).buffer).toBe(chunk.buffer);
    expect(retention.peek(15)).toEqual(pattern(15));
    expect(retention.sent).toBe(0);
    retention.skip(15);
    expect(retention.peek(5)).toEqual(pattern(20).subarray(15));
    expect(retention.peek(0)).toHaveLength(0);
  });

  test("sends again from the acknowledged offset after a rewind, within a chunk too", () => {
    const retention = new Retention();
    for (let at = 0; at < 30; at += 10) retention.append(pattern(30).slice(at, at + 10), true);
    const into = new Uint8Array(30);
    retention.take(into, 0, 25);
    retention.acknowledge(13);
    retention.rewind();
    expect([retention.sent, retention.retained, retention.unsent]).toEqual([13, 0, 17]);
    retention.take(into, 0, 17);
    expect([...into.subarray(0, 17)]).toEqual([...pattern(30).subarray(13)]);
  });

  test("ignores an acknowledgement that is not new", () => {
    const retention = new Retention();
    retention.append(pattern(10), true);
    retention.take(new Uint8Array(10), 0, 10);
    retention.acknowledge(8);
    retention.acknowledge(3);
    expect(retention.acked).toBe(8);
    expect(retention.retained).toBe(2);
  });

  test("copies a small slice of a large buffer and keeps what is whole or large as it is", () => {
    const parent = pattern(40_000);
    const whole = pattern(10);
    const retention = new Retention();
    retention.append(parent.subarray(0, 9_999), false);
    retention.append(parent.subarray(0, 10_000), false);
    retention.append(whole, true);
    parent.fill(255);
    const [small, large, own] = retention.replay();
    expect(small).toEqual(pattern(9_999));
    expect(large?.buffer).toBe(parent.buffer);
    expect(own).toBe(whole);
  });

  test("gives everything back for a replay and nothing after a drop", () => {
    const retention = new Retention();
    retention.append(pattern(10), true);
    retention.append(pattern(10, 70), true);
    retention.take(new Uint8Array(15), 0, 15);
    expect([...Buffer.concat(retention.replay())]).toEqual([...pattern(20)]);
    retention.drop();
    expect(retention.replay()).toEqual([]);
    expect([retention.acked, retention.sent, retention.written, retention.unsent]).toEqual([
      15, 15, 15, 0,
    ]);
  });

  test("agrees with a plain array under random use", () => {
    let operations = 0;
    for (const seed of seedsOf(40)) {
      const random = new Random(seed);
      const retention = new Retention();
      let model: number[] = [];
      for (let round = 0; round < 400; round++, operations++) {
        const choice = random.next();
        if (choice < 0.4) {
          const bytes = pattern(random.size(300), random.integer(0, 255));
          model.push(...bytes);
          const isWhole = random.chance(0.5);
          retention.append(
            isWhole ? bytes : Uint8Array.from([...bytes, ...bytes]).subarray(0, bytes.length),
            isWhole,
          );
        } else if (choice < 0.7) {
          const length = random.integer(0, retention.unsent);
          const at = retention.sent;
          const into = new Uint8Array(length);
          if (random.chance(0.3)) {
            into.set(retention.peek(length));
            retention.skip(length);
          } else {
            retention.take(into, 0, length);
          }
          expect([...into], `seed ${seed}`).toEqual(model.slice(at, at + length));
        } else if (choice < 0.95) {
          retention.acknowledge(random.integer(retention.acked, retention.sent));
        } else if (choice < 0.99) {
          retention.rewind();
        } else {
          model = model.slice(0, retention.sent);
          retention.drop();
        }
        expect(retention.written, `seed ${seed}`).toBe(model.length);
      }
    }
    expect(operations).toBeGreaterThanOrEqual(400);
  });

  test("and in buffers that sockets delivered: none is freed too early, and none pinned by little", async () => {
    const KIB = 1_024;
    /** Of each offset, without a period that a chunk could have. */
    const truth = Buffer.alloc(16 * KIB * KIB);
    for (let at = 0; at < truth.length; at += 4) truth.writeUInt32LE((at * 2_654_435) >>> 0, at);
    let settled = 0;
    for (const seed of seedsOf(6)) {
      const random = new Random(seed);
      const retention = new Retention();
      let buffers: ArrayBuffer[] = [];
      /** Of a chunk: what the stream did not write yet. */
      let rest = new Uint8Array(0);
      for (let round = 0; round < 300; round++) {
        const choice = random.next();
        const { acked, sent, unsent, written } = retention;
        if (choice < 0.35 && written + 512 * KIB < truth.length) {
          if (rest.length === 0) {
            rest = new Uint8Array(truth.subarray(written, written + random.integer(1, 512 * KIB)));
            received(rest);
            if (rest.length >= 16 * KIB) buffers.push(rest.buffer as ArrayBuffer);
          }
          const length = random.chance(0.4) ? rest.length : random.size(rest.length);
          retention.append(rest.subarray(0, length), false);
          rest = rest.subarray(length);
        } else if (choice < 0.65) {
          const length = random.chance(0.3)
            ? unsent
            : random.integer(0, Math.min(unsent, 64 * KIB));
          const into = Buffer.alloc(length);
          if (random.chance(0.2)) {
            into.set(retention.peek(length));
            retention.skip(length);
          } else retention.take(into, 0, length);
          const isSame = truth.subarray(sent, sent + length).equals(into);
          expect(isSame, `seed ${seed}, ${length} bytes at ${sent}`).toBe(true);
        } else if (choice < 0.95) {
          retention.acknowledge(random.chance(0.6) ? sent : random.integer(acked, sent));
        } else retention.rewind();
        expect([retention.written - retention.sent, retention.sent - retention.acked]).toEqual([
          retention.unsent,
          retention.retained,
        ]);
        // Two turns: what is spent in one is freed at its end.
        await new Promise((resolve) => setImmediate(resolve));
        await new Promise((resolve) => setImmediate(resolve));
        buffers = buffers.filter((buffer) => !buffer.detached);
        if (retention.retained > 0) continue;
        const held = buffers.reduce((sum, { byteLength }) => sum + byteLength, 0);
        const pinned = held - (rest.length === 0 ? 0 : rest.buffer.byteLength);
        if (pinned > 0) settled += 1;
        expect(pinned, `seed ${seed}, round ${round}`).toBeLessThanOrEqual(4 * retention.unsent);
      }
      // The last chunk was not written to its end by the dice.
      retention.append(rest, false);
      retention.skip(retention.unsent);
      retention.acknowledge(retention.sent);
      await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
      expect(buffers.filter((buffer) => !buffer.detached).length, `seed ${seed}`).toBe(0);
    }
    expect(settled).toBeGreaterThan(20);
  });
});
