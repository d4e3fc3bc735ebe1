// This file is the requests that wait for a connector: their order, their bounds, and each way to stop waiting. http.md §12; S-44, R-27.
import { describe, expect, test } from "bun:test";
import type { Deadline } from "../../src/deadlines.ts";
import {
  Hold,
  HOLD_BYTES,
  HOLD_IN_ALL,
  HOLD_PER_HOST,
  type Waiter,
} from "../../src/edge/route/index.ts";

const TUNNEL = "7f0c";
const HOST = "app.example.com";
const HOLD_MS = 10_000;

/** A wheel that turns when the test says so. */
class Wheel {
  readonly #pending = new Set<{ readonly at: number; readonly run: () => void }>();
  #now = 0;

  schedule(afterMs: number, run: () => void): Deadline {
    const entry = { at: this.#now + afterMs, run };
    this.#pending.add(entry);
    return { cancel: () => this.#pending.delete(entry) };
  }

  get pending(): number {
    return this.#pending.size;
  }

  pass(ms: number): void {
    this.#now += ms;
    for (const entry of [...this.#pending]) {
      if (entry.at <= this.#now && this.#pending.delete(entry)) entry.run();
    }
  }
}

function made(holdMs = HOLD_MS): { readonly hold: Hold; readonly wheel: Wheel } {
  const wheel = new Wheel();
  return { hold: new Hold({ holdMs, deadlines: wheel }), wheel };
}

/** Waiters that say in one list what became of them. */
class Crowd {
  readonly log: string[] = [];
  /** So many of them are taken. */
  room = 0;
  /** These are not taken by whoever has room for others. */
  readonly barred = new Set<string>();

  waiter(name: string): Waiter {
    return {
      go: () => {
        if (this.barred.has(name)) return "away";
        if (this.room === 0) return "busy";
        this.room -= 1;
        this.log.push(`${name} goes`);
        return "gone";
      },
      expired: () => this.log.push(`${name} expired`),
    };
  }
}

describe("hold", () => {
  test("those of one name go in the order they came, as many as are taken; the others keep their places", () => {
    const { hold } = made();
    const crowd = new Crowd();
    for (const name of ["first", "second", "third"])
      hold.park(TUNNEL, HOST, crowd.waiter(name), HOLD_MS, 0);
    hold.release(TUNNEL);
    expect([crowd.log, hold.count]).toEqual([[], 3]);
    crowd.room = 2;
    hold.release(TUNNEL);
    expect([crowd.log, hold.count]).toEqual([["first goes", "second goes"], 1]);
    crowd.room = 9;
    hold.release("another tunnel");
    expect(hold.count).toBe(1);
    hold.release(TUNNEL);
    expect([crowd.log.at(-1), hold.count]).toEqual(["third goes", 0]);
  });

  test("a name whose first cannot go does not keep those of another name of the tunnel", () => {
    const { hold } = made();
    const [stuck, free] = [new Crowd(), new Crowd()];
    hold.park(TUNNEL, HOST, stuck.waiter("stuck"), HOLD_MS, 0);
    hold.park(TUNNEL, "api.example.com", free.waiter("free"), HOLD_MS, 0);
    free.room = 1;
    hold.release(TUNNEL);
    expect([stuck.log, free.log]).toEqual([[], ["free goes"]]);
  });

  test("one that the ready session does not take keeps its place, and nobody behind it", () => {
    const { hold } = made();
    const crowd = new Crowd();
    crowd.barred.add("refused there");
    for (const name of ["refused there", "second", "third"])
      hold.park(TUNNEL, HOST, crowd.waiter(name), HOLD_MS, 0);
    crowd.room = 2;
    hold.release(TUNNEL);
    expect([crowd.log, hold.count]).toEqual([["second goes", "third goes"], 1]);
  });

  test("who leaves frees the place, once, and is told nothing", () => {
    const { hold, wheel } = made();
    const crowd = new Crowd();
    const place = hold.park(TUNNEL, HOST, crowd.waiter("first"), HOLD_MS, 1_000);
    hold.park(TUNNEL, HOST, crowd.waiter("second"), HOLD_MS, 0);
    if (typeof place === "string") throw new Error(place);
    place.leave();
    place.leave();
    expect(hold.count).toBe(1);
    wheel.pass(HOLD_MS);
    expect(crowd.log).toEqual(["second expired"]);
    expect(hold.count).toBe(0);
  });

  test("each waits its own time", () => {
    const { hold, wheel } = made();
    const crowd = new Crowd();
    hold.park(TUNNEL, HOST, crowd.waiter("long"), HOLD_MS, 0);
    wheel.pass(HOLD_MS / 2);
    hold.park(TUNNEL, HOST, crowd.waiter("late"), HOLD_MS, 0);
    hold.park(TUNNEL, HOST, crowd.waiter("again"), HOLD_MS / 4, 0);
    wheel.pass(HOLD_MS / 4);
    expect(crowd.log).toEqual(["again expired"]);
    wheel.pass(HOLD_MS / 4);
    expect(crowd.log).toEqual(["again expired", "long expired"]);
    wheel.pass(HOLD_MS / 2);
    expect(crowd.log.at(-1)).toBe("late expired");
  });

  test("they look again by themselves: not every way to be ready is told", () => {
    const { hold, wheel } = made();
    const crowd = new Crowd();
    hold.park(TUNNEL, HOST, crowd.waiter("first"), HOLD_MS, 0);
    crowd.room = 1;
    wheel.pass(250);
    expect(crowd.log).toEqual(["first goes"]);
    wheel.pass(250);
    expect(wheel.pending).toBe(0);
  });

  test(`${HOLD_PER_HOST} wait for one name, the next is told that it is busy; another name has its own`, () => {
    const { hold } = made();
    const crowd = new Crowd();
    for (let index = 0; index < HOLD_PER_HOST; index++)
      expect(hold.park(TUNNEL, HOST, crowd.waiter("one"), HOLD_MS, 0)).toBeObject();
    expect(hold.park(TUNNEL, HOST, crowd.waiter("one more"), HOLD_MS, 0)).toBe("hostFull");
    expect(hold.park(TUNNEL, "api.example.com", crowd.waiter("other"), HOLD_MS, 0)).toBeObject();
    crowd.room = 1;
    hold.release(TUNNEL);
    expect(hold.park(TUNNEL, HOST, crowd.waiter("now"), HOLD_MS, 0)).toBeObject();
  });

  test(`${HOLD_IN_ALL} wait in all, however many names there are`, () => {
    const { hold, wheel } = made();
    const crowd = new Crowd();
    for (let index = 0; index < HOLD_IN_ALL; index++)
      expect(hold.park(TUNNEL, `h${index}`, crowd.waiter("one"), HOLD_MS, 0)).toBeObject();
    expect(hold.park(TUNNEL, HOST, crowd.waiter("one more"), HOLD_MS, 0)).toBe("full");
    expect(hold.count).toBe(HOLD_IN_ALL);
    wheel.pass(HOLD_MS);
    expect([hold.count, crowd.log.length]).toEqual([0, HOLD_IN_ALL]);
    expect(hold.park(TUNNEL, HOST, crowd.waiter("now"), HOLD_MS, 0)).toBeObject();
  });

  test(`those that wait hold ${HOLD_BYTES} bytes together`, () => {
    const { hold } = made();
    const crowd = new Crowd();
    const half = hold.park(TUNNEL, HOST, crowd.waiter("half"), HOLD_MS, HOLD_BYTES / 2);
    hold.park(TUNNEL, HOST, crowd.waiter("half"), HOLD_MS, HOLD_BYTES / 2);
    expect(hold.park(TUNNEL, HOST, crowd.waiter("byte"), HOLD_MS, 1)).toBe("full");
    expect(hold.park(TUNNEL, HOST, crowd.waiter("none"), HOLD_MS, 0)).toBeObject();
    if (typeof half !== "string") half.leave();
    expect(hold.park(TUNNEL, HOST, crowd.waiter("byte"), HOLD_MS, 1)).toBeObject();
  });

  test("at its end all are told, and nobody is let in", () => {
    const { hold, wheel } = made();
    const crowd = new Crowd();
    for (const name of ["first", "second"]) hold.park(TUNNEL, HOST, crowd.waiter(name), HOLD_MS, 0);
    hold.close();
    expect([crowd.log, hold.count, hold.isClosed]).toEqual([
      ["first expired", "second expired"],
      0,
      true,
    ]);
    wheel.pass(HOLD_MS);
    expect([crowd.log.length, wheel.pending]).toEqual([2, 0]);
  });

  test("a hold of 0 is closed from the start", () => {
    expect(made(0).hold.isClosed).toBe(true);
  });
});
