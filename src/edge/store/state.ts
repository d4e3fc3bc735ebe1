// This file is the start of an edge's memory: directory, store and identity, in the order that no crash can confuse.
// product.md §5 "Edge state"; reliability.md §4 item 3.
import { join } from "node:path";
import { TunlError } from "../../errors.ts";
import {
  generateKey,
  hasEntry,
  loadKey,
  makePrivateDirectory,
  saveKey,
} from "../../identity/index.ts";
import type { SigningKey } from "../../identity/index.ts";
import { listBackups } from "./backup.ts";
import { unwritable } from "./database.ts";
import type { Store, StoreOptions } from "./store.ts";
import { openStore } from "./worker-store.ts";

/** In the state directory. */
export const KEY_FILE = "edge.key";

/** What an edge is and knows. */
export type EdgeState = AsyncDisposable & {
  readonly directory: string;
  /** The identity that join lines and connectors pin. */
  readonly key: SigningKey;
  readonly store: Store;
  /** True on the first start in this directory. */
  readonly isNew: boolean;
};

/**
 * Opens the state, or makes it.
 *
 * The database comes first and the key second: a crash in between leaves an empty database without a key, which
 * the next start completes. A key without its database is damage.
 *
 * @throws TunlError `STATE_LOCKED`, `STATE_DAMAGED`, `STATE_TOO_NEW`, `STATE_UNWRITABLE`, `INSECURE_FILE`: exit 6.
 */
export async function openState(options: Omit<StoreOptions, "isExpected">): Promise<EdgeState> {
  const { directory } = options;
  const path = join(directory, KEY_FILE);
  await onDisk(directory, () => makePrivateDirectory(directory));
  const store = await openStore({
    ...options,
    // A key or a backup: there was a state once, and an empty one would take its revocations back.
    isExpected: await onDisk(
      directory,
      async () => (await hasEntry(path)) || listBackups(directory).length > 0,
    ),
  });
  try {
    // Read under the lock: another edge may have made it a moment ago.
    const known = await onDisk(directory, () => loadKey(path));
    if (known === undefined && !store.snapshot.isEmpty) {
      throw new TunlError(
        "STATE_DAMAGED",
        `Opening "${path}": it is missing, but the state knows keys of connectors`,
        {
          hint: "Restore edge.key from a backup: connectors accept no other key",
        },
      );
    }
    const key = known ?? generateKey();
    if (known === undefined) await onDisk(directory, () => saveKey(path, key));
    return {
      directory,
      key,
      store,
      isNew: known === undefined,
      [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
    };
  } catch (error) {
    await store[Symbol.asyncDispose]();
    throw error;
  }
}

async function onDisk<T>(directory: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof TunlError ? error : unwritable(directory, error);
  }
}
