// This file is the tables of docs/CONFIG.md as they follow from the option table. Run it to print them, or to write those of the document anew:
// node scripts/bun.mjs test/docs/option-tables.ts [write]
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { LATER_COMMANDS } from "../../src/cli/command-words.ts";
import { type CommandName, flagText, type Option, OPTIONS } from "../../src/config/index.ts";
import { CHECKS, EVERY, RULES } from "../../src/config/option.ts";
import { CHECK_OPTIONS } from "../../src/config/options-check.ts";
import { EVENTS } from "../../src/log-events.ts";
import { expectedForm } from "../../src/config/values.ts";
import { CONNECTOR_TABLES } from "./connector-tables.ts";
import { ROOT, textOf } from "./text.ts";

type Rows = readonly (readonly string[])[];

const built = OPTIONS.filter(({ isBuilt }) => isBuilt);
// What is refused for good is no promise.
const later = OPTIONS.filter(({ isBuilt, isVariableOnly }) => !isBuilt && !isVariableOnly);

function tick(text: string): string {
  return `\`${text}\``;
}

function flagOf(option: Option): string {
  const { short, placeholder, choices, kind } = option;
  const value = placeholder ?? (kind === "boolean" ? "" : (choices ?? []).join("|"));
  const names = `${short === undefined ? "" : `-${short}, `}${flagText(option)}`;
  return tick(value === "" ? names : `${names} ${value}`);
}

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
] as const;

function amount({ kind }: Option, value: number): string {
  if (kind === "rate") return `${value.toLocaleString("en-US")}/s`;
  if (kind !== "duration" || value === 0) return value.toLocaleString("en-US");
  const [unit, size] = UNITS.find(([, ms]) => value % ms === 0) ?? ["ms", 1];
  return `${value / size}${unit}`;
}

/** The form a value has, with its bounds. */
function formOf(option: Option): string {
  if (option.kind === "boolean") return option.flag === undefined ? "true or false" : "";
  const list = option.isRepeatable ? ", repeatable" : "";
  const { min, max } = option;
  const bounds =
    min === undefined || max === undefined
      ? ""
      : `, ${amount(option, min)} to ${amount(option, max)}${option.kind === "size" ? " bytes" : ""}`;
  return `${expectedForm(option)}${bounds}${list}`;
}

function defaultOf(option: Option): string {
  const isFlag = option.kind === "boolean" && option.flag !== undefined;
  if (option.default === undefined || isFlag) return "";
  return tick(option.default);
}

function meaningOf({ about, keyAlias }: Option): string {
  return keyAlias === undefined ? about : `${about} (also ${tick(keyAlias)})`;
}

function flagRows(commands: readonly CommandName[], isOnly: (option: Option) => boolean): Rows {
  return built
    .filter((option) => option.flag !== undefined && isOnly(option))
    .filter((option) => commands.some((command) => option.commands.includes(command)))
    .map((option) => [
      flagOf(option),
      option.key === undefined ? "" : tick(option.key),
      formOf(option),
      defaultOf(option),
      meaningOf(option),
    ]);
}

const isEverywhere = (option: Option): boolean =>
  EVERY.every((command) => option.commands.includes(command));

function laterFlags(command: CommandName): readonly string[] {
  return [
    command,
    later
      .filter(({ flag, commands }) => flag !== undefined && commands.includes(command))
      .map((option) => tick(flagText(option)))
      .join(" "),
  ];
}

/** Commands with the same flags share a row. */
function withoutRepeats(rows: Rows): Rows {
  const texts = new Map<string, string[]>();
  for (const [command = "", flags = ""] of rows)
    texts.set(flags, [...(texts.get(flags) ?? []), command]);
  return [...texts].map(([flags, commands]) => [commands.join(", "), flags]);
}

const COMMAND_HEAD = ["flag", "commands", "value", "default", "meaning"];

/** The flags of a group, and which of its commands take each. */
function rowsByCommand(commands: readonly CommandName[]): Rows {
  return built
    .filter((option) => option.flag !== undefined && !isEverywhere(option))
    .filter((option) => commands.some((command) => option.commands.includes(command)))
    .map((option) => [
      flagOf(option),
      commands
        .filter((command) => option.commands.includes(command))
        .map((command) => tick(command.split(" ").slice(1).join(" ")))
        .join(" "),
      formOf(option),
      defaultOf(option),
      meaningOf(option),
    ]);
}

const FLAG_HEAD = ["flag", "key of `edge.yml`", "value", "default", "meaning"];

/** Name of each table, its head and its rows. */
export const TABLES: Readonly<
  Record<string, { readonly head: readonly string[]; readonly rows: Rows }>
> = {
  "flags of every command": { head: FLAG_HEAD, rows: flagRows(EVERY, isEverywhere) },
  "flags of edge": { head: FLAG_HEAD, rows: flagRows(["edge"], (option) => !isEverywhere(option)) },
  "keys without a flag": {
    head: ["key", "value", "default", "meaning"],
    rows: built
      .filter(({ flag, key }) => flag === undefined && key !== undefined)
      .map((option) => [
        tick(option.key as string),
        formOf(option),
        defaultOf(option),
        meaningOf(option),
      ]),
  },
  "flags of edge invite": {
    head: FLAG_HEAD,
    rows: flagRows(["edge invite"], (option) => !isEverywhere(option)),
  },
  "flags of edge grant and revoke": {
    head: FLAG_HEAD,
    rows: flagRows(["edge grant", "edge revoke"], (option) => !isEverywhere(option)),
  },
  "flags of edge repair": {
    head: FLAG_HEAD,
    rows: flagRows(["edge repair"], (option) => !isEverywhere(option)),
  },
  "flags of connect": {
    head: FLAG_HEAD,
    rows: flagRows(["connect"], (option) => !isEverywhere(option)),
  },
  "flags of login": {
    head: FLAG_HEAD,
    rows: flagRows(["login"], (option) => !isEverywhere(option)),
  },
  "flags of tunnel": {
    head: COMMAND_HEAD,
    rows: rowsByCommand(
      EVERY.filter((name) => name.startsWith("tunnel ") && name !== "tunnel run"),
    ),
  },
  "flags of route": {
    head: COMMAND_HEAD,
    rows: rowsByCommand(EVERY.filter((name) => name.startsWith("route "))),
  },
  "flags of ingress validate, ingress rule, config check and edge check": {
    head: ["flag", "of", "value", "meaning"],
    rows: built
      .filter(({ flag }) => flag !== undefined)
      .filter((option) => CHECK_OPTIONS.includes(option) || option.flag === "json")
      .map((option) => [
        flagOf(option),
        option.commands
          .filter((command) => RULES.includes(command) || CHECKS.includes(command))
          .join(", "),
        formOf(option),
        meaningOf(option),
      ]),
  },
  ...CONNECTOR_TABLES,
  "flags of status and version": {
    head: FLAG_HEAD,
    rows: flagRows(["status", "version"], (option) => !isEverywhere(option)),
  },
  "later flags": {
    head: ["command", "flags"],
    rows: withoutRepeats(EVERY.map(laterFlags).filter(([, flags]) => flags !== "")),
  },
  "later keys": {
    head: ["keys"],
    rows: [
      [
        later
          .filter(({ key }) => key !== undefined)
          .map(({ key }) => tick(key as string))
          .join(" "),
      ],
    ],
  },
  "log events": {
    head: ["event", "when", "fields"],
    rows: Object.entries(EVENTS).map(([event, { about, fields }]) => [
      tick(event),
      about,
      fields.map(tick).join(" "),
    ]),
  },
  "later commands": { head: ["commands"], rows: [[LATER_COMMANDS.map(tick).join(" ")]] },
};

/** A table as it stands in the document, its marker first. */
export function renderTable(name: string): string {
  const { head, rows } = TABLES[name] ?? { head: [], rows: [] };
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [
    `<!-- compared with the code: ${name} -->`,
    "",
    line(head),
    line(head.map(() => "---")),
    ...rows.map(line),
  ].join("\n");
}

/** The document with every table as the code has it now. */
function rewrite(text: string): string {
  return Object.keys(TABLES).reduce((document, name) => {
    const start = document.indexOf(`<!-- compared with the code: ${name} -->`);
    if (start < 0) return document;
    const [marker = "", body = ""] = document.slice(start).split("\n\n");
    // A marker alone is a place where a table is to stand.
    const length = (body.startsWith("|") ? `${marker}\n\n${body}` : marker).trimEnd().length;
    return document.slice(0, start) + renderTable(name) + document.slice(start + length);
  }, text);
}

if (import.meta.main) {
  if (process.argv[2] === "write")
    writeFileSync(join(ROOT, "docs/CONFIG.md"), rewrite(textOf("docs/CONFIG.md")));
  else for (const name of Object.keys(TABLES)) console.log(`${renderTable(name)}\n`);
}
