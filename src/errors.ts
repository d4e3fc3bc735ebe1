// This file is the one base class of every error tunl raises on purpose.

/** What a `TunlError` carries besides its code and its sentence. */
export interface ErrorDetails {
  /** The error this one was caused by; always passed on, shown at log level debug. */
  readonly cause?: unknown;
  /** True when the same attempt may succeed later without a change by the user. */
  readonly retryable?: boolean;
  /** What to do next, one line for people; printed below the message. */
  readonly hint?: string;
}

/**
 * An error with a stable code.
 *
 * `code` is an interface (tests, `--json`, exit codes); `message` is for people: sentence case, no final
 * period, values quoted, what was attempted, then actual and expected.
 */
export class TunlError extends Error {
  readonly code: string;
  readonly retryable: boolean;
  readonly hint: string | undefined;

  constructor(code: string, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.code = code;
    this.retryable = details.retryable ?? false;
    this.hint = details.hint;
  }
}

/** What an error says, whoever threw it. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Throws `BUG: …`: an invariant of ours does not hold. Ends the session or connection it happened in, never the process. */
export function bug(message: string): never {
  throw new TunlError("BUG", `BUG: ${message}`);
}
