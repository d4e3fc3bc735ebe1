// This file is a kill -9 at the N-th change of a disk: strace holds each such call at its entry, and at the N-th the process dies. reliability.md §3; R-17.
import { readFileSync } from "node:fs";
import { within } from "../within.ts";
import { eventually } from "./program.ts";
import { trace, type Tracer } from "./tracer.ts";
import { IS_SLOW } from "./tunl.ts";

/** Everything that changes files. `write` is also what wakes other threads; only calls below the directory count. */
const CALLS = [
  ...["fsync", "fdatasync", "write", "pwrite64", "writev", "pwritev", "pwritev2", "ftruncate"],
  ...["rename", "renameat", "renameat2", "unlink", "unlinkat", "link", "linkat"],
];
/** How long a call is held: the time in which the kill has to arrive. */
const HELD_MS = 25;
const ENTRY = new RegExp(`^(\\d+) +(${CALLS.join("|")})\\(`);

/** What the commit form cuts: one of the operations, another one with another seed. `TUNL_SLOW=1` cuts all, everywhere. */
export function drawn(names: readonly string[], seed: number): readonly string[] {
  return IS_SLOW ? names : names.filter((_, index) => index === seed % names.length);
}

/** Where it cuts an operation that changes the disk about so many times. */
export function drawnCut(name: string, seed: number, about: number): number {
  return 1 + ((Math.imul(seed, name.length + 1) >>> 0) % about);
}

/** Stops itself before it becomes what follows, so that it can be traced from its first call on. */
export const STOPPED = ["/bin/sh", "-c", 'kill -STOP $$; exec "$@"', "sh"];

/** Waits for a process started through `STOPPED`. */
export async function untilStopped({ pid }: { readonly pid: number }): Promise<void> {
  await eventually(
    () => (/^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, "utf8")) ? true : undefined),
    "the command to wait",
  );
}

export interface CutOrder {
  readonly process: { readonly pid: number; signal(signal: "SIGKILL" | "SIGCONT"): void };
  /** Calls on files below this directory count. */
  readonly below: string;
  /** The call at whose entry the process dies, from 1. */
  readonly at: number;
  /** The calls that are held; all of `CALLS` if absent. */
  readonly calls?: readonly string[];
}

/** One traced process. */
export class Cut implements AsyncDisposable {
  readonly #order: CutOrder;
  readonly #tracer: Tracer;
  readonly #read: Promise<void>;
  #text = "";
  /** Where the lines begin that were not counted yet. */
  #from = 0;
  readonly #counted: { readonly name: string; readonly start: number; readonly line: string }[] =
    [];

  private constructor(order: CutOrder, tracer: Tracer) {
    this.#order = order;
    this.#tracer = tracer;
    this.#read = this.#readTrace();
  }

  /** Attaches to all threads of the process; from its return on each call counts. */
  static async start(order: CutOrder): Promise<Cut> {
    const calls = (order.calls ?? CALLS).join(",");
    const inject = `inject=${calls}:delay_enter=${HELD_MS * 1_000}`;
    return new Cut(order, await trace(order.process.pid, ["-e", `trace=${calls}`, "-e", inject]));
  }

  /** Calls that were counted. */
  get count(): number {
    return this.#counted.length;
  }

  /** What was called, in order. */
  get names(): readonly string[] {
    return this.#counted.map(({ name }) => name);
  }

  /** True when the process died at its N-th call, before the kernel carried it out. */
  get isExact(): boolean {
    const last = this.#counted[this.#order.at - 1];
    if (last === undefined || this.#counted.length > this.#order.at) return false;
    const rest = this.#text.slice(last.start);
    const thread = /^\d+/.exec(rest)?.[0];
    const line = rest.slice(0, rest.indexOf("\n"));
    const resumed = new RegExp(`^${thread} +<\\.\\.\\. ${last.name} resumed>.*$`, "m").exec(
      rest,
    )?.[0];
    return !/\) += -?\d/.test(line.includes("<unfinished") ? (resumed ?? "") : line);
  }

  /** Resolves when the process is gone and everything about it was read. */
  async ended(): Promise<void> {
    await within(this.#read, "strace to end");
  }

  /** Lets the process go on without being held. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#tracer.kill("SIGINT");
    await within(this.#tracer.exited, "strace to let go");
    await this.#read;
  }

  async #readTrace(): Promise<void> {
    for await (const chunk of this.#tracer.stdout) {
      this.#text += Buffer.from(chunk).toString();
      this.#count();
    }
  }

  /** A call is written at its entry, so the last line counts before it is whole. */
  #count(): void {
    while (this.#from < this.#text.length) {
      const end = this.#text.indexOf("\n", this.#from);
      const line = this.#text.slice(this.#from, end < 0 ? undefined : end);
      const name = ENTRY.exec(line)?.[2];
      const isNew = this.#counted.at(-1)?.start !== this.#from;
      if (name !== undefined && isNew && line.includes(`${this.#order.below}/`)) {
        this.#counted.push({ name, start: this.#from, line });
        if (this.#counted.length === this.#order.at) this.#order.process.signal("SIGKILL");
      }
      if (end < 0) return;
      this.#from = end + 1;
    }
  }
}
