import { describe, expect, test } from "bun:test";
import { COMMANDS } from "../../src/cli/commands.ts";
import { helpText } from "../../src/cli/help.ts";
import { flagText, OPTIONS, optionsOf } from "../../src/config/index.ts";

describe("help", () => {
  test("tunl --help lists every command", () => {
    expect(helpText(undefined))
      .toBe(`tunl: public HTTPS names for services behind NAT, one executable for both ends

Usage: tunl COMMAND [FLAGS]

Commands:
  edge         Runs the public end: visitors and connectors come here
  edge invite  Prints a join line for one more machine; asks the running edge
  connect      Runs the private end: gives a local service a public name
  status       Shows links, streams, names and certificates of this machine's processes
  version      Prints version, commit and platform

Flags:
  --no-color  No colour on a terminal; NO_COLOR and FORCE_COLOR count too
  -h, --help  Prints this text
  --version   Prints the version

Run tunl COMMAND --help for the flags of a command.
`);
  });

  test("tunl edge invite --help shows its flags with defaults", () => {
    expect(helpText("edge invite"))
      .toStartWith(`Prints a join line for one more machine; asks the running edge

Usage: tunl edge invite [FLAGS]

Flags:
  --config FILE      Configuration of the edge; edge.yml in the configuration directory if absent
  --state DIR        Keys, tunnels and certificates; /var/lib/tunl for root, else
                     ~/.local/state/tunl
  --admin unix:PATH  Control socket of the edge; /run/tunl/edge.sock for root
  --name NAME        Tunnel that gets the new key; a new tunnel named after the machine if absent
  --host PATTERN     Name that may be claimed, *.x for every name below x; any free label of the
                     domains if absent (repeatable)
  --ttl DUR          How long the line works (default 15m)
  --uses N           How often the line works (default 1)
  --json             One JSON document on stdout

Flags of every command:
`);
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
