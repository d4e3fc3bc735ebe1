// This file is the tests of a link's pulse and of its round-trip estimator.
import { describe, expect, test } from "bun:test";
import { Liveness } from "../../../src/session/core/liveness.ts";
import { Rtt } from "../../../src/session/core/rtt.ts";

const SILENCE_MS = 15_000;
const PING_MS = 5_000;

/** A link that was attached at 0 and whose first PING was answered. */
function answered(): Liveness {
  const liveness = new Liveness(SILENCE_MS, PING_MS, 0);
  liveness.pong(liveness.takePing(0), 20);
  liveness.heard(20);
  return liveness;
}

describe("liveness", () => {
  test("asks when a link is attached, then after each silence of its ping time", () => {
    const liveness = new Liveness(SILENCE_MS, PING_MS, 0);
    expect(liveness.isPingDue).toBe(true);
    const quiet = answered();
    expect(quiet.deadline()).toBe(20 + PING_MS);
    expect(quiet.check(20 + PING_MS, 0)).toBe("quiet");
    expect(quiet.isPingDue).toBe(true);
  });

  test("does not wake up again for a PING that cannot leave yet", () => {
    const liveness = answered();
    liveness.check(20 + PING_MS, 0);
    expect(liveness.deadline()).toBe(20 + SILENCE_MS);
  });

  test("asks again where a PING was ignored", () => {
    const liveness = answered();
    liveness.check(20 + PING_MS, 0);
    liveness.takePing(5_020);
    expect(liveness.isPingDue).toBe(false);
    liveness.check(10_020, 0);
    expect(liveness.isPingDue).toBe(true);
  });

  test("calls the link lost after the silence, not earlier", () => {
    const liveness = answered();
    expect(liveness.check(20 + SILENCE_MS - 1, 0)).toBe("quiet");
    expect(liveness.check(20 + SILENCE_MS, 0)).toBe("lost");
  });

  test("takes any byte as a sign of life, so a saturated link keeps its session [frp 5526]", () => {
    const liveness = answered();
    liveness.heard(10_000);
    expect(liveness.check(20 + SILENCE_MS, 0)).toBe("quiet");
    expect(liveness.check(10_000 + SILENCE_MS, 0)).toBe("lost");
  });

  test("moves its clocks by the lag of the timer, never beyond now", () => {
    const late = answered();
    expect(late.check(20 + SILENCE_MS + 2_999, 3_000)).toBe("quiet");
    const recent = answered();
    recent.heard(6_000);
    recent.check(6_100, 5_000);
    expect(recent.check(6_100 + SILENCE_MS, 0)).toBe("lost");
  });

  test("leaves a lag of 50 ms out", () => {
    expect(answered().check(20 + SILENCE_MS + 50, 50)).toBe("lost");
  });

  test("asks at once after a suspend, and calls a link lost that does not answer within 2 s", () => {
    const silent = answered();
    expect(silent.check(100_000, 60_000)).toBe("quiet");
    expect(silent.isPingDue).toBe(true);
    silent.takePing(100_000);
    expect(silent.deadline()).toBe(102_000);
    expect(silent.check(101_999, 0)).toBe("quiet");
    expect(silent.check(102_000, 0)).toBe("lost");

    const alive = answered();
    alive.check(100_000, 60_000);
    alive.heard(101_000);
    expect(alive.check(102_000, 0)).toBe("quiet");
  });

  test("samples the round trip every 5 s while busy", () => {
    const liveness = answered();
    liveness.busy(4_999);
    expect(liveness.isPingDue).toBe(false);
    liveness.busy(5_000);
    expect(liveness.isPingDue).toBe(true);
    expect(liveness.rtt.smoothed).toBe(20);
  });

  test("answers ten PINGs per second, the newest of those that come sooner", () => {
    const liveness = answered();
    expect(liveness.ping(1, 1_000)).toBe(true);
    expect(liveness.pongDue).toBe(1);
    liveness.tookPong(1_000);
    expect([liveness.ping(2, 1_010), liveness.ping(3, 1_020)]).toEqual([false, false]);
    expect([liveness.pongDue, liveness.deadline()]).toEqual([undefined, 1_100]);
    liveness.check(1_100, 0);
    expect(liveness.pongDue).toBe(3);
    // While it cannot be written, it asks for no timer.
    expect(liveness.deadline()).toBeGreaterThan(1_100);
    liveness.tookPong(1_105);
    expect(liveness.pongDue).toBeUndefined();
  });

  test("ignores foreign PONGs and repeats", () => {
    const liveness = answered();
    expect(liveness.pong(77, 1_100)).toBeUndefined();
    const id = liveness.takePing(1_100);
    expect([liveness.pong(id, 1_150), liveness.pong(id, 1_151)]).toEqual([50, undefined]);
  });

  test("asks anew on a busy link where an answer does not come", () => {
    const liveness = answered();
    liveness.takePing(1_000);
    liveness.busy(5_999);
    expect(liveness.isPingDue).toBe(false);
    liveness.busy(6_000);
    expect(liveness.isPingDue).toBe(true);
  });
});

describe("round trip", () => {
  test("smooths by eighths and starts with the first sample", () => {
    const rtt = new Rtt();
    expect([rtt.smoothed, rtt.minimum, rtt.estimate]).toEqual([undefined, 1, 100]);
    rtt.sample(80, 0);
    rtt.sample(160, 1);
    expect([rtt.smoothed, rtt.estimate]).toEqual([90, 90]);
  });

  test("keeps the minimum of the last minute, at least 1 ms", () => {
    const rtt = new Rtt();
    rtt.sample(10, 0);
    rtt.sample(30, 20_000);
    rtt.sample(40, 40_000);
    expect(rtt.minimum).toBe(10);
    rtt.sample(50, 60_001);
    expect(rtt.minimum).toBe(30);
    // The 30 ms of second 20 are not taken along for another minute.
    rtt.sample(60, 80_001);
    expect(rtt.minimum).toBeGreaterThan(30);
    rtt.sample(0.2, 80_002);
    expect(rtt.minimum).toBe(1);
  });
});
