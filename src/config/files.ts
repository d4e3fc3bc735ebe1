// This file is the files that a configuration names: found, read whole, and refused where others may read or write them. product.md §5.
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { messageOf, TunlError } from "../errors.ts";
import { MAX_FILE_BYTES } from "./document.ts";
import type { Problem } from "./report.ts";

/** Permission bits of "others": a group is the owner's own business (Debian keeps keys as root:ssl-cert 0640). */
const OTHERS_READ = 0o004;
const OTHERS_WRITE = 0o002;

const UNREADABLE_HINT = "Give the path of a file that is there and that this user may read";

/** The first of `names` in `directory`, as a path. */
export function findFile(directory: string, names: readonly string[]): string | undefined {
  return names.map((name) => join(directory, name)).find((path) => existsSync(path));
}

/**
 * Reads a small UTF-8 file.
 *
 * @param name What the user called it: a flag or a path.
 * @throws TunlError `CONFIG_INVALID` if it is missing, unreadable, larger than 256 KiB, or not UTF-8.
 */
export function readText(path: string, name: string): string {
  const what = name === path || name.startsWith("~") ? `"${name}"` : `${name} "${path}"`;
  let bytes: Uint8Array;
  try {
    const stat = statSync(path);
    if (stat.isDirectory())
      throw new TunlError("CONFIG_INVALID", `${what} is a directory, expected a file`, {
        hint: UNREADABLE_HINT,
      });
    if (stat.size > MAX_FILE_BYTES) {
      throw new TunlError(
        "CONFIG_INVALID",
        `${what} has ${stat.size} bytes, allowed ${MAX_FILE_BYTES}`,
      );
    }
    bytes = readFileSync(path);
  } catch (error) {
    if (error instanceof TunlError) throw error;
    throw new TunlError("CONFIG_INVALID", `${what} cannot be read: ${reasonOf(error)}`, {
      cause: error,
      hint: UNREADABLE_HINT,
    });
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new TunlError("CONFIG_INVALID", `${what} is not UTF-8`, {
      cause: error,
      hint: "Save it as UTF-8",
    });
  }
}

/**
 * Judges kind and mode of a file: a secret no other user may read, a configuration none may write.
 *
 * @param what The file in words, at the beginning of a sentence; its path stands in the hint, in the command to copy.
 */
export function checkFile(path: string, kind: "config" | "secret", what: string): Problem[] {
  const code = "FILE_MODE";
  try {
    const stat = statSync(path);
    if (stat.isDirectory()) {
      const message = `${what} "${path}" is a directory, expected a file`;
      return [{ severity: "error", code: "NOT_A_FILE", message, hint: UNREADABLE_HINT }];
    }
    if (process.platform === "win32") return [];
    const mode = stat.mode & 0o777;
    const octal = mode.toString(8).padStart(4, "0");
    if (kind === "secret" && (mode & OTHERS_READ) !== 0) {
      return [
        {
          severity: "error",
          code,
          message: `${what} can be read by every user (mode ${octal}), expected 0600`,
          hint: `Run chmod 600 ${path}`,
        },
      ];
    }
    if ((mode & OTHERS_WRITE) !== 0) {
      return [
        {
          severity: "error",
          code,
          message: `${what} can be changed by every user (mode ${octal}), expected 0644`,
          hint: `Run chmod o-w ${path}`,
        },
      ];
    }
    return [];
  } catch (error) {
    return [
      {
        severity: "error",
        code: "FILE_MISSING",
        message: `${what} "${path}" cannot be read: ${reasonOf(error)}`,
        hint: UNREADABLE_HINT,
      },
    ];
  }
}

/** Words for the usual reasons of the system. */
export function reasonOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOENT" || code === "ENOTDIR") return "no such file";
  if (code === "EACCES" || code === "EPERM") return "permission denied";
  if (code === "ENOSPC") return "no space left";
  if (code === "EROFS") return "the file system is read-only";
  return messageOf(error);
}
