// This file is files that must be complete and private: atomic writes, and reads that look at the mode first.
// reliability.md §4 item 6; S-65; product.md §5.
import { randomBytes } from "node:crypto";
import type { Stats } from "node:fs";
import { lstat, mkdir, open, readdir, rename, rm, rmdir, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { TunlError } from "../errors.ts";

const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
/** No file of ours comes near it; a wrong path (a log, a disk image) ends here. */
const MAX_SECRET = 1_048_576;
const TEMPORARY = /^\.[^/]+\.[0-9a-f]{12}\.tmp$/;

/** True for the name of an unfinished write: whoever lists a directory passes over it. */
export function isTemporary(name: string): boolean {
  return TEMPORARY.test(name);
}

function temporaryName(path: string): string {
  return `.${basename(path)}.${randomBytes(6).toString("hex")}.tmp`;
}

/**
 * Writes a file of mode 0600 so that its path holds the old content or the new one, never a part, whenever the
 * process or the machine stops. Resolves after the directory entry is durable.
 *
 * @param path Its directory exists.
 * @throws the system's error (ENOSPC, EACCES, …); the temporary file is gone then.
 */
export async function writeFileAtomic(path: string, content: string | Uint8Array): Promise<void> {
  const directory = dirname(path);
  // The same directory: a rename across file systems is no rename.
  const temporary = join(directory, temporaryName(path));
  try {
    const file = await open(temporary, "wx", FILE_MODE);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    // What failed is the write; where the temporary file cannot be removed either, readers pass over its name.
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  await syncDirectory(directory);
}

/**
 * Makes a directory of mode 0700 with files of mode 0600 that belong together: with all of them, or not at all.
 *
 * @param path Nothing stands there, or an empty directory.
 * @throws the system's error; nothing is left behind then.
 */
export async function writeDirectoryAtomic(
  path: string,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  const parent = dirname(path);
  const temporary = join(parent, temporaryName(path));
  try {
    await mkdir(temporary, { mode: DIRECTORY_MODE });
    for (const [name, content] of Object.entries(files))
      await writeFileAtomic(join(temporary, name), content);
    // An empty one in its place would be in the way on Windows.
    await rmdir(path).catch((error: unknown) => {
      if (!isMissing(error)) throw error;
    });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    throw error;
  }
  await syncDirectory(parent);
}

/**
 * Removes what writes that were cut short have left in a directory and below it.
 *
 * @param olderThanMs Younger ones may be under way in another process; 0 where no other one writes here.
 */
export async function sweepTemporaries(directory: string, olderThanMs: number): Promise<void> {
  for (const name of await readdir(directory, { recursive: true })) {
    if (!isTemporary(basename(name))) continue;
    const path = join(directory, name);
    try {
      if (Date.now() - (await lstat(path)).mtimeMs >= olderThanMs)
        await rm(path, { recursive: true });
    } catch (error) {
      // The write it belonged to ended meanwhile, or another sweep was first.
      if (!isMissing(error)) throw error;
    }
  }
}

/** Removes a file durably; a missing one is fine. */
export async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (isMissing(error)) return;
    throw error;
  }
  await syncDirectory(dirname(path));
}

/**
 * Reads a text file that holds a secret, after looking at who may read and write it.
 *
 * @returns undefined where there is no such file.
 * @throws TunlError `INSECURE_FILE` when others may read or write it, or it belongs to another user; `FILE_UNREADABLE`.
 */
export async function readSecret(path: string): Promise<string | undefined> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(path, "r");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw unreadable(path, error);
  }
  try {
    // The open file is judged, not the path: nobody can exchange it in between.
    const stats = await file.stat();
    assertPrivate(path, stats);
    if (stats.size > MAX_SECRET) {
      throw new TunlError(
        "INSECURE_FILE",
        `Reading "${path}": ${stats.size} bytes, expected at most ${MAX_SECRET}`,
      );
    }
    return await file.readFile("utf8");
  } finally {
    await file.close();
  }
}

/**
 * Judges mode and owner of a secret. Windows has neither; its directories are the user's own. The message has the
 * file's own name, its path stands in the hint, in the command to copy.
 *
 * @throws TunlError `INSECURE_FILE` with the command that mends it.
 */
export function assertPrivate(path: string, stats: Pick<Stats, "mode" | "uid">): void {
  if (process.platform === "win32") return;
  const mode = stats.mode & 0o777;
  if ((mode & 0o077) !== 0) {
    const who = (mode & 0o022) !== 0 ? "written" : "read";
    throw new TunlError(
      "INSECURE_FILE",
      `"${basename(path)}" can be ${who} by other users (mode ${octal(mode)}), expected 0600`,
      { hint: `Run chmod 600 ${path}` },
    );
  }
  assertOwner(path, stats.uid);
}

/**
 * Makes a directory for private files, mode 0700, parents too; an existing one is judged instead.
 *
 * @throws TunlError `INSECURE_FILE` when others may write an existing one: they could exchange any file in it.
 */
export async function makePrivateDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: DIRECTORY_MODE });
  if (process.platform === "win32") return;
  // Followed if it is a link: the user may keep the directory elsewhere, but then that place is judged.
  const handle = await open(path, "r");
  try {
    assertPrivateDirectory(path, await handle.stat());
  } finally {
    await handle.close();
  }
}

/** Judges mode and owner of a directory for private files. @throws TunlError `INSECURE_FILE`. */
export function assertPrivateDirectory(path: string, stats: Pick<Stats, "mode" | "uid">): void {
  if (process.platform === "win32") return;
  assertOwner(path, stats.uid);
  if ((stats.mode & 0o022) === 0) return;
  throw new TunlError(
    "INSECURE_FILE",
    `Directory "${basename(path)}" can be written by other users (mode ${octal(stats.mode & 0o777)}), expected 0700`,
    { hint: `Run chmod 700 ${path}` },
  );
}

/** True when something stands at the path, whatever it is. */
export async function hasEntry(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Ours or root's: any other owner can change the mode again whenever he likes. */
function assertOwner(path: string, uid: number): void {
  const own = process.geteuid?.();
  if (own === undefined || uid === own || uid === 0) return;
  throw new TunlError(
    "INSECURE_FILE",
    `"${basename(path)}" belongs to the user with id ${uid}, expected ${own}`,
    { hint: `Run tunl as that user, or chown ${own} ${path}` },
  );
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}

/** True for the system's error that nothing stands at a path. */
export function isMissing(error: unknown): boolean {
  if (!(error instanceof Error && "code" in error)) return false;
  // ENOTDIR: a parent is a file, so nothing can stand at the path either.
  return error.code === "ENOENT" || error.code === "ENOTDIR";
}

/** What the system says about a file or directory that this user may not read becomes a `FILE_UNREADABLE`. */
export function unreadable(path: string, error: unknown): unknown {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code !== "EACCES" && code !== "EPERM") return error;
  const own = process.geteuid?.();
  return new TunlError(
    "FILE_UNREADABLE",
    `"${basename(path)}" cannot be read by this user: permission denied`,
    {
      cause: error,
      hint:
        own === undefined
          ? `Run tunl as the user whose file it is: ${path}`
          : `Run tunl as the user whose file it is, or chown -R ${own} ${path}`,
    },
  );
}

async function syncDirectory(path: string): Promise<void> {
  // Windows cannot open a directory for that; NTFS journals the rename itself.
  if (process.platform === "win32") return;
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
