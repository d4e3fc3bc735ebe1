// This file is the table of commands that this build runs. To add one: a name in COMMAND_NAMES (config/option.ts), a row here, a
// loader in main.ts, and options that name it; words that are only known stand in command-words.ts. product.md §2.
import type { CommandName } from "../config/index.ts";
import { ACCOUNT_COMMANDS } from "./commands-account.ts";

/** One command that runs. */
export interface CommandRow {
  readonly name: CommandName;
  /** One line, no period. */
  readonly summary: string;
  /** What stands behind the name without a flag, in order. */
  readonly positionals: readonly Positional[];
  /** The first one is what an error shows when a positional is missing. */
  readonly examples: readonly string[];
}

/** One argument without a flag. */
export interface Positional {
  readonly name: string;
  readonly about: string;
  /** The command is refused without it. */
  readonly isNeeded?: true;
  /** One or more; the last of its command. */
  readonly isList?: true;
  /** A join or login line may stand here. */
  readonly takesLine?: true;
}

export const COMMANDS: readonly CommandRow[] = [
  {
    name: "edge",
    summary: "Runs the public end: visitors and connectors come here",
    positionals: [],
    examples: [
      "tunl edge --domain example.com --tls internal",
      "tunl edge --domain example.com --tls files --cert chain.pem --key key.pem",
    ],
  },
  {
    name: "edge invite",
    summary: "Prints a line for one more machine or account; asks the running edge",
    positionals: [],
    examples: [
      "tunl edge invite",
      "tunl edge invite --account --scope '*.bob.example.com'",
      "tunl edge invite --name bob --host '*.bob.example.com' --ttl 1h",
    ],
  },
  {
    name: "edge grant",
    summary: "Gives names to a tunnel, reserved and foreign ones too",
    positionals: [
      { name: "TUNNEL", about: "Name or UUID of the tunnel", isNeeded: true },
      {
        name: "HOST",
        about: "Name, or *.x for every name below x",
        isNeeded: true,
        isList: true,
      },
    ],
    examples: ["tunl edge grant my-tunnel www.example.com"],
  },
  {
    name: "edge revoke",
    summary: "Takes back keys, a line or a name; what is live ends at once",
    positionals: [
      {
        name: "WHAT",
        about: "Tunnel, account, key as LABEL or TUNNEL/LABEL, line or its code, or name",
        isNeeded: true,
        takesLine: true,
      },
    ],
    examples: [
      "tunl edge revoke my-tunnel/laptop",
      "tunl edge revoke app.example.com",
      "tunl edge revoke tunl://example.com/FINGERPRINT/CODE",
    ],
  },
  {
    name: "edge repair",
    summary: "Restores a damaged state from its newest backup, while the edge is stopped",
    positionals: [],
    examples: ["tunl edge repair", "tunl edge repair --state /var/lib/tunl --yes"],
  },
  {
    name: "edge check",
    summary: "Judges the edge's configuration file as tunl edge would",
    positionals: [],
    examples: ["tunl edge check", "tunl edge check --config edge.yml --strict"],
  },
  {
    name: "connect",
    summary: "Runs the private end: gives a local service a public name",
    positionals: [
      {
        name: "TARGET",
        about: "8000, host:port, http://…, https://…, unix:/path, http_status:404 or hello_world",
      },
    ],
    examples: [
      "tunl connect 8000 --join tunl://example.com/FINGERPRINT/CODE",
      "tunl connect 8000",
      "tunl connect https://localhost:8443 --no-tls-verify --name app",
    ],
  },
  ...ACCOUNT_COMMANDS,
  {
    name: "ingress validate",
    summary: "Judges the rules of a connector's configuration file",
    positionals: [],
    examples: ["tunl ingress validate", "tunl ingress validate --config config.yml"],
  },
  {
    name: "ingress rule",
    summary: "Says which rule takes a URL",
    positionals: [{ name: "URL", about: "Such as https://app.example.com/path", isNeeded: true }],
    examples: ["tunl ingress rule https://app.example.com/path"],
  },
  {
    name: "config check",
    summary: "Judges configuration files, and the files they name",
    positionals: [
      { name: "FILE", about: "Of an edge or a connector; those this machine would use if absent" },
    ],
    examples: ["tunl config check", "tunl config check config.yml --strict"],
  },
  {
    name: "status",
    summary: "Shows links, streams, names and certificates of this machine's processes",
    positionals: [],
    examples: ["tunl status", "tunl status --json"],
  },
  {
    name: "version",
    summary: "Prints version, commit and platform",
    positionals: [],
    examples: ["tunl version --json"],
  },
];

/** The row of a command. */
export function commandRow(name: CommandName): CommandRow {
  return COMMANDS.find((row) => row.name === name) as CommandRow;
}

/** Commands below a group or command, in the order of --help. */
export function commandsBelow(words: string): readonly CommandRow[] {
  return COMMANDS.filter(({ name }) => name.startsWith(`${words} `));
}
