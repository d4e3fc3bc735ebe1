// This file is the one adapter of jose: the account key, and requests signed with it. RFC 8555 §6.2, §7.3.4, §8.1; dependencies.md §1 row 1.
import {
  calculateJwkThumbprint,
  exportJWK,
  FlattenedSign,
  generateKeyPair,
  importJWK,
  type JWK,
} from "jose";

/** A private key as it is stored. */
export type StoredKey = Readonly<Record<string, unknown>>;

/** The key of an external account, as the CA hands it out. */
export interface ExternalKey {
  readonly keyId: string;
  /** Decoded from base64url. */
  readonly key: Uint8Array;
}

/** What a request is signed with besides its payload. */
export interface RequestHeader {
  readonly url: string;
  readonly nonce: string;
  /** URL of the account; undefined: the key itself is sent, as before there is an account. */
  readonly account: string | undefined;
}

/** The P-256 key of one account at one CA. */
export class AccountKey {
  /** RFC 7638, as in every key authorization. */
  readonly thumbprint: string;
  readonly #key: CryptoKey;
  readonly #public: JWK;

  private constructor(key: CryptoKey, publicKey: JWK, thumbprint: string) {
    this.#key = key;
    this.#public = publicKey;
    this.thumbprint = thumbprint;
  }

  static async generate(): Promise<StoredKey> {
    const { privateKey } = await generateKeyPair("ES256", { extractable: true });
    return { ...(await exportJWK(privateKey)) };
  }

  /** @throws when the stored text is no P-256 key. */
  static async load(stored: StoredKey): Promise<AccountKey> {
    const key = await importJWK(stored, "ES256");
    if (key instanceof Uint8Array) throw new TypeError("An account key is no P-256 key");
    const { crv, kty, x, y } = stored as JWK;
    const publicKey = { crv, kty, x, y } as JWK;
    return new AccountKey(key, publicKey, await calculateJwkThumbprint(publicKey));
  }

  /**
   * Signs one request.
   *
   * @param payload JSON; undefined for POST-as-GET.
   * @returns The body to send.
   */
  async sign(payload: unknown, { url, nonce, account }: RequestHeader): Promise<string> {
    const who = account === undefined ? { jwk: this.#public } : { kid: account };
    const text = payload === undefined ? "" : JSON.stringify(payload);
    const signed = await new FlattenedSign(new TextEncoder().encode(text))
      .setProtectedHeader({ alg: "ES256", nonce, url, ...who })
      .sign(this.#key);
    return JSON.stringify(signed);
  }

  /** Binds this key to an account that the user has with the CA already (RFC 8555 §7.3.4). */
  async bind({ keyId, key }: ExternalKey, url: string): Promise<object> {
    return await new FlattenedSign(new TextEncoder().encode(JSON.stringify(this.#public)))
      .setProtectedHeader({ alg: "HS256", kid: keyId, url })
      .sign(key);
  }

  /** What proves to the CA that a challenge is answered by the owner of this account. */
  authorize(token: string): string {
    return `${token}.${this.thumbprint}`;
  }
}
