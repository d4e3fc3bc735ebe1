// This file is when last-seen times reach the disk: the first at once, the others together. reliability.md §4 item 2; R-09.
import { describe, expect, test } from "bun:test";
import { LastSeen } from "../../../src/edge/store/last-seen.ts";
import type { Seen } from "../../../src/edge/store/records.ts";
import { within } from "../../within.ts";
import { makeLog } from "./fixture.ts";

/** Writes that are kept, and can be waited for. */
class Writes {
  readonly batches: Seen[] = [];
  #wake: () => void = () => undefined;

  readonly write = async (batch: Seen): Promise<void> => {
    this.batches.push(batch);
    this.#wake();
  };

  async count(count: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = () => {
      if (this.batches.length >= count) resolve();
    };
    this.#wake();
    await within(promise, `${count} writes`);
  }
}

describe("last-seen times", () => {
  test("the first is written at once, those behind it in one write a second later, the newest of each", async () => {
    const writes = new Writes();
    const seen = new LastSeen(writes.write, makeLog().log);
    const startedAt = performance.now();
    seen.tunnel("one", 1);
    await writes.count(1);
    expect(performance.now() - startedAt).toBeLessThan(900);
    for (let at = 2; at < 100; at++) {
      seen.tunnel("one", at);
      seen.tunnel("two", at);
    }
    await writes.count(2);
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(990);
    expect(writes.batches.map(({ tunnels }) => tunnels)).toEqual([
      [{ id: "one", at: 1 }],
      [
        { id: "one", at: 99 },
        { id: "two", at: 99 },
      ],
    ]);
    await seen[Symbol.asyncDispose]();
    expect(writes.batches.length).toBe(2);
  });

  test("what is left is written at the end", async () => {
    const writes = new Writes();
    const seen = new LastSeen(writes.write, makeLog().log);
    seen.tunnel("one", 1);
    await writes.count(1);
    seen.host("app.example.com", 2);
    await seen[Symbol.asyncDispose]();
    expect(writes.batches[1]?.hosts).toEqual([{ host: "app.example.com", at: 2 }]);
  });
});
