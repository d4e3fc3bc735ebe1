// This file is where each value comes from: flag, environment variable, file, default, in this order. product.md §2 rules 1 and 2.
import { TunlError } from "../errors.ts";
import type { FileValue } from "./edge.ts";
import { flagText, variableOf } from "./option.ts";
import type { CommandName, Option, Refusal } from "./option.ts";
import { OPTIONS, optionsOf } from "./options.ts";
import type { Problem } from "./report.ts";
import type { Address, PathBase, Reading, Value } from "./values.ts";
import { readValue } from "./values.ts";

/** Flags as typed: long name to its values in order; booleans as "true" and "false". */
export type Flags = ReadonlyMap<string, readonly string[]>;

/** A configuration file, read but for its values, and where it lies. */
export interface PlacedFile {
  readonly file: { readonly values: ReadonlyMap<string, readonly FileValue[]> };
  /** Which of the two files it is: a setting may have another key in each. */
  readonly of: "edge.yml" | "config.yml";
  readonly directory: string;
}

/** What a command was given. */
export interface SettingsInput {
  readonly command: CommandName;
  readonly flags: Flags;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Where the command was typed: relative paths of flags start here. */
  readonly directory: string;
  readonly home: string;
  readonly placed: PlacedFile | undefined;
}

/** Where a value came from. */
export type Origin = "flag" | "variable" | "file" | "default";

/** One value that could not be used, before it is known which error that is. */
class Mistake extends Error {
  readonly hint: string | undefined;

  constructor(message: string, hint: string | undefined) {
    super(message);
    this.hint = hint;
  }
}

/**
 * All values of one command, read and checked when made.
 *
 * A value that a flag overrides is checked too: a mistake in a file is not hidden by a flag.
 */
export class Settings {
  /** Mistakes of the file; the caller adds its own and throws. */
  readonly problems: Problem[] = [];
  readonly #input: SettingsInput;
  readonly #values = new Map<string, readonly Value[]>();
  readonly #origins = new Map<string, Origin>();

  /** @throws TunlError `USAGE` for a flag or a variable that cannot be used. */
  constructor(input: SettingsInput) {
    this.#input = input;
    refuseVariables(input);
    for (const option of OPTIONS) {
      const isOfFile = keyIn(input.placed, option) !== undefined;
      const isOfCommand =
        option.commands.includes(input.command) ||
        (input.command === "edge" && option.key !== undefined);
      if (
        option.isBuilt &&
        (isOfCommand || isOfFile) &&
        option.kind !== "pairs" &&
        option.kind !== "grants"
      )
        this.#take(option);
    }
  }

  /** Where a value came from; undefined if there is none. */
  origin(name: string): Origin | undefined {
    return this.#origins.get(name);
  }

  text(name: string): string | undefined {
    const value = this.#first(name);
    return typeof value === "string" ? value : undefined;
  }

  texts(name: string): readonly string[] {
    return (this.#values.get(name) ?? []).filter((value) => typeof value === "string");
  }

  /** undefined for off. */
  number(name: string): number | undefined {
    const value = this.#first(name);
    return typeof value === "number" ? value : undefined;
  }

  isOn(name: string): boolean {
    return this.#first(name) === true;
  }

  /** undefined for off. */
  address(name: string): Address | undefined {
    const value = this.#first(name);
    return typeof value === "object" ? value : undefined;
  }

  #first(name: string): Value | undefined {
    return this.#values.get(name)?.[0];
  }

  #take(option: Option): void {
    const { flags, environment, placed, command } = this.#input;
    const id = idOf(option);
    const isFlag = option.flag !== undefined && option.commands.includes(command);
    const key = keyIn(placed, option);
    const fromFile = key === undefined ? undefined : placed?.file.values.get(key);
    if (fromFile !== undefined && placed !== undefined)
      this.#takeFile(option, fromFile, placed.directory);
    const typed = isFlag ? flags.get(option.flag as string) : undefined;
    if (typed !== undefined) {
      this.#put(id, "flag", this.#readTyped(option, typed, flagText(option)));
      return;
    }
    const variable = isFlag ? variableOf(option.flag as string) : undefined;
    const set = variable === undefined ? undefined : environment[variable];
    if (variable !== undefined && set !== undefined && set !== "") {
      const parts = option.isRepeatable ? set.split(",").map((part) => part.trim()) : [set];
      this.#put(id, "variable", this.#readTyped(option, parts, variable));
      return;
    }
    if (this.#values.has(id) || option.default === undefined) return;
    const defaults = option.isRepeatable ? option.default.split(",") : [option.default];
    this.#put(id, "default", this.#readTyped(option, defaults, `The default of ${id}`));
  }

  #takeFile(option: Option, found: readonly FileValue[], directory: string): void {
    const values: Value[] = [];
    for (const { text, span } of found) {
      try {
        values.push(
          this.#read(option, text, directory, keyIn(this.#input.placed, option) as string),
        );
      } catch (mistake) {
        if (!(mistake instanceof Mistake)) throw mistake;
        const { message, hint } = mistake;
        this.problems.push({
          severity: "error",
          code: "BAD_VALUE",
          message,
          span,
          ...(hint !== undefined && { hint }),
        });
      }
    }
    if (values.length === found.length) this.#put(idOf(option), "file", values);
  }

  #readTyped(option: Option, texts: readonly string[], name: string): Value[] {
    try {
      return texts.map((text) => this.#read(option, text, this.#input.directory, name));
    } catch (mistake) {
      if (!(mistake instanceof Mistake)) throw mistake;
      throw usage({
        message: mistake.message,
        hint: mistake.hint ?? `Run tunl ${this.#input.command} --help`,
      });
    }
  }

  #read(option: Option, text: string, directory: string, name: string): Value {
    const later = option.laterValues?.[text];
    if (later !== undefined) throw new Mistake(later.message, later.hint);
    const base: PathBase = { directory, home: this.#input.home };
    const reading: Reading = readValue(option, text, base);
    if ("value" in reading) return reading.value;
    throw new Mistake(`${name} is ${quoted(text)}, expected ${reading.expected}`, reading.hint);
  }

  #put(id: string, origin: Origin, values: readonly Value[]): void {
    this.#values.set(id, values);
    this.#origins.set(id, origin);
  }
}

/** Variables of flags that this build does not have. */
function refuseVariables({ command, environment }: SettingsInput): void {
  for (const option of optionsOf(command)) {
    if (option.isBuilt || option.isVariableOnly) continue;
    const variable = variableOf(option.flag as string);
    const set = environment[variable];
    if (set === undefined || set === "") continue;
    const message = option.refusal?.message ?? `--${option.flag} is not in this build yet`;
    throw usage({
      message: `${message}, but ${variable} is set`,
      hint: option.refusal?.hint ?? `Unset ${variable}`,
    });
  }
}

/** The key of a setting in a file. */
function keyIn(placed: PlacedFile | undefined, option: Option): string | undefined {
  if (placed === undefined) return undefined;
  return placed.of === "edge.yml" ? option.key : option.connectorKey;
}

/** The name values are asked by: the key, else the flag. */
function idOf(option: Option): string {
  return option.key ?? (option.flag as string);
}

/** Numbers bare, words in quotes, as in the file. */
function quoted(text: string): string {
  return /^-?\d+(?:\.\d+)?$/.test(text) ? text : JSON.stringify(text);
}

/** The error of a wrong command line. */
export function usage({ message, hint }: Refusal): TunlError {
  return new TunlError("USAGE", message, { hint });
}
