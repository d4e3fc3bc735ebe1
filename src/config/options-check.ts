// This file is the rows of the option table for commands that judge files: `ingress validate|rule`, `config check`, `edge check`. product.md §2.3.
import { BUILT, CHECKS, RULES } from "./option.ts";
import type { Option } from "./option.ts";

export const CHECK_OPTIONS: readonly Option[] = [
  {
    ...BUILT,
    flag: "config",
    commands: RULES,
    kind: "path",
    placeholder: "FILE",
    about: "Configuration of the connector; config.yml of the search order if absent",
  },
  {
    ...BUILT,
    flag: "config",
    commands: ["edge check"],
    kind: "path",
    placeholder: "FILE",
    about: "Configuration of the edge; edge.yml in the configuration directory if absent",
  },
  {
    ...BUILT,
    flag: "rules",
    commands: RULES,
    kind: "json",
    placeholder: "TEXT",
    about: "Rules as JSON in place of a file: a map with ingress, durations in seconds",
  },
  {
    ...BUILT,
    flag: "strict",
    commands: CHECKS,
    kind: "boolean",
    default: "false",
    about: "Warnings fail the check",
  },
];
