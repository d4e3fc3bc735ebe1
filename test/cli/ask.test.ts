// This file is questions to people: what counts as an answer, and that nobody is waited for who cannot give one. product.md §2, §8.
import { describe, expect, test } from "bun:test";
import { PassThrough } from "node:stream";
import { confirm } from "../../src/cli/ask.ts";
import { within } from "../within.ts";

const QUESTION = {
  text: 'Delete tunnel "home"?',
  label: "delete",
  fallback: "no",
  isYes: false,
  command: "tunl tunnel delete",
} as const;

/** What is answered to a question, and what stood on the terminal. */
async function answer(
  typed: string,
  changes: Partial<{ fallback: "yes" | "no"; isYes: boolean; isTerminal: boolean }> = {},
): Promise<{ answer: boolean | string; shown: string }> {
  const { isTerminal = true, ...rest } = changes;
  const [input, output] = [new PassThrough(), new PassThrough()];
  let shown = "";
  output.on("data", (chunk: Buffer) => (shown += chunk.toString()));
  input.end(typed);
  const asked = confirm({ ...QUESTION, ...rest }, { input, output, isTerminal }).catch(
    (error: { code: string; message: string; hint: string }) =>
      `${error.code} ${error.message} / ${error.hint}`,
  );
  return { answer: await within(asked, "an answer"), shown };
}

const PROMPT = '? delete       Delete tunnel "home"? (y/N) ';

describe("confirm", () => {
  test.each([
    ["y\n", true],
    ["YES\r\n", true],
    [" yes \n", true],
    ["n\n", false],
    ["no\n", false],
    ["\n", false],
    ["what\ny\n", true],
    ["what\nnow\nthen\ny\n", false],
    ["", false],
    ["yes", true],
  ])("%j is %p", async (typed, expected) => {
    const { answer: given, shown } = await answer(typed);
    expect(given).toBe(expected);
    expect(shown).toStartWith(PROMPT);
    // Asked again for each line that is no answer, three times at most.
    expect(shown.split(PROMPT).length - 1).toBe(
      typed.startsWith("what\nnow") ? 3 : typed.startsWith("what") ? 2 : 1,
    );
  });

  test("Enter is what the question says it is", async () => {
    const { answer: given, shown } = await answer("\n", { fallback: "yes" });
    expect([given, shown.endsWith("(Y/n) ")]).toEqual([true, true]);
  });

  test("--yes asks nothing; without a terminal and --yes it is an error, and nothing is read", async () => {
    expect(await answer("", { isYes: true, isTerminal: false })).toEqual({
      answer: true,
      shown: "",
    });
    expect(await answer("y\n", { isTerminal: false })).toEqual({
      answer:
        "USAGE tunl tunnel delete asks first, and there is no terminal to ask on / Add --yes to answer with yes",
      shown: "",
    });
  });
});
