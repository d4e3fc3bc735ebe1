import { describe, expect, test } from "bun:test";
import {
  formatDuration,
  formatSize,
  parseDuration,
  parseRate,
  parseSize,
} from "../../src/config/index.ts";

describe("units", () => {
  test.each([
    ["0", 0],
    ["300ms", 300],
    ["10s", 10_000],
    ["5m", 300_000],
    ["1h30m", 5_400_000],
    ["30d", 2_592_000_000],
    ["1.5s", 1_500],
    ["1d2h3m4s5ms", 93_784_005],
  ])("reads the duration %s", (text, ms) => expect(parseDuration(text)).toBe(ms));

  test.each([
    "",
    "30",
    "s",
    "30 s",
    "-1s",
    "1s30m",
    "1m1m",
    "1S",
    "1e3s",
    "999999999999s",
    "1..5s",
    "10s ",
    "0x1s",
    "1w",
    "∞s",
  ])("refuses the duration %j", (text) => expect(parseDuration(text)).toBeUndefined());

  test.each([
    ["0", 0],
    ["512", 512],
    ["64KiB", 65_536],
    ["1MiB", 1_048_576],
    ["10MB", 10_000_000],
    ["1.5 KiB", 1_536],
    ["8kB", 8_000],
  ])("reads the size %s", (text, bytes) => expect(parseSize(text)).toBe(bytes));

  test.each([
    "",
    "KiB",
    "-1",
    "1.5",
    "1kib",
    "1XB",
    "1e3",
    "9999999999999",
    "0.3KiB",
    "1KiBs",
    "constructor",
  ])("refuses the size %j", (text) => expect(parseSize(text)).toBeUndefined());

  test.each([
    ["20/s", 20],
    ["90/m", 1.5],
    ["3600/h", 1],
  ])("reads the rate %s", (text, perSecond) => expect(parseRate(text)).toBe(perSecond));

  test.each(["", "20", "/s", "20/d", "20 /s", "-1/s", "1/s/s"])("refuses the rate %j", (text) =>
    expect(parseRate(text)).toBeUndefined(),
  );

  test("writes durations and sizes for people", () => {
    expect(
      [0, 0.34, 23, 850, 4_100, 30_000, 60_000, 900_000, 7_200_000, 7_689_600_000].map(
        formatDuration,
      ),
    ).toEqual([
      "0 ms",
      "0.3 ms",
      "23 ms",
      "850 ms",
      "4.1 s",
      "30 s",
      "60 s",
      "15 min",
      "2 h",
      "89 days",
    ]);
    expect([0, 1_023, 1_234, 38_797_312, 5e12].map(formatSize)).toEqual([
      "0 B",
      "1023 B",
      "1.2 KiB",
      "37 MiB",
      "4.5 TiB",
    ]);
  });
});
