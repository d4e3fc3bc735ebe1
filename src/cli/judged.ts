// This file is a judged configuration told: problems to stderr, the verdict to stdout, both as one document where JSON was asked for. product.md §4.
import {
  type CheckedFile,
  ConfigError,
  mostUrgent,
  type Problem,
  problemFields,
  type Source,
} from "../config/index.ts";
import { TunlError } from "../errors.ts";
import { formatFailure } from "./failure.ts";
import { Reported } from "./lifecycle.ts";
import { printAnswer, printError, printJson } from "./print.ts";
import { redactText } from "./redact.ts";

/** What a command says about the files it judged. */
export interface Judged {
  readonly files: readonly Pick<CheckedFile, "source" | "problems">[];
  readonly isJson: boolean;
  /** True: a warning is a failure. */
  readonly isStrict: boolean;
  readonly isColored: boolean;
}

const EXIT_INVALID = 3;
const EXIT_FOUND = 8;

/**
 * Tells the problems of all files, then `OK`.
 *
 * @throws Reported with exit code 3 for errors, 8 for warnings where they count; everything was told then.
 */
export async function tellJudged({ files, isJson, isStrict, isColored }: Judged): Promise<void> {
  const severities = files.flatMap(({ problems }) => problems.map(({ severity }) => severity));
  const hasErrors = severities.includes("error");
  const isFound = isStrict && severities.length > 0;
  const isOk = !hasErrors && !isFound;
  if (isJson) await printJson({ ok: isOk, files: files.map((file) => fileFields(file)) });
  else {
    for (const { source, problems } of files) {
      if (problems.length > 0)
        await printError(`${formatFailure(new ConfigError(source, problems), isColored)}\n`);
    }
    if (isOk) await printAnswer("OK\n");
  }
  if (!isOk)
    throw new Reported(
      hasErrors ? EXIT_INVALID : EXIT_FOUND,
      new TunlError("CONFIG_INVALID", "Problems were found"),
    );
}

/** @throws ConfigError where a file may not be used. */
export function refuseErrors(source: Source, problems: readonly Problem[]): void {
  if (problems.some(({ severity }) => severity === "error"))
    throw new ConfigError(source, problems);
}

function fileFields({ source, problems }: Pick<CheckedFile, "source" | "problems">) {
  const shown = mostUrgent(problems);
  return {
    file: source.name,
    problems: shown.map((problem) => {
      const { message, hint, ...fields } = problemFields(source, problem);
      return {
        ...fields,
        message: redactText(message),
        ...(hint !== undefined && { hint: redactText(hint) }),
      };
    }),
    more: problems.length - shown.length,
  };
}
