// This file is the question before something that cannot be taken back. product.md §2 `--yes`: without a terminal nothing is ever asked.
import { createInterface } from "node:readline/promises";
import { TunlError } from "../errors.ts";
import { printError } from "./print.ts";

/**
 * Asks on the terminal, unless the answer was given before.
 *
 * @param question Without a question mark at its end; what it is about was printed before.
 * @param isYes True for `--yes`.
 * @throws TunlError `USAGE` where there is no terminal to ask on, `DECLINED` for any answer but yes.
 */
export async function confirm(question: string, isYes: boolean): Promise<void> {
  if (isYes) return;
  if (process.stdin.isTTY !== true || process.stderr.isTTY !== true) {
    throw new TunlError("USAGE", `"${question}?" cannot be asked without a terminal`, {
      hint: "Add --yes to say so",
    });
  }
  await printError(`${question}? [y/N] `);
  if (/^\s*y(?:es)?\s*$/i.test(await readLine())) return;
  throw new TunlError("DECLINED", "The answer was no; nothing was changed");
}

/** One line; empty where the terminal says its end. */
async function readLine(): Promise<string> {
  const lines = createInterface({ input: process.stdin, terminal: false });
  try {
    for await (const line of lines) return line;
    return "";
  } finally {
    lines.close();
  }
}
