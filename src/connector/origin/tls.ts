// This file is how the connector speaks TLS to an origin: what is trusted, which name is asked for (S-25, S-63).
import { X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import {
  type ConnectionOptions,
  connect as connectTls,
  createSecureContext,
  getCACertificates,
  type SecureContext,
  type TLSSocket,
} from "node:tls";

import { TunlError } from "../../errors.ts";
import { literalAddress } from "../addresses.ts";

export interface OriginTlsOptions {
  /** PEM roots trusted besides the system's. */
  readonly caPool?: string | undefined;
  /** SNI and the name checked in the certificate; default: the host of the service. */
  readonly originServerName?: string | undefined;
  /** SNI and checked name are the Host of the request. */
  readonly matchSniToHost?: boolean;
  /** True: any certificate is accepted. Announced at start by whoever reads the configuration (S-63). */
  readonly noTlsVerify?: boolean;
}

/** Roots besides the system's, by their text: parsing them costs milliseconds, and many rules have the same. */
export class TrustedRoots {
  readonly #contexts = new Map<string, SecureContext>();

  /** @throws TunlError `CA_POOL_INVALID` when the text holds no certificate. */
  context(caPool: string): SecureContext {
    const known = this.#contexts.get(caPool);
    if (known !== undefined) return known;
    // The TLS library takes any text and trusts nothing from it: the mistake would show as failures of the origin.
    checkPem(caPool);
    const context = createSecureContext({ ca: [...getCACertificates("default"), caPool] });
    this.#contexts.set(caPool, context);
    return context;
  }
}

/** The TLS settings of one origin. */
export class OriginTls {
  readonly #options: OriginTlsOptions;
  readonly #host: string;
  readonly #context: SecureContext | undefined;

  /** @throws TunlError `CA_POOL_INVALID` when `caPool` holds no certificate. */
  constructor(host: string, options: OriginTlsOptions, roots = new TrustedRoots()) {
    this.#host = host;
    this.#options = options;
    this.#context = options.caPool === undefined ? undefined : roots.context(options.caPool);
  }

  /** Name asked for and checked on a connection for a request to `authority`; connections of other names are not reused. */
  serverName(authority: string): string {
    if (this.#options.originServerName !== undefined) return this.#options.originServerName;
    return this.#options.matchSniToHost ? hostOf(authority) : this.#host;
  }

  /** Puts TLS on a connected socket. The caller listens for `secureConnect` and `error`. */
  connect(socket: Socket, serverName: string): TLSSocket {
    const isAddress = literalAddress(serverName) !== undefined;
    const settings: ConnectionOptions & { allowHalfOpen: boolean } = {
      socket,
      allowHalfOpen: true,
      // Given in words, or NODE_TLS_REJECT_UNAUTHORIZED=0 in the environment would decide (S-25, platform.md §3).
      rejectUnauthorized: this.#options.noTlsVerify !== true,
      ALPNProtocols: ["http/1.1"],
      ...(this.#context === undefined ? {} : { secureContext: this.#context }),
      // SNI carries names only; an address is still checked against the certificate.
      ...(isAddress ? { host: serverName } : { servername: serverName }),
    };
    return connectTls(settings);
  }
}

function hostOf(authority: string): string {
  const host = authority.replace(/:[0-9]*$/, "");
  return host.startsWith("[") ? host.slice(1, -1) : host;
}

const BLOCK = /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[^-]*-----END [^-]*-----/g;

/** Every certificate of a bundle has to be one: the library would leave a broken one out and say nothing. */
function checkPem(text: string): void {
  const blocks = text.match(BLOCK) ?? [];
  if (blocks.length === 0)
    throw new TunlError("CA_POOL_INVALID", "The CA file holds no certificate in PEM form");
  for (const [index, block] of blocks.entries()) {
    try {
      void new X509Certificate(block);
    } catch (cause) {
      const which = blocks.length === 1 ? "The certificate" : `Certificate ${index + 1}`;
      throw new TunlError("CA_POOL_INVALID", `${which} of the CA file cannot be read`, { cause });
    }
  }
}
