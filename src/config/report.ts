// This file is how mistakes in a configuration are told: FILE:LINE:COL, the line with a mark, and what to do. product.md §4.
import { TunlError } from "../errors.ts";

/** A place in a file: 1-based, `length` in characters of that line. */
export interface Span {
  readonly line: number;
  readonly column: number;
  readonly length: number;
}

/** One mistake. */
export interface Problem {
  readonly severity: "error" | "warning";
  /** Stable, in capitals. */
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  /** Absent where the file as a whole is meant. */
  readonly span?: Span;
  /** True: the line holds a secret and is not shown. */
  readonly isSecret?: boolean;
}

/** At most this many are shown; the rest is counted. */
export const MAX_PROBLEMS = 20;

/** A source line longer than this is cut in the report. */
const MAX_SOURCE = 160;

/** What a file was, for showing. */
export interface Source {
  /** As shown to people. */
  readonly name: string;
  readonly text: string;
}

/** A configuration that is not used at all because of what is wrong in it. */
export class ConfigError extends TunlError {
  readonly problems: readonly Problem[];
  readonly source: Source;

  constructor(source: Source, problems: readonly Problem[]) {
    const errors = problems.filter(({ severity }) => severity === "error").length;
    super("CONFIG_INVALID", `${source.name} has ${errors} error${errors === 1 ? "" : "s"}`);
    this.source = source;
    this.problems = inOrder(problems);
  }
}

/** Problems in file order; those about the whole file first. */
export function inOrder(problems: readonly Problem[]): readonly Problem[] {
  const place = ({ span }: Problem) => (span === undefined ? 0 : span.line * 1e6 + span.column);
  return [...problems].sort((left, right) => place(left) - place(right));
}

/** How one problem looks on a terminal: several lines without marks of colour. */
export function formatProblem({ name, text }: Source, problem: Problem): string {
  const { span } = problem;
  const where = span === undefined ? name : `${name}:${span.line}:${span.column}`;
  const lines = [`${problem.severity === "error" ? "✖" : "⚠"} ${where} ${problem.message}`];
  const source =
    span === undefined ? undefined : text.split("\n")[span.line - 1]?.replace(/\r$/, "");
  const isShown = source !== undefined && source.length <= MAX_SOURCE && problem.isSecret !== true;
  if (span !== undefined && isShown) {
    const number = String(span.line).padStart(5);
    // Tabs stay tabs in front of the mark, so that both lines are indented alike.
    const indent = source.slice(0, span.column - 1).replace(/[^\t]/g, " ");
    lines.push(`${number} | ${printable(source)}`);
    lines.push(
      `      | ${indent}${"^".repeat(Math.max(1, Math.min(span.length, source.length - span.column + 1)))}`,
    );
  }
  if (problem.hint !== undefined) lines.push(`    ${problem.hint}`);
  return lines.join("\n");
}

/** All problems, at most 20, as text. */
export function formatProblems(source: Source, problems: readonly Problem[]): string {
  const shown = mostUrgent(problems);
  const lines = shown.map((problem) => formatProblem(source, problem));
  if (problems.length > shown.length) lines.push(`  and ${problems.length - shown.length} more`);
  return lines.join("\n");
}

/** At most 20, in file order. Where there are more, a warning gives way to an error behind it. */
export function mostUrgent(problems: readonly Problem[]): readonly Problem[] {
  const ordered = inOrder(problems);
  if (ordered.length <= MAX_PROBLEMS) return ordered;
  const isError = ({ severity }: Problem) => severity === "error";
  const chosen = [...ordered.filter(isError), ...ordered.filter((each) => !isError(each))];
  return inOrder(chosen.slice(0, MAX_PROBLEMS));
}

/** One problem as it stands in `--json` output and in JSON log lines. */
export function problemFields({ name }: Source, { severity, code, message, hint, span }: Problem) {
  return { file: name, line: span?.line, column: span?.column, severity, code, message, hint };
}

function printable(line: string): string {
  return line.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "\u{fffd}");
}
