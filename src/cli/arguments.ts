// This file is the check of the raw arguments against the table, before citty sees them: citty lets unknown flags pass, keeps the
// last of repeated ones, takes a flag for a value, and forgets flags in front of a sub-command. product.md §2 rules 3 to 5.
import { flagText, listWords, nearest, OPTIONS, optionsOf, usage } from "../config/index.ts";
import type { CommandName, Flags, Option } from "../config/index.ts";
import {
  ALIASES,
  FOREIGN_COMMANDS,
  GROUPS,
  isRefused,
  LATER_ADVICE,
  LATER_COMMANDS,
  nextWords,
} from "./command-words.ts";
import { COMMANDS, commandRow, commandsBelow } from "./commands.ts";
import type { Positional } from "./commands.ts";

/** What was typed, checked against the table. */
export interface Invocation {
  /** undefined: no command, only a group, `--help`, `--version` or nothing. */
  readonly command: CommandName | undefined;
  /** The group, where nothing but a group was named. */
  readonly group: string | undefined;
  /** Long name to values; booleans as "true" or "false". */
  readonly flags: Flags;
  readonly positionals: readonly string[];
}

const BOOLEAN_WORDS = new Set(["true", "false", "yes", "no", "on", "off"]);
const OPTIONS_OF_ALL = ["help", "version", "color"];

/**
 * Reads the arguments.
 *
 * @param raw `process.argv` without its first two entries.
 * @throws TunlError `USAGE` for anything that no table allows.
 */
export function readArguments(raw: readonly string[]): Invocation {
  const { words, rest } = takeCommand(withHabits(raw));
  const { command, group } = resolveCommand(words);
  const options =
    command === undefined
      ? OPTIONS.filter(({ flag }) => OPTIONS_OF_ALL.includes(flag ?? ""))
      : optionsOf(command);
  const flags = new Map<string, string[]>();
  const positionals: string[] = [];
  for (let index = 0; index < rest.length; index++) {
    const argument = rest[index] as string;
    if (argument === "--") {
      positionals.push(...rest.slice(index + 1));
      break;
    }
    if (!argument.startsWith("-") || argument === "-") {
      positionals.push(argument);
      continue;
    }
    const { option, value, isNegated } = readFlag(argument, command, options);
    const flag = option.flag as string;
    if (option.kind === "boolean") {
      put(flags, option, booleanValue(argument, option, value, isNegated));
      continue;
    }
    const given = value ?? rest[index + 1];
    if (value === undefined) index += 1;
    if (given === undefined || (value === undefined && looksLikeFlag(given))) {
      const found = given === undefined ? "nothing follows" : `${given.split("=")[0]} follows`;
      throw usage({
        message: `--${flag} needs a value, but ${found}`,
        hint: `Write --${flag} ${option.placeholder ?? "VALUE"}`,
      });
    }
    put(flags, option, given);
  }
  if (command !== undefined && !flags.has("help") && !flags.has("version"))
    checkPositionals(command, positionals);
  return { command, group, flags, positionals };
}

/**
 * Writes what stands behind the words of the command as the arguments citty is given: every flag in one piece, nothing that it
 * could misread.
 */
export function normalArguments({ flags, positionals }: Invocation): string[] {
  const written: string[] = [];
  for (const [flag, values] of flags) written.push(...values.map((value) => `--${flag}=${value}`));
  return positionals.length === 0 ? written : [...written, "--", ...positionals];
}

/** Another program's way to ask for help: `tunl help connect`. */
function withHabits(raw: readonly string[]): readonly string[] {
  return raw[0] === "help" ? ["--help", ...raw.slice(1)] : raw;
}

/**
 * The words of the command, wherever flags stand between them; flags in front of a sub-command count for it. Aliases are
 * replaced as soon as they are complete, so `tunnel route dns` is `route dns`.
 */
function takeCommand(raw: readonly string[]): { words: readonly string[]; rest: string[] } {
  let words: readonly string[] = [];
  const rest: string[] = [];
  let isOpen = true;
  for (let index = 0; index < raw.length; index++) {
    const argument = raw[index] as string;
    if (argument === "--") return { words, rest: [...rest, ...raw.slice(index)] };
    if (argument.startsWith("-") && argument !== "-") {
      rest.push(argument);
      const next = raw[index + 1];
      // Its value must not be taken for a command: `tunl --log-file edge connect 8000`.
      if (next !== undefined && !looksLikeFlag(next) && takesNext(argument)) {
        rest.push(next);
        index += 1;
      }
      continue;
    }
    const known: readonly string[] = isOpen ? nextWords(words) : [];
    if (
      known.length > 0 &&
      (words.length === 0 || known.includes(argument) || !takesPositionals(words))
    ) {
      const typed = [...words, argument].join(" ");
      const meant = ALIASES[typed] ?? typed;
      words = meant.split(" ");
      // Behind the other name of a command there are no sub-commands: `edge run invite` is none.
      isOpen =
        known.includes(argument) && !isRefused(meant) && (meant === typed || !isCommand(meant));
    } else rest.push(argument);
  }
  return { words, rest };
}

function isCommand(words: string): boolean {
  return COMMANDS.some(({ name }) => name === words);
}

function takesPositionals(words: readonly string[]): boolean {
  return COMMANDS.some(
    ({ name, positionals }) => name === words.join(" ") && positionals.length > 0,
  );
}

/** True for a flag whose value may be the next argument; one that no table knows is judged later, its value must not be the command. */
function takesNext(argument: string): boolean {
  if (!argument.startsWith("--") || argument.includes("=")) return false;
  const name = argument.slice(2);
  const positive = name.startsWith("no-") ? name.slice(3) : name;
  const rows = OPTIONS.filter(({ flag }) => flag === name || flag === positive);
  return rows.every(({ kind }) => kind !== "boolean");
}

function resolveCommand(words: readonly string[]): Pick<Invocation, "command" | "group"> {
  if (words.length === 0) return { command: undefined, group: undefined };
  const typed = words.join(" ");
  const row = COMMANDS.find(({ name }) => name === typed);
  if (row !== undefined) return { command: row.name, group: undefined };
  const isGroup = Object.hasOwn(GROUPS, typed);
  if (isGroup && commandsBelow(typed).length > 0) return { command: undefined, group: typed };
  if (isGroup || LATER_COMMANDS.includes(typed)) {
    throw usage({
      message: `tunl ${typed} is not in this build yet`,
      hint: LATER_ADVICE[typed] ?? "Run tunl --help for what is",
    });
  }
  const foreign = FOREIGN_COMMANDS[typed];
  if (foreign !== undefined) throw usage(foreign);
  const parent = words.slice(0, -1);
  const last = words.at(-1) as string;
  if (parent.length === 0 && (/^\d+$/.test(last) || last.includes("://"))) {
    throw usage({
      message: `Unknown command ${JSON.stringify(last)}, which is a target`,
      hint: `Write tunl connect ${/^\d+$/.test(last) ? last : "TARGET"}`,
    });
  }
  const of = parent.length === 0 ? "" : ` of tunl ${parent.join(" ")}`;
  const elsewhere = COMMANDS.filter(({ name }) => name.split(" ").at(-1) === last);
  if (elsewhere.length > 0) {
    throw usage({
      message: `Unknown command ${JSON.stringify(last)}${of}`,
      hint: `Write ${listWords(elsewhere.map(({ name }) => `tunl ${name}`))}`,
    });
  }
  const prefix = [...parent, ""].join(" ");
  const near = nearest(
    last,
    nextWords(parent).filter((word) => !isRefused(`${prefix}${word}`)),
  );
  throw usage({
    message: `Unknown command ${JSON.stringify(last)}${of}${near === undefined ? "" : `, nearest is ${[...parent, near].join(" ")}`}`,
    hint: `Run tunl ${[...parent, "--help"].join(" ")}`,
  });
}

function readFlag(
  argument: string,
  command: CommandName | undefined,
  options: readonly Option[],
): { option: Option; value: string | undefined; isNegated: boolean } {
  const equals = argument.indexOf("=");
  const name = equals === -1 ? argument : argument.slice(0, equals);
  const value = equals === -1 ? undefined : argument.slice(equals + 1);
  if (!name.startsWith("--")) {
    const option = options.find(({ short }) => short !== undefined && `-${short}` === name);
    if (option === undefined) throw unknownFlag(name, command, options);
    return { option, value, isNegated: false };
  }
  const long = name.slice(2);
  const exact = options.find(({ flag }) => flag === long);
  const negated =
    exact === undefined && long.startsWith("no-")
      ? options.find(({ flag, kind }) => flag === long.slice(3) && kind === "boolean")
      : undefined;
  const option = exact ?? negated;
  if (option === undefined) throw unknownFlag(name, command, options);
  if (!option.isBuilt) {
    throw usage(
      option.refusal ?? {
        message: `--${long} is not in this build yet`,
        hint: `Run tunl ${command} --help for what is`,
      },
    );
  }
  return { option, value, isNegated: negated !== undefined };
}

/** Nearest name, or whose flag it is. Never quotes what follows a `=`: it may be a secret. */
function unknownFlag(name: string, command: CommandName | undefined, options: readonly Option[]) {
  const hint = `Run tunl ${command === undefined ? "" : `${command} `}--help`;
  const others = OPTIONS.filter(
    ({ flag, isBuilt, commands }) =>
      isBuilt && flag === name.replace(/^--(no-)?/, "") && commands.length > 0,
  );
  if (others.length > 0) {
    const whose = [...new Set(others.flatMap(({ commands }) => commands))].filter(
      (other) => other !== command,
    );
    const message =
      command === undefined
        ? `${name} stands without a command`
        : `${name} is no flag of tunl ${command}`;
    return usage({
      message: `${message}, it belongs to ${listWords(whose.map((other) => `tunl ${other}`))}`,
      hint,
    });
  }
  const texts = options.flatMap((option) =>
    option.isBuilt && option.flag !== undefined ? [flagText(option), `--${option.flag}`] : [],
  );
  if (name === "--url") {
    return usage({
      message: "tunl has no --url: what to serve is the argument of tunl connect",
      hint: "Write tunl connect 8000, or tunl connect URL",
    });
  }
  const near = nearest(name, texts);
  return usage({
    message: `Unknown flag ${name}${near === undefined ? "" : `, nearest is ${near}`}`,
    hint,
  });
}

function booleanValue(
  argument: string,
  option: Option,
  value: string | undefined,
  isNegated: boolean,
): string {
  if (value === undefined) return isNegated ? "false" : "true";
  if (isNegated)
    throw usage({
      message: `--no-${option.flag} takes no value, but got "${value}"`,
      hint: `Write --no-${option.flag}`,
    });
  if (!BOOLEAN_WORDS.has(value)) {
    const name = argument.slice(0, argument.indexOf("="));
    throw usage({
      message: `${name} is "${value}", expected true or false`,
      hint: `Write ${flagText(option)} alone`,
    });
  }
  return ["true", "yes", "on"].includes(value) ? "true" : "false";
}

/** Repeated flags collect; where there can be only one value, two different ones are a contradiction. */
function put(flags: Map<string, string[]>, option: Option, value: string): void {
  const flag = option.flag as string;
  const values = flags.get(flag);
  if (values === undefined) flags.set(flag, [value]);
  else if (option.isRepeatable) values.push(value);
  else if (values[0] !== value) {
    throw usage({
      message: `${flagText(option)} is given twice with different values`,
      hint: `Give it once`,
    });
  }
}

function looksLikeFlag(text: string): boolean {
  return text.startsWith("-") && text !== "-";
}

function checkPositionals(command: CommandName, positionals: readonly string[]): void {
  const { positionals: allowed, examples } = commandRow(command);
  const joinLine = positionals.find((positional) => /^tunl:\/\//i.test(positional));
  if (joinLine !== undefined && !allowed.some(({ takesLine }) => takesLine)) {
    throw usage({
      message: `A join line is no argument of tunl ${command}`,
      hint: "Write tunl connect TARGET --join tunl://HOST[:PORT]/FINGERPRINT/CODE",
    });
  }
  const missing = allowed.filter(({ isNeeded }, index) => isNeeded && index >= positionals.length);
  if (missing.length > 0) {
    throw usage({
      message: `tunl ${command} needs ${missing.map(({ name }) => name).join(" and ")}`,
      hint: `Write ${examples[0]}${command === "login" ? " with the line that tunl edge invite --account prints on the edge" : ""}`,
    });
  }
  const empty = positionals.findIndex((positional) => positional === "");
  if (empty >= 0 && empty < allowed.length) {
    throw usage({
      message: `${allowed[empty]?.name} of tunl ${command} is empty`,
      hint: `Write ${examples[0]}`,
    });
  }
  const extra = allowed.at(-1)?.isList ? undefined : positionals[allowed.length];
  if (extra === undefined) return;
  throw usage({
    message: `tunl ${command} takes ${amountOf(allowed)}, but got ${JSON.stringify(extra)}${allowed.length === 0 ? "" : " too"}`,
    hint:
      allowed.length === 0 && /\.ya?ml$/.test(extra) && hasConfig(command)
        ? `Write tunl ${command} --config ${extra}`
        : `Run tunl ${command} --help`,
  });
}

function hasConfig(command: CommandName): boolean {
  return OPTIONS.some(({ flag, commands }) => flag === "config" && commands.includes(command));
}

function amountOf(allowed: readonly Positional[]): string {
  const words = ["no argument", "one argument", "two arguments"];
  return words[allowed.length] ?? `${allowed.length} arguments`;
}
