import { describe, expect, test } from "bun:test";
import { MAX_WRITE, WritePace } from "../../src/exchange/write-pace.ts";

const KIB = 1_024;

/** Writes of full size, each taken after `ms`. */
function take(pace: WritePace, count: number, ms: number, from = 0): number {
  let now = from;
  for (let index = 0; index < count; index++) {
    pace.sent(now, index === 0 && from === 0);
    now += ms;
    pace.taken(pace.most, now);
  }
  return now;
}

describe("write pace", () => {
  test("gives a peer more with each full write that it takes at once", () => {
    const pace = new WritePace();
    const sizes = [pace.most];
    for (let now = 0; now < 3; now++) {
      pace.sent(now, now === 0);
      pace.taken(pace.most, now + 1);
      sizes.push(pace.most);
    }
    expect(sizes).toEqual([16 * KIB, 64 * KIB, MAX_WRITE, MAX_WRITE]);
    expect(pace.isSlow).toBe(false);
  });

  test("learns nothing from small writes", () => {
    const pace = new WritePace();
    for (let now = 0; now < 400; now++) {
      pace.sent(now, true);
      pace.taken(100, now);
    }
    expect([pace.most, pace.isSlow]).toEqual([16 * KIB, false]);
  });

  test("gives a peer what it takes in a quarter of a second, at least 4 KiB (S-42)", () => {
    const sizeFor = (bytesPerSecond: number): number => {
      const pace = new WritePace();
      let now = 0;
      for (let index = 0; index < 10; index++) {
        pace.sent(now, index === 0);
        now += (pace.most / bytesPerSecond) * 1_000;
        pace.taken(pace.most, now);
      }
      expect(pace.isSlow).toBe(pace.most < MAX_WRITE);
      return pace.most;
    };
    expect([1, 16 * KIB, 64 * KIB, 300 * KIB, 10_000 * KIB].map(sizeFor)).toEqual([
      ...[4 * KIB, 4 * KIB, 16 * KIB, 64 * KIB],
      MAX_WRITE,
    ]);
  });

  test("is not misled by a kernel that makes room for much at a time", () => {
    const pace = new WritePace();
    let now = 0;
    // 64 KiB every 4 s: one write waits for it, the others of that moment are taken at once.
    for (let round = 0; round < 4; round++) {
      pace.sent(now, round === 0);
      now += 4_000;
      pace.taken(pace.most, now);
      for (let taken = pace.most; taken < 64 * KIB; taken += pace.most) {
        pace.sent(now, false);
        pace.taken(pace.most, now);
      }
    }
    expect([pace.most, pace.isSlow]).toEqual([4 * KIB, true]);
  });

  test("notices that a slow peer has become fast", () => {
    const pace = new WritePace();
    let now = take(pace, 3, 4_000);
    expect(pace.most).toBe(4 * KIB);
    now = take(pace, 3_000, 1, now);
    expect(pace.most).toBe(MAX_WRITE);
  });
});
