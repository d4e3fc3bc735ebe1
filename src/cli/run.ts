// This file is the runner in place of citty's: arguments, --help, the command, errors to text, exit code. product.md §2 rule 3.
import { VERSION } from "../config/index.ts";
import { readArguments } from "./arguments.ts";
import { dispatch } from "./command.ts";
import type { Loaders } from "./command.ts";
import { exitCodeOf, failureRecords, formatFailure } from "./failure.ts";
import { formatJson, formatText } from "./format.ts";
import { helpText } from "./help.ts";
import { Reported } from "./lifecycle.ts";
import { printAnswer, printError } from "./print.ts";

/**
 * Runs one command line to its end.
 *
 * @param raw Arguments without program and script.
 * @returns The exit code of product.md §2; everything was written.
 */
export async function run(raw: readonly string[], loaders: Loaders): Promise<number> {
  try {
    const invocation = readArguments(raw);
    const { command, group, flags } = invocation;
    if (flags.get("help")?.[0] === "true") {
      await printAnswer(helpText(command ?? group));
      return 0;
    }
    if (flags.get("version")?.[0] === "true") {
      await printAnswer(`tunl ${VERSION}\n`);
      return 0;
    }
    if (command === undefined) {
      await printError(helpText(group));
      return 2;
    }
    await dispatch(loaders, command, invocation);
    return 0;
  } catch (error) {
    if (error instanceof Reported) return error.exitCode;
    await printError(`${told(error, raw)}\n`);
    return exitCodeOf(error);
  }
}

/** The form of log lines, where one was asked for by name; for people otherwise. */
function told(error: unknown, raw: readonly string[]): string {
  const format = valueOf(raw, "--log-format") ?? process.env["TUNL_LOG_FORMAT"];
  if (format !== "json" && format !== "text")
    return formatFailure(error, isColored(raw), isDetailed(raw));
  const write = format === "json" ? formatJson : formatText;
  const now = new Date();
  return failureRecords(error)
    .map((record) => write(record, now))
    .join("\n");
}

/** Before any option is known, and after the options failed: the same rules, read from the raw words. */
function isColored(raw: readonly string[]): boolean {
  const { NO_COLOR, FORCE_COLOR, TUNL_COLOR } = process.env;
  if (raw.includes("--no-color") || TUNL_COLOR === "false") return false;
  if ((NO_COLOR !== undefined && NO_COLOR !== "") || FORCE_COLOR === "0") return false;
  return process.stderr.isTTY === true || (FORCE_COLOR !== undefined && FORCE_COLOR !== "");
}

function isDetailed(raw: readonly string[]): boolean {
  const level = valueOf(raw, "--log-level") ?? process.env["TUNL_LOG_LEVEL"];
  return level === "debug" || level === "trace";
}

/** Value of a flag in the raw words. */
function valueOf(raw: readonly string[], flag: string): string | undefined {
  const joined = raw.find((word) => word.startsWith(`${flag}=`));
  if (joined !== undefined) return joined.slice(flag.length + 1);
  const index = raw.indexOf(flag);
  return index < 0 ? undefined : raw[index + 1];
}
