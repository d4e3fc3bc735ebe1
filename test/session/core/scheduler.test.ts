import { describe, expect, test } from "bun:test";
import { Scheduler } from "../../../src/session/core/scheduler.ts";
import { StreamState } from "../../../src/session/core/streams.ts";
import { DATA_BYTES, QUANTUM } from "../../../src/wire/index.ts";

const RTT_MS = 10;

function makeStream(id: number, weight = 1): StreamState {
  const stream = new StreamState(id, 1, true, 0, 1 << 30, 1 << 20);
  stream.weight = weight;
  return stream;
}

/** A stream that has sent enough lately to count as bulk. */
function bulk(id: number, now: number, weight = 1): StreamState {
  const stream = makeStream(id, weight);
  stream.pace.sent(1 << 20, now, RTT_MS);
  return stream;
}

/** Sends `frames` full frames; every stream has more. Returns the ids in order. */
function run(scheduler: Scheduler, frames: number, now: number): number[] {
  const order: number[] = [];
  for (let count = 0; count < frames; count++) {
    const stream = scheduler.next();
    if (stream === undefined) break;
    order.push(stream.id);
    scheduler.sent(stream, DATA_BYTES, true, now, RTT_MS);
  }
  return order;
}

describe("scheduler", () => {
  test("says nothing when nobody waits", () => {
    const scheduler = new Scheduler();
    expect(scheduler.isIdle).toBe(true);
    expect(scheduler.next()).toBeUndefined();
  });

  test("takes interactive streams before bulk, one frame each in turn", () => {
    const scheduler = new Scheduler();
    const streams = [bulk(0, 0), makeStream(2), makeStream(4)];
    for (const stream of streams) scheduler.ready(stream, 0, RTT_MS);
    expect(run(scheduler, 4, 0)).toEqual([2, 4, 2, 4]);
  });

  test("lets one bulk quantum through after seven of interactive bytes", () => {
    const scheduler = new Scheduler();
    scheduler.ready(bulk(0, 0), 0, RTT_MS);
    // Fresh interactive streams without end.
    let next = 2;
    const order: string[] = [];
    for (let count = 0; count < 32; count++) {
      scheduler.ready(makeStream(next), 0, RTT_MS);
      next += 2;
      const stream = scheduler.next();
      if (stream === undefined) throw new Error("Nobody waits");
      order.push(stream.id === 0 ? "bulk" : "small");
      scheduler.sent(stream, QUANTUM, stream.id === 0, 0, RTT_MS);
    }
    expect(order.join(" ")).toBe(
      Array(4)
        .fill(`${"small ".repeat(7)}bulk`)
        .join(" "),
    );
  });

  test("shares among eight bulk streams: Jain above 0.95", () => {
    const scheduler = new Scheduler();
    const sent = new Map<number, number>();
    for (let id = 0; id < 16; id += 2) scheduler.ready(bulk(id, 0), 0, RTT_MS);
    // Frames of all sizes: who sends short frames gets more of them.
    let frames = 0;
    for (; frames < 4_000; frames++) {
      const stream = scheduler.next();
      if (stream === undefined) break;
      const bytes = stream.id < 8 ? DATA_BYTES : 1_500 + 100 * stream.id;
      sent.set(stream.id, (sent.get(stream.id) ?? 0) + bytes);
      scheduler.sent(stream, bytes, true, 1, RTT_MS);
    }
    expect(frames).toBe(4_000);
    const shares = [...sent.values()];
    expect(shares).toHaveLength(8);
    const sum = shares.reduce((total, share) => total + share, 0);
    const squares = shares.reduce((total, share) => total + share * share, 0);
    expect((sum * sum) / (8 * squares)).toBeGreaterThan(0.95);
  });

  test("gives weight in quanta", () => {
    const scheduler = new Scheduler();
    scheduler.ready(bulk(0, 0, 3), 0, RTT_MS);
    scheduler.ready(bulk(2, 0, 1), 0, RTT_MS);
    const order = run(scheduler, 40, 1);
    const heavy = order.filter((id) => id === 0).length;
    expect(heavy).toBe(30);
  });

  test("calls a stream interactive again after 500 ms of silence, or with little in the last round trip", () => {
    const { pace } = makeStream(0);
    expect(pace.isInteractive(0, RTT_MS)).toBe(true);
    pace.sent(64 * 1_024, 0, RTT_MS);
    expect(pace.isInteractive(5, RTT_MS)).toBe(false);
    expect(pace.isInteractive(11, RTT_MS)).toBe(true);
    pace.sent(16 * 1_024, 12, RTT_MS);
    expect(pace.isInteractive(13, RTT_MS)).toBe(false);
    expect(pace.isInteractive(512, RTT_MS)).toBe(true);
  });

  test("offers a stream once, however often it becomes ready, and not after it has no more", () => {
    const scheduler = new Scheduler();
    const stream = makeStream(0);
    for (let count = 0; count < 3; count++) scheduler.ready(stream, 0, RTT_MS);
    expect(scheduler.next()).toBe(stream);
    scheduler.sent(stream, 100, false, 0, RTT_MS);
    expect(scheduler.isIdle).toBe(true);
  });

  test("ends the turn of a forgotten stream", () => {
    const scheduler = new Scheduler();
    const stream = bulk(0, 0, 4);
    scheduler.ready(stream, 0, RTT_MS);
    expect(scheduler.next()).toBe(stream);
    scheduler.sent(stream, DATA_BYTES, true, 0, RTT_MS);
    expect(scheduler.isIdle).toBe(false);
    scheduler.forget(stream);
    expect(scheduler.next()).toBeUndefined();
  });
});
