// This file is which named limits the tests of a process reached, written down for the step that fails if one was not. S-44.
// It is preloaded by `bun test` (bunfig.toml).
import { afterAll } from "bun:test";
import { appendFileSync, existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { reachedLimits } from "../src/limits.ts";

/** Where `scripts/test.ts` collects the counters; unset in a run of single files. */
const DIRECTORY = process.env["TUNL_REACHED_LIMITS"];
/** A process that a test stopped answers nobody, ms. */
const ANSWER_MS = 500;

afterAll(() => record(reachedLimits()));

function record(counts: unknown): void {
  if (DIRECTORY === undefined) return;
  appendFileSync(join(DIRECTORY, `${process.pid}.jsonl`), `${JSON.stringify(counts)}\n`);
}

/** Writes down the counters of running executables: those that have a control socket below `home`. */
export async function recordExecutables(home: string): Promise<void> {
  // A home that cannot be has no sockets either.
  if (DIRECTORY === undefined || !existsSync(home)) return;
  const sockets = readdirSync(home, { recursive: true, encoding: "utf8" }).filter((path) =>
    path.endsWith(".sock"),
  );
  for (const socket of sockets) {
    try {
      const response = await fetch("http://localhost/v1/status", {
        unix: join(home, socket),
        method: "POST",
        body: "{}",
        signal: AbortSignal.timeout(ANSWER_MS),
      });
      const status: { readonly limits?: unknown } = JSON.parse(await response.text());
      record(status.limits ?? {});
    } catch {
      // Killed, stopped or not a control socket: it has nothing to tell, and what it reached another test may reach.
    }
  }
}
