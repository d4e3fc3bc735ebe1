// This file is what keeps one session to one edge alive: dial, prove, attach, wait, again. PROTOCOL §7.6.
import { randomBytes } from "node:crypto";
import type { Deadlines } from "../deadlines.ts";
import { messageOf, TunlError } from "../errors.ts";
import type { SigningKey } from "../identity/index.ts";
import {
  type ConnectedLink,
  connectLink,
  HandshakeError,
  type ProcessBudget,
  RANDOM_ID_BYTES,
  Session,
  SESSION_CODES,
  type SessionCodeName,
  sessionCodeName,
  type SessionStatus,
  type SessionTrace,
  type Stream,
  type StreamEvents,
  TLS_MS,
  type TransportParameters,
} from "../session/index.ts";
import { Backoff } from "./backoff.ts";
import { dialEdge } from "./dial.ts";
import { readReady } from "./ready.ts";
import { type KeyOwner, refusedError, refusedLine } from "./refusal.ts";
import type { Identity } from "./who.ts";

/** READY's view of us. */
export interface Readiness {
  readonly tunnel: { readonly id: string; readonly name: string };
  readonly keyId: string;
  readonly domains: readonly string[];
  readonly publicPort: number;
}

export interface UplinkOptions {
  readonly identity: Identity;
  readonly family: "auto" | 4 | 6;
  /** How long the first connect is tried, ms; undefined is for ever. */
  readonly waitMs: number | undefined;
  readonly parameters: TransportParameters;
  /** JSON of AUTH and ENROLL. */
  readonly application: Uint8Array;
  /** Wished name of a new tunnel. */
  readonly name: string;
  readonly budget: ProcessBudget;
  readonly deadlines: Deadlines;
  readonly trace: SessionTrace;
  /** False: links leave the kernel's settings alone. */
  readonly isTuning?: boolean;
}

export interface UplinkEvents {
  /** The edge enrolled our key: it is stored before anything else happens. */
  enrolled(readiness: Readiness): Promise<void>;
  /** A session is live. */
  up(session: Session, readiness: Readiness, rttMs: number): void;
  /** The session is over; dials follow. */
  down(reason: string): void;
  retry(error: TunlError, inMs: number, attempt: number): void;
  /** Refused for good, but this process had a session before: slow retries. */
  refused(error: TunlError): void;
  accept(stream: Stream, kind: number): StreamEvents | undefined;
  fault(error: unknown, stream: number | undefined): void;
}

/** A refusal that lasts is asked about again this often by a process that once had a session, ms. */
const REFUSED_RETRY_MS = 30_000;
/** After the end of a key its file is looked at for so long, and so often, ms. */
const RENEWED_MS = 2_000;
const RENEWED_STEP_MS = 100;

export class Uplink {
  readonly #options: UplinkOptions;
  readonly #events: UplinkEvents;
  readonly #instance = randomBytes(RANDOM_ID_BYTES);
  readonly #abort = new AbortController();
  readonly #backoff = new Backoff(Math.random);
  #session: Session | undefined;
  #lastSession: Uint8Array = new Uint8Array(0);
  #isEnrolled: boolean;
  /** AUTH instead of ENROLL: the key is registered, or may be because the reply to an earlier ENROLL was lost. */
  #claimsKey: boolean;
  #hadSession = false;
  #key: SigningKey;
  /** The key took the place of one that was revoked: if it is refused too, both were. */
  #isOnTrial = false;
  #lastGood: string | undefined;

  constructor(options: UplinkOptions, events: UplinkEvents) {
    this.#options = options;
    this.#events = events;
    this.#key = options.identity.key;
    this.#isEnrolled = options.identity.enrolment === undefined;
    this.#claimsKey = this.#isEnrolled;
  }

  get session(): Session | undefined {
    return this.#session;
  }

  /**
   * Runs until `stop`, or until the edge refuses for good.
   * @throws TunlError `EDGE_KEY_MISMATCH`, `JOIN_REFUSED`, `KEY_REFUSED`, `EDGE_UNREACHABLE` (with `waitMs`).
   */
  async run(): Promise<void> {
    const { waitMs = Number.POSITIVE_INFINITY } = this.#options;
    const giveUpAt = performance.now() + waitMs;
    const record = await this.#options.identity.directory.readEdge();
    this.#lastGood = record?.addresses[0];
    let attempt = 0;
    let plan = this.#backoff.next(performance.now());
    while (true) {
      await this.#sleep(
        this.#hadSession ? plan.delayMs : Math.min(plan.delayMs, giveUpAt - performance.now()),
      );
      if (this.#abort.signal.aborted) return;
      try {
        const link = await this.#connect(plan.connectTimeoutMs);
        if (this.#abort.signal.aborted) {
          link.socket.destroy();
          return;
        }
        attempt = 0;
        const refusal = await this.#live(link);
        if (refusal !== undefined) throw refusal;
        plan = this.#backoff.next(performance.now());
      } catch (error) {
        if (this.#abort.signal.aborted) return;
        const failure = this.#judge(error);
        plan = this.#backoff.next(performance.now());
        if (failure === undefined) continue;
        if (!this.#hadSession && performance.now() >= giveUpAt) {
          throw new TunlError("EDGE_UNREACHABLE", failure.message, { cause: failure });
        }
        attempt += 1;
        this.#events.retry(failure, plan.delayMs, attempt);
      }
    }
  }

  /** No more dials; the session, if any, is the caller's to end. */
  stop(): void {
    this.#abort.abort();
  }

  async #connect(connectTimeoutMs: number): Promise<ConnectedLink> {
    const { identity, family, parameters, application, name, deadlines } = this.#options;
    const { socket, address } = await dialEdge({
      host: identity.host,
      port: identity.port,
      family,
      connectTimeoutMs,
      tlsTimeoutMs: TLS_MS,
      deadlines,
      lastGood: this.#lastGood,
      signal: this.#abort.signal,
    });
    const { enrolment } = identity;
    if (this.#hadSession) await this.#isRenewed();
    const link = await connectLink(socket, {
      fingerprint: identity.fingerprint,
      edgeName: identity.host,
      key: this.#key,
      claim:
        this.#claimsKey || enrolment === undefined
          ? { kind: "auth", replaces: this.#lastSession }
          : { kind: "enrol", code: enrolment.code, name },
      instance: this.#instance,
      parameters,
      application,
    });
    await orDestroy(link, this.#remember(address));
    return link;
  }

  /** The address that worked survives a restart, so a dead resolver does not keep us from the edge. */
  async #remember(address: string): Promise<void> {
    if (address === this.#lastGood) return;
    this.#lastGood = address;
    await this.#options.identity.directory.rememberAddress(address);
  }

  /** Resolves when the session is over, with the refusal when the edge ended it for good. */
  async #live(link: ConnectedLink): Promise<RefusedForGood | undefined> {
    const readiness = await orDestroy(link, readReadiness(link.application));
    if (!this.#isEnrolled) {
      await orDestroy(link, this.#events.enrolled(readiness));
      this.#isEnrolled = true;
      this.#claimsKey = true;
    }
    const { promise, resolve } =
      Promise.withResolvers<Extract<SessionStatus, { name: "closed" }>>();
    const session = new Session(
      {
        side: "connector",
        local: this.#options.parameters,
        remote: link.parameters,
        trace: this.#options.trace,
        budget: this.#options.budget,
        isTuning: this.#options.isTuning ?? true,
      },
      {
        accept: (stream, kind) => this.#events.accept(stream, kind),
        status: (status) => {
          if (status.name === "closed") resolve(status);
          else if (status.name === "draining" && status.remote && status.retryAfterMs > 0)
            this.#backoff.toldToWait(status.retryAfterMs);
        },
        fault: (error, stream) => this.#events.fault(error, stream),
      },
    );
    this.#session = session;
    this.#lastSession = link.sessionId;
    this.#hadSession = true;
    this.#isOnTrial = false;
    this.#backoff.linkUp(performance.now());
    session.attach(link.link, link);
    this.#events.up(session, readiness, link.rttMs);
    const end = await promise;
    this.#session = undefined;
    const name = end.remote ? sessionCodeName(end.code) : undefined;
    const isFault = name !== undefined && SESSION_CODES[name].effect === "slow";
    this.#backoff.linkLost(performance.now(), isFault);
    if (this.#abort.signal.aborted) return undefined;
    // The key ended because another one is in its place: that one goes on.
    const isRenewed = name === "REVOKED" && (await this.#waitForRenewed());
    this.#isOnTrial = isRenewed;
    this.#events.down(
      name === undefined ? end.message : `The edge closed the session with ${name}`,
    );
    return name !== undefined && SESSION_CODES[name].effect === "stop" && !isRenewed
      ? new RefusedForGood(refusedError(name, this.#owner))
      : undefined;
  }

  /** `tunl tunnel rotate --overlap 0` ends the old key a moment before it can write the new one. */
  async #waitForRenewed(): Promise<boolean> {
    const { reread } = this.#options.identity;
    const until = performance.now() + RENEWED_MS;
    while (reread !== undefined && !this.#abort.signal.aborted && performance.now() < until) {
      if (await this.#isRenewed()) return true;
      await this.#sleep(RENEWED_STEP_MS);
    }
    return false;
  }

  /** Takes the key of the file; true if it is another one than before. */
  async #isRenewed(): Promise<boolean> {
    // A file that cannot be read now says nothing against the key in memory.
    const found = await this.#options.identity.reread?.().catch(() => undefined);
    if (found === undefined || Buffer.compare(found.publicKey, this.#key.publicKey) === 0)
      return false;
    this.#key = found;
    return true;
  }

  /** What a failed attempt means: thrown when this process must end, returned when it tries again, undefined for another way at once. */
  #judge(error: unknown): TunlError | undefined {
    if (error instanceof RefusedForGood) throw error.refusal;
    if (!(error instanceof TunlError)) {
      return new TunlError("EDGE_UNREACHABLE", messageOf(error), { cause: error, retryable: true });
    }
    if (!(error instanceof HandshakeError)) return error;
    if (error.retryAfterMs > 0) this.#backoff.toldToWait(error.retryAfterMs);
    if (error.retryable) return error;
    if (sessionCodeName(error.sessionCode ?? 0) === "AUTH_FAILED" && !this.#claimsKey) {
      // The line is refused, but its key may be registered already; the edge answers that with AUTH.
      this.#claimsKey = true;
      this.#backoff.goOnAtOnce();
      return undefined;
    }
    const failure = error.sessionCode === undefined ? error : this.#refusal(error);
    if (!this.#hadSession || this.#isOnTrial) throw failure;
    this.#events.refused(failure);
    this.#backoff.toldToWait(REFUSED_RETRY_MS);
    return failure;
  }

  #refusal(error: HandshakeError): TunlError {
    const name: SessionCodeName | undefined = sessionCodeName(error.sessionCode ?? 0);
    if (name === "AUTH_FAILED" && !this.#isEnrolled) {
      return refusedLine("tunnel", error);
    }
    return name === undefined ? error : refusedError(name, this.#owner);
  }

  get #owner(): KeyOwner {
    return { kind: "tunnel", tunnel: this.#options.identity.tunnel };
  }

  #sleep(ms: number): Promise<void> {
    if (ms <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      const { signal } = this.#abort;
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener("abort", done);
    });
  }
}

/** The edge ended a live session and will not have another: this process stops. */
class RefusedForGood {
  readonly refusal: TunlError;

  constructor(refusal: TunlError) {
    this.refusal = refusal;
  }
}

/** Nobody reads a proven socket yet: if what has to happen first fails, it must not stay open. */
async function orDestroy<T>({ socket }: ConnectedLink, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** READY's application. @throws TunlError `EDGE_UNREACHABLE` for what no edge sends to a tunnel's key. */
async function readReadiness(application: Uint8Array): Promise<Readiness> {
  const { tunnel, ...rest } = readReady(application);
  if (tunnel !== undefined) return { ...rest, tunnel };
  throw new TunlError("EDGE_UNREACHABLE", "The edge's READY names no tunnel", { retryable: true });
}
