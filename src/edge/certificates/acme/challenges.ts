// This file is the answers to challenges, each there only while an order is under way: by HTTP, by TLS, by DNS. RFC 8555 §8; RFC 8737.
import { createHash } from "node:crypto";
import { createSecureContext, createServer, type SecureContext, type Server } from "node:tls";
import { canonicalName } from "../../../address/index.ts";
import type { Deadlines } from "../../../deadlines.ts";
import { TunlError } from "../../../errors.ts";
import { reached } from "../../../limits.ts";
import { makeChallengeCertificate } from "./alpn-certificate.ts";
import { CHALLENGE_PROTOCOL } from "./protocol-name.ts";

export const CHALLENGE_TYPES = ["dns-01", "tls-alpn-01", "http-01"] as const;
export type ChallengeType = (typeof CHALLENGE_TYPES)[number];

/** Puts TXT records where the CA will look for them. */
export interface DnsAnswers {
  /** True where a provider edits the zone of this name; undefined where it cannot be asked now. */
  serves(name: string): Promise<boolean | undefined>;
  /**
   * Adds a value to the TXT records of a name, and resolves when every server of the zone shows it.
   *
   * @returns What takes the value away again.
   */
  present(name: string, value: string, signal: AbortSignal): Promise<AsyncDisposable>;
}

/** What a CA asks to see. */
export interface Challenge {
  readonly type: ChallengeType;
  /** Canonical, without `*.`. */
  readonly name: string;
  readonly token: string;
  /** RFC 8555 §8.1. */
  readonly keyAuthorization: string;
}

/** Whoever has seen the challenge certificate may take this long to close. */
const LINGER_MS = 2_000;

const NOTHING: AsyncDisposable = { [Symbol.asyncDispose]: async () => undefined };

/** What the listeners show to a CA that validates. */
export class ChallengeAnswers {
  readonly dns: DnsAnswers | undefined;
  /** False where nothing listens on port 80. */
  isHttpOn = true;
  readonly #clock: () => number;
  /** Key authorizations by token. */
  readonly #tokens = new Map<string, string>();
  /** Challenge certificates by name. */
  readonly #contexts = new Map<string, SecureContext>();

  constructor(dns: DnsAnswers | undefined, clock: () => number) {
    this.dns = dns;
    this.#clock = clock;
  }

  /** For port 80: what stands at `/.well-known/acme-challenge/TOKEN`. */
  httpAnswer(token: string): string | undefined {
    return this.#tokens.get(token);
  }

  /** For the front door: a CA that offers `acme-tls/1` for this name is expected. */
  isExpected(name: string): boolean {
    return this.#contexts.has(name);
  }

  /** Makes the TLS server that the front door gives such a CA to; a handshake is all it does. */
  createTlsServer(deadlines: Deadlines): Server {
    const server = createServer({
      ALPNProtocols: [CHALLENGE_PROTOCOL],
      SNICallback: (sent, answer) => {
        const context = this.#contexts.get(canonicalName(sent) ?? "");
        if (context !== undefined) answer(null, context);
        // The order ended just now.
        else answer(new TunlError("UNKNOWN_NAME", "No challenge of the name is open"));
      },
    });
    server.on("secureConnection", (socket) => {
      // The peer may reset it: its handshake is all that it wanted.
      socket.on("error", () => undefined);
      socket.resume();
      socket.end();
      // No other deadline holds for it: its owner is nobody.
      const late = deadlines.schedule(LINGER_MS, () => {
        reached("challengeLinger");
        socket.destroy();
      });
      socket.once("close", () => late.cancel());
    });
    server.on("tlsClientError", (_error, socket) => socket.destroy());
    return server;
  }

  /** Challenge types that could do for a name, the best one first. */
  async possible(name: string): Promise<ChallengeType[]> {
    const byDns = this.dns !== undefined && (await this.dns.serves(name)) !== false;
    if (name.startsWith("*.")) return byDns ? ["dns-01"] : [];
    return CHALLENGE_TYPES.filter((type) =>
      type === "dns-01" ? byDns : type === "http-01" ? this.isHttpOn : true,
    );
  }

  /** Shows the answer until it is disposed of. @throws what the DNS provider throws, the signal's reason. */
  async present(challenge: Challenge, signal: AbortSignal): Promise<AsyncDisposable> {
    const { type, name, token, keyAuthorization } = challenge;
    switch (type) {
      case "http-01":
        this.#tokens.set(token, keyAuthorization);
        return leaving(() => this.#tokens.delete(token));
      case "tls-alpn-01": {
        const { cert, key } = await makeChallengeCertificate(name, keyAuthorization, this.#clock());
        const context = createSecureContext({ cert, key });
        this.#contexts.set(name, context);
        return leaving(() => {
          if (this.#contexts.get(name) === context) this.#contexts.delete(name);
        });
      }
      case "dns-01": {
        const digest = createHash("sha256").update(keyAuthorization).digest("base64url");
        return (await this.dns?.present(`_acme-challenge.${name}`, digest, signal)) ?? NOTHING;
      }
      default:
        void (type satisfies never);
        return NOTHING;
    }
  }
}

function leaving(leave: () => void): AsyncDisposable {
  return {
    [Symbol.asyncDispose]: async () => leave(),
  };
}
