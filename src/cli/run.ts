// This file is the runner in place of citty's: arguments, --help, the command, errors to text, exit code. product.md §2 rule 3.
import { VERSION } from "../config/index.ts";
import { readArguments } from "./arguments.ts";
import { dispatch } from "./command.ts";
import type { Loaders } from "./command.ts";
import { exitCodeOf, formatFailure } from "./failure.ts";
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
    const { command, flags } = invocation;
    if (flags.get("help")?.[0] === "true") {
      await printAnswer(helpText(command));
      return 0;
    }
    if (flags.get("version")?.[0] === "true") {
      await printAnswer(`tunl ${VERSION}\n`);
      return 0;
    }
    if (command === undefined) {
      await printError(helpText(undefined));
      return 2;
    }
    await dispatch(loaders, invocation);
    return 0;
  } catch (error) {
    if (error instanceof Reported) return error.exitCode;
    await printError(`${formatFailure(error, isColored(raw), isDetailed(raw))}\n`);
    return exitCodeOf(error);
  }
}

/** Before any option is known, and after the options failed: the same rules, read from the raw words. */
function isColored(raw: readonly string[]): boolean {
  const { NO_COLOR, FORCE_COLOR, TUNL_COLOR } = process.env;
  if (raw.includes("--no-color") || TUNL_COLOR === "false") return false;
  if ((NO_COLOR !== undefined && NO_COLOR !== "") || FORCE_COLOR === "0") return false;
  return process.stderr.isTTY === true || (FORCE_COLOR !== undefined && FORCE_COLOR !== "");
}

function isDetailed(raw: readonly string[]): boolean {
  const level =
    raw.find((word) => word.startsWith("--log-level="))?.slice(12) ??
    raw[raw.indexOf("--log-level") + 1];
  return level === "debug" || level === "trace";
}
