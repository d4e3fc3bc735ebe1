import { describe, expect, test } from "bun:test";
import { GROUPS } from "../../src/cli/command-words.ts";
import { COMMANDS, commandsBelow } from "../../src/cli/commands.ts";
import { helpText } from "../../src/cli/help.ts";
import { flagText, OPTIONS, optionsOf } from "../../src/config/index.ts";
import { expectGolden } from "../golden.ts";

describe("help", () => {
  const groups = Object.keys(GROUPS).filter((group) => commandsBelow(group).length > 0);

  test.each([undefined, ...groups, ...COMMANDS.map(({ name }) => name)])(
    "tunl %s --help",
    (name) => {
      expectGolden(`help/${name?.replace(" ", "-") ?? "tunl"}.txt`, helpText(name));
    },
  );

  test.each([...groups, "edge"])("tunl %s --help lists what is below it", (words) => {
    const below = commandsBelow(words);
    expect(below.length).toBeGreaterThan(0);
    for (const { name, summary } of below)
      expect(helpText(words)).toMatch(new RegExp(`^ {2}${name} +${summary.slice(0, 20)}`, "m"));
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
    for (const name of [undefined, ...groups, ...COMMANDS.map((row) => row.name)]) {
      expect(
        helpText(name)
          .split("\n")
          .filter((line) => line.length > 100),
      ).toEqual([]);
    }
  });
});
