import { describe, expect, test } from "bun:test";
import { WriteQueue } from "../../src/exchange/write-queue.ts";

const KIB = 1_024;
const MOST = 128 * KIB;

/** Parts of one large buffer, as they are received. */
function parts(lengths: readonly number[]): { parts: Uint8Array[]; whole: Buffer } {
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const whole = Buffer.from(Uint8Array.from({ length: total }, (_, index) => (index * 7) & 255));
  const received = new Uint8Array(total + 400 * KIB);
  received.set(whole);
  let at = 0;
  return { whole, parts: lengths.map((length) => received.subarray(at, (at += length))) };
}

/** What of it a write is, which is written before the next one. */
function drain(queue: WriteQueue, most: number): Buffer[] {
  const writes: Buffer[] = [];
  while (queue.length > 0) {
    const bytes = queue.next(most);
    expect(bytes.length).toBeLessThanOrEqual(most);
    writes.push(Buffer.from(bytes));
    queue.written();
  }
  return writes;
}

describe("write queue", () => {
  test("gathers what is loose, whole chunks as far as they fit", () => {
    const { parts: chunks, whole } = parts([16_362, 16_362, 16_362, 16_362, 10]);
    const queue = new WriteQueue();
    for (const chunk of chunks) queue.push(chunk);
    expect(queue.length).toBe(whole.length);
    const writes = drain(queue, 64 * KIB);
    expect(writes.map(({ length }) => length)).toEqual([4 * 16_362 + 10]);
    expect(Buffer.concat(writes).equals(whole)).toBe(true);
  });

  test("gives a large chunk in parts, a small part of a large buffer as a copy", () => {
    const { parts: chunks, whole } = parts([16_362]);
    const queue = new WriteQueue();
    queue.push(chunks[0] as Uint8Array);
    const first = queue.next(4 * KIB);
    expect(first.buffer.byteLength).toBe(4 * KIB);
    expect(Buffer.from(first).equals(whole.subarray(0, 4 * KIB))).toBe(true);
    queue.written();
    expect(Buffer.concat(drain(queue, 4 * KIB)).equals(whole.subarray(4 * KIB))).toBe(true);
  });

  test("keeps nothing of what it was given once it is settled (S-42)", () => {
    const { parts: chunks, whole } = parts([16_362, 5, 700, 16_362, 1]);
    const queue = new WriteQueue();
    for (const chunk of chunks) queue.push(chunk);
    queue.settle(4 * KIB);
    for (const chunk of chunks) chunk.fill(0);
    expect(queue.length).toBe(whole.length);
    const writes = drain(queue, 4 * KIB);
    expect(Buffer.concat(writes).equals(whole)).toBe(true);
    // Nearly full ones: what it keeps is what waits.
    expect(writes.length).toBe(Math.ceil(whole.length / (4 * KIB)));
  });

  test("keeps the order of settled and loose, of small and large", () => {
    const lengths = Array.from({ length: 400 }, (_, index) =>
      index % 50 === 7 ? 16_362 : 1 + ((index * 37) % 900),
    );
    const { parts: chunks, whole } = parts(lengths);
    const queue = new WriteQueue();
    const writes: Buffer[] = [];
    for (const [index, chunk] of chunks.entries()) {
      queue.push(chunk);
      if (index % 60 === 59) queue.settle(16 * KIB);
      if (index % 90 !== 89) continue;
      writes.push(Buffer.from(queue.next(8 * KIB)));
      queue.written();
    }
    writes.push(...drain(queue, MOST));
    expect(Buffer.concat(writes).equals(whole)).toBe(true);
  });

  test("a buffer that the socket still reads is not given to others when the rest is dropped", () => {
    const { parts: chunks } = parts([8 * KIB]);
    const queue = new WriteQueue();
    queue.push(chunks[0] as Uint8Array);
    queue.settle(16 * KIB);
    const lent = queue.next(KIB);
    const before = Buffer.from(lent);
    queue.clear();
    expect(queue.length).toBe(0);
    const other = new WriteQueue();
    other.push(new Uint8Array(8 * KIB).fill(255));
    other.settle(16 * KIB);
    expect(Buffer.from(lent).equals(before)).toBe(true);
    queue.written();
    other.clear();
  });

  test("packs tiny chunks of one turn", () => {
    const { parts: chunks, whole } = parts(Array.from({ length: 3_000 }, () => 5));
    const queue = new WriteQueue();
    for (const chunk of chunks) queue.push(chunk);
    const writes = drain(queue, MOST);
    expect(writes.length).toBe(1);
    expect(Buffer.concat(writes).equals(whole)).toBe(true);
  });
});
