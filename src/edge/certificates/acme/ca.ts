// This file is one CA as the edge uses it: the account made once, a certificate had by one kind of challenge and checked. RFC 8555.
import { createPrivateKey, type X509Certificate } from "node:crypto";
import { namesOf } from "../files.ts";
import {
  type AccountFile,
  type AccountOptions,
  ensureAccount,
  type StoredAccount,
} from "./account.ts";
import { requestCertificate, type KeyType } from "./certificate-key.ts";
import type { ChallengeAnswers, ChallengeType } from "./challenges.ts";
import { AcmeClient } from "./client.ts";
import { obtain, readChain } from "./order.ts";
import { AcmeError } from "./problem.ts";
import { askRenewalInfo, certificateId, type RenewalInfo } from "./renewal-info.ts";
import type { Life } from "./schedule.ts";
import { SharedWork } from "./shared-work.ts";
import type { CaTransport } from "./transport.ts";

export interface CaOptions {
  readonly directory: string;
  readonly file: AccountFile;
  readonly account: AccountOptions;
  readonly keyType: KeyType;
  readonly transport: CaTransport;
  readonly answers: ChallengeAnswers;
}

/** A certificate as it came, checked. */
export interface Obtained {
  readonly cert: string;
  readonly key: string;
  readonly life: Life;
  /** How its names were proven; undefined where the CA remembered them. */
  readonly challenge: ChallengeType | undefined;
}

/** What a certificate is had by. */
export interface Wish {
  readonly names: readonly string[];
  /** Kinds of challenges that may be used, the best one first. */
  readonly types: readonly ChallengeType[];
  /** PEM of the certificate whose place it takes. */
  readonly replaces: string | undefined;
}

/** Speaks with one CA under one account. */
export class Ca {
  readonly #options: CaOptions;
  #client: Promise<AcmeClient> | undefined;
  readonly #account = new SharedWork<void>();

  constructor(options: CaOptions) {
    this.#options = options;
  }

  get directory(): string {
    return this.#options.directory;
  }

  /** How far the clock of this machine is ahead of the CA's, ms; 0 where it is near enough. */
  get skewMs(): number {
    return this.#options.transport.skewMs;
  }

  /** @throws AcmeError and its kinds, TunlError of the account's file, the signal's reason. */
  async obtain({ names, types, replaces }: Wish, signal: AbortSignal): Promise<Obtained> {
    const client = await this.#open();
    try {
      await this.#login(client, signal);
      const { csr, key } = await requestCertificate(names, this.#options.keyType);
      const { renewalInfo } = await client.directory(signal);
      const id =
        renewalInfo === undefined || replaces === undefined
          ? undefined
          : await certificateId(replaces);
      const order = { names, types, csr, replaces: id };
      const { chain: cert, challenge } = await obtain(client, this.#options.answers, order, signal);
      return { cert, key, challenge, life: check(cert, key, names) };
    } catch (error) {
      this.#learn(client, error);
      throw error;
    }
  }

  /** When the CA would have a certificate renewed; undefined where it does not say. @throws as `obtain`. */
  async renewalInfo(cert: string, signal: AbortSignal): Promise<RenewalInfo | undefined> {
    const client = await this.#open();
    const { renewalInfo } = await client.directory(signal);
    const id = renewalInfo === undefined ? undefined : await certificateId(cert);
    return id === undefined ? undefined : await askRenewalInfo(client, id, signal);
  }

  async #open(): Promise<AcmeClient> {
    const { directory, file, transport } = this.#options;
    this.#client ??= file
      .open()
      .then(({ key }) => new AcmeClient(directory, key, transport))
      .catch((error: unknown) => {
        this.#client = undefined;
        throw error;
      });
    return await this.#client;
  }

  async #login(client: AcmeClient, signal: AbortSignal): Promise<void> {
    if (client.account !== undefined && !this.#account.isRunning) return;
    await this.#account.run(() => this.#makeAccount(client, signal), signal);
  }

  async #makeAccount(client: AcmeClient, signal: AbortSignal): Promise<void> {
    const { file, account } = this.#options;
    const { stored } = await file.open();
    const made = await ensureAccount(client, stored, account, signal);
    if (made !== stored) await this.#remember(made);
  }

  /** A full disk is no reason to have no certificate: the CA finds the account by its key the next time. */
  async #remember(made: StoredAccount): Promise<void> {
    await this.#options.file.save(made).catch((error: unknown) => {
      if (error instanceof Error && "code" in error) return;
      throw error;
    });
  }

  /** What a failure says of what is remembered of the CA. */
  #learn(client: AcmeClient, error: unknown): void {
    if (!(error instanceof AcmeError) || error.blame === "name") return;
    client.forgetDirectory();
    // A test CA that was started anew, or an account that was closed: asked for again with the same key.
    if (error.type === "accountDoesNotExist") {
      client.account = undefined;
      void this.#forgetAccount();
    }
  }

  async #forgetAccount(): Promise<void> {
    const { file } = this.#options;
    const { stored } = await file.open();
    const { url: _, ...rest } = stored;
    await this.#remember(rest);
  }
}

/** Nothing is served that does not fit: the CA is not asked to be trusted with that. */
function check(cert: string, key: string, names: readonly string[]): Life {
  const leaf = readChain(cert)[0] as X509Certificate;
  const named = namesOf(leaf);
  const missing = names.filter((name) => !named.includes(name));
  if (missing.length > 0)
    throw new AcmeError(`The CA's certificate does not name ${missing.join(" and ")}`, {
      blame: "ca",
    });
  if (!leaf.checkPrivateKey(createPrivateKey(key)))
    throw new AcmeError("The CA signed another key than ours", { blame: "ca" });
  return lifeOf(leaf);
}

export function lifeOf(leaf: X509Certificate): Life {
  return { notBefore: Date.parse(leaf.validFrom), notAfter: Date.parse(leaf.validTo) };
}
