// This file is the border to citty, which runs the command; arguments were judged before. The only importer of `citty`.
import { defineCommand, runCommand } from "citty";
import type { ArgsDef, CommandDef } from "citty";
import { optionsOf, surroundings, VERSION } from "../config/index.ts";
import type { CommandName, LoadInput } from "../config/index.ts";
import { normalArguments, readArguments } from "./arguments.ts";
import type { Invocation } from "./arguments.ts";
import { commandRow } from "./commands.ts";

/** A command as citty holds it. */
export type Command = CommandDef<ArgsDef>;

/** Loads commands by name; lazily, so that `tunl version` does not pay for an edge. */
export type Loaders = Readonly<Record<CommandName, () => Promise<Command>>>;

/**
 * Makes a command.
 *
 * @param body Does it; ends with the command, fails by throwing.
 */
export function command(
  name: CommandName,
  body: (invocation: Invocation) => Promise<void>,
): Command {
  return defineCommand({
    meta: { name, description: commandRow(name).summary, version: VERSION },
    args: argumentsOf(name),
    // What citty parsed is not used: it keeps the last of repeated flags. Its raw arguments are our normal form.
    run: ({ rawArgs }) => body(readArguments([...name.split(" "), ...rawArgs])),
  });
}

/** Runs a command: the table and the loaders know all there are, citty gets the one that was meant. */
export async function dispatch(
  loaders: Loaders,
  name: CommandName,
  invocation: Invocation,
): Promise<void> {
  await runCommand(await loaders[name](), { rawArgs: normalArguments(invocation) });
}

/** What a command's values are read from. */
export function loadInput({ flags }: Invocation): LoadInput {
  return {
    flags,
    surroundings: surroundings(),
    directory: workingDirectory(),
    isTerminal: process.stderr.isTTY === true,
  };
}

/** The table as citty wants it: booleans in their positive form, no defaults (they are applied by us). */
function argumentsOf(name: CommandName): ArgsDef {
  const args: ArgsDef = {};
  for (const { flag, kind, isBuilt, about } of optionsOf(name)) {
    if (flag !== undefined && isBuilt)
      args[flag] = { type: kind === "boolean" ? "boolean" : "string", description: about };
  }
  for (const positional of commandRow(name).positionals)
    args[positional.name] = { type: "positional", required: false, description: positional.about };
  return args;
}

/** Needed for relative paths on the command line only; a directory that was removed is no reason to fail. */
function workingDirectory(): string {
  try {
    return process.cwd();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "/";
    throw error;
  }
}
