// This file is the rows of the option table for the commands of the edge's owner that ask the running edge. product.md §2.1.
import { BUILT, INVITE } from "./option.ts";
import type { Option } from "./option.ts";

/** Beside those of join lines: what makes a login line. */
export const ACCOUNT_OPTIONS: readonly Option[] = [
  {
    ...BUILT,
    flag: "account",
    commands: INVITE,
    kind: "boolean",
    default: "false",
    about: "A login line, for somebody who makes tunnels: tunl login LINE",
  },
  {
    ...BUILT,
    flag: "scope",
    commands: INVITE,
    kind: "pattern",
    placeholder: "PATTERN",
    isRepeatable: true,
    about:
      "With --account: what its tunnels may claim, *.x for every name below x; any free label of the domains if absent",
  },
];
