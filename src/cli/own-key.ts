// This file is the key of a tunnel that this machine has: where its file lies, and how it is written. product.md §5.
import { access, constants } from "node:fs/promises";
import { dirname } from "node:path";
import type { AccountOptions } from "../config/index.ts";
import { reasonOf } from "../config/index.ts";
import { TunlError } from "../errors.ts";
import {
  EdgeDirectory,
  formatTunnel,
  parseTunnel,
  readSecret,
  writeFileAtomic,
} from "../identity/index.ts";
import type { TunnelCredentials } from "../identity/index.ts";
import { directoriesOf } from "./account.ts";

/** Credentials, and the file they stand in. */
export interface OwnKey {
  readonly credentials: TunnelCredentials;
  readonly directory: EdgeDirectory;
  readonly path: string;
}

/**
 * The key of a tunnel: in the file that was named, else in the directory of the edge or of any edge.
 *
 * @param wanted Name or UUID.
 * @throws TunlError `BAD_CREDENTIALS`, `INSECURE_FILE`.
 */
export async function findOwnKey(
  options: AccountOptions,
  wanted: string,
  file: string | undefined,
): Promise<OwnKey | undefined> {
  const isWanted = ({ tunnel, name }: TunnelCredentials): boolean =>
    tunnel === wanted || name === wanted;
  if (file !== undefined) {
    const credentials = await readKeyFile(file);
    if (credentials === undefined) {
      throw new TunlError("BAD_CREDENTIALS", `There is no credentials file "${file}"`, {
        hint: "Write the path that tunl tunnel create printed",
      });
    }
    if (isWanted(credentials))
      return { credentials, directory: directoryOf(options, credentials), path: file };
    throw new TunlError(
      "BAD_CREDENTIALS",
      `"${file}" is the key of tunnel "${credentials.name}", expected "${wanted}"`,
      { hint: `Write tunl tunnel rotate ${credentials.name}, or another file` },
    );
  }
  for (const directory of await directoriesOf(options)) {
    const credentials = (await directory.listTunnels()).find(isWanted);
    if (credentials !== undefined)
      return { credentials, directory, path: directory.pathOf(credentials.tunnel) };
  }
  return undefined;
}

/** Reads a key file; undefined where there is none. */
export async function readKeyFile(path: string): Promise<TunnelCredentials | undefined> {
  const text = await readSecret(path);
  return text === undefined ? undefined : parseTunnel(text, path);
}

/**
 * Looks whether a file could be written, before a key is made for it: a key that cannot be kept is one that nobody has.
 *
 * @throws TunlError `STATE_UNWRITABLE`.
 */
export async function assertWritable(path: string): Promise<void> {
  try {
    await access(dirname(path), constants.W_OK | constants.X_OK);
  } catch (error) {
    throw unwritable(path, error);
  }
}

/** Writes a key file whole or not at all. @throws TunlError `STATE_UNWRITABLE`. */
export async function writeKeyFile(path: string, credentials: TunnelCredentials): Promise<void> {
  await writeSecret(path, formatTunnel(credentials));
}

/** Writes a secret of mode 0600 whole or not at all. @throws TunlError `STATE_UNWRITABLE`. */
export async function writeSecret(path: string, text: string): Promise<void> {
  try {
    await writeFileAtomic(path, text);
  } catch (error) {
    throw unwritable(path, error);
  }
}

function unwritable(path: string, cause: unknown): TunlError {
  return new TunlError("STATE_UNWRITABLE", `Writing "${path}" failed: ${reasonOf(cause)}`, {
    cause,
    hint: "Choose a directory that exists and that this user may write to",
  });
}

function directoryOf(
  { edgesDirectory }: AccountOptions,
  { host, port }: TunnelCredentials,
): EdgeDirectory {
  return new EdgeDirectory(edgesDirectory, host, port);
}
