// This file is what the store's shell and its worker say to each other; structured clones, in order, one answer per request.
import { TunlError } from "../../errors.ts";
import type { BackupName } from "./backup-names.ts";
import type { CallName, Change } from "./records.ts";

export type ToWorker =
  | {
      readonly type: "open";
      readonly directory: string;
      readonly isExpected: boolean;
      readonly now: number;
    }
  | {
      readonly type: "call";
      /** Counts up; the answer repeats it. */
      readonly id: number;
      readonly name: CallName;
      /** `Calls[name]["body"]`; the shell's typed `#call` is the only writer. */
      readonly body: never;
      readonly now: number;
    }
  /** Answered by `done` with a `Backup`, or by `failed`. */
  | { readonly type: "backUp"; readonly id: number; readonly now: number }
  | { readonly type: "close" };

export type FromWorker =
  | { readonly type: "hello" }
  | {
      readonly type: "opened";
      readonly rows: readonly Change[];
      readonly newestBackup: BackupName | undefined;
    }
  | { readonly type: "refused"; readonly error: PackedError }
  | {
      readonly type: "done";
      readonly id: number;
      readonly value: unknown;
      readonly changes: readonly Change[];
    }
  | { readonly type: "failed"; readonly id: number; readonly error: PackedError }
  | { readonly type: "closed"; readonly error: PackedError | undefined };

/** A TunlError in a form that survives cloning, which keeps neither class nor code. */
export type PackedError = {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly hint: string | undefined;
  /** Text of the cause, for the log at level debug. */
  readonly cause: string | undefined;
};

/** Any failure in the worker; what is no TunlError is a defect of ours and says so. */
export function packError(error: unknown): PackedError {
  if (!(error instanceof TunlError)) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return {
      code: "BUG",
      message: `BUG: store worker: ${String(error)}`,
      retryable: false,
      hint: undefined,
      cause: text,
    };
  }
  const { code, message, retryable, hint, cause } = error;
  return { code, message, retryable, hint, cause: cause === undefined ? undefined : String(cause) };
}

export function unpackError(packed: PackedError): TunlError {
  const { code, message, retryable, hint, cause } = packed;
  return new TunlError(code, message, {
    retryable,
    cause,
    ...(hint === undefined ? {} : { hint }),
  });
}
