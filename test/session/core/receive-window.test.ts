import { describe, expect, test } from "bun:test";
import {
  firstWindow,
  ReceiveWindow,
  SessionWindow,
} from "../../../src/session/core/receive-window.ts";
import { EVICTION_SHARE } from "../../../src/wire/index.ts";

const KIB = 1_024;
const MIB = 1_024 * KIB;
const calm = { rttMinMs: 100, pressure: 0, sessionHeld: 0, receiveBudget: 64 * MIB, open: 1 };

describe("first window", () => {
  test("is 4 MiB for a lone stream and 32 KiB for one of a thousand", () => {
    expect(firstWindow(64 * MIB, 0, 0)).toBe(4 * MIB);
    expect(firstWindow(64 * MIB, 1, 0)).toBe(2 * MIB);
    expect(firstWindow(64 * MIB, 3, 0)).toBe(1 * MIB);
    expect(firstWindow(64 * MIB, 1_000, 0)).toBe(32 * KIB);
  });

  test("lets a thousand readers that stand still fill no more than what evicts nobody (S-42)", () => {
    let all = 0;
    for (let open = 0; open < 1_000; open++) all += firstWindow(64 * MIB, open, 0);
    expect(all).toBeLessThan(EVICTION_SHARE * 64 * MIB);
  });

  test("shrinks under pressure", () => {
    expect(firstWindow(64 * MIB, 0, 0.8)).toBe(256 * KIB);
    expect(firstWindow(64 * MIB, 0, 0.95)).toBe(32 * KIB);
  });
});

describe("stream window", () => {
  test("rises by quarters of consumption, not by receipt", () => {
    const window = new ReceiveWindow(64 * KIB);
    expect(window.consume(16 * KIB - 1, 40 * KIB, 1_000, calm)).toBe(false);
    expect(window.limit).toBe(64 * KIB);
    expect(window.consume(1, 40 * KIB, 1_000, { ...calm, pressure: 0.9 })).toBe(true);
    expect(window.limit).toBe(80 * KIB);
  });

  test("answers a sender that stands at the limit after 16 KiB", () => {
    const window = new ReceiveWindow(1 * MIB);
    expect(window.consume(16 * KIB - 1, 1 * MIB, 0, calm)).toBe(false);
    expect(window.consume(1, 1 * MIB, 0, calm)).toBe(true);
    expect(window.limit).toBe(1 * MIB + 16 * KIB);
    // Not at the limit the same step is not worth a frame.
    expect(window.consume(16 * KIB, 1 * MIB, 0, calm)).toBe(false);
  });

  test("doubles where a quarter goes in less than a round trip", () => {
    const window = new ReceiveWindow(64 * KIB);
    window.arrived(1, 1, 0);
    window.consume(16 * KIB, 16 * KIB, 99, calm);
    expect([window.window, window.limit]).toEqual([128 * KIB, 144 * KIB]);
  });

  test("stays where the consumer is the brake, memory is short, or the session holds much", () => {
    const slow = new ReceiveWindow(64 * KIB);
    slow.arrived(1, 1, 0);
    slow.consume(16 * KIB, 16 * KIB, 100, calm);
    const held = new ReceiveWindow(64 * KIB);
    held.arrived(1, 1, 0);
    held.consume(16 * KIB, 24 * KIB, 1, calm);
    const pressed = new ReceiveWindow(64 * KIB);
    pressed.arrived(1, 1, 0);
    pressed.consume(16 * KIB, 16 * KIB, 1, { ...calm, pressure: 0.8 });
    const full = new ReceiveWindow(64 * KIB);
    full.arrived(1, 1, 0);
    full.consume(16 * KIB, 16 * KIB, 1, { ...calm, sessionHeld: 32 * MIB });
    expect([slow, held, pressed, full].map(({ window }) => window)).toEqual(
      Array(4).fill(64 * KIB),
    );
  });

  test("grows beyond an even share only while less than a quarter of the budget is held", () => {
    const grownTo = (sessionHeld: number, open: number): number => {
      const window = new ReceiveWindow(64 * KIB);
      window.arrived(1, 1, 0);
      let consumed = 0;
      for (let round = 0; round < 8; round++) {
        const step = window.window / 4;
        consumed += step;
        window.consume(step, consumed, 0, { ...calm, sessionHeld, open });
      }
      return window.window;
    };
    expect(grownTo(16 * MIB - 1, 1_000)).toBe(16 * MIB);
    expect(grownTo(16 * MIB, 1_000)).toBe(64 * KIB);
    expect(grownTo(16 * MIB, 64)).toBe(256 * KIB);
    expect(grownTo(32 * MIB, 1)).toBe(64 * KIB);
  });

  test("halves down to an even share where that is less than 256 KiB, and never below 32 KiB", () => {
    const halvedTo = (open: number): number => {
      const window = new ReceiveWindow(1 * MIB);
      window.arrived(1 * MIB, 1 * MIB, 0);
      for (let now = 250; now < 5_000; now += 250)
        window.consume(1, 1 * MIB, now, { ...calm, open });
      return window.window;
    };
    expect([1, 16, 32, 100, 1_000].map(halvedTo)).toEqual([
      256 * KIB,
      256 * KIB,
      128 * KIB,
      Math.floor((64 * MIB) / 1_600),
      32 * KIB,
    ]);
  });

  test("halves where more than half of it waits for 250 ms or two round trips, down to 256 KiB", () => {
    const window = new ReceiveWindow(1 * MIB);
    window.arrived(1 * MIB, 1 * MIB, 0);
    window.consume(1, 1 * MIB, 249, calm);
    expect(window.window).toBe(1 * MIB);
    window.consume(1, 1 * MIB, 250, calm);
    expect(window.window).toBe(512 * KIB);
    window.consume(1, 1 * MIB, 500, calm);
    window.consume(1, 1 * MIB, 750, calm);
    expect(window.window).toBe(256 * KIB);
    // What was granted stays granted; the next grant comes when less than the new window waits.
    expect(window.limit).toBe(1 * MIB);
    expect(window.consume(512 * KIB, 1 * MIB, 751, calm)).toBe(false);
    expect(window.consume(300 * KIB, 1 * MIB, 752, calm)).toBe(true);
    expect(window.limit).toBe(window.consumed + 256 * KIB);

    const far = new ReceiveWindow(1 * MIB);
    far.arrived(600 * KIB, 600 * KIB, 0);
    far.consume(1, 600 * KIB, 399, { ...calm, rttMinMs: 200 });
    expect(far.window).toBe(1 * MIB);
    far.consume(1, 600 * KIB, 400, { ...calm, rttMinMs: 200 });
    expect(far.window).toBe(512 * KIB);
  });

  test("keeps its size where the consumer empties half of it now and then, and small ones in any case", () => {
    const window = new ReceiveWindow(1 * MIB);
    let received = 0;
    for (let now = 0; now < 2_000; now += 100) {
      received += 600 * KIB;
      window.arrived(600 * KIB, received, now);
      window.consume(600 * KIB, received, now + 99, calm);
    }
    expect(window.window).toBeGreaterThanOrEqual(1 * MIB);
    const small = new ReceiveWindow(64 * KIB);
    small.arrived(64 * KIB, 64 * KIB, 0);
    small.consume(1, 64 * KIB, 10_000, calm);
    expect(small.window).toBe(64 * KIB);
  });

  test("grants nothing to a stream that holds over 32 KiB while memory is nearly gone", () => {
    const severe = { ...calm, pressure: 0.95 };
    const window = new ReceiveWindow(256 * KIB);
    window.arrived(256 * KIB, 256 * KIB, 0);
    expect(window.consume(192 * KIB, 256 * KIB, 1, severe)).toBe(false);
    expect(window.consume(32 * KIB, 256 * KIB, 2, severe)).toBe(true);
    expect(window.limit).toBe(224 * KIB + 256 * KIB);
  });

  test("knows since when bytes wait for the consumer", () => {
    const window = new ReceiveWindow(256 * KIB);
    window.arrived(10, 10, 5);
    window.arrived(10, 20, 7);
    expect(window.waitingSince).toBe(5);
    window.consume(1, 20, 9, calm);
    expect(window.waitingSince).toBe(9);
    window.consume(19, 20, 11, calm);
    window.arrived(10, 30, 1_000);
    expect(window.waitingSince).toBe(1_000);
  });

  test("never exceeds 16 MiB", () => {
    const window = new ReceiveWindow(4 * MIB);
    window.arrived(1, 1, 0);
    let consumed = 0;
    for (let round = 0; round < 10; round++) {
      const step = window.window / 4;
      consumed += step;
      window.consume(step, consumed, 0, calm);
    }
    expect(window.window).toBe(16 * MIB);
  });
});

describe("session window", () => {
  test("follows receipt while there is room", () => {
    const window = new SessionWindow(4 * MIB, 64 * MIB, () => 0);
    window.received = 1 * MIB;
    expect(window.raise(0)).toBe(true);
    expect(window.limit).toBe(5 * MIB);
    window.received += 1 * MIB - 1;
    expect(window.raise(0)).toBe(false);
  });

  test("follows consumption where the budget binds, and never holds more", () => {
    const window = new SessionWindow(4 * MIB, 16 * MIB, () => 0);
    for (let round = 0; round < 100; round++) {
      window.received = window.limit;
      window.raise(0);
    }
    expect([window.received, window.limit]).toEqual([16 * MIB, 16 * MIB]);
    window.consumed = 100;
    expect(window.raise(0)).toBe(true);
    expect(window.limit).toBe(16 * MIB + 100);
  });

  test("is an integer for every sum of windows", () => {
    const window = new SessionWindow(4 * MIB, 64 * MIB + 1, () => 5 * MIB + 1);
    window.received = 4 * MIB;
    expect(window.raise(0)).toBe(true);
    expect(Number.isInteger(window.limit)).toBe(true);
    expect(window.limit).toBe(4 * MIB + Math.floor(1.5 * (5 * MIB + 1)));
  });

  test("looks at the windows of recent consumers only", () => {
    const asked: number[] = [];
    const window = new SessionWindow(4 * MIB, 64 * MIB, (since) => {
      asked.push(since);
      return 0;
    });
    window.raise(5_000);
    window.raise(5_249);
    window.raise(5_250);
    expect(asked).toEqual([4_000, 4_250]);
  });
});
