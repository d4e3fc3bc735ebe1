import { describe, expect, test } from "bun:test";
import { ProcessBudget, processShare } from "../../src/session/index.ts";

const MIB = 1_024 * 1_024;

describe("process budget", () => {
  test("is a quarter of the memory, at most 1 GiB; a limit of the cgroup counts as the memory", () => {
    expect(processShare(0, 2_048 * MIB)).toBe(512 * MIB);
    expect(processShare(128 * MIB, 2_048 * MIB)).toBe(32 * MIB);
    // What a runtime says where there is no limit.
    expect(processShare(Number.MAX_SAFE_INTEGER, 64 * 1_024 * MIB)).toBe(1_024 * MIB);
  });

  test("is full only for those that hold most", () => {
    const budget = new ProcessBudget(32 * MIB);
    const [large, small] = [budget.forSession("edge"), budget.forSession("edge")];
    large.hold(30 * MIB);
    small.hold(2 * MIB);
    expect(large.pressure()).toBe(1);
    expect(small.pressure()).toBe(0.99);
    small.hold(30 * MIB);
    expect([large.pressure(), small.pressure()]).toEqual([0.99, 62 / 32]);
  });

  test("wakes those that hold most when it becomes full, once", () => {
    const budget = new ProcessBudget(32 * MIB);
    const woken: string[] = [];
    const [large, small] = [budget.forSession("edge"), budget.forSession("connector")];
    large.whenFull = () => woken.push("large");
    small.whenFull = () => woken.push("small");
    large.hold(31 * MIB);
    expect(woken).toEqual([]);
    small.hold(1 * MIB);
    small.hold(1 * MIB);
    expect(woken).toEqual(["large"]);
  });

  test("gets back what a session held that is over", () => {
    const budget = new ProcessBudget(32 * MIB);
    const part = budget.forSession("edge");
    part.hold(5 * MIB);
    expect([budget.held, budget.parts]).toEqual([5 * MIB, 1]);
    part.end();
    expect([budget.held, budget.parts]).toEqual([0, 0]);
  });
});
