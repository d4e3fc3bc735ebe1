// This file is the one error of the msgpack layer: bytes of the other end that are not what a schema says.
import { TunlError } from "../errors.ts";
import type { Cursor } from "./cursor.ts";

/** Bytes that no schema of ours accepts. Always the sender's fault; the layer above turns it into a code of its own. */
export class MsgpackError extends TunlError {
  constructor(message: string, cause?: unknown) {
    super("MSGPACK", message, { cause });
  }
}

/** Throws for the value that starts at `start`. `name` is that of its field, `expects` the form of it. */
export function refuseNext(from: Cursor, start: number, name: string, expects: string): never {
  from.at = start;
  throw new MsgpackError(`Received ${from.describe()} for "${name}", expected ${expects}`);
}

/** A value we were to write, in a few words; never its content, which may be a secret or megabytes. */
export function describe(value: unknown): string {
  if (value === undefined || value === null) return "nil";
  if (typeof value === "number") return String(value);
  if (typeof value === "boolean") return String(value);
  if (typeof value === "string") return `a str of ${value.length} characters`;
  if (value instanceof Uint8Array) return `a bin of ${value.length} bytes`;
  if (Array.isArray(value)) return `an array of ${value.length} values`;
  return "another type";
}
