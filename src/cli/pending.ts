// This file is a key that is kept on disk while a call registers it: after a lost reply or a kill the same command means the same key. product.md §5.
import { TunlError } from "../errors.ts";
import type { EdgeDirectory, PendingKey } from "../identity/index.ts";

/** The key of an errand, as `EdgeDirectory.keepKey` gives it. */
export interface KeptKey {
  readonly pending: PendingKey;
  readonly isNew: boolean;
}

/** Codes after which nobody knows whether the call was carried out. */
const OPEN_ENDS = /^(?:EDGE_UNREACHABLE|INTERNAL|STORE_[A-Z]+|NOT_BACKED_UP)$/;

/**
 * Registers a kept key by `call`. Where the edge refused for good, the key is forgotten: unless an earlier attempt may
 * have registered it.
 */
export async function registering<Result>(
  directory: EdgeDirectory,
  { pending, isNew }: KeptKey,
  call: (publicKey: string) => Promise<Result>,
): Promise<Result> {
  try {
    return await call(Buffer.from(pending.key.publicKey).toString("base64url"));
  } catch (error) {
    const isRefused = error instanceof TunlError && !OPEN_ENDS.test(error.code);
    if (isRefused && (isNew || error.code === "NAME_TAKEN")) await directory.discard(pending);
    throw error;
  }
}
