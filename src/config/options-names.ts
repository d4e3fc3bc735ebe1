// This file is the rows of the option table about names, fixed grants and connectors of a tunnel. product.md §3.1, §6.
import { BUILT, DAY, HOUR } from "./option.ts";
import type { Option } from "./option.ts";

export const NAMES_KEYS: readonly Option[] = [
  {
    ...BUILT,
    commands: [],
    key: "names.random",
    kind: "boolean",
    default: "true",
    about: "Connectors without a name of their own get a random one",
  },
  {
    ...BUILT,
    commands: [],
    key: "names.style",
    kind: "choice",
    choices: ["two-words", "three-words", "hex"],
    default: "two-words",
    about: "How random names look: brave-otter, calm-brave-otter or 9f86d081e7",
  },
  {
    ...BUILT,
    commands: [],
    key: "names.claim",
    kind: "choice",
    choices: ["invited", "all", "none"],
    default: "invited",
    about:
      "What tunnels may take by themselves: names in the scope of their line, any free label, or nothing but grants",
  },
  {
    ...BUILT,
    commands: [],
    key: "names.keep",
    kind: "duration",
    default: "30d",
    min: HOUR,
    max: 3_650 * DAY,
    about: "How long a name that was claimed and is not used stays with its tunnel",
  },
  {
    ...BUILT,
    commands: [],
    key: "grants",
    kind: "grants",
    about: "Names that tunnels have as long as this file says so, by the tunnel's name",
  },
  {
    ...BUILT,
    commands: [],
    key: "limits.connectorsPerTunnel",
    kind: "integer",
    default: "8",
    min: 1,
    max: 64,
    about: "Connectors of one tunnel at a time",
  },
];
