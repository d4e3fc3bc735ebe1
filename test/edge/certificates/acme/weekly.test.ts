// This file is the count of first certificates towards a CA's weekly limit: what counts, for how long, over restarts, and who is told. product.md §7.
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { describe, expect, test } from "bun:test";
import { caAddress } from "../../../../src/edge/certificates/acme/account.ts";
import {
  MAX_ISSUED,
  WeeklyCount,
  type WeeklyLimit,
} from "../../../../src/edge/certificates/acme/weekly-count.ts";
import {
  type Cure,
  IssuedFile,
  WeeklyLog,
} from "../../../../src/edge/certificates/acme/weekly-log.ts";
import { memoryLog, temporaryDirectory } from "../temporary.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.parse("2026-11-21T14:03:00Z");
const LIMIT: WeeklyLimit = { ca: "Let's Encrypt", certificates: 50 };
const CA = caAddress("letsencrypt");

function fill(count: WeeklyCount, number: number, domain: string, at = NOW): void {
  for (let index = 0; index < number; index += 1) count.add(`n${index}.${domain}`, at);
}

describe("weekly limit", () => {
  test("is known of Let's Encrypt alone, by its name or its address", () => {
    expect(CA.weekly).toEqual(LIMIT);
    expect(caAddress(CA.directory).weekly).toEqual(LIMIT);
    for (const other of ["letsencrypt-staging", "zerossl", "https://ca.example.com/acme/directory"])
      expect(caAddress(other).weekly).toBeUndefined();
  });

  test("begins to matter with the 40th of 50, and says when the oldest leaves", () => {
    const count = new WeeklyCount(LIMIT, ["example.com"]);
    count.add("*.example.com", NOW - DAY);
    fill(count, 38, "example.com");
    expect(count.near(NOW)).toEqual([]);
    count.add("deep.er.example.com", NOW + HOUR);
    const near = { domain: "example.com", issued: 40, oldestLeavesAt: NOW + 6 * DAY };
    expect(count.near(NOW + HOUR)).toEqual([near]);
    expect(count.near(NOW + 6 * DAY - 1)).toEqual([near]);
    // The oldest has left, and 39 are not near.
    expect(count.near(NOW + 6 * DAY)).toEqual([]);
    fill(count, 30, "example.com", NOW + 6 * DAY);
    expect(count.near(NOW + 6 * DAY)[0]?.issued).toBe(69);
  });

  test("is one for a domain and all below it, another for another domain, none for names of others", () => {
    const count = new WeeklyCount(LIMIT, ["eu.example.com", "example.com", "example.net"]);
    fill(count, 20, "eu.example.com");
    fill(count, 20, "example.com");
    fill(count, 39, "example.net");
    for (const name of ["shop.customer.org", "notexample.com", "com"])
      expect(count.add(name, NOW)).toBe(false);
    expect(count.near(NOW).map(({ domain, issued }) => [domain, issued])).toEqual([
      ["example.com", 40],
    ]);
    expect(count.add("example.net", NOW)).toBe(true);
    expect(count.near(NOW).map(({ domain }) => domain)).toEqual(["example.com", "example.net"]);
  });

  test("forgets after seven days, and keeps no more than its bound, the newest", () => {
    const count = new WeeklyCount(LIMIT, ["example.com"]);
    fill(count, 10, "example.com", NOW - 7 * DAY);
    expect(count.all(NOW)).toEqual([]);
    for (let index = 0; index < MAX_ISSUED + 5; index += 1) count.add("a.example.com", NOW + index);
    const all = count.all(NOW + HOUR);
    expect([all.length, all[0]?.at, all.at(-1)?.at]).toEqual([
      MAX_ISSUED,
      NOW + 5,
      NOW + MAX_ISSUED + 4,
    ]);
    count.remember(all, NOW + HOUR);
    expect(count.all(NOW + HOUR)).toHaveLength(MAX_ISSUED);
  });

  test("survives a clock that was set back, and forgets what a wrong one wrote", () => {
    const count = new WeeklyCount(LIMIT, ["example.com"]);
    fill(count, 40, "example.com");
    expect(count.near(NOW - HOUR)).toHaveLength(1);
    expect(count.near(NOW - 8 * DAY)).toEqual([]);
  });

  test("is told of once in seven days, however many more come", () => {
    const count = new WeeklyCount(LIMIT, ["example.com"]);
    fill(count, 40, "example.com");
    expect(count.untold(NOW)).toHaveLength(1);
    for (const day of [0, 1, 6]) {
      fill(count, 5, "example.com", NOW + day * DAY);
      expect(count.untold(NOW + day * DAY)).toEqual([]);
      expect(count.near(NOW + day * DAY)).toHaveLength(1);
    }
    fill(count, 40, "example.com", NOW + 7 * DAY);
    expect(count.untold(NOW + 7 * DAY)).toHaveLength(1);
  });
});

describe("weekly limit on the disk", () => {
  /** What one process of an edge has of it. */
  function log(state: string, cure: Cure = "provider", now = NOW) {
    const { log, records } = memoryLog();
    const file = new IssuedFile(state, CA);
    const count = new WeeklyCount(LIMIT, ["example.com"]);
    return { records, file, weekly: new WeeklyLog({ count, file, cure, log, clock: () => now }) };
  }

  test("a restart counts on, says so once more, and leaves out what is a week old", async () => {
    using directory = temporaryDirectory();
    {
      await using first = log(directory.path).weekly;
      await first.open();
      for (let index = 0; index < 39; index += 1) first.came(`n${index}.example.com`);
      first.came("shop.customer.org");
      expect(first.lines()).toEqual([]);
    }
    const { weekly, records, file } = log(directory.path, "provider", NOW + HOUR);
    await weekly.open();
    expect(records).toEqual([]);
    weekly.came("last.example.com");
    weekly.came("more.example.com");
    const text =
      "example.com and names below it have had 40 of the 50 first certificates that Let's Encrypt gives in 7 days; the oldest counts until 2026-11-28 14:03 UTC";
    const fields = {
      ...{ domain: "example.com", issued: 40, limit: 50 },
      oldestLeavesAt: "2026-11-28T14:03:00.000Z",
    };
    expect(records).toHaveLength(1);
    expect(records[0]).toMatchObject({
      ...{ level: "warn", event: "certificate.limit", message: text, fields },
    });
    expect(String(records[0]?.fields["hint"])).toContain("Set dns.provider in edge.yml");
    expect(weekly.lines()).toEqual([
      {
        ...fields,
        ...{ ca: "Let's Encrypt", issued: 41, days: 7 },
        text: text.replace("40 of", "41 of"),
        hint: "Set dns.provider in edge.yml: then one wildcard certificate, *.example.com, is for all names of one label below it",
      },
    ]);
    await weekly[Symbol.asyncDispose]();
    expect(statSync(file.path).mode & 0o777).toBe(0o600);
    // Near from the start on: said at the start.
    const again = log(directory.path, "wildcard", NOW + 2 * HOUR);
    await again.weekly.open();
    expect(again.records.map(({ event }) => event)).toEqual(["certificate.limit"]);
    expect(again.weekly.lines()[0]?.hint).toContain("Set certificates.wildcard: auto");
    // The 39 of the first process have left; what is written next is without them.
    const later = log(directory.path, "names", NOW + 7 * DAY);
    await later.weekly.open();
    expect([later.records, later.weekly.lines()]).toEqual([[], []]);
    later.weekly.came("new.example.com");
    await later.weekly[Symbol.asyncDispose]();
    const { first } = JSON.parse(readFileSync(file.path, "utf8"));
    expect(first.map(({ name }: { name: string }) => name)).toEqual([
      "last.example.com",
      "more.example.com",
      "new.example.com",
    ]);
  });

  test.each([
    ["half a file", '{"version":1,"first":[{"name":"a.exam', "it holds no list of certificates"],
    ["another version", '{"version":2,"first":[]}', "it holds no list of certificates"],
    ["a time that is none", '{"version":1,"first":[{"name":"a","at":"now"}]}', "it holds no list"],
    ["more than any such file has", " ".repeat(1_100_000), "expected at most"],
  ])("%s is told, stops nothing, and is replaced by the next one", async (_, content, words) => {
    using directory = temporaryDirectory();
    const { weekly, records, file } = log(directory.path);
    mkdirSync(dirname(file.path), { recursive: true, mode: 0o700 });
    writeFileSync(file.path, content, { mode: 0o600 });
    await weekly.open();
    expect(records.map(({ level, event }) => [level, event])).toEqual([["warn", "certificate"]]);
    expect(records[0]?.message).toContain(words);
    expect(records[0]?.message).toContain("do not count towards the CA's weekly limit");
    weekly.came("a.example.com");
    await weekly[Symbol.asyncDispose]();
    expect(await file.load()).toEqual([{ name: "a.example.com", at: NOW }]);
  });

  test("a disk that takes nothing costs nothing but memory of it", async () => {
    using directory = temporaryDirectory();
    const { weekly, records, file } = log(directory.path);
    mkdirSync(file.path, { recursive: true });
    for (let index = 0; index < 40; index += 1) weekly.came(`n${index}.example.com`);
    await weekly[Symbol.asyncDispose]();
    expect(weekly.lines()[0]?.issued).toBe(40);
    expect(records.filter(({ level }) => level === "warn").map(({ event }) => event)).toEqual([
      "certificate.limit",
    ]);
  });

  test.skipIf(process.platform === "win32")("a file that others may write is told", async () => {
    using directory = temporaryDirectory();
    const { weekly, records, file } = log(directory.path);
    await file.save([{ name: "a.example.com", at: NOW }]);
    chmodSync(file.path, 0o666);
    await weekly.open();
    expect(records[0]?.message).toContain("can be written by other users");
  });
});
