// This file is both sides of the handshake as step functions: frames in, frames out, no socket and no clock. PROTOCOL §3.1, §3.2.
import {
  fingerprintOf,
  hashFrames,
  type SigningKey,
  signProof,
  verifyProof,
} from "../../identity/index.ts";
import {
  checkExtras,
  decodeBody,
  decodeParameters,
  encodeBody,
  encodeFrame,
  encodeParameters,
  fitMessage,
  HANDSHAKE_FRAMES,
  type HandshakeRecord,
  REVISION,
  SESSION_CODES,
  type SessionCodeName,
  sessionCodeName,
  type TransportParameters,
  UNPROVEN_RETRY_MAX_MS,
} from "../../wire/index.ts";
import { HandshakeError } from "../errors.ts";

/** 32 bytes each of the TLS exporter of the live link. */
export interface Exporters {
  readonly edge: Uint8Array;
  readonly connector: Uint8Array;
}

/** What a connector claims once the edge is proven. */
export type Claim =
  | { readonly kind: "auth"; readonly replaces: Uint8Array }
  | { readonly kind: "enrol"; readonly code: Uint8Array; readonly name: string };

export interface ConnectorHandshakeOptions {
  /** Fingerprint of the edge's key from the join line, credentials or token. */
  readonly fingerprint: string;
  /** Name of the edge, for messages. */
  readonly edgeName: string;
  readonly key: SigningKey;
  readonly claim: Claim;
  /** Random per process, 16 bytes. */
  readonly instance: Uint8Array;
  /** Random per handshake, 32 bytes. */
  readonly nonce: Uint8Array;
  readonly exporters: Exporters;
  readonly parameters: TransportParameters;
  readonly application: Uint8Array;
}

/** What READY brought. */
export interface Readiness {
  readonly sessionId: Uint8Array;
  readonly link: number;
  readonly parameters: TransportParameters;
  readonly application: Uint8Array;
}

export class ConnectorHandshake {
  readonly #options: ConnectorHandshakeOptions;
  readonly #hello: Uint8Array;
  #isEdgeProven = false;

  constructor(options: ConnectorHandshakeOptions) {
    this.#options = options;
    this.#hello = encodeFrame("hello", { revision: REVISION, nonce: options.nonce, extras: [] });
  }

  /** The first frame; it names no tunnel, key, code or session. */
  hello(): Uint8Array {
    return this.#hello;
  }

  /**
   * The edge's proof came.
   * @param raw The whole frame as on the wire.
   * @returns The third frame; nothing secret was sent before.
   * @throws HandshakeError `EDGE_KEY_MISMATCH`; WireError for a body against its table.
   */
  edgeAuth(frame: HandshakeRecord<"edgeAuth">, raw: Uint8Array): Uint8Array {
    const { fingerprint, edgeName, exporters, key, claim, instance, application, parameters } =
      this.#options;
    const body = decodeBody("edgeAuth", frame.body);
    const shown = fingerprintOf(body.edgeKey);
    const proof = {
      exporter: exporters.edge,
      transcript: hashFrames(this.#hello),
      body: frame.body,
    };
    if (shown !== fingerprint) {
      throw new HandshakeError(
        "EDGE_KEY_MISMATCH",
        `${edgeName} shows key ${shown}, expected ${fingerprint}; nothing was sent`,
        {
          retryable: false,
          hint: "Someone may stand between. If the edge was rebuilt, join again",
        },
      );
    }
    if (!verifyProof(body.edgeKey, "edgeAuth", proof, frame.signature)) {
      throw new HandshakeError(
        "EDGE_KEY_MISMATCH",
        `${edgeName} shows key ${shown} without proving it; nothing was sent`,
        {
          retryable: false,
          hint: "Someone may stand between the two ends",
        },
      );
    }
    if (body.revision !== REVISION)
      throw new HandshakeError(
        "VERSION",
        `The edge uses revision ${body.revision}, expected ${REVISION}`,
        { retryable: false },
      );
    checkExtras(body.extras, { from: "edge", frameType: HANDSHAKE_FRAMES.edgeAuth.type });
    this.#isEdgeProven = true;
    const list = encodeParameters(parameters, "connector");
    const name = claim.kind === "auth" ? "auth" : "enroll";
    const claimed =
      claim.kind === "auth"
        ? encodeBody("auth", {
            key: key.publicKey,
            instance,
            replaces: claim.replaces,
            parameters: list,
            application,
          })
        : encodeBody("enroll", {
            key: key.publicKey,
            instance,
            code: claim.code,
            name: claim.name,
            parameters: list,
            application,
          });
    const signature = signProof(key, claim.kind, {
      exporter: exporters.connector,
      transcript: hashFrames(this.#hello, raw),
      body: claimed,
    });
    return encodeFrame(name, { body: claimed, signature });
  }

  /** @throws WireError PARAMETER. The byte arrays are copies. */
  ready(frame: HandshakeRecord<"ready">): Readiness {
    const source = { from: "edge", frameType: HANDSHAKE_FRAMES.ready.type } as const;
    return {
      sessionId: frame.sessionId.slice(),
      link: frame.link,
      parameters: decodeParameters(frame.parameters, source),
      application: frame.application.slice(),
    };
  }

  /** What a REFUSED means. Before the edge was proven it is a hint and never stops us. */
  refused(frame: HandshakeRecord<"refused">): HandshakeError {
    const { code, message } = frame;
    const retryAfterMs = this.#isEdgeProven
      ? frame.retryAfterMs
      : Math.min(frame.retryAfterMs, UNPROVEN_RETRY_MAX_MS);
    const name = sessionCodeName(code) ?? `code ${code}`;
    const effect =
      sessionCodeName(code) === undefined ? "slow" : SESSION_CODES[name as SessionCodeName].effect;
    const isFinal = this.#isEdgeProven && (effect === "stop" || effect === "stopOrSlow");
    const detail = message === "" ? "" : `: ${JSON.stringify(message)}`;
    return new HandshakeError(name, `The edge refused the link with ${name}${detail}`, {
      retryable: !isFinal,
      sessionCode: code,
      retryAfterMs,
    });
  }
}

export interface EdgeHandshakeOptions {
  readonly key: SigningKey;
  readonly nonce: Uint8Array;
  readonly exporters: Exporters;
}

/** A claim whose signature was verified; byte arrays are copies. */
export type Proven = {
  readonly key: Uint8Array;
  readonly instance: Uint8Array;
  readonly parameters: TransportParameters;
  readonly application: Uint8Array;
} & (
  | { readonly kind: "auth"; readonly replaces: Uint8Array }
  | { readonly kind: "enrol"; readonly code: Uint8Array; readonly name: string }
);

export class EdgeHandshake {
  readonly #options: EdgeHandshakeOptions;
  #hello: Uint8Array = new Uint8Array(0);
  #edgeAuth: Uint8Array = new Uint8Array(0);

  constructor(options: EdgeHandshakeOptions) {
    this.#options = options;
  }

  /** HELLO came. Returns EDGE_AUTH. @throws WireError for unknown critical extras. */
  hello(frame: HandshakeRecord<"hello">, raw: Uint8Array): Uint8Array {
    const { key, nonce, exporters } = this.#options;
    checkExtras(frame.extras, { from: "connector", frameType: HANDSHAKE_FRAMES.hello.type });
    this.#hello = raw.slice();
    const body = encodeBody("edgeAuth", {
      revision: REVISION,
      edgeKey: key.publicKey,
      nonce,
      extras: [],
    });
    const proof = { exporter: exporters.edge, transcript: hashFrames(this.#hello), body };
    this.#edgeAuth = encodeFrame("edgeAuth", {
      body,
      signature: signProof(key, "edgeAuth", proof),
    });
    return this.#edgeAuth;
  }

  /**
   * AUTH or ENROLL came.
   * @returns What is proven; undefined when the signature is not that of the key it names (AUTH_FAILED).
   * @throws WireError for a body against its table, PARAMETER.
   */
  proof(
    name: "auth" | "enroll",
    frame: { readonly body: Uint8Array; readonly signature: Uint8Array },
  ): Proven | undefined {
    const source = { from: "connector", frameType: HANDSHAKE_FRAMES[name].type } as const;
    const claim =
      name === "auth" ? decodeBody("auth", frame.body) : decodeBody("enroll", frame.body);
    const proof = {
      exporter: this.#options.exporters.connector,
      transcript: hashFrames(this.#hello, this.#edgeAuth),
      body: frame.body,
    };
    if (!verifyProof(claim.key, name === "auth" ? "auth" : "enrol", proof, frame.signature))
      return undefined;
    const common = {
      key: claim.key.slice(),
      instance: claim.instance.slice(),
      parameters: decodeParameters(claim.parameters, source),
      application: claim.application.slice(),
    };
    if ("code" in claim)
      return { ...common, kind: "enrol", code: claim.code.slice(), name: claim.name };
    return { ...common, kind: "auth", replaces: claim.replaces.slice() };
  }

  /** READY: the link is live when it was written. */
  ready(
    sessionId: Uint8Array,
    link: number,
    parameters: TransportParameters,
    application: Uint8Array,
  ): Uint8Array {
    return encodeFrame("ready", {
      sessionId,
      link,
      parameters: encodeParameters(parameters, "edge"),
      application,
    });
  }

  refused(name: SessionCodeName, retryAfterMs: number, message: string): Uint8Array {
    return encodeFrame("refused", {
      code: SESSION_CODES[name].code,
      retryAfterMs,
      message: fitMessage(message),
    });
  }
}
