// This file is errors of an origin turned into the one failure a visitor is answered with (http.md §13, R-23).
import type { Failure, FailureCode } from "../../exchange/index.ts";

/** Hears of a fault of ours that ended one exchange (S-73). Must not throw. */
export type OnBug = (error: unknown) => void;

/** Where nobody listens, a fault still reaches the process's own handler; the exchange it came from has ended by then. */
export const throwLater: OnBug = (error) =>
  queueMicrotask(() => {
    throw error;
  });

/** `detail` of a failure on the wire, in bytes of UTF-8 (http.md §5.1). */
const MAX_DETAIL = 256;

/** Makes a failure. `detail` is for the logs of both ends and cut to what a message carries. */
export function failure(code: FailureCode, sent: boolean, detail: string): Failure {
  return { code, sent, detail: shortened(detail) };
}

/** What a thrown or emitted value says of itself, with its code where it has one: that is what people search for. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error ? String(error.code) : "";
  if (code === "" || error.message.includes(code)) return error.message;
  return `${code}: ${error.message}`;
}

/** Codes of a connect that say: the place exists, nobody listens there. */
export function isRefusal(error: NodeJS.ErrnoException): boolean {
  return error.code === "ECONNREFUSED" || error.code === "ENOENT";
}

/** A short enough text has at most three bytes per UTF-16 unit. */
function shortened(text: string): string {
  if (text.length * 3 <= MAX_DETAIL) return text;
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= MAX_DETAIL) return text;
  let end = MAX_DETAIL;
  // Not inside a character: continuation bytes are 10xxxxxx.
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return new TextDecoder().decode(bytes.subarray(0, end));
}
