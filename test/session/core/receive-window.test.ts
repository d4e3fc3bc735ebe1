import { describe, expect, test } from "bun:test";
import {
  firstWindow,
  ReceiveWindow,
  SessionWindow,
} from "../../../src/session/core/receive-window.ts";

const KIB = 1_024;
const MIB = 1_024 * KIB;
const calm = { rttMinMs: 100, pressure: 0, sessionHeld: 0, receiveBudget: 64 * MIB };

describe("first window", () => {
  test("is 4 MiB for a lone stream and 64 KiB for one of a thousand", () => {
    expect(firstWindow(64 * MIB, 0, 0)).toBe(4 * MIB);
    expect(firstWindow(64 * MIB, 1, 0)).toBe(4 * MIB);
    expect(firstWindow(64 * MIB, 3, 0)).toBe(2 * MIB);
    expect(firstWindow(64 * MIB, 1_000, 0)).toBe(64 * KIB);
  });

  test("shrinks under pressure", () => {
    expect(firstWindow(64 * MIB, 0, 0.8)).toBe(256 * KIB);
    expect(firstWindow(64 * MIB, 0, 0.95)).toBe(64 * KIB);
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
    window.started(0);
    window.consume(16 * KIB, 16 * KIB, 99, calm);
    expect([window.window, window.limit]).toEqual([128 * KIB, 144 * KIB]);
  });

  test("stays where the consumer is the brake, memory is short, or the session holds much", () => {
    const slow = new ReceiveWindow(64 * KIB);
    slow.started(0);
    slow.consume(16 * KIB, 16 * KIB, 100, calm);
    const held = new ReceiveWindow(64 * KIB);
    held.started(0);
    held.consume(16 * KIB, 24 * KIB, 1, calm);
    const pressed = new ReceiveWindow(64 * KIB);
    pressed.started(0);
    pressed.consume(16 * KIB, 16 * KIB, 1, { ...calm, pressure: 0.8 });
    const full = new ReceiveWindow(64 * KIB);
    full.started(0);
    full.consume(16 * KIB, 16 * KIB, 1, { ...calm, sessionHeld: 32 * MIB });
    expect([slow, held, pressed, full].map(({ window }) => window)).toEqual(
      Array(4).fill(64 * KIB),
    );
  });

  test("never exceeds 16 MiB", () => {
    const window = new ReceiveWindow(4 * MIB);
    window.started(0);
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
