// This file is the deadline of every test that waits for somebody: a hang is reported by what did not come.

/** Long enough for a busy machine, ms. */
export const WAIT_MS = 15_000;

/** Rejects with `what` when the promise takes too long. */
export function within<Value>(
  promise: Promise<Value>,
  what: string,
  afterMs: number = WAIT_MS,
): Promise<Value> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`Waited ${afterMs} ms for ${what}`)), afterMs);
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
