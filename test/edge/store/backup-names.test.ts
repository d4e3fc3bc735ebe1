import { describe, expect, test } from "bun:test";
import { nextBackup, parseBackups, surplusBackups } from "../../../src/edge/store/backup-names.ts";

const AT = Date.UTC(2026, 10, 22, 10, 0, 5);
const MINUTE_MS = 60_000;

/** Backups made one after the other at these minutes behind 10:00:05, newest first. */
const series = (minutes: readonly number[]) =>
  minutes
    .map((minute, index) => ({
      ...nextBackup(undefined, AT + minute * MINUTE_MS),
      number: index + 1,
    }))
    .reverse();

describe("names of backups", () => {
  test("say when and which, and are read back", () => {
    const first = nextBackup(undefined, AT + 999);
    expect(first).toEqual({ name: "state-20261122T100005Z-1.db", at: AT, number: 1 });
    expect(nextBackup({ ...first, number: 41 }, AT).name).toBe("state-20261122T100005Z-42.db");
    expect(parseBackups([first.name])).toEqual([first]);
  });

  test("are ordered by their number: a clock that was set back makes no old state the newest", () => {
    const names = ["state-20261122T100000Z-9.db", "state-20161122T100000Z-10.db"];
    expect(parseBackups(names).map(({ number }) => number)).toEqual([10, 9]);
    expect(nextBackup(parseBackups(names)[0], AT).number).toBe(11);
  });

  test("are told from everything else in the directory", () => {
    const others = [
      ".state-20261122T100000Z-9.db.0123456789ab.tmp",
      "state-20261122T100000Z-9.db-journal",
      "state.db",
      "state-9.db",
    ];
    expect(parseBackups(others)).toEqual([]);
  });

  test("keep the newest and the last one of each of the seven hours before it", () => {
    const hourly = Array.from({ length: 12 }, (_, hour) => hour * 60);
    expect(surplusBackups(series(hourly)).map(({ number }) => number)).toEqual([4, 3, 2, 1]);
    // Three revocations in the last hour: only the last one counts, and none of the hours goes for them.
    const busy = [...hourly, 11 * 60 + 1, 11 * 60 + 2, 11 * 60 + 3];
    expect(surplusBackups(series(busy)).map(({ number }) => number)).toEqual([
      ...[14, 13, 12, 4, 3, 2, 1],
    ]);
    expect(surplusBackups([])).toEqual([]);
  });
});
