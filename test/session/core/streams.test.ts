import { describe, expect, test } from "bun:test";
import { StreamState, StreamTable } from "../../../src/session/core/streams.ts";

function opened(table: StreamTable, id: number): StreamState {
  table.opened(id);
  const stream = new StreamState(id, 1, false, 0, 100, 100);
  table.add(stream);
  return stream;
}

describe("stream table", () => {
  test("gives out even ids at the edge and odd ones at the connector", () => {
    const edge = new StreamTable("edge", 10, 3, 0);
    const connector = new StreamTable("connector", 10, 3, 5);
    expect([edge.takeId(), edge.takeId(), edge.takeId()]).toEqual([0, 2, 4]);
    expect(edge.canOpen).toBe(false);
    expect(connector.takeId()).toBe(11);
    expect([edge.isOurs(4), edge.isOurs(5), connector.isOurs(11)]).toEqual([true, false, true]);
  });

  test("keeps ids whole near 2^53", () => {
    const table = new StreamTable("connector", 10, 2 ** 52, 2 ** 52 - 2);
    expect([table.takeId(), table.takeId()]).toEqual([2 ** 53 - 3, 2 ** 53 - 1]);
  });

  test("tells what an id means", () => {
    const table = new StreamTable("connector", 4, 4, 0);
    expect(table.meaning(0)).toBe("peerUnopened");
    expect(table.meaning(8)).toBe("overLimit");
    expect(table.meaning(1)).toBe("oursUnopened");
    table.takeId();
    expect(table.meaning(1)).toBe("forgotten");
    const stream = opened(table, 0);
    expect(table.meaning(0)).toBe("present");
    table.forget(stream);
    expect(table.meaning(0)).toBe("forgotten");
  });

  test("remembers gaps until they are filled", () => {
    const table = new StreamTable("connector", 10, 4, 0);
    opened(table, 8);
    expect(table.gaps).toBe(4);
    expect(table.meaning(4)).toBe("peerUnopened");
    opened(table, 4);
    expect(table.gaps).toBe(3);
    expect(table.meaning(4)).toBe("present");
    opened(table, 10);
    expect(table.gaps).toBe(3);
  });

  test("announces more streams when a quarter closed, and at once when few are left", () => {
    const table = new StreamTable("connector", 40, 4, 0);
    const streams = Array.from({ length: 40 }, (_, index) => opened(table, 2 * index));
    // Eight are left only in the beginning: here all 40 are taken.
    expect(table.forget(streams[0] as StreamState)).toBe(true);
    expect(table.announced).toBe(41);

    const roomy = new StreamTable("connector", 40, 4, 0);
    const some = Array.from({ length: 12 }, (_, index) => opened(roomy, 2 * index));
    const rises = some.map((stream) => roomy.forget(stream));
    expect(rises.indexOf(true)).toBe(9);
    expect(roomy.announced).toBe(50);
  });

  test("announces what closed early when the peer comes to its last streams, though nothing closes then", () => {
    const table = new StreamTable("connector", 40, 4, 0);
    const early = Array.from({ length: 9 }, (_, index) => opened(table, 2 * index));
    // Fewer than a quarter, and plenty are left.
    expect(early.map((stream) => table.forget(stream))).not.toContain(true);
    expect(table.announced).toBe(40);
    const rises = Array.from({ length: 31 }, (_, index) => table.opened(2 * (9 + index)));
    expect(rises.filter(Boolean).length).toBe(1);
    expect(rises.indexOf(true)).toBe(23);
    expect(table.announced).toBe(49);
    // Nothing closed since: nothing can be given.
    expect(Array.from({ length: 9 }, (_, index) => table.opened(2 * (40 + index)))).not.toContain(
      true,
    );
  });

  test("counts only the peer's streams as closed", () => {
    const table = new StreamTable("connector", 4, 4, 0);
    const ours = new StreamState(table.takeId(), 1, true, 0, 100, 100);
    table.add(ours);
    expect(table.forget(ours)).toBe(false);
    expect(table.announced).toBe(4);
  });

  test("takes a higher count of streams only", () => {
    const table = new StreamTable("edge", 4, 0, 0);
    expect(table.canOpen).toBe(false);
    expect([table.raiseOpenLimit(2), table.raiseOpenLimit(2), table.raiseOpenLimit(1)]).toEqual([
      true,
      false,
      false,
    ]);
    expect(table.canOpen).toBe(true);
  });
});
