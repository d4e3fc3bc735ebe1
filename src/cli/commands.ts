// This file is the table of commands: what this build runs, and what it knows and refuses by name. product.md §2.
import type { CommandName } from "../config/index.ts";

/** One command that runs. */
export interface CommandRow {
  readonly name: CommandName;
  /** Other ways to write it. */
  readonly aliases: readonly string[];
  /** One line, no period. */
  readonly summary: string;
  /** What stands behind the name without a flag, in order. */
  readonly positionals: readonly { readonly name: string; readonly about: string }[];
  readonly examples: readonly string[];
}

export const COMMANDS: readonly CommandRow[] = [
  {
    name: "edge",
    aliases: ["edge run"],
    summary: "Runs the public end: visitors and connectors come here",
    positionals: [],
    examples: [
      "tunl edge --domain example.com --tls internal",
      "tunl edge --domain example.com --tls files --cert chain.pem --key key.pem",
    ],
  },
  {
    name: "edge invite",
    aliases: [],
    summary: "Prints a join line for one more machine; asks the running edge",
    positionals: [],
    examples: [
      "tunl edge invite",
      "tunl edge invite --name bob --host '*.bob.example.com' --ttl 1h",
    ],
  },
  {
    name: "connect",
    aliases: [],
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
  {
    name: "status",
    aliases: [],
    summary: "Shows links, streams, names and certificates of this machine's processes",
    positionals: [],
    examples: ["tunl status", "tunl status --json"],
  },
  {
    name: "version",
    aliases: [],
    summary: "Prints version, commit and platform",
    positionals: [],
    examples: ["tunl version --json"],
  },
];

/** First words of commands that come later; a row stands for everything below it. */
export const LATER_COMMANDS: readonly string[] = [
  ..."grant revoke repair check reload passwd service-token share"
    .split(" ")
    .map((word) => `edge ${word}`),
  ..."login tunnel route ingress config access service logs doctor update completion".split(" "),
];

/** What serves in place of a later command, where something does. */
export const LATER_ADVICE: Readonly<Record<string, string>> = {
  "edge grant":
    "Connectors claim names: tunl edge invite --host NAME, then tunl connect --host NAME",
  "edge repair": "Restore state.db and edge.key from a backup while the edge is stopped",
  "edge check": "tunl edge judges its whole configuration before it starts anything",
  "edge reload": "Stop tunl edge and start it again",
  login: "Join with a line of tunl edge invite: tunl connect TARGET --join LINE",
  tunnel: "tunl edge invite --name makes tunnels, tunl status lists them",
  route: "tunl connect --name or --host claims names, tunl status lists them",
  ingress: "Start tunl connect once for each service",
  config: "tunl edge and tunl connect judge what they are given before they start anything",
  service: "Let the service manager of this machine run tunl edge or tunl connect",
  logs: "Give --log-file FILE to tunl edge or tunl connect, or read what they write to stderr",
  doctor: "Run tunl status, and --log-level debug where something fails",
  update: "Replace the executable and start it again",
};

/** The row of a command. */
export function commandRow(name: CommandName): CommandRow {
  return COMMANDS.find((row) => row.name === name) as CommandRow;
}

/** Words that may follow `words`: names of commands and their sub-commands, known but refused ones too. */
export function nextWords(words: readonly string[]): readonly string[] {
  const prefix = words.length === 0 ? "" : `${words.join(" ")} `;
  const names = [...COMMANDS.flatMap(({ name, aliases }) => [name, ...aliases]), ...LATER_COMMANDS];
  const next = names
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length).split(" ")[0] as string);
  return [...new Set(next)];
}
