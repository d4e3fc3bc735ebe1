// This file is a command that ends by itself: its progress goes where log lines go, its answer to stdout. product.md §8 item 1.
import type { LogOptions } from "../config/index.ts";
import { Output } from "./output.ts";

/** Runs `body`, and leaves nothing of what it said behind. */
export async function withProgress(
  log: LogOptions,
  body: (output: Output) => Promise<void>,
): Promise<void> {
  const output = new Output(log);
  try {
    await body(output);
  } finally {
    await output.flush();
  }
}
