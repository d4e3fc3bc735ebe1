// This file is what makes files last, for the store's worker, where waiting is allowed: fsync of files and directories. reliability.md §4 item 6.
import { closeSync, fsyncSync, mkdirSync, openSync, statSync } from "node:fs";
import { assertPrivateDirectory } from "../../identity/index.ts";

/** Content of a file onto the disk. */
export function syncFile(path: string): void {
  // Writable, which Windows asks for.
  syncOpened(openSync(path, "r+"));
}

/** Names in a directory onto the disk. */
export function syncDirectory(path: string): void {
  // Windows cannot open a directory for that; NTFS journals the rename itself.
  if (process.platform === "win32") return;
  syncOpened(openSync(path, "r"));
}

/** Makes a directory of mode 0700, or judges the one that is there. @throws TunlError `INSECURE_FILE`. */
export function prepareDirectory(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  assertPrivateDirectory(path, statSync(path));
}

function syncOpened(descriptor: number): void {
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
