import { describe, expect, test } from "bun:test";
import { clockTime } from "../../src/cli/clock.ts";

describe("clock", () => {
  test("today is a time, any other day has its date", () => {
    const now = new Date(2026, 10, 22, 14, 16);
    expect(clockTime(new Date(2026, 10, 22, 14, 31), now)).toBe("14:31");
    expect(clockTime(new Date(2026, 10, 23, 0, 5), now)).toBe("2026-11-23 00:05");
  });
});
