// This file is questions to people: asked on stderr, answered on a terminal, never waited for without one. product.md §2, §8.
import { createInterface } from "node:readline";
import { usage } from "../config/index.ts";

export interface Question {
  /** What is asked, without the question mark's answer: `Delete tunnel "home"?`. */
  readonly text: string;
  /** What the line begins with, padded as log lines are. */
  readonly label: string;
  /** What Enter alone means. */
  readonly fallback: "yes" | "no";
  /** True: `--yes` was given. */
  readonly isYes: boolean;
  /** What cannot go on without an answer, for the error: `tunl tunnel delete`. */
  readonly command: string;
}

/** Where questions go and answers come from; another one is for tests. */
export interface Terminal {
  readonly input: NodeJS.ReadableStream;
  readonly output: NodeJS.WritableStream;
  readonly isTerminal: boolean;
}

/**
 * Asks for yes or no.
 *
 * @returns False for no, for the end of the input, and for anything that is no answer after three tries.
 * @throws TunlError `USAGE` where nobody can be asked: no terminal and no `--yes`.
 */
export async function confirm(
  question: Question,
  terminal: Terminal = ownTerminal(),
): Promise<boolean> {
  if (question.isYes) return true;
  if (!terminal.isTerminal) {
    throw usage({
      message: `${question.command} asks first, and there is no terminal to ask on`,
      hint: "Add --yes to answer with yes",
    });
  }
  const choices = question.fallback === "yes" ? "(Y/n)" : "(y/N)";
  const prompt = `? ${question.label.padEnd(12)} ${question.text} ${choices} `;
  const lines = createInterface({
    input: terminal.input,
    output: terminal.output,
    terminal: false,
  });
  try {
    terminal.output.write(prompt);
    let tries = 3;
    for await (const line of lines) {
      const word = line.trim().toLowerCase();
      if (word === "") return question.fallback === "yes";
      if (word === "y" || word === "yes") return true;
      if (word === "n" || word === "no") return false;
      if ((tries -= 1) === 0) return false;
      terminal.output.write(prompt);
    }
    // The prompt's line is still open.
    terminal.output.write("\n");
    return false;
  } finally {
    lines.close();
  }
}

function ownTerminal(): Terminal {
  const { stdin, stderr } = process;
  return {
    input: stdin,
    output: stderr,
    isTerminal: stdin.isTTY === true && stderr.isTTY === true,
  };
}
