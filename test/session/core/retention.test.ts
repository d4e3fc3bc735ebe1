import { describe, expect, test } from "bun:test";
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
});
