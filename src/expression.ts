// This file is path expressions in RE2 syntax, matched in linear time; the only importer of `re2js`. product.md §3.3 item 3, dependencies.md row 3.
import { RE2JS } from "re2js";
import { messageOf, TunlError } from "./errors.ts";

/** A compiled expression; holds no state between two tests. */
export interface Expression {
  /** As written. */
  readonly source: string;
  /** True where it matches anywhere in the text: anchor it with `^` and `$`. Linear in the length of the text. */
  test(text: string): boolean;
}

/** Longest expression in characters: what is compiled from it grows with its length, and no path is longer than 8 KiB. */
const MAX_SOURCE = 2_048;

/**
 * Compiles an expression in the syntax of Go's `regexp` (RE2): no look-around, no back-reference.
 *
 * @throws TunlError `EXPRESSION_INVALID`; its message is the reason alone, to stand behind the place and the expression.
 */
export function compileExpression(source: string): Expression {
  if (source.length > MAX_SOURCE) {
    throw invalid(`${source.length} characters, allowed ${MAX_SOURCE}`, undefined);
  }
  try {
    const compiled = RE2JS.compile(source);
    return { source, test: (text) => compiled.test(text) };
  } catch (cause) {
    const reason = messageOf(cause);
    throw invalid(reason.replace(/^error parsing regexp: /, ""), cause);
  }
}

function invalid(reason: string, cause: unknown): TunlError {
  return new TunlError("EXPRESSION_INVALID", reason, { cause });
}
