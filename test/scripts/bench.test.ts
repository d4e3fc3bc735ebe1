import { describe, expect, test } from "bun:test";
import { DIRECT, DIRECT_APART } from "../../scripts/bench/candidates.ts";
import { DEFAULTS, parseOptions, SCENARIOS, UsageError } from "../../scripts/bench/options.ts";
import {
  align,
  cells,
  comparison,
  type Measurement,
  median,
  summarise,
} from "../../scripts/bench/report.ts";
import { rotate } from "../../scripts/bench/rounds.ts";

const KEEP_ALIVE = SCENARIOS[2];
const DOWN = SCENARIOS[0];

function requests(candidate: string, round: number, rate: number, edge: number): Measurement {
  return {
    scenario: KEEP_ALIVE,
    candidate,
    round,
    sample: { rate, amount: rate * 2, seconds: 2, errors: round, p50: rate / 1_000, p99: 9 },
    cpu: { edge, connector: 1 },
  };
}

describe("options of the bench", () => {
  test("have defaults, and take a value behind a space or an equals sign", () => {
    expect(parseOptions([])).toEqual(DEFAULTS);
    expect(parseOptions(["--rounds", "5", "--seconds=2", "--only", "B10,B1"])).toEqual({
      ...DEFAULTS,
      rounds: 5,
      seconds: 2,
      only: SCENARIOS.filter(({ id }) => id === "B1" || id === "B10"),
    });
  });

  test.each([
    [["--full"], 'Unknown flag "--full"'],
    [["--against"], "--against has no value"],
    [["--rounds"], "--rounds has no value"],
    [["--rounds", "0"], "--rounds is 0, expected a whole number from 1 to 9999"],
    [["--only", "B4"], '"B4" is not measured in this build, expected of B1,B2,B9,B10'],
  ])("refuse %j", (words, message) => {
    expect(() => parseOptions(words)).toThrow(UsageError);
    expect(() => parseOptions(words)).toThrow(message);
  });
});

describe("report of the bench", () => {
  test("the median is the middle, or between the two in the middle", () => {
    expect([median([3, 1, 2]), median([4, 1, 2, 3]), median([7])]).toEqual([2, 2.5, 7]);
    expect(() => median([])).toThrow("BUG");
  });

  test("ratios are of the same round, processor time is for 1,000 requests", () => {
    const [direct, tunl] = summarise([
      requests(DIRECT, 0, 1_000, 1),
      requests("tunl", 0, 500, 1),
      // A round in which the machine was slow for both.
      requests("tunl", 1, 50, 1),
      requests(DIRECT, 1, 100, 1),
      requests(DIRECT, 2, 1_000, 1),
      requests("tunl", 2, 400, 0.6),
    ]);
    expect(direct?.ofDirect).toBeUndefined();
    expect(tunl).toMatchObject({
      id: "B9",
      candidate: "tunl",
      runs: [500, 50, 400],
      median: 400,
      min: 50,
      max: 500,
      errors: 3,
      cpuUnit: "CPU-ms/1000",
      cpuOf: { edge: 1_000, connector: 1_250 },
      ofDirect: 0.5,
      busy: 1,
      p50: 0.4,
    });
    expect(tunl?.ofDirectApart).toBeUndefined();
    expect(tunl?.cpu).toBeCloseTo(2_000);
  });

  test("bulk is in Gbit/s and CPU-seconds per GB", () => {
    const sample = {
      rate: 8e9,
      amount: 2e9,
      seconds: 2,
      errors: 0,
      p50: undefined,
      p99: undefined,
    };
    const [row] = summarise([
      { scenario: DOWN, candidate: DIRECT_APART, round: 0, sample, cpu: { nginx: 1 } },
    ]);
    expect(row).toMatchObject({ median: 8, cpu: 0.5, cpuUnit: "CPU-s/GB", p99: undefined });
    expect(align(cells(row === undefined ? [] : [row])).split("\n")[1]).toBe(
      "B1 down   direct https, tunnel's CPU  8.00 Gbit/s (8.00–8.00)  –     –           –            0.500 CPU-s/GB (nginx)  0.50  0",
    );
  });

  test("two candidates are equal where their spans meet", () => {
    const rows = (other: number): string[] =>
      comparison(
        summarise([
          requests("tunl", 0, 900, 1),
          requests("tunl", 1, 1_000, 1),
          requests("compared", 0, other, 1),
          requests("compared", 1, other - 50, 1),
        ]),
        "tunl",
        "compared",
      );
    expect(rows(940)[0]).toBe(
      "B9 keep-alive: 1.04 (0.96–1.12) of its speed, 0.97 (0.89–1.04) of its CPU, spans meet: equal",
    );
    expect(rows(800)[0]).toStartWith("B9 keep-alive: 1.23 (1.13–1.33) of its speed, ");
    expect(rows(800)[0]).not.toContain("equal");
  });

  test("a round that one of the two lost counts for neither", () => {
    const [line] = comparison(
      summarise([
        requests("tunl", 0, 100, 1),
        requests("tunl", 2, 300, 1),
        requests("compared", 1, 500, 1),
        requests("compared", 2, 100, 1),
      ]),
      "tunl",
      "compared",
    );
    expect(line).toStartWith("B9 keep-alive: 3.00 (3.00–3.00) of its speed");
  });

  test("nobody is always first", () => {
    expect([0, 1, 2, 3].map((round) => rotate(["A", "B", "C"], round).join(""))).toEqual([
      "ABC",
      "BCA",
      "CAB",
      "ABC",
    ]);
    expect(rotate([], 1)).toEqual([]);
  });
});
