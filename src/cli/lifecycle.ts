// This file is the life of a command that stays: signals, drain, faults nobody caught, the last word. product.md §2 (exit codes), S-73.
import { formatDuration } from "../config/index.ts";
import type { LogOptions } from "../config/index.ts";
import { TunlError } from "../errors.ts";
import { exitCodeOf, failureRecords, formatFailure, messageOf } from "./failure.ts";
import { Output } from "./output.ts";

/** What stays until it is told to stop. */
export interface Running {
  /** Requests that a drain waits for. */
  readonly inProgress: number;
  /** Refuses new work and finishes the old. Resolves when all is done or after `graceMs`, with how many requests that cut off. */
  drain(graceMs: number): Promise<number>;
}

/** How long it may stay. */
export interface Stay {
  readonly graceMs: number;
  /** Ends by itself after this time. */
  readonly forMs: number | undefined;
  /** Rejects with what ends the process; resolves never or after a drain. */
  readonly done: Promise<void> | undefined;
}

/** An error that was told already; only its exit code is left. */
export class Reported extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, cause: unknown) {
    super("Reported", { cause });
    this.exitCode = exitCode;
  }
}

const EXIT_OF_SIGNAL = { SIGINT: 130, SIGTERM: 143 } as const;
type StopSignal = keyof typeof EXIT_OF_SIGNAL;

/**
 * Runs a command that stays, with its output and its guards.
 *
 * @param body Starts things; gets the output, and a function that waits for the end of what it started.
 * @throws Reported after an error of `body` was told in the form of the log.
 */
export async function live(
  options: LogOptions,
  body: (output: Output, stay: (running: Running, how: Stay) => Promise<void>) => Promise<void>,
): Promise<void> {
  const output = new Output(options);
  const signals = new Signals(output);
  const onFault = (error: unknown): void => reportFault(output, error);
  process.on("uncaughtException", onFault);
  process.on("unhandledRejection", onFault);
  const onHangUp = (): void => output.reopen();
  process.on("SIGHUP", onHangUp);
  try {
    let cut = 0;
    await body(output, async (running, how) => {
      cut = await stay(output, signals, running, how);
    });
    if (cut === 0) output.log.info("stopped", "");
    else output.log.warn("stopped", `the time is over, ${countRequests(cut)} in progress cut off`);
  } catch (error) {
    if (options.format === "pretty" && options.file === undefined) throw error;
    for (const record of failureRecords(error)) output.write(record);
    // In a file it is easily missed: stderr says it too.
    if (options.file !== undefined) throw error;
    throw new Reported(exitCodeOf(error), error);
  } finally {
    process.off("uncaughtException", onFault);
    process.off("unhandledRejection", onFault);
    process.off("SIGHUP", onHangUp);
    signals[Symbol.dispose]();
    await output.flush();
  }
}

/** @returns How many requests the end cut off. */
async function stay(
  output: Output,
  signals: Signals,
  running: Running,
  { graceMs, forMs, done }: Stay,
): Promise<number> {
  const timer = forMs === undefined ? undefined : setTimeout(() => signals.stop(), forMs);
  // Without this an idle connector that waits for its next attempt would end: nothing else keeps the loop alive.
  const alive = setInterval(() => undefined, 0x7fff_ffff);
  try {
    await Promise.race([signals.stopped, ...(done === undefined ? [] : [done])]);
    signals.drain();
    const { inProgress } = running;
    output.log.info("draining", describeDrain(inProgress, graceMs), { graceMs, inProgress });
    return await running.drain(graceMs);
  } finally {
    clearTimeout(timer);
    clearInterval(alive);
  }
}

/** What is waited for, and how to wait no longer. */
function describeDrain(inProgress: number, graceMs: number): string {
  if (inProgress === 0) return "no request in progress";
  return `${countRequests(inProgress)} in progress, up to ${formatDuration(graceMs)} (Ctrl-C again stops now)`;
}

function countRequests(count: number): string {
  return `${count} request${count === 1 ? "" : "s"}`;
}

/** A bug ends the connection it happened in, if anything; the process serves on. */
function reportFault(output: Output, error: unknown): void {
  output.log.error("bug", `A fault was not caught: ${messageOf(error)}`, {
    code: error instanceof TunlError ? error.code : "BUG",
  });
  if (output.log.isEnabled("debug")) output.log.debug("bug", formatFailure(error, false, true));
}

/** SIGINT and SIGTERM: the first asks for a drain (while still starting: as soon as it has started), the second ends at once. */
class Signals {
  readonly stopped: Promise<void>;
  readonly #output: Output;
  readonly #listeners: (readonly [StopSignal, () => void])[] = [];
  #resolve: () => void = () => undefined;
  #phase: "running" | "draining" = "running";
  #isAsked = false;

  constructor(output: Output) {
    this.#output = output;
    this.stopped = new Promise((resolve) => (this.#resolve = resolve));
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      const listener = (): void => this.#take(signal);
      process.on(signal, listener);
      this.#listeners.push([signal, listener]);
    }
  }

  /** As the first signal does. */
  stop(): void {
    this.#isAsked = true;
    this.#resolve();
  }

  drain(): void {
    this.#phase = "draining";
  }

  [Symbol.dispose](): void {
    for (const [signal, listener] of this.#listeners) process.off(signal, listener);
  }

  #take(signal: StopSignal): void {
    if (!this.#isAsked && this.#phase === "running") {
      this.stop();
      return;
    }
    const output = this.#output;
    output.log.warn("stopped", "at once, the drain was cut", { signal });
    void output.flush().then(() => process.exit(EXIT_OF_SIGNAL[signal]));
  }
}
