import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unreachedLimits } from "../scripts/limits.ts";
import { PeerLimits } from "../src/edge/listen/peer-limits.ts";
import { LIMITS, reachedLimits } from "../src/limits.ts";
import { filesIn, textOf } from "./docs/text.ts";

const NAMES = Object.keys(LIMITS);

describe("named limits", () => {
  test("each has a sentence, and a place in the source that counts it (S-44)", () => {
    const code = filesIn("src", ".ts")
      .filter((path) => path !== "src/limits.ts")
      .map(textOf)
      .join("\n");
    expect(NAMES.length).toBeGreaterThan(30);
    expect(NAMES.filter((name) => !code.includes(`"${name}"`))).toEqual([]);
    expect(Object.values(LIMITS).filter((text) => !/^[A-Z].*[^.]$/.test(text))).toEqual([]);
  });

  test("are counted", () => {
    const count = (): number => reachedLimits().connectionsPerSource ?? 0;
    const limits = new PeerLimits({ connectionsPerSource: 1 });
    const before = count();
    limits.admit("192.0.2.1", 0);
    expect(count()).toBe(before);
    limits.admit("192.0.2.1", 0);
    limits.admit("192.0.2.1", 0);
    expect(count()).toBe(before + 2);
  });

  test("that no test reached are found in what the processes of a run wrote down", () => {
    const directory = mkdtempSync(join(tmpdir(), "tunl-limits-test-"));
    try {
      expect(unreachedLimits(directory)).toEqual(NAMES);
      const [first, second, ...others] = NAMES as [string, string, ...string[]];
      writeFileSync(join(directory, "1.jsonl"), `{}\n{"${first}":3}\n`);
      writeFileSync(join(directory, "2.jsonl"), `{"${second}":0}\n`);
      expect(unreachedLimits(directory)).toEqual([second, ...others]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
