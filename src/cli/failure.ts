// This file is the last word of a command that failed: exit code, label, text. product.md §2 (exit codes), §8 item 3.
import { ConfigError, formatProblems, problemFields } from "../config/index.ts";
import { TunlError } from "../errors.ts";
import type { LogRecord } from "../log.ts";
import { printable, redactText } from "./redact.ts";

/** Exit codes with the label of their errors. */
const LABELS: Readonly<Record<number, string>> = {
  1: "failed",
  2: "usage",
  3: "config",
  4: "refused",
  5: "unreachable",
  6: "local",
  7: "not found",
  8: "check failed",
};

/** Exit code of each error code; what is not here is unexpected: 1. */
export const EXITS: Readonly<Record<string, number>> = {
  USAGE: 2,
  AMBIGUOUS: 2,
  TERMS_NOT_AGREED: 2,
  DOMAIN_REQUIRED: 2,
  TARGET_INVALID: 2,
  TARGET_UNSUPPORTED: 2,
  BAD_JOIN_LINE: 2,
  HOST_HEADER_INVALID: 2,
  NOT_JOINED: 2,
  NOT_LOGGED_IN: 2,
  CALL_TOO_LARGE: 2,
  BAD_REQUEST: 2,
  CONFIG_INVALID: 3,
  CERTIFICATE_REFUSED: 3,
  BAD_CREDENTIALS: 3,
  BAD_TOKEN: 3,
  CA_POOL_INVALID: 3,
  TAG_INVALID: 3,
  JOIN_REFUSED: 4,
  EDGE_KEY_MISMATCH: 4,
  KEY_REFUSED: 4,
  HOSTNAME_NOT_GRANTED: 4,
  HOSTNAME_NOT_PROVEN: 4,
  HOSTNAME_LIMIT: 4,
  LIMIT: 4,
  TUNNEL_LIMIT: 4,
  KEY_LIMIT: 4,
  CALL_LIMIT: 4,
  NOT_ALLOWED: 4,
  EDGE_UNREACHABLE: 5,
  EDGE_NOT_RUNNING: 5,
  CA_UNREACHABLE: 5,
  INSECURE_FILE: 6,
  FILE_UNREADABLE: 6,
  PORT_FORBIDDEN: 6,
  PORT_IN_USE: 6,
  LISTEN_FAILED: 6,
  SOCKET_PATH_TOO_LONG: 6,
  SOCKET_IN_USE: 6,
  SOCKET_FORBIDDEN: 6,
  SOCKET_FAILED: 6,
  STATE_DAMAGED: 6,
  STATE_LOCKED: 6,
  STATE_TOO_NEW: 6,
  STATE_UNWRITABLE: 6,
  STORE_BUSY: 6,
  STORE_FAILED: 6,
  STORE_FULL: 6,
  NOT_BACKED_UP: 6,
  CA_DAMAGED: 6,
  LOG_FILE: 6,
  FILE_EXISTS: 6,
  PID_FILE: 6,
  HOSTNAME_TAKEN: 7,
  NAME_TAKEN: 7,
  CODE_NOT_FOUND: 7,
  TUNNEL_CONNECTED: 7,
  ACCOUNT_EXISTS: 7,
  NOT_FOUND: 7,
  CONFIG_MISSING: 7,
  TUNNEL_NOT_FOUND: 7,
  KEY_NOT_FOUND: 7,
  HOSTNAME_NOT_FOUND: 7,
  RECORD_IN_THE_WAY: 7,
  CERTIFICATE_FAILED: 8,
  DNS_TIMEOUT: 8,
  DNS_REFUSED: 8,
  DNS_FAILED: 8,
};

/** Exit code of an error. */
export function exitCodeOf(error: unknown): number {
  if (!(error instanceof TunlError) || !Object.hasOwn(EXITS, error.code)) return 1;
  return EXITS[error.code] as number;
}

const FOUND: Readonly<Record<string, string>> = {
  HOSTNAME_TAKEN: "taken",
  NAME_TAKEN: "taken",
  ACCOUNT_EXISTS: "taken",
  TUNNEL_CONNECTED: "in use",
  RECORD_IN_THE_WAY: "in the way",
};

/** Label of an error: what kind of failure its exit code says. */
export function labelOf(error: unknown): string {
  // The errors of their exit code where something was found.
  const found = error instanceof TunlError ? FOUND[error.code] : undefined;
  if (found !== undefined) return found;
  return LABELS[exitCodeOf(error)] as string;
}

/** Words of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error && error.message !== "" ? error.message : String(error);
}

/**
 * The error as people read it: `✖ label text`, then what to do; a configuration with its lines.
 *
 * @param isColored True paints the mark.
 * @param isDetailed True adds the stack and the causes (log level debug).
 */
export function formatFailure(error: unknown, isColored: boolean, isDetailed = false): string {
  const paint = (text: string): string =>
    isColored
      ? text.replace(/^(✖|⚠)/gm, (mark) => `\u001b[${mark === "✖" ? 31 : 33}m${mark}\u001b[0m`)
      : text;
  if (error instanceof ConfigError)
    return paint(redactText(formatProblems(error.source, error.problems)));
  const lines = [`✖ ${labelOf(error).padEnd(12)} ${printable(redactText(messageOf(error)))}`];
  if (error instanceof TunlError && error.hint !== undefined)
    lines.push(`${" ".repeat(15)}${printable(redactText(error.hint))}`);
  if (isDetailed) lines.push(...stacks(error));
  return paint(lines.join("\n"));
}

/** The error as log lines: one for a failure, one for each mistake of a configuration. */
export function failureRecords(error: unknown): LogRecord[] {
  if (error instanceof ConfigError)
    return error.problems.map((problem): LogRecord => {
      const { message, ...fields } = problemFields(error.source, problem);
      return {
        level: problem.severity === "error" ? "error" : "warn",
        event: "config.rejected",
        message,
        fields,
      };
    });
  const fields =
    error instanceof TunlError
      ? { code: error.code, hint: error.hint }
      : { code: "UNEXPECTED", hint: undefined };
  return [{ level: "error", event: "failed", message: messageOf(error), fields }];
}

function stacks(error: unknown): string[] {
  const lines: string[] = [];
  // A chain of causes may be a ring; five are more than anybody reads.
  for (
    let current = error, depth = 0;
    current instanceof Error && depth < 5;
    current = current.cause, depth += 1
  ) {
    lines.push(redactText(current.stack ?? messageOf(current)));
  }
  return lines;
}
