// This file is the tests of both halves of a stream: what each state allows, and what it becomes.
import { describe, expect, test } from "bun:test";
import { ReceiveHalf } from "../../../src/session/core/receive-half.ts";
import { SendHalf } from "../../../src/session/core/send-half.ts";
import { pattern } from "./peer.ts";

function sending(bytes = 0): SendHalf {
  const half = new SendHalf(1_000);
  if (bytes > 0) half.bytes.append(pattern(bytes), true);
  return half;
}

describe("sending half", () => {
  test("goes from ready over send and dataSent to dataRecvd", () => {
    const half = sending(10);
    expect(half.state).toBe("ready");
    expect(half.send(new Uint8Array(10), 0, 4)).toBe(false);
    expect(half.state).toBe("send");
    expect(half.finish()).toBe(true);
    expect(half.isOpen).toBe(false);
    expect(half.isFinDue).toBe(false);
    expect(half.send(new Uint8Array(10), 0, 6)).toBe(true);
    expect([half.state, half.highest, half.mayBeEnded]).toEqual(["dataSent", 10, true]);
    half.ended();
    expect([half.state, half.bytes.retained, half.isTerminal]).toEqual(["dataRecvd", 0, true]);
  });

  test("owes an empty FIN when everything was sent before finish", () => {
    const half = sending(3);
    half.send(new Uint8Array(3), 0, 3);
    half.finish();
    expect(half.isFinDue).toBe(true);
    expect(half.finish()).toBe(false);
    expect(half.sendPeeked(0)).toBe(true);
    expect(half.isFinDue).toBe(false);
  });

  test("is reset in ready, send and dataSent, and keeps its highest offset as final size", () => {
    const ready = sending(5);
    const sent = sending(5);
    sent.send(new Uint8Array(5), 0, 2);
    const finished = sending(5);
    finished.finish();
    finished.send(new Uint8Array(5), 0, 5);
    for (const [half, highest] of [
      [ready, 0],
      [sent, 2],
      [finished, 5],
    ] as const) {
      expect(half.reset(9)).toBe(true);
      expect([
        half.state,
        half.resetCode,
        half.highest,
        half.bytes.unsent,
        half.bytes.retained,
      ]).toEqual(["resetSent", 9, highest, 0, 0]);
      expect(half.reset(10)).toBe(false);
      expect(half.resetCode).toBe(9);
      half.ended();
      expect(half.state).toBe("resetRecvd");
    }
  });

  test("is not reset once all was acknowledged", () => {
    const half = sending();
    half.finish();
    half.sendPeeked(0);
    half.ended();
    expect(half.reset(1)).toBe(false);
    expect(half.state).toBe("dataRecvd");
  });

  test("cannot be ended before FIN or RESET", () => {
    const half = sending(2);
    expect(half.mayBeEnded).toBe(false);
    expect(() => half.ended()).toThrow("BUG");
  });
});

describe("receiving half", () => {
  const conditions = {
    rttMinMs: 1,
    pressure: 0,
    sessionHeld: 0,
    receiveBudget: 1_000_000,
    open: 1,
  };

  test("goes from recv to dataRead when all bytes are here and consumed", () => {
    const half = new ReceiveHalf(1_000);
    half.received = 10;
    half.sized(12);
    expect([half.state, half.complete(), half.hasEnded]).toEqual(["sizeKnown", false, false]);
    half.received = 12;
    expect(half.complete()).toBe(true);
    expect(half.complete()).toBe(false);
    expect([half.state, half.hasEnded, half.isTerminal, half.held]).toEqual([
      "dataRecvd",
      true,
      false,
      12,
    ]);
    half.window.consume(12, 12, 0, conditions);
    half.read();
    expect([half.state, half.isTerminal]).toEqual(["dataRead", true]);
  });

  test("counts what a reset leaves out as received and consumed", () => {
    const half = new ReceiveHalf(1_000);
    half.received = 100;
    half.window.consume(30, 100, 0, conditions);
    expect(half.reset(140)).toEqual({ received: 40, consumed: 110 });
    expect([half.state, half.held, half.finalSize]).toEqual(["resetRead", 0, 140]);
  });

  test("knows no reset after everything arrived", () => {
    const half = new ReceiveHalf(1_000);
    half.sized(0);
    half.complete();
    expect(() => half.reset(0)).toThrow("BUG");
  });

  test("keeps the first final size", () => {
    const half = new ReceiveHalf(1_000);
    half.sized(5);
    half.sized(9);
    expect(half.finalSize).toBe(5);
  });
});
