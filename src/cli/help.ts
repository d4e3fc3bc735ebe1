// This file is --help of every command, made from the tables. product.md §2.
import { flagText, OPTIONS, optionsOf, variableOf } from "../config/index.ts";
import type { CommandName, Option } from "../config/index.ts";
import { GROUPS } from "./command-words.ts";
import { commandRow, COMMANDS, commandsBelow } from "./commands.ts";
import type { Positional } from "./commands.ts";

const WIDTH = 100;

/** The text of `tunl COMMAND --help`, also of a group; without a command that of `tunl --help`. */
export function helpText(words: string | undefined): string {
  if (words === undefined) return rootHelp();
  const row = COMMANDS.find(({ name }) => name === words);
  return row === undefined ? groupHelp(words) : commandHelp(row.name);
}

function rootHelp(): string {
  const everywhere = OPTIONS.filter(
    ({ flag }) => flag === "help" || flag === "version" || flag === "color",
  );
  return [
    "tunl: public HTTPS names for services behind NAT, one executable for both ends",
    "",
    "Usage: tunl COMMAND [FLAGS]",
    "",
    "Commands:",
    ...columns(COMMANDS.map(({ name, summary }) => [name, summary])),
    "",
    "Flags:",
    ...columns(everywhere.map((option) => [flagColumn(option), option.about])),
    "",
    "Run tunl COMMAND --help for the flags of a command.",
    "",
  ].join("\n");
}

function groupHelp(group: string): string {
  return [
    GROUPS[group] ?? "",
    "",
    `Usage: tunl ${group} COMMAND [FLAGS]`,
    "",
    "Commands:",
    ...columns(commandsBelow(group).map(({ name, summary }) => [name, summary])),
    "",
    `Run tunl ${group} COMMAND --help for the flags of a command.`,
    "",
  ].join("\n");
}

function commandHelp(command: CommandName): string {
  const { summary, positionals, examples } = commandRow(command);
  const options = optionsOf(command).filter(({ isBuilt }) => isBuilt);
  const own = options.filter((option) => !isEverywhere(option));
  const everywhere = options.filter(isEverywhere);
  const lines = [
    summary,
    "",
    `Usage: tunl ${[command, ...positionals.map(usageOf), "[FLAGS]"].join(" ")}`,
  ];
  if (positionals.length > 0)
    lines.push("", "Arguments:", ...columns(positionals.map(({ name, about }) => [name, about])));
  const below = commandsBelow(command);
  if (below.length > 0)
    lines.push("", "Commands:", ...columns(below.map(({ name, summary: about }) => [name, about])));
  if (own.length > 0)
    lines.push("", "Flags:", ...columns(own.map((option) => [flagColumn(option), about(option)])));
  lines.push(
    "",
    "Flags of every command:",
    ...columns(everywhere.map((option) => [flagColumn(option), about(option)])),
  );
  lines.push("", "Examples:", ...examples.map((example) => `  ${example}`), "");
  const sample = own.find(({ kind }) => kind !== "boolean") ?? everywhere[0];
  lines.push(
    `Flags are environment variables too: --${sample?.flag} is ${variableOf(sample?.flag ?? "")}, --no-color is TUNL_COLOR=false.`,
    "",
  );
  return lines.join("\n");
}

function usageOf({ name, isNeeded, isList }: Positional): string {
  const word = isList ? `${name}...` : name;
  return isNeeded ? word : `[${word}]`;
}

function isEverywhere({ commands }: Option): boolean {
  return commands.length >= COMMANDS.length;
}

function flagColumn(option: Option): string {
  const short = option.short === undefined ? "" : `-${option.short}, `;
  if (option.kind === "boolean") return `${short}${flagText(option)}`;
  return `${short}--${option.flag} ${option.placeholder ?? option.choices?.join("|") ?? "VALUE"}`;
}

function about({
  about: sentence,
  isRepeatable,
  default: value,
  kind,
  laterValues,
}: Option): string {
  const notes = [
    ...(isRepeatable ? ["repeatable"] : []),
    ...(value !== undefined && kind !== "boolean" && laterValues?.[value] === undefined
      ? [`default ${value}`]
      : []),
  ];
  return notes.length === 0 ? sentence : `${sentence} (${notes.join(", ")})`;
}

/** Two columns; a long left cell gets a line of its own, a long right cell is wrapped under itself. */
function columns(rows: readonly (readonly [left: string, right: string])[]): string[] {
  const LIMIT = 28;
  const left = Math.min(LIMIT, Math.max(...rows.map(([cell]) => cell.length)));
  return rows.flatMap(([cell, text]) => {
    const lines = wrap(text, WIDTH - left - 4);
    const indent = " ".repeat(left + 4);
    const tail = lines.slice(1).map((line) => indent + line);
    if (cell.length > left) return [`  ${cell}`, ...lines.map((line) => indent + line)];
    return [`  ${cell.padEnd(left)}  ${lines[0]}`, ...tail];
  });
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
