import { describe, expect, test } from "bun:test";
import { COMMANDS } from "../../src/cli/commands.ts";
import { helpText } from "../../src/cli/help.ts";
import { flagText, OPTIONS, optionsOf } from "../../src/config/index.ts";
import { expectGolden } from "../golden.ts";

describe("help", () => {
  test.each([undefined, ...COMMANDS.map(({ name }) => name)])("tunl %s --help", (name) => {
    expectGolden(`help/${name?.replace(" ", "-") ?? "tunl"}.txt`, helpText(name));
  });

  test.each(COMMANDS.map(({ name }) => name))(
    "%s: every flag that works is shown, none that does not",
    (name) => {
      const text = helpText(name);
      const shown = new Set(
        [...text.matchAll(/^ {2}(?:-\w, )?(--[a-z0-9-]+)/gm)].map(([, flag]) => flag),
      );
      const built = optionsOf(name).filter(({ isBuilt }) => isBuilt);
      expect([...shown].toSorted()).toEqual(built.map(flagText).toSorted());
      const later = OPTIONS.filter(
        ({ isBuilt, flag, commands }) => !isBuilt && flag !== undefined && commands.includes(name),
      );
      for (const { flag } of later) expect(shown.has(`--${flag}`)).toBe(false);
    },
  );

  test("fits 100 columns", () => {
    for (const name of [undefined, ...COMMANDS.map((row) => row.name)]) {
      expect(
        helpText(name)
          .split("\n")
          .filter((line) => line.length > 100),
      ).toEqual([]);
    }
  });
});
