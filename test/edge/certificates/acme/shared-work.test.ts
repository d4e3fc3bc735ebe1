// This file is work that many wait for and one does, who may leave.
import { describe, expect, test } from "bun:test";
import { SharedWork } from "../../../../src/edge/certificates/acme/shared-work.ts";
import { TunlError } from "../../../../src/errors.ts";

/** Work that ends when it is told to, or when its signal says so. */
function work(signal: AbortSignal): { run: () => Promise<string>; end: (text: string) => void } {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  signal.addEventListener("abort", () => reject(signal.reason));
  return { run: () => promise, end: resolve };
}

describe("shared work", () => {
  test("is done once for all who come meanwhile, and again for who comes later", async () => {
    const shared = new SharedWork<string>();
    const { signal } = new AbortController();
    const first = work(signal);
    const never = (): Promise<string> => Promise.reject(new Error("Done twice"));
    const results = [shared.run(first.run, signal), shared.run(never, signal)];
    first.end("one");
    expect(await Promise.all(results)).toEqual(["one", "one"]);
    expect(await shared.run(async () => "two", signal)).toBe("two");
  });

  test("who leaves takes nobody along: the next does it", async () => {
    const shared = new SharedWork<string>();
    const leaver = new AbortController();
    const { signal } = new AbortController();
    const left = shared.run(work(leaver.signal).run, leaver.signal).catch(() => "left");
    const others = [shared.run(async () => "done", signal), shared.run(async () => "done", signal)];
    leaver.abort();
    expect(await Promise.all([left, ...others])).toEqual(["left", "done", "done"]);
    expect(shared.isRunning).toBe(false);
  });

  test("what fails fails for all, and who waits may leave", async () => {
    const shared = new SharedWork<string>();
    const { signal } = new AbortController();
    const leaver = new AbortController();
    const { promise, reject } = Promise.withResolvers<string>();
    const text = (error: unknown): string => String(error);
    const one = shared.run(() => promise, signal).catch(text);
    const two = shared.run(async () => "never", signal).catch(text);
    const three = shared.run(async () => "never", leaver.signal).catch(text);
    leaver.abort(new Error("Gone"));
    expect(await three).toContain("Gone");
    reject(new TunlError("ACME_FAILED", "No"));
    expect(await Promise.all([one, two])).toEqual([await one, await one]);
    expect(await two).toContain("No");
  });
});
