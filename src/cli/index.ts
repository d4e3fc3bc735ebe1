/**
 * The command line: one file per command, and the runner around them.
 *
 * Arguments are held against the option table before citty sees them; errors become text and an exit code here and
 * nowhere else. Knows no protocol and opens no port. Start reading in `run.ts`, then `lifecycle.ts`.
 *
 * @module
 */
export { run } from "./run.ts";
export type { Command, Loaders } from "./command.ts";
