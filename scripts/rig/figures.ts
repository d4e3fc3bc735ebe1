// This file is what a running edge or connector says of itself: every table and the bytes held, over its control socket as `tunl status --json` reads it.
import { readdirSync } from "node:fs";
import { join } from "node:path";

const ANSWER_MS = 10_000;

/** One look. */
export interface Figures {
  readonly tables: Readonly<Record<string, number>>;
  readonly bytes: Readonly<Record<string, number>>;
  /** How often each named limit was reached. */
  readonly limits?: Readonly<Record<string, number>>;
}

/** Asks the edge whose TUNL_HOME this is. */
export function edgeFigures(home: string): Promise<Figures> {
  return ask(join(home, "run", "edge.sock"));
}

/** Asks the connector `pid` of this TUNL_HOME. */
export function connectorFigures(home: string, pid: number): Promise<Figures> {
  return ask(join(home, "run", `connect-${pid}.sock`));
}

async function ask(path: string): Promise<Figures> {
  const response = await fetch("http://localhost/v1/status", {
    unix: path,
    method: "POST",
    body: "{}",
    // A kept connection would be a descriptor of the process that is looked at.
    headers: { "content-type": "application/json", connection: "close" },
    signal: AbortSignal.timeout(ANSWER_MS),
  });
  if (!response.ok) throw new Error(`${path} answered ${response.status}`);
  return (await response.json()) as Figures;
}

/** Open descriptors of a process. */
export function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Looks until `look` finds something. @throws Error with what it last said, when the time is over. */
export async function until(
  what: string,
  withinMs: number,
  look: () => Promise<string | undefined>,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const missing = await look();
    if (missing === undefined) return;
    if (performance.now() > deadline)
      throw new Error(`${what} did not come within ${withinMs / 1_000} s: ${missing}`);
    await Bun.sleep(100);
  }
}
