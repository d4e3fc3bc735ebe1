// This file is the conversation with one CA: its directory, nonces, signed requests. RFC 8555 §6, §7.1, §7.2.
import type { AccountKey } from "./jose.ts";
import { AcmeError, printable, refusedBy } from "./problem.ts";
import { SharedWork } from "./shared-work.ts";
import { type CaReply, type CaTransport, parseJson } from "./transport.ts";

/** The addresses of a CA and what it demands. */
export interface Directory {
  readonly newNonce: string;
  readonly newAccount: string;
  readonly newOrder: string;
  /** RFC 9773; undefined where the CA has none. */
  readonly renewalInfo: string | undefined;
  readonly termsOfService: string | undefined;
  readonly isExternalAccountRequired: boolean;
}

/**
 * A request whose nonce was rejected is sent again with the one from the rejection. A CA that rejects nine of ten still
 * gets every request through but one in forty thousand; the budget spreads them over time.
 */
const NONCE_TRIES = 100;
/** Nonces that wait to be used: orders under way at the same time give each other theirs. */
const NONCES_MAX = 16;
/** A directory is looked at again after a day, and after a failure. */
const DIRECTORY_MS = 86_400_000;

/** Signed requests to one CA with one key. */
export class AcmeClient {
  readonly transport: CaTransport;
  readonly #directoryUrl: string;
  readonly #key: AccountKey;
  #directory: { readonly value: Directory; readonly at: number } | undefined;
  readonly #asking = new SharedWork<Directory>();
  #nonces: string[] = [];
  /** URL of the account, once there is one. */
  account: string | undefined;

  constructor(directoryUrl: string, key: AccountKey, transport: CaTransport) {
    this.#directoryUrl = directoryUrl;
    this.#key = key;
    this.transport = transport;
  }

  get key(): AccountKey {
    return this.#key;
  }

  /** @throws AcmeError. */
  async directory(signal: AbortSignal): Promise<Directory> {
    const known = this.#directory;
    const age = known === undefined ? 0 : this.transport.now - known.at;
    if (known !== undefined && age >= 0 && age < DIRECTORY_MS) return known.value;
    return await this.#asking.run(async () => {
      const value = await readDirectory(this.#directoryUrl, this.transport, signal);
      this.#directory = { value, at: this.transport.now };
      return value;
    }, signal);
  }

  /** The next use asks for it again: addresses may have changed. */
  forgetDirectory(): void {
    this.#directory = undefined;
    this.#nonces = [];
  }

  /**
   * Sends a signed request.
   *
   * @param payload JSON; undefined for POST-as-GET.
   * @param what Names the request in an error: "the order".
   * @throws AcmeError for everything but a good answer.
   */
  async post(
    url: string,
    payload: unknown,
    what: string,
    signal: AbortSignal,
    identity: "account" | "key" = "account",
  ): Promise<CaReply> {
    const account = identity === "key" ? undefined : this.account;
    for (let attempt = 1; ; attempt += 1) {
      const nonce = this.#nonces.pop() ?? (await this.#fetchNonce(signal));
      const body = await this.#key.sign(payload, { url, nonce, account });
      const reply = await this.transport.request("POST", url, body, signal);
      this.#keepNonce(reply);
      if (reply.status < 400) return reply;
      const { type } = reply.problem;
      if (type !== "badNonce" || attempt === NONCE_TRIES)
        throw refusedBy(what, reply.status, reply.problem, reply.retryAfterMs);
    }
  }

  /** Reads a resource that the CA keeps. */
  fetch(url: string, what: string, signal: AbortSignal): Promise<CaReply> {
    return this.post(url, undefined, what, signal);
  }

  async #fetchNonce(signal: AbortSignal): Promise<string> {
    const { newNonce } = await this.directory(signal);
    const reply = await this.transport.request("HEAD", newNonce, undefined, signal);
    const nonce = reply.headers.get("replay-nonce");
    if (reply.status >= 400 || nonce === null)
      throw refusedBy("a nonce", reply.status, reply.problem, reply.retryAfterMs);
    return nonce;
  }

  #keepNonce({ headers }: CaReply): void {
    const nonce = headers.get("replay-nonce");
    if (nonce !== null && this.#nonces.length < NONCES_MAX) this.#nonces.push(nonce);
  }
}

/**
 * Reads the directory of a CA.
 *
 * @throws AcmeError when there is none, or it lacks an address.
 */
export async function readDirectory(
  url: string,
  transport: CaTransport,
  signal: AbortSignal,
): Promise<Directory> {
  const reply = await transport.request("GET", url, undefined, signal);
  if (reply.status >= 400)
    throw refusedBy("its directory", reply.status, reply.problem, reply.retryAfterMs);
  const fields = fieldsOf(parseJson(reply.text));
  const meta = fieldsOf(fields["meta"]);
  const address = (name: string): string => {
    const value = fields[name];
    if (typeof value === "string" && value.startsWith("https://")) return value;
    throw new AcmeError(`The directory at ${url} has no ${name}, expected that of an ACME CA`, {
      blame: "ca",
      hint: "Check certificates.directories",
    });
  };
  const { renewalInfo } = fields;
  const { termsOfService } = meta;
  return {
    newNonce: address("newNonce"),
    newAccount: address("newAccount"),
    newOrder: address("newOrder"),
    renewalInfo: typeof renewalInfo === "string" ? renewalInfo : undefined,
    termsOfService: typeof termsOfService === "string" ? printable(termsOfService) : undefined,
    isExternalAccountRequired: meta["externalAccountRequired"] === true,
  };
}

/** The fields of a JSON object; none of anything else. */
export function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

/** The address that an answer names as its own. @throws AcmeError where it names none. */
export function locationOf(reply: CaReply, what: string): string {
  const location = reply.headers.get("location");
  if (location !== null) return location;
  throw new AcmeError(`The CA gave ${what} no address, expected a Location`, { blame: "ca" });
}
