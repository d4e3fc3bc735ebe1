import { describe, expect, test } from "bun:test";
import { LOG_LEVELS, Logger, type LogRecord } from "../src/log.ts";

describe("logger", () => {
  test("writes what is as important as its level or more", () => {
    for (const [index, level] of LOG_LEVELS.entries()) {
      const records: LogRecord[] = [];
      const log = new Logger((record) => records.push(record), level);
      for (const each of LOG_LEVELS) log[each]("notice", each);
      const written = LOG_LEVELS.slice(0, index + 1);
      expect(records.map((record) => record.message)).toEqual([...written]);
      expect(records.map((record) => record.level)).toEqual([...written]);
      expect(LOG_LEVELS.filter((each) => log.isEnabled(each))).toEqual([...written]);
    }
  });

  test("a child has its own fields and those of its parents, its line's come last", () => {
    const records: LogRecord[] = [];
    const log = new Logger((record) => records.push(record), "info");
    const child = log.child({ tunnel: "home" }).child({ account: "bob" });
    child.info("connected", "up", { links: 1, tunnel: "app" });
    log.info("connected", "up", { links: 2 });
    expect(records.map(({ fields }) => fields)).toEqual([
      { tunnel: "app", account: "bob", links: 1 },
      { links: 2 },
    ]);
  });

  test("a name that no row has does not compile", () => {
    const log = new Logger(() => undefined, "info");
    // @ts-expect-error No such event.
    log.info("conected", "");
    // @ts-expect-error No such field of this event.
    log.info("connected", "", { password: "x" });
    expect(log.isEnabled("info")).toBe(true);
  });
});
