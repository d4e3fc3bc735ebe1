import { describe, expect, test } from "bun:test";
import {
  type AdmissionRefusal,
  MAX_IDLE_SOURCES,
  PeerLimits,
  type PeerLimitOptions,
  type Place,
  STRIKES,
} from "../../../src/edge/listen/peer-limits.ts";

const OFF: PeerLimitOptions = {
  connectionsPerSource: "off",
  acceptRate: "off",
  connections: "off",
  pendingHandshakes: "off",
  penaltyMs: "off",
  onRefused: () => undefined,
};

function admitted(outcome: Place | AdmissionRefusal): Place {
  if (typeof outcome === "string") throw new Error(`Refused for ${outcome}, expected a place`);
  return outcome;
}

describe("peer limits", () => {
  test("hold 256 connections of one source and take the next when one closes", () => {
    const limits = new PeerLimits({ ...OFF, connectionsPerSource: 256 });
    const places = Array.from({ length: 256 }, () => admitted(limits.admit("192.0.2.1", 0)));
    expect(limits.admit("192.0.2.1", 0)).toBe("connectionsPerSource");
    admitted(limits.admit("192.0.2.2", 0));
    places[0]?.release();
    admitted(limits.admit("192.0.2.1", 0));
    expect(limits.admit("192.0.2.1", 0)).toBe("connectionsPerSource");
    expect(limits.snapshot()).toMatchObject({
      connections: 257,
      refused: { connectionsPerSource: 2 },
    });
  });

  test("count a whole /64, and a mapped IPv4 address as IPv4", () => {
    const limits = new PeerLimits({ ...OFF, connectionsPerSource: 1 });
    admitted(limits.admit("2001:db8:0:7::1", 0));
    expect(limits.admit("2001:db8:0:7:ffff::2%eth0", 0)).toBe("connectionsPerSource");
    admitted(limits.admit("2001:db8:0:8::1", 0));
    admitted(limits.admit("::ffff:192.0.2.1", 0));
    expect(limits.admit("192.0.2.1", 0)).toBe("connectionsPerSource");
  });

  test("accept a burst of 60, then 20 a second", () => {
    const limits = new PeerLimits({ ...OFF, acceptRate: { perSecond: 20, burst: 60 } });
    const accepted = (count: number, now: number): number => {
      let taken = 0;
      for (let index = 0; index < count; index++) {
        const outcome = limits.admit("192.0.2.1", now);
        if (typeof outcome === "string") expect(outcome).toBe("acceptRate");
        else taken += 1;
      }
      return taken;
    };
    expect(accepted(100, 0)).toBe(60);
    expect(accepted(5, 49)).toBe(0);
    expect(accepted(5, 50)).toBe(1);
    expect(accepted(100, 1_050)).toBe(20);
    expect(accepted(100, 100_000)).toBe(60);
  });

  test("remember the rate of a source whose connections are all closed", () => {
    const limits = new PeerLimits({ ...OFF, acceptRate: { perSecond: 20, burst: 2 } });
    admitted(limits.admit("192.0.2.1", 0)).release();
    admitted(limits.admit("192.0.2.1", 0)).release();
    expect(limits.admit("192.0.2.1", 0)).toBe("acceptRate");
  });

  test("cap connections and pending handshakes over all sources", () => {
    const limits = new PeerLimits({ ...OFF, connections: 3, pendingHandshakes: 2 });
    const first = admitted(limits.admit("192.0.2.1", 0));
    admitted(limits.admit("192.0.2.2", 0));
    expect(limits.admit("192.0.2.3", 0)).toBe("pendingHandshakes");
    first.settle();
    const third = admitted(limits.admit("192.0.2.3", 0));
    expect(limits.admit("192.0.2.4", 0)).toBe("connections");
    third.release();
    admitted(limits.admit("192.0.2.4", 0));
    expect(limits.snapshot()).toMatchObject({ connections: 3, pendingHandshakes: 2 });
  });

  test("do not count an authenticated link against its source, but in all", () => {
    const limits = new PeerLimits({ ...OFF, connectionsPerSource: 1, connections: 2 });
    const link = admitted(limits.admit("192.0.2.1", 0));
    link.excuse();
    admitted(limits.admit("192.0.2.1", 0));
    expect(limits.admit("192.0.2.2", 0)).toBe("connections");
  });

  test("give a place back once, however often it is released", () => {
    const limits = new PeerLimits({ ...OFF, connectionsPerSource: 2 });
    const place = admitted(limits.admit("192.0.2.1", 0));
    admitted(limits.admit("192.0.2.1", 0));
    place.excuse();
    place.release();
    place.settle();
    place.release();
    expect(limits.snapshot()).toMatchObject({ connections: 1, pendingHandshakes: 1, sources: 1 });
    admitted(limits.admit("192.0.2.1", 0));
    expect(limits.admit("192.0.2.1", 0)).toBe("connectionsPerSource");
  });

  test.each(Object.entries(STRIKES))(
    "box a source for 60 s by strikes: %s",
    (kind, { count, withinMs }) => {
      const limits = new PeerLimits({ ...OFF, penaltyMs: 60_000 });
      const strike = (now: number): void =>
        limits.strike(kind as keyof typeof STRIKES, "2001:db8::1", now);
      for (let index = 0; index < count - 1; index++) strike(index);
      admitted(limits.admit("2001:db8::2", 10));
      // Outside of the time the count starts again.
      strike(withinMs + 1);
      admitted(limits.admit("2001:db8::2", withinMs + 1));
      for (let index = 0; index < count - 1; index++) strike(withinMs + 2);
      expect(limits.admit("2001:db8::2", withinMs + 2)).toBe("penalty");
      expect(limits.admit("2001:db8::2", withinMs + 60_001)).toBe("penalty");
      admitted(limits.admit("2001:db8:0:1::", withinMs + 3));
      admitted(limits.admit("2001:db8::2", withinMs + 60_002));
    },
  );

  test("box at once on demand, and never where penalties are off", () => {
    const boxing = new PeerLimits({ ...OFF, penaltyMs: 1_000 });
    boxing.penalize("192.0.2.1", 5);
    expect(boxing.admit("192.0.2.1", 1_004)).toBe("penalty");
    admitted(boxing.admit("192.0.2.1", 1_005));
    const mild = new PeerLimits(OFF);
    mild.penalize("192.0.2.1", 0);
    admitted(mild.admit("192.0.2.1", 0));
  });

  test("forget the source unseen for longest, never one with open connections", () => {
    const limits = new PeerLimits({ ...OFF, penaltyMs: 60_000, connectionsPerSource: 1 });
    admitted(limits.admit("192.0.2.1", 0));
    limits.penalize("192.0.2.2", 0);
    for (let index = 0; index < MAX_IDLE_SOURCES; index++) {
      limits.strike(
        "hello",
        `2001:db8:${(index >> 8).toString(16)}:${(index & 255).toString(16)}::1`,
        0,
      );
    }
    expect(limits.snapshot().sources).toBe(MAX_IDLE_SOURCES + 1);
    expect(limits.admit("192.0.2.1", 0)).toBe("connectionsPerSource");
    admitted(limits.admit("192.0.2.2", 0));
  });
});
