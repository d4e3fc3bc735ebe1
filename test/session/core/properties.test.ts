// This file is properties over random use: every stream that may send is served in time, ids mean what a plain list says. PROTOCOL §2.2, §6.3.
import { describe, expect, test } from "bun:test";
import { Scheduler } from "../../../src/session/core/scheduler.ts";
import { type IdMeaning, StreamState, StreamTable } from "../../../src/session/core/streams.ts";
import { DATA_BYTES, QUANTUM, STREAMS_LEFT_LOW } from "../../../src/wire/index.ts";
import { Random, seedOf } from "../../msgpack/random.ts";

const RTT_MS = 20;
const INTERACTIVE_SHARE = 7;

describe("scheduler", () => {
  test("serves every stream that has bytes, before the others sent more than their turns", () => {
    const random = new Random(seedOf("scheduler"));
    let served = 0;
    let waitedMost = 0;
    for (let round = 0; round < 200; round++) {
      const scheduler = new Scheduler();
      const streams = Array.from({ length: 1 + random.below(20) }, (_, index) => {
        const stream = new StreamState(2 * index, 1, true, 0, 1 << 30, 1 << 20);
        stream.weight = 1 + random.below(4);
        return { stream, left: 0, sentAtReady: 0 };
      });
      const weights = streams.reduce((sum, { stream }) => sum + stream.weight, 0);
      // Each turn of bulk may be preceded by seven quanta of interactive bytes, and each frame may end beyond its share.
      const most = (1 + INTERACTIVE_SHARE) * (weights * QUANTUM + streams.length * DATA_BYTES);
      let now = 0;
      let sent = 0;
      for (let step = 0; step < 400; step++) {
        now += random.pick([0, 0, 1, 10, 600]);
        if (random.below(3) === 0) {
          const waiting = random.pick(streams);
          if (waiting.left === 0) waiting.sentAtReady = sent;
          waiting.left += random.pick([100, 5_000, 200_000]);
          scheduler.ready(waiting.stream, now, RTT_MS);
        }
        const stream = scheduler.next();
        const own = streams.find((each) => each.stream === stream);
        if (stream === undefined || own === undefined) {
          expect(streams.every(({ left }) => left === 0)).toBe(true);
          continue;
        }
        expect(own.left).toBeGreaterThan(0);
        waitedMost = Math.max(waitedMost, (sent - own.sentAtReady) / most);
        expect(sent - own.sentAtReady).toBeLessThanOrEqual(most);
        const bytes = Math.min(own.left, 1 + random.below(DATA_BYTES));
        own.left -= bytes;
        sent += bytes;
        own.sentAtReady = sent;
        served += 1;
        scheduler.sent(stream, bytes, own.left > 0, now, RTT_MS);
        // Nobody who waits has been passed over for longer either.
        for (const { left, sentAtReady } of streams)
          if (left > 0 && sent - sentAtReady > most)
            throw new Error(`a stream waits for ${sent - sentAtReady} bytes, allowed ${most}`);
      }
    }
    expect(served).toBeGreaterThan(10_000);
    // The bound is of the size of what happens: a scheduler that forgets somebody would pass it.
    expect(waitedMost).toBeGreaterThan(0.05);
  });
});

describe("stream table", () => {
  test("says of every id what a plain list of openings says, and announces what it can", () => {
    const random = new Random(seedOf("stream table"));
    let compared = 0;
    for (let round = 0; round < 100; round++) {
      const concurrency = random.pick([1, 3, 8, 40, 1_000]);
      const table = new StreamTable("connector", concurrency, 5, 0);
      const present = new Map<number, StreamState>();
      const closed = new Set<number>();
      let highest = -1;
      for (let step = 0; step < 300; step++) {
        const before = table.announced;
        // Links that overtake each other open streams in any order, below what was announced.
        const ordinal = Math.min(before - 1, Math.max(0, highest + random.below(4) - 1));
        if (
          random.below(2) === 0 &&
          ordinal >= 0 &&
          !present.has(ordinal) &&
          !closed.has(ordinal)
        ) {
          table.opened(2 * ordinal);
          const stream = new StreamState(2 * ordinal, 1, false, 0, 100, 100);
          table.add(stream);
          present.set(ordinal, stream);
          highest = Math.max(highest, ordinal);
        } else if (present.size > 0) {
          const [leaving, stream] = random.pick([...present]);
          table.forget(stream);
          present.delete(leaving);
          closed.add(leaving);
        }
        expect(table.announced).toBeGreaterThanOrEqual(before);
        const possible = closed.size + concurrency;
        expect(table.announced).toBeLessThanOrEqual(possible);
        // A peer that runs short was told of everything there is.
        if (table.announced - (highest + 1) < STREAMS_LEFT_LOW && highest >= 0 && closed.size > 0)
          expect(table.announced).toBe(possible);
        expect(table.size).toBe(present.size);
        expect(table.gaps).toBe(highest + 1 - present.size - closed.size);
        expect(table.gaps).toBeLessThanOrEqual(table.announced - closed.size);
        const id = random.below(2 * (table.announced + 3));
        expect([id, table.meaning(id)]).toEqual([
          id,
          meaningOf(id, present, closed, table.announced),
        ]);
        compared += 1;
      }
    }
    expect(compared).toBe(30_000);
  });
});

function meaningOf(
  id: number,
  present: ReadonlyMap<number, unknown>,
  closed: ReadonlySet<number>,
  announced: number,
): IdMeaning {
  const ordinal = Math.floor(id / 2);
  // The table is a connector's, which opened nothing.
  if (id % 2 === 1) return "oursUnopened";
  if (present.has(ordinal)) return "present";
  if (ordinal >= announced) return "overLimit";
  return closed.has(ordinal) ? "forgotten" : "peerUnopened";
}
