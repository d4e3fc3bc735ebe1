// This file is a new TLS socket taken through the handshake, either side, until it can be attached to a session. PROTOCOL §3.
import { randomBytes } from "node:crypto";
import type { TLSSocket } from "node:tls";
import {
  CONNECTOR_EXPORTER_LABEL,
  EDGE_EXPORTER_LABEL,
  EXPORTER_BYTES,
  type SigningKey,
} from "../identity/index.ts";
import {
  ANSWER_MS,
  AUTH_FAILED_DELAY_MS,
  FIRST_FRAME_MS,
  FrameDecoder,
  type FrameName,
  HANDSHAKE_MS,
  NONCE_BYTES,
  RANDOM_ID_BYTES,
  type SessionCodeName,
  type TransportParameters,
  WireError,
} from "../wire/index.ts";
import { reached } from "../limits.ts";
import {
  type Claim,
  ConnectorHandshake,
  EdgeHandshake,
  type Exporters,
  type Proven,
  type Readiness,
} from "./core/index.ts";
import { HandshakeError } from "./errors.ts";
import type { Admission, Gate } from "./gate.ts";

/** A proven socket; nobody listens on it any more, and `decoder` may hold bytes that came behind the handshake. */
export interface EstablishedLink {
  readonly socket: TLSSocket;
  readonly decoder: FrameDecoder;
}

/** The edge's view of a link that is live from now on. */
export interface AcceptedLink extends EstablishedLink {
  readonly admission: Admission;
  readonly proven: Proven;
  readonly sessionId: Uint8Array;
}

export interface ConnectedLink extends EstablishedLink, Readiness {
  /** From HELLO to EDGE_AUTH, ms: the first look at the round trip. */
  readonly rttMs: number;
}

/** The exporters of a live TLS 1.3 link. */
function exportersOf(socket: TLSSocket): Exporters {
  const secret = (label: string): Uint8Array =>
    socket.exportKeyingMaterial(EXPORTER_BYTES, label, Buffer.alloc(0));
  return { edge: secret(EDGE_EXPORTER_LABEL), connector: secret(CONNECTOR_EXPORTER_LABEL) };
}

/** Reads handshake frames from a socket, one at a time, each within its own time. */
class FrameSource {
  readonly decoder: FrameDecoder;
  readonly #socket: TLSSocket;
  #wake: (() => void) | undefined;
  #failure: Error | undefined;

  constructor(socket: TLSSocket, side: "edge" | "connector") {
    this.#socket = socket;
    this.decoder = new FrameDecoder({ side, phase: "handshake", maxDatagram: 0 });
    socket.on("data", this.#onData);
    socket.on("error", this.#onError);
    socket.on("end", this.#onEnd);
    socket.on("close", this.#onEnd);
  }

  readonly #onData = (chunk: Uint8Array): void => {
    this.decoder.feed(chunk);
    this.#wake?.();
  };
  readonly #onError = (error: Error): void => this.#fail(error);
  readonly #onEnd = (): void => this.#fail(new Error("closed by the other end"));

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wake?.();
  }

  /**
   * The name of the next frame.
   * @throws HandshakeError `LINK_CLOSED`, `LINK_TIMEOUT`; WireError.
   */
  async next(withinMs: number): Promise<FrameName> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      const name = this.decoder.next();
      if (name !== undefined) return name;
      if (this.#failure !== undefined) {
        throw new HandshakeError(
          "LINK_CLOSED",
          `The handshake ended early: ${this.#failure.message}`,
          {
            retryable: true,
            cause: this.#failure,
          },
        );
      }
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) {
        reached("linkHandshakeTime");
        throw new HandshakeError(
          "LINK_TIMEOUT",
          `No answer within ${withinMs / 1_000} s of the handshake`,
          { retryable: true },
        );
      }
      await this.#more(leftMs);
    }
  }

  /** @throws HandshakeError `LINK_CLOSED` when the other end has left meanwhile. */
  assertOpen(): void {
    if (this.#failure === undefined) return;
    throw new HandshakeError("LINK_CLOSED", `The handshake ended early: ${this.#failure.message}`, {
      retryable: true,
      cause: this.#failure,
    });
  }

  #more(withinMs: number): Promise<void> {
    return new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, withinMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    }).then(() => {
      this.#wake = undefined;
    });
  }

  /** The handshake is over: the socket is paused and free for the session's link. */
  release(): void {
    this.#socket.pause();
    this.#socket.off("data", this.#onData);
    this.#socket.off("end", this.#onEnd);
    this.#socket.off("close", this.#onEnd);
    // The error listener stays until the link adds its own: an error without one would end the process.
  }
}

export interface ConnectOptions {
  readonly fingerprint: string;
  readonly edgeName: string;
  readonly key: SigningKey;
  readonly claim: Claim;
  readonly instance: Uint8Array;
  readonly parameters: TransportParameters;
  readonly application: Uint8Array;
}

/**
 * Takes a dialled socket through the handshake as the connector.
 * @throws HandshakeError, WireError; the socket is destroyed then.
 */
export async function connectLink(
  socket: TLSSocket,
  options: ConnectOptions,
): Promise<ConnectedLink> {
  const source = new FrameSource(socket, "connector");
  try {
    const handshake = new ConnectorHandshake({
      ...options,
      nonce: randomBytes(NONCE_BYTES),
      exporters: exportersOf(socket),
    });
    source.decoder.expect("edgeAuth", "refused");
    const askedAt = performance.now();
    socket.write(handshake.hello());
    if ((await source.next(ANSWER_MS)) === "refused")
      throw handshake.refused(source.decoder.record("refused"));
    const rttMs = performance.now() - askedAt;
    const proof = handshake.edgeAuth(source.decoder.record("edgeAuth"), source.decoder.raw);
    source.decoder.expect("ready", "refused");
    socket.write(proof);
    if ((await source.next(ANSWER_MS)) === "refused")
      throw handshake.refused(source.decoder.record("refused"));
    const ready = handshake.ready(source.decoder.record("ready"));
    source.decoder.enterLive(options.parameters.maxDatagram);
    source.release();
    return { socket, decoder: source.decoder, rttMs, ...ready };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

export interface AcceptOptions {
  readonly key: SigningKey;
  readonly gate: Gate;
  readonly parameters: TransportParameters;
  /** Refuses before HELLO is answered: too many handshakes, too many failures of this source. Undefined: go on. */
  readonly admit: () =>
    { readonly code: SessionCodeName; readonly retryAfterMs: number } | undefined;
  /** Has the last word about a proven key: too many sessions of its tunnel. Undefined: go on. */
  readonly judge: (admission: Admission, proven: Proven) => SessionCodeName | undefined;
}

/**
 * Takes an accepted socket through the handshake as the edge. READY is written; frames may follow at once.
 * @throws HandshakeError with code `AUTH_FAILED` after a failed proof, or another; WireError. The peer was told and the socket ends.
 */
export async function acceptLink(socket: TLSSocket, options: AcceptOptions): Promise<AcceptedLink> {
  const startedAt = performance.now();
  const source = new FrameSource(socket, "edge");
  let handshake: EdgeHandshake | undefined;
  let ticks: Ticks | undefined;
  try {
    handshake = new EdgeHandshake({
      key: options.key,
      nonce: randomBytes(NONCE_BYTES),
      exporters: exportersOf(socket),
    });
    const surplus = options.admit();
    if (surplus !== undefined)
      throw refusal(surplus.code, "Refused before the handshake", surplus.retryAfterMs);
    source.decoder.expect("hello");
    await source.next(FIRST_FRAME_MS);
    socket.write(handshake.hello(source.decoder.record("hello"), source.decoder.raw));
    source.decoder.expect("auth", "enroll");
    const name = await source.next(HANDSHAKE_MS - (performance.now() - startedAt));
    ticks = new Ticks(AUTH_FAILED_DELAY_MS);
    const frame = source.decoder.record(name === "auth" ? "auth" : "enroll");
    const proven = handshake.proof(name === "auth" ? "auth" : "enroll", frame);
    const admission = proven === undefined ? undefined : await admissionOf(options.gate, proven);
    if (proven === undefined || admission === undefined) {
      // One refusal for every reason, at one time after the proof.
      await ticks.next();
      throw refusal("AUTH_FAILED", "The proof was not accepted", 0);
    }
    const objection = options.judge(admission, proven);
    if (objection !== undefined)
      throw refusal(objection, `Refused "${admission.name}" with ${objection}`, 0);
    source.assertOpen();
    const sessionId = randomBytes(RANDOM_ID_BYTES);
    socket.write(handshake.ready(sessionId, 0, options.parameters, admission.application));
    source.decoder.enterLive(options.parameters.maxDatagram);
    source.release();
    return { socket, decoder: source.decoder, admission, proven, sessionId };
  } catch (error) {
    if (handshake === undefined) socket.destroy();
    else refuse(socket, handshake, error);
    throw error;
  } finally {
    ticks?.stop();
  }
}

/**
 * A clock that was started when a proof arrived, before anything was done with it: an answer that waits for its next tick
 * tells nothing of how long the work took. A timer set behind the work would: it rounds to whole milliseconds.
 */
class Ticks {
  readonly #timer: Timer;
  #ticked = Promise.withResolvers<void>();

  constructor(stepMs: number) {
    this.#timer = setInterval(() => {
      this.#ticked.resolve();
      this.#ticked = Promise.withResolvers<void>();
    }, stepMs);
  }

  next(): Promise<void> {
    return this.#ticked.promise;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

async function admissionOf(gate: Gate, proven: Proven): Promise<Admission | undefined> {
  if (proven.kind === "auth") return gate.admit(proven.key, proven.application);
  const { key, code, name, application } = proven;
  return gate.enrol({ key, code, name, application });
}

function refusal(code: SessionCodeName, message: string, retryAfterMs: number): HandshakeError {
  return new HandshakeError(code, message, { retryable: true, retryAfterMs });
}

/** Tells the peer why, then ends the socket; a peer that does not read cannot hold it. */
function refuse(socket: TLSSocket, handshake: EdgeHandshake, error: unknown): void {
  if (socket.destroyed) return;
  const name =
    error instanceof WireError
      ? error.code
      : error instanceof HandshakeError
        ? error.code
        : "INTERNAL_ERROR";
  if (name === "LINK_CLOSED" || name === "LINK_TIMEOUT") {
    socket.destroy();
    return;
  }
  const retryAfterMs = error instanceof HandshakeError ? error.retryAfterMs : 0;
  // For a failed proof the reason stays here; rules of the wire are named, they help whoever writes a peer.
  const message = error instanceof WireError ? error.message : "";
  socket.end(handshake.refused(name as SessionCodeName, retryAfterMs, message));
  setTimeout(() => socket.destroy(), REFUSED_LINGER_MS).unref();
}

/** A REFUSED that cannot leave is not waited for longer, ms. */
const REFUSED_LINGER_MS = 1_000;
