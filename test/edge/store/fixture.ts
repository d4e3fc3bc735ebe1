// This file is what the store's tests share: a directory each, a clock that stands, a log that remembers.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Logger } from "../../../src/log.ts";
import type { LogRecord } from "../../../src/log.ts";
import { openStore } from "../../../src/edge/store/index.ts";
import type { CodeOrder, Store, StoreOptions } from "../../../src/edge/store/index.ts";
import { RESERVED_LABELS } from "../../../src/edge/route/index.ts";

/** A private directory that goes with the block that made it. */
export class Directory implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "tunl-store-"));

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true });
  }
}

/** Wall clock under the test's hand. */
export type Clock = { now: number };

export function makeClock(): Clock {
  return { now: Date.UTC(2026, 10, 22, 10) };
}

/** A logger and what it wrote. */
export function makeLog(): { log: Logger; records: LogRecord[] } {
  const records: LogRecord[] = [];
  return { log: new Logger((record) => records.push(record), "debug"), records };
}

export const DOMAINS = ["example.com", "example.org"];

export function optionsFor(directory: string, clock: Clock = makeClock()): StoreOptions {
  return {
    directory,
    isExpected: false,
    rules: { domains: DOMAINS, reserved: RESERVED_LABELS, claim: "invited", fixed: [] },
    style: "two-words",
    log: makeLog().log,
    wallClock: () => clock.now,
  };
}

export function open(directory: string, clock?: Clock): Promise<Store> {
  return openStore(optionsFor(directory, clock));
}

export const MINUTE_MS = 60_000;

/** A code for one new tunnel with the default scope, for 15 minutes. */
export const TUNNEL_CODE: CodeOrder = {
  makes: { kind: "tunnel" },
  scope: [],
  ttlMs: 15 * MINUTE_MS,
  uses: 1,
};

/**
 * The error a promise ends with. In place of `expect(…).rejects`, which waits without delivering the messages of
 * workers when it is itself reached from one (Bun 1.4.5), and so hangs.
 */
export async function refusalOf(promise: Promise<unknown>): Promise<unknown> {
  const outcome = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (outcome === undefined) throw new Error("Promise was fulfilled, expected a refusal");
  return outcome;
}
