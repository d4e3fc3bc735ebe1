// This file is the calendar of certificates under a clock of its own: renewals, retries, the CA's word, warnings..
import { describe, expect, test } from "bun:test";
import { FAILED_VALIDATIONS } from "../../../../src/edge/certificates/acme/failed-validations.ts";
import { type Life, Schedule } from "../../../../src/edge/certificates/acme/schedule.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const LIFE: Life = { notBefore: 0, notAfter: 90 * DAY };

class Calendar {
  now = 0;
  full = 0;
  readonly schedule: Schedule;

  constructor(random = 0, maxRunning = 8) {
    this.schedule = new Schedule({
      random: () => random,
      maxRunning,
      onFull: () => (this.full += 1),
    });
  }

  /** Ids of orders that are due now; they are begun. */
  begin(): string[] {
    const orders = this.schedule.due(this.now).filter(({ what }) => what === "order");
    for (const { id } of orders) this.schedule.begin(id);
    return orders.map(({ id }) => id);
  }

  /** Goes to the next moment at which an order is due, and begins it; how long that was, in minutes. */
  next(): number {
    const from = this.now;
    for (let step = 0; step < 1_000; step++) {
      const at = this.schedule.nextAt(this.now);
      if (at === undefined) throw new Error("Nothing will ever be due");
      this.now = at;
      for (const { id, what } of this.schedule.due(this.now))
        if (what === "info") this.schedule.suggest(id, undefined, this.now);
      if (this.begin().length > 0) return (this.now - from) / MINUTE;
    }
    throw new Error("No order became due");
  }
}

describe("schedule", () => {
  test("orders at once what has no certificate, each name once", () => {
    const calendar = new Calendar();
    calendar.schedule.add("a.test", undefined, 0);
    calendar.schedule.add("a.test", undefined, 0);
    calendar.schedule.add("b.test", undefined, 0);
    expect(calendar.begin()).toEqual(["a.test", "b.test"]);
    expect(calendar.begin()).toEqual([]);
  });

  test("renews between two thirds of the life and a fiftieth of it later", () => {
    for (const [random, days] of [
      [0, 60],
      [0.5, 60.9],
      [1, 61.8],
    ] as const) {
      const calendar = new Calendar(random);
      calendar.schedule.add("a.test", LIFE, 0);
      expect(calendar.begin()).toEqual([]);
      expect(calendar.next() / (24 * 60)).toBeCloseTo(days, 6);
    }
  });

  test("tries again after 1, 2, 5, 10 min … 6 h, a tenth later at most, for ever", () => {
    for (const random of [0, 1]) {
      const calendar = new Calendar(random);
      calendar.schedule.add("a.test", undefined, 0);
      calendar.begin();
      const waits: number[] = [];
      for (let count = 0; count < 11; count++) {
        calendar.schedule.failed("a.test", "No", calendar.now);
        waits.push(calendar.next() / (1 + random / 10));
      }
      const expected = [1, 2, 5, 10, 20, 40, 90, 180, 360, 360, 360];
      for (const [index, minutes] of expected.entries())
        expect(waits[index]).toBeCloseTo(minutes, 6);
    }
  });

  test("a renewal that fails is tried until it succeeds, and the certificate there is stays known", () => {
    const calendar = new Calendar();
    calendar.schedule.add("a.test", LIFE, 0);
    calendar.next();
    let tries = 0;
    while (calendar.now < 89 * DAY) {
      calendar.schedule.failed("a.test", "The CA is down", calendar.now);
      expect(calendar.schedule.view("a.test", calendar.now)?.life).toEqual(LIFE);
      calendar.next();
      tries += 1;
    }
    expect(tries).toBeGreaterThan(100);
    const next = { notBefore: calendar.now, notAfter: calendar.now + 90 * DAY };
    calendar.schedule.succeeded("a.test", next, calendar.now);
    expect(calendar.schedule.view("a.test", calendar.now)).toMatchObject({ failures: 0, text: "" });
    expect(calendar.next() / (24 * 60)).toBeCloseTo(60, 6);
  });

  test("waits as long as the CA asks for", () => {
    const calendar = new Calendar();
    calendar.schedule.add("a.test", undefined, 0);
    calendar.begin();
    calendar.schedule.failed("a.test", "Too many", 0, 3 * HOUR);
    expect(calendar.next()).toBeCloseTo(180, 6);
  });

  test("no name has more than three failed validations in any hour, whatever asks for it (R-19)", () => {
    const calendar = new Calendar();
    calendar.schedule.add("a.test", undefined, 0);
    const failed: number[] = [];
    // A name whose DNS is wrong, for two days, and an owner who asks for it every minute.
    for (; calendar.now < 2 * DAY; calendar.now += MINUTE) {
      calendar.schedule.retry("a.test", calendar.now);
      if (calendar.begin().length === 0) continue;
      for (let challenge = 0; challenge < 2; challenge++) {
        if (!(calendar.schedule.validations.allowedAt("a.test", calendar.now) <= calendar.now))
          break;
        calendar.schedule.validations.failed("a.test", calendar.now);
        failed.push(calendar.now);
      }
      calendar.schedule.failed("a.test", "dns", calendar.now);
    }
    const busiest = Math.max(
      ...failed.map((at) => failed.filter((each) => each >= at && each < at + HOUR).length),
    );
    expect(busiest).toBe(FAILED_VALIDATIONS);
    expect(failed.length).toBeGreaterThan(100);
  });

  test("left alone, such a name is tried less and less", () => {
    const calendar = new Calendar();
    calendar.schedule.add("a.test", undefined, 0);
    calendar.begin();
    let tries = 0;
    while (calendar.now < 2 * DAY) {
      calendar.schedule.validations.failed("a.test", calendar.now);
      calendar.schedule.failed("a.test", "dns", calendar.now);
      calendar.next();
      tries += 1;
    }
    expect(tries).toBeLessThan(20);
  });

  test("a failing name never delays another, and more orders than may run wait for their turn", () => {
    const calendar = new Calendar(0, 2);
    for (const id of ["a.test", "b.test", "c.test"]) calendar.schedule.add(id, undefined, 0);
    expect(calendar.begin()).toEqual(["a.test", "b.test"]);
    expect(calendar.full).toBe(1);
    calendar.schedule.failed("a.test", "No", 0);
    expect(calendar.begin()).toEqual(["c.test"]);
    calendar.schedule.remove("b.test");
    calendar.now = MINUTE;
    expect(calendar.begin()).toEqual(["a.test"]);
  });

  test("takes a moment of the window that the CA suggests, and keeps it while it fits (RFC 9773)", () => {
    const calendar = new Calendar(0.25);
    const { schedule } = calendar;
    schedule.add("a.test", LIFE, 0);
    expect(schedule.due(0)).toEqual([{ id: "a.test", what: "info" }]);
    schedule.suggest("a.test", { start: 40 * DAY, end: 44 * DAY }, 0, DAY);
    expect(schedule.due(DAY - 1)).toEqual([]);
    expect(schedule.due(DAY)).toEqual([{ id: "a.test", what: "info" }]);
    schedule.suggest("a.test", { start: 40.5 * DAY, end: 60 * DAY }, DAY);
    expect(calendar.next() / (24 * 60)).toBeCloseTo(41, 6);
  });

  test("renews at once where the window is past: the CA is about to revoke", () => {
    const calendar = new Calendar(0.5);
    calendar.schedule.add("a.test", LIFE, DAY);
    calendar.now = 2 * DAY;
    calendar.schedule.suggest("a.test", { start: 0.5 * DAY, end: DAY }, calendar.now);
    expect(calendar.begin()).toEqual(["a.test"]);
  });

  test("a CA without such windows is asked four times a day, never every few seconds", () => {
    const calendar = new Calendar();
    calendar.schedule.add("a.test", LIFE, 0);
    let asked = 0;
    for (let now = 0; now < DAY; now += MINUTE) {
      if (!calendar.schedule.due(now).some(({ what }) => what === "info")) continue;
      calendar.schedule.suggest("a.test", undefined, now);
      asked += 1;
    }
    expect(asked).toBe(4);
    calendar.schedule.suggest("a.test", { start: 0, end: 60 * DAY }, DAY, 0);
    expect(calendar.schedule.due(DAY + 4 * MINUTE)).toEqual([]);
  });

  test("warns 14, 7, 3 and 1 days before the end of what should have been renewed, each time once", () => {
    const days = (life: Life): number[] => {
      const calendar = new Calendar();
      calendar.schedule.add("a.test", life, 0);
      const warned: number[] = [];
      for (let now = 0; now < life.notAfter; now += HOUR)
        for (const warning of calendar.schedule.warnings(now)) warned.push(warning.days);
      return warned;
    };
    expect(days(LIFE)).toEqual([14, 7, 3, 1]);
    // Of six days the last two are for renewal: 14, 7 and 3 days are ordinary.
    expect(days({ notBefore: 0, notAfter: 6 * DAY })).toEqual([1]);
  });

  test("a clock that jumps to the end of the life, or years back, neither storms nor sleeps", () => {
    const calendar = new Calendar();
    calendar.schedule.add("a.test", LIFE, 0);
    calendar.now = 200 * DAY;
    expect(calendar.begin()).toEqual(["a.test"]);
    calendar.schedule.failed("a.test", "No", calendar.now);
    expect(calendar.begin()).toEqual([]);
    calendar.now = 0;
    // Two thirds of its life are ahead again; nothing is due but the question when to renew.
    expect(calendar.begin()).toEqual([]);
    // A name without a certificate is not left waiting for two hundred days.
    calendar.schedule.add("b.test", undefined, 200 * DAY);
    expect(calendar.begin()).toEqual(["b.test"]);
  });

  test("a window of the CA that is past for every new certificate costs one order a day", () => {
    const calendar = new Calendar();
    calendar.now = 365 * DAY;
    const { schedule } = calendar;
    schedule.add("a.test", undefined, calendar.now);
    calendar.begin();
    let orders = 0;
    while (calendar.now < 375 * DAY) {
      orders += 1;
      schedule.succeeded("a.test", LIFE, calendar.now);
      schedule.suggest("a.test", { start: 59 * DAY, end: 61 * DAY }, calendar.now);
      calendar.next();
    }
    expect(orders).toBe(10);
  });

  test("a certificate that came while the clock was years ahead is renewed in its time", () => {
    const calendar = new Calendar();
    calendar.now = 3_650 * DAY;
    calendar.schedule.add("a.test", undefined, calendar.now);
    calendar.begin();
    calendar.schedule.succeeded("a.test", LIFE, calendar.now);
    calendar.schedule.suggest("a.test", undefined, calendar.now);
    calendar.now = DAY;
    expect(calendar.schedule.due(calendar.now)).toEqual([{ id: "a.test", what: "info" }]);
    expect(calendar.next() / (24 * 60)).toBeCloseTo(59, 6);
  });

  test("a certificate that is good is not ordered again because somebody asks for it", () => {
    const calendar = new Calendar();
    calendar.now = 365 * DAY;
    calendar.schedule.add("a.test", undefined, calendar.now);
    calendar.begin();
    calendar.schedule.succeeded("a.test", LIFE, calendar.now);
    calendar.schedule.retry("a.test", calendar.now);
    expect(calendar.begin()).toEqual([]);
  });

  test("a name that is released and granted again has no more validations than before (R-19)", () => {
    const calendar = new Calendar();
    const { schedule } = calendar;
    for (let count = 0; count < FAILED_VALIDATIONS; count++) {
      schedule.add("a.test", undefined, 0);
      expect(calendar.begin()).toEqual(["a.test"]);
      schedule.validations.failed("a.test", 0);
      schedule.remove("a.test");
    }
    schedule.add("a.test", undefined, 0);
    schedule.add("*.a.test", undefined, 0);
    expect(calendar.begin()).toEqual([]);
    expect(calendar.next()).toBe(60);
  });

  test("a clock that is years ahead costs one order a day, not as many as the CA signs", () => {
    const calendar = new Calendar();
    calendar.now = 365 * DAY;
    calendar.schedule.add("a.test", undefined, calendar.now);
    calendar.begin();
    let orders = 0;
    while (calendar.now < 375 * DAY) {
      orders += 1;
      // What the CA signs lies in the past, by our clock.
      calendar.schedule.succeeded("a.test", LIFE, calendar.now);
      calendar.next();
    }
    expect(orders).toBe(10);
  });

  test("what is removed is never due again, and its place is free", () => {
    const calendar = new Calendar(0, 1);
    calendar.schedule.add("a.test", undefined, 0);
    calendar.schedule.add("b.test", undefined, 0);
    expect(calendar.begin()).toEqual(["a.test"]);
    calendar.schedule.remove("a.test");
    expect(calendar.begin()).toEqual(["b.test"]);
    calendar.schedule.succeeded("a.test", LIFE, 0);
    expect(calendar.schedule.view("a.test", 0)).toBeUndefined();
    expect(calendar.schedule.size).toBe(1);
  });
});
