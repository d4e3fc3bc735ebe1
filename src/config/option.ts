// This file is the shape of one row of the option table, and how rows are found. product.md §2 rules 1 to 4.

/** Commands that this build runs, by their full name, in the order of --help. */
export const COMMAND_NAMES = [
  "edge",
  "edge invite",
  "edge grant",
  "edge revoke",
  "edge repair",
  "edge check",
  "connect",
  "login",
  "tunnel create",
  "tunnel list",
  "tunnel info",
  "tunnel run",
  "tunnel delete",
  "tunnel rotate",
  "tunnel token",
  "route dns",
  "route list",
  "route delete",
  "ingress validate",
  "ingress rule",
  "config check",
  "status",
  "version",
] as const;
export type CommandName = (typeof COMMAND_NAMES)[number];

/** How the text of a value is read; `values.ts` has one reader for each. */
export type Kind =
  | "text" // any text without control characters, at most 1,024 characters
  | "hostname" // example.com, lower-cased
  | "pattern" // hostname or *.hostname
  | "label" // one label of a hostname
  | "reserved" // label, or a label's beginning and *
  | "path" // file or directory; ~ expanded, made absolute
  | "listen" // HOST:PORT, :PORT or [IPv6]:PORT to bind
  | "peer" // HOST[:PORT] to dial, port 443 if absent
  | "ip" // IPv4 or IPv6, canonical
  | "server" // IP[:PORT] of a name server, port 53 if absent
  | "socket" // unix:PATH
  | "duration" // to milliseconds
  | "size" // to bytes
  | "rate" // to events per second
  | "integer"
  | "choice"
  | "boolean"
  | "ca" // known name of an ACME CA, or the https URL of its directory
  | "json" // a JSON document, judged by who uses it
  | "pairs" // list of {cert, key}; in files only
  | "grants"; // list of {tunnel, hosts}; in files only

/** One flag, one key of `edge.yml`, or both. */
export interface Option {
  /** Long name without dashes; a boolean that users switch off (`--no-color`) stands here in its positive form. */
  readonly flag?: string;
  /** One letter. */
  readonly short?: string;
  /** Commands that take the flag. */
  readonly commands: readonly CommandName[];
  /** Dotted path in `edge.yml`. */
  readonly key?: string;
  /** Key in `config.yml`, the file of the connector. */
  readonly connectorKey?: string;
  /** A second name of the key. */
  readonly keyAlias?: string;
  readonly kind: Kind;
  readonly choices?: readonly string[];
  /** What stands for the value in --help. */
  readonly placeholder?: string;
  /** As a user would write it; absent = no value, which `about` explains. */
  readonly default?: string;
  readonly isRepeatable?: boolean;
  /** `-` is a value too: standard input. */
  readonly canBeInput?: boolean;
  /** The flag is refused, its variable is read. */
  readonly isVariableOnly?: boolean;
  /** `off` is a value too. */
  readonly canBeOff?: boolean;
  /** `auto` is a value too, and the default: the program decides. */
  readonly canBeAuto?: boolean;
  /** Inclusive bounds in milliseconds, bytes or units. */
  readonly min?: number;
  readonly max?: number;
  /** One sentence for --help, without a period. */
  readonly about: string;
  readonly phase: 1 | 2 | 3;
  /** False: the name is known and refused by name. */
  readonly isBuilt: boolean;
  /** Values that are known and refused: value to sentence and what to do. */
  readonly laterValues?: Readonly<Record<string, Refusal>>;
  /** In place of the usual words where the flag or key is refused. */
  readonly refusal?: Refusal;
}

/** Why something known is refused, and what to do instead. */
export interface Refusal {
  readonly message: string;
  readonly hint: string;
}

/** Environment variable of a flag: `--log-level` is `TUNL_LOG_LEVEL`. */
export function variableOf(flag: string): string {
  return `TUNL_${flag.toUpperCase().replaceAll("-", "_")}`;
}

/** How a flag is written in messages: a boolean that is on by default shows its `--no-` form. */
export function flagText(option: Option): string {
  return option.kind === "boolean" && option.default === "true"
    ? `--no-${option.flag}`
    : `--${option.flag}`;
}

/** Which commands a row is for. */
export const EVERY: readonly CommandName[] = COMMAND_NAMES;
export const EDGE: readonly CommandName[] = ["edge"];
export const INVITE: readonly CommandName[] = ["edge invite"];
export const CONNECT: readonly CommandName[] = ["connect", "tunnel run"];
/** Commands that ask an edge with the key of an account. */
export const ASKING: readonly CommandName[] = [
  ...COMMAND_NAMES.filter((name) => name.startsWith("tunnel ") && name !== "tunnel run"),
  ...COMMAND_NAMES.filter((name) => name.startsWith("route ")),
];
/** Commands that have to know where the edge's control socket is. */
export const OWNER: readonly CommandName[] = [
  "edge",
  "edge invite",
  "edge grant",
  "edge revoke",
  "status",
];
/** Commands that have to know where the state of the edge is. */
export const STATE: readonly CommandName[] = [...OWNER, "edge repair"];
/** Commands that judge rules. */
export const RULES: readonly CommandName[] = ["ingress validate", "ingress rule"];
/** Commands that judge whole files. */
export const CHECKS: readonly CommandName[] = ["config check", "edge check"];
/** Commands that answer with data. */
export const ANSWERS: readonly CommandName[] = [
  "edge invite",
  "edge grant",
  "edge revoke",
  "edge repair",
  "tunnel create",
  "tunnel list",
  "tunnel info",
  "route dns",
  "route list",
  "status",
  "version",
  ...RULES,
  ...CHECKS,
];

/** A row that works. */
export const BUILT = { phase: 1, isBuilt: true } as const;

export const SECOND = 1_000;
export const HOUR = 3_600_000;
export const DAY = 86_400_000;
