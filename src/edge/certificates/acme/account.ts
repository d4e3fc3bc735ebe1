// This file is the account at a CA: one key, made once, used for every order. RFC 8555 §7.3; product.md §7.
import { createHash } from "node:crypto";
import { join } from "node:path";
import { TunlError } from "../../../errors.ts";
import { makePrivateDirectory, readSecret, writeFileAtomic } from "../../../identity/index.ts";
import { type AcmeClient, fieldsOf, locationOf } from "./client.ts";
import { AccountKey, type ExternalKey, type StoredKey } from "./jose.ts";
import { AcmeError } from "./problem.ts";
import { parseJson } from "./transport.ts";
import type { WeeklyLimit } from "./weekly-count.ts";

/** `acme/<ca>/account.json`. */
export interface StoredAccount {
  readonly version: 1;
  readonly directory: string;
  readonly key: StoredKey;
  /** The terms that were agreed to, by their address. */
  readonly agreedTo?: string;
  /** The account's address, once the CA has made it. */
  readonly url?: string;
  readonly email?: string;
  readonly externalKeyId?: string;
}

/** A CA as the configuration names it. */
export interface CaAddress {
  /** For people: "Let's Encrypt", or the host. */
  readonly title: string;
  /** Name of its directory below `acme/`. */
  readonly folder: string;
  readonly directory: string;
  /** Its limit of first certificates for a registered domain; undefined where none is known. */
  readonly weekly?: WeeklyLimit;
}

const LETSENCRYPT = "https://acme-v02.api.letsencrypt.org/directory";
/** By directory. The staging CA has limits of its own, far beyond what anybody tries out. */
const WEEKLY: Readonly<Record<string, WeeklyLimit>> = {
  [LETSENCRYPT]: { ca: "Let's Encrypt", certificates: 50 },
};

const KNOWN: Readonly<Record<string, readonly [title: string, directory: string]>> = {
  letsencrypt: ["Let's Encrypt", LETSENCRYPT],
  "letsencrypt-staging": [
    "Let's Encrypt (staging)",
    "https://acme-staging-v02.api.letsencrypt.org/directory",
  ],
  zerossl: ["ZeroSSL", "https://acme.zerossl.com/v2/DV90"],
};

/** A CA by its known name, or by the https URL of its directory. */
export function caAddress(nameOrUrl: string): CaAddress {
  const known = KNOWN[nameOrUrl];
  if (known !== undefined)
    return { title: known[0], folder: nameOrUrl, directory: known[1], ...weeklyOf(known[1]) };
  const url = new URL(nameOrUrl);
  // Two CAs of one host (provisioners of step-ca) are two accounts.
  const mark = createHash("sha256").update(url.href).digest("hex").slice(0, 8);
  const folder = `${url.host.replace(/[^a-z0-9.-]/gi, "_")}-${mark}`;
  return { title: url.host, folder, directory: url.href, ...weeklyOf(url.href) };
}

function weeklyOf(directory: string): Pick<CaAddress, "weekly"> {
  const weekly = WEEKLY[directory];
  return weekly === undefined ? {} : { weekly };
}

export interface AccountOptions {
  readonly email: string | undefined;
  readonly external: ExternalKey | undefined;
  /** True: the user agrees to whatever terms the CA names. */
  readonly isAgreed: boolean;
}

/** The file of one account. */
export class AccountFile {
  readonly #folder: string;
  readonly #path: string;
  readonly #directory: string;

  constructor(stateDirectory: string, ca: CaAddress) {
    this.#folder = join(stateDirectory, "acme", ca.folder);
    this.#path = join(this.#folder, "account.json");
    this.#directory = ca.directory;
  }

  /** Reads the account, or makes its key. @throws TunlError `STATE_DAMAGED`, `INSECURE_FILE`. */
  async open(): Promise<{ stored: StoredAccount; key: AccountKey }> {
    const text = await readSecret(this.#path);
    const stored = text === undefined ? await this.#create() : this.#parse(text);
    try {
      return { stored, key: await AccountKey.load(stored.key) };
    } catch (error) {
      throw this.#damaged(error);
    }
  }

  /** The terms that were agreed to before; undefined without an account or without agreement. */
  async agreedTo(): Promise<string | undefined> {
    const text = await readSecret(this.#path);
    return text === undefined ? undefined : this.#parse(text).agreedTo;
  }

  async save(account: StoredAccount): Promise<void> {
    await makePrivateDirectory(this.#folder);
    await writeFileAtomic(this.#path, `${JSON.stringify(account, undefined, 2)}\n`);
  }

  async #create(): Promise<StoredAccount> {
    const key = await AccountKey.generate();
    const account: StoredAccount = { version: 1, directory: this.#directory, key };
    // Before the CA hears of it: an account whose key is lost can never be used again.
    await this.save(account);
    return account;
  }

  #parse(text: string): StoredAccount {
    const fields = fieldsOf(parseJson(text));
    const { key, agreedTo, url, email, externalKeyId } = fields;
    if (fields["version"] !== 1 || typeof key !== "object" || key === null) throw this.#damaged();
    return {
      version: 1,
      directory: this.#directory,
      key: key as StoredKey,
      ...(typeof agreedTo === "string" && { agreedTo }),
      ...(typeof url === "string" && { url }),
      ...(typeof email === "string" && { email }),
      ...(typeof externalKeyId === "string" && { externalKeyId }),
    };
  }

  #damaged(cause?: unknown): TunlError {
    return new TunlError("STATE_DAMAGED", `Reading "${this.#path}": it holds no ACME account`, {
      cause,
      hint: "Restore it from a backup; removing it makes a new account at the next start",
    });
  }
}

/**
 * Makes sure that the client has an account: the stored one, or a new one with the stored key.
 *
 * @returns The account as it is to be stored; the same object where nothing changed.
 * @throws AcmeError; `userActionRequired` where terms are not agreed to.
 */
export async function ensureAccount(
  client: AcmeClient,
  stored: StoredAccount,
  { email, external, isAgreed }: AccountOptions,
  signal: AbortSignal,
): Promise<StoredAccount> {
  const contact = email === undefined || email === "" ? [] : [`mailto:${email}`];
  if (stored.url !== undefined && stored.externalKeyId === external?.keyId) {
    client.account = stored.url;
    if (stored.email === email) return stored;
    await client.post(stored.url, { contact }, "the change of the account", signal);
    return withEmail(stored, email);
  }
  const { newAccount, termsOfService, isExternalAccountRequired } = await client.directory(signal);
  const mustAgree = termsOfService !== undefined && stored.agreedTo !== termsOfService;
  if (mustAgree && !isAgreed) {
    throw new AcmeError(`The terms of service of the CA (${termsOfService}) are not agreed to`, {
      blame: "ca",
      type: "userActionRequired",
      hint: "Start the edge with --agree-tos, or set certificates.agreeToTerms: true",
    });
  }
  if (isExternalAccountRequired && external === undefined) {
    throw new AcmeError("The CA binds accounts to those of its web page, and none is configured", {
      blame: "ca",
      type: "externalAccountRequired",
      hint: "Set certificates.eab: keyId and keyFile as the CA shows them",
    });
  }
  const binding = external === undefined ? undefined : await client.key.bind(external, newAccount);
  const reply = await client.post(
    newAccount,
    {
      ...(contact.length > 0 && { contact }),
      ...(termsOfService !== undefined && { termsOfServiceAgreed: true }),
      ...(binding !== undefined && { externalAccountBinding: binding }),
    },
    "the account",
    signal,
    "key",
  );
  const url = locationOf(reply, "the account");
  client.account = url;
  return withEmail(
    {
      ...stored,
      url,
      ...(termsOfService !== undefined && { agreedTo: termsOfService }),
      ...(external !== undefined && { externalKeyId: external.keyId }),
    },
    email,
  );
}

function withEmail(
  { email: _, ...account }: StoredAccount,
  email: string | undefined,
): StoredAccount {
  return email === undefined ? account : { ...account, email };
}
