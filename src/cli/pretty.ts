// This file is the consola instance of the pretty form: both streams stderr, one reporter of ours. product.md §8; the only importer of `consola`.
import { createConsola } from "consola/core";
import type { LogLevel } from "../log.ts";

/** Takes finished lines. */
export type WriteLine = (level: LogLevel, line: string) => void;

/**
 * Makes the writer of pretty lines.
 *
 * @param line Receives each finished line; consola itself writes nothing.
 */
export function createPretty(line: (text: string) => void): WriteLine {
  const instance = createConsola({
    // The level was judged by the Logger; consola passes everything on.
    level: Number.POSITIVE_INFINITY,
    // Equal lines within a second are equal requests, not noise: none is folded away.
    throttle: -1,
    stdout: process.stderr,
    stderr: process.stderr,
    reporters: [{ log: ({ args }) => line(args.join(" ")) }],
  });
  return (level, text) => instance[level](text);
}
