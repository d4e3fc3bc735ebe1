// This file is `tunl tunnel rotate NAME`: a new key for this machine while the old one still works, others ended at once. product.md §2.3; A-07.
import { loadAccount, showPath, usage } from "../config/index.ts";
import type { AccountOptions } from "../config/index.ts";
import type { CallBody } from "../connector/index.ts";
import { proveKey } from "../connector/index.ts";
import { TunlError } from "../errors.ts";
import { fingerprintOf } from "../identity/index.ts";
import type { TunnelCredentials } from "../identity/index.ts";
import type { Logger } from "../log.ts";
import { type Account, askEdge, askForList, findAccount } from "./account.ts";
import { clockTime } from "./clock.ts";
import { command, loadInput } from "./command.ts";
import { findOwnKey, type OwnKey, writeKeyFile } from "./own-key.ts";
import { type KeptKey, registering } from "./pending.ts";
import { withProgress } from "./progress.ts";
import { text, texts } from "./rows.ts";

export default command("tunnel rotate", async (invocation) => {
  const options = loadAccount("tunnel rotate", loadInput(invocation));
  const { settings } = options;
  const name = invocation.positionals[0] as string;
  const [keyId, isAll] = [settings.text("key"), settings.isOn("all")];
  if (keyId !== undefined && isAll) {
    throw usage({
      message: "--key and --all are two answers to which keys",
      hint: "Give one of them",
    });
  }
  await withProgress(options.log, async ({ log }) => {
    const own = await findOwnKey(options, name, settings.text("credentials"));
    const account = await accountOf(options, own);
    const isOther = keyId !== undefined && keyId !== own?.credentials.keyId;
    if (own === undefined && !isOther && !isAll) throw noKeyHere(name);
    // Whoever may end other keys is found out before anything is changed.
    const ender = isOther || isAll ? (account ?? (await findAccount(options))) : undefined;
    if (ender !== undefined && keyId !== undefined)
      return await endKeys(options, ender, { tunnel: name, keyId }, log);
    const renewed = own === undefined ? [] : await renew({ options, own, account, log });
    if (ender === undefined) return;
    if (own === undefined) return await endKeys(options, ender, { tunnel: name, all: true }, log);
    for (const other of await othersOf(options, ender, name, renewed))
      await endKeys(options, ender, { tunnel: name, keyId: other }, log);
  });
});

/** The account of the edge that the key is of; without a key here, that of the options. */
async function accountOf(
  options: AccountOptions,
  own: OwnKey | undefined,
): Promise<Account | undefined> {
  if (own === undefined) return undefined;
  const credentials = await own.directory.readAccount();
  return credentials === undefined ? undefined : { credentials, directory: own.directory };
}

function noKeyHere(name: string): TunlError {
  return new TunlError("KEY_NOT_FOUND", `This machine has no key of tunnel "${name}" to renew`, {
    hint: `Name one to end with --key ID, as tunl tunnel info ${name} lists them, or end them with --all`,
  });
}

async function endKeys(
  options: AccountOptions,
  account: Account,
  which:
    | { readonly tunnel: string; readonly keyId: string }
    | { readonly tunnel: string; readonly all: true },
  log: Logger,
): Promise<void> {
  const answer = await askEdge(options, account, "key.revoke", which);
  const fields = { tunnel: which.tunnel };
  for (const keyId of texts(answer["revoked"]))
    log.info("revoked", `key "${keyId}" of ${which.tunnel}`, { ...fields, keyId });
}

/** Keys in force besides those of this machine. */
async function othersOf(
  options: AccountOptions,
  account: Account,
  tunnel: string,
  kept: readonly string[],
): Promise<readonly string[]> {
  const { events } = await askForList(options, account, "tunnel.info", { tunnel });
  return (events.get("key") ?? [])
    .filter(({ revokedAt, expiresAt }) => {
      const end = Date.parse(text(expiresAt));
      return revokedAt === undefined && (Number.isNaN(end) || end > Date.now());
    })
    .map(({ keyId }) => text(keyId))
    .filter((keyId) => !kept.includes(keyId));
}

interface Renewal {
  readonly options: AccountOptions;
  readonly own: OwnKey;
  readonly account: Account | undefined;
  readonly log: Logger;
}

/**
 * The new key is on disk before the edge hears of it, and in the place of the old one before that ends.
 *
 * @returns The names of both keys.
 */
async function renew(renewal: Renewal): Promise<readonly string[]> {
  const { options, own, log } = renewal;
  const { credentials, directory, path } = own;
  await directory.forgetPending(credentials.key);
  const errand = `rotate ${fingerprintOf(credentials.key.publicKey)}`;
  const kept = await directory.keepKey(errand, credentials.fingerprint, Date.now());
  const answer = await registering(directory, kept, (key) => rotate(renewal, kept, key));
  const keyId = text(answer["keyId"]);
  if (keyId === "") throw new TunlError("BAD_ANSWER", "The edge answered key.rotate without a key");
  const { key, createdAt } = kept.pending;
  await writeKeyFile(path, { ...credentials, key, createdAt, keyId });
  await directory.discard(kept.pending);
  const oldEndsAt = text(answer["oldEndsAt"]);
  const ends = oldEndsAt === "" ? "has ended" : endOf(new Date(oldEndsAt));
  const { name } = credentials;
  log.info(
    "rotated",
    `key "${keyId}" of ${name}, in the place of "${credentials.keyId}", which ${ends}`,
    {
      ...{ tunnel: name, keyId, oldEndsAt },
    },
  );
  const where = showPath(path, options.home);
  log.info(
    "saved",
    `${where} (keep it secret); connectors that run with this file take it by themselves`,
    {
      ...{ path, keyId },
    },
  );
  return [keyId, credentials.keyId];
}

function endOf(when: Date): string {
  const now = new Date();
  return when <= now ? "has ended" : `works until ${clockTime(when, now)}`;
}

/** By the account that owns the tunnel, else by the key itself. */
async function rotate(
  { options, own, account }: Renewal,
  { pending }: KeptKey,
  key: string,
): Promise<CallBody> {
  const { credentials, directory } = own;
  const body = { key, overlapMs: options.settings.number("overlap") };
  if (account !== undefined) {
    const { tunnel, keyId } = credentials;
    try {
      return await askEdge(options, account, "key.rotate", { ...body, tunnel, keyId });
    } catch (error) {
      // Tunnels that were joined belong to no account: the key speaks for itself.
      const isOfOthers = error instanceof TunlError && NOT_OURS.has(error.code);
      if (!isOfOthers) throw error;
    }
  }
  try {
    return await askEdge(options, { credentials, directory }, "key.rotate", body);
  } catch (error) {
    if (!isRefused(error)) throw error;
    // The old key ended with this very call, or since an earlier one whose reply was lost: then the new one opens.
    const renewed: TunnelCredentials = { ...credentials, key: pending.key };
    const { keyId } = await proveKey({ ...options, credentials: renewed }).catch(
      (refusal: unknown) => {
        throw isRefused(refusal) ? error : refusal;
      },
    );
    return { keyId };
  }
}

function isRefused(error: unknown): boolean {
  return error instanceof TunlError && error.code === "KEY_REFUSED";
}

const NOT_OURS = new Set(["TUNNEL_NOT_FOUND", "KEY_REFUSED"]);
