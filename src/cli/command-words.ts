// This file is the words of a command: groups, other ways to write them, names of later commands and of cloudflared's that tunl does without. product.md §1.2, §2.3.
import type { Refusal } from "../config/index.ts";
import { COMMANDS } from "./commands.ts";

/** Groups that do nothing alone: word to one line, no period. */
export const GROUPS: Readonly<Record<string, string>> = {
  tunnel: "Tunnels of an account: named things with keys and hostnames",
  route: "Hostnames: which tunnel serves them, DNS records, certificates",
  ingress: "Ingress rules of a connector's configuration file",
  config: "Configuration files",
};

/**
 * Other ways to write a command or the beginning of one: words to words. cloudflared has all but the first, for fingers that
 * know it; no help shows them.
 */
export const ALIASES: Readonly<Record<string, string>> = {
  "edge run": "edge",
  "tunnel ls": "tunnel list",
  "tunnel login": "login",
  "tunnel route": "route",
  "tunnel ingress": "ingress",
};

/** First words of commands that come later; a row stands for everything below it. */
export const LATER_COMMANDS: readonly string[] = [
  ...below("edge", "reload passwd service-token share"),
  ...below("config", "show"),
  ..."access service logs doctor update completion".split(" "),
];

function below(group: string, words: string): string[] {
  return words.split(" ").map((word) => `${group} ${word}`);
}

/** What serves in place of a later command, where something does. */
export const LATER_ADVICE: Readonly<Record<string, string>> = {
  "edge reload": "Stop tunl edge and start it again",
  service: "Let the service manager of this machine run tunl edge or tunl connect",
  logs: "Give --log-file FILE to tunl edge or tunl connect, or read what they write to stderr",
  doctor: "Run tunl status, and --log-level debug where something fails",
  update: "Replace the executable and start it again",
};

const NO_PRIVATE_NETWORKS: Refusal = {
  message: "tunl routes no private networks, which is WireGuard's job",
  hint: "Give each service a name: tunl connect TARGET --host NAME",
};
const SEE_STATUS = "tunl status shows the connector of this machine: links, streams, names";

/** cloudflared's commands that tunl does without: why, and what does it here. A row stands for everything below it. */
export const FOREIGN_COMMANDS: Readonly<Record<string, Refusal>> = {
  "tunnel cleanup": {
    message: "tunl has no tunnel cleanup: a connector that is gone is forgotten by itself",
    hint: "tunl tunnel info NAME lists those that are there, tunl tunnel delete NAME --force ends them all",
  },
  "tunnel vnet": NO_PRIVATE_NETWORKS,
  "route ip": NO_PRIVATE_NETWORKS,
  "route lb": {
    message: "tunl has no load balancers to route to: connectors of one tunnel share its names",
    hint: "Run tunl connect with the same tunnel on a second machine",
  },
  "tunnel ready": { message: "tunl has no tunnel ready", hint: SEE_STATUS },
  "tunnel health": { message: "tunl has no tunnel health", hint: SEE_STATUS },
  "tunnel diag": { message: "tunl has no tunnel diag", hint: SEE_STATUS },
  // ngrok's.
  http: {
    message: "tunl has no http: its tunnels are all HTTP",
    hint: "Write tunl connect 8000, or tunl connect URL",
  },
  start: {
    message: "tunl has no start: what to serve stands in one config.yml",
    hint: "Write tunl tunnel run NAME, or tunl connect 8000 without a file",
  },
  tail: {
    message: "tunl has no tail",
    hint: LATER_ADVICE["logs"] as string,
  },
  management: {
    message: "tunl has no management service: nobody but you reaches into a connector",
    hint: SEE_STATUS,
  },
  "proxy-dns": {
    message: "tunl has no proxy-dns: it is no resolver",
    hint: "Run a resolver such as unbound",
  },
};

/** Words that may follow `words`: names of groups, commands and their sub-commands, known but refused ones too. */
export function nextWords(words: readonly string[]): readonly string[] {
  const prefix = words.length === 0 ? "" : `${words.join(" ")} `;
  const names = [
    ...COMMANDS.map(({ name }) => name),
    ...Object.keys(ALIASES),
    ...LATER_COMMANDS,
    ...Object.keys(FOREIGN_COMMANDS),
  ];
  const next = names
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length).split(" ")[0] as string);
  return [...new Set(next)];
}

/** True where words name something that is refused by name, whatever follows. */
export function isRefused(words: string): boolean {
  return LATER_COMMANDS.includes(words) || Object.hasOwn(FOREIGN_COMMANDS, words);
}
