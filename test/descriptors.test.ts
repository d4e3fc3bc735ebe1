import { describe, expect, test } from "bun:test";
import {
  descriptorLimit,
  publicConnections,
  readDescriptors,
  spareDescriptors,
} from "../src/descriptors.ts";

describe("descriptors", () => {
  test.each([
    // limit, used, for everybody, for visitors and links
    [20_000, 20, 19_916, 16_000],
    [1_024, 20, 940, 819],
    [256, 20, 172, 172],
    [100, 20, 55, 55],
    [32, 20, 4, 4],
    [16, 20, 1, 1],
  ])(
    "of %d with %d in use leave %d sockets, %d of them to the public",
    (limit, used, all, some) => {
      expect(spareDescriptors({ limit, used })).toBe(all);
      expect(publicConnections({ limit, used })).toBe(some);
    },
  );

  test("always keep 64 free beside what is open, from a limit of 256 on (S-43)", () => {
    for (let limit = 256; limit < 5_000; limit++) {
      for (const used of [0, 20, 100])
        expect(limit - used - publicConnections({ limit, used })).toBeGreaterThanOrEqual(64);
      expect(publicConnections({ limit, used: 0 })).toBeLessThanOrEqual(limit * 0.8);
    }
  });

  test("are bounded by the limit in force", () => {
    const text = (soft: string): string =>
      `Limit  Soft Limit  Hard Limit  Units\nMax open files            ${soft}                20000                files     \n`;
    expect(descriptorLimit(text("1024"))).toBe(1_024);
    expect(descriptorLimit(text("unlimited"))).toBeUndefined();
    expect(descriptorLimit("")).toBeUndefined();
  });

  test.skipIf(process.platform !== "linux")(
    "are read from the system, which has raised the soft limit to the hard one",
    async () => {
      const { limit, used } = await readDescriptors();
      const hard = Number((await Bun.$`sh -c "ulimit -Hn"`.text()).trim());
      if (!Number.isNaN(hard)) expect(limit).toBe(hard);
      expect(used).toBeGreaterThan(3);
      expect(used).toBeLessThan(limit);
    },
  );
});
