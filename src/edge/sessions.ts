// This file is the sessions of the edge: links that come through the front door, proven, attached, counted, ended. PROTOCOL §3, §8; A-09, A-14, A-15.
import { messageOf } from "../errors.ts";
import type { TLSSocket } from "node:tls";
import {
  type IncomingCall,
  type IncomingCallEvents,
  acceptCall,
  STREAM_KINDS,
} from "../exchange/index.ts";
import { sourceKey } from "../address/index.ts";
import type { SigningKey } from "../identity/index.ts";
import { reached } from "../limits.ts";
import type { Logger } from "../log.ts";
import {
  type AcceptedLink,
  acceptLink,
  type Admission,
  DEFAULT_PARAMETERS,
  FAILED_CODES_PER_MINUTE,
  type Gate,
  HandshakeError,
  HANDSHAKES_PAST_TLS,
  ProcessBudget,
  type Proven,
  Session,
  SESSION_CODES,
  SESSIONS_PER_TUNNEL,
  type SessionCodeName,
  type SessionTrace,
} from "../session/index.ts";
import type { Remote } from "./listen/index.ts";
import { LiveSession, type Registry } from "./route/index.ts";

/** A refused surplus is told to come back within this, spread by the connector, ms. */
const RETRY_LATER_MS = 1_000;
const MINUTE_MS = 60_000;
/** Of the unfinished handshakes one source may hold so many: silent ones must not keep the others out (A-09). */
const PENDING_PER_SOURCE = 8;
/** How often a session that lives on is noted as seen, ms (http.md §12). */
const SEEN_MS = 300_000;

export interface SessionsOptions {
  readonly key: SigningKey;
  readonly gate: Gate;
  readonly registry: Registry;
  readonly log: Logger;
  readonly version: string;
  /** What all sessions may hold together, bytes; undefined: a part of the memory there is. */
  readonly memory: number | undefined;
  /** Links may ask the kernel for what suits them. */
  readonly isTuning: boolean;
  /** A call of a control stream came. */
  readonly onCall: (call: IncomingCall, live: LiveSession) => IncomingCallEvents;
  /** The link proved its key: it no longer counts against its source. */
  readonly onProven: (socket: TLSSocket) => void;
  /** A proof failed: the source gets a strike. */
  readonly onFailedProof: (address: string) => void;
  /** A session is in the registry, or no longer. */
  readonly onAttached: (live: LiveSession) => void;
  readonly onDetached: (live: LiveSession) => void;
  /** Sessions that one tunnel may have. */
  readonly connectorsPerTunnel: number;
  /** A session of this key is here: on attach, on detach, every 5 minutes. */
  readonly onSeen: (live: LiveSession) => void;
}

export class Sessions {
  readonly #options: SessionsOptions;
  readonly #budget: ProcessBudget;
  readonly #live = new Set<LiveSession>();
  /** Unfinished handshakes past TLS, in all and by source. */
  #pending = 0;
  readonly #pendingBySource = new Map<string, number>();
  /** Refused codes of this minute. */
  #failures = 0;
  #failuresSince = 0;
  #isDraining = false;
  readonly #seenTimer: Timer;

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.#budget = new ProcessBudget(options.memory);
    this.#seenTimer = setInterval(() => {
      for (const live of this.#live) options.onSeen(live);
    }, SEEN_MS);
    this.#seenTimer.unref();
  }

  get count(): number {
    return this.#live.size;
  }

  /** Handshakes past TLS that have not ended. */
  get pending(): number {
    return this.#pending;
  }

  /** Bytes on the account of the process: received and not consumed, retained, unsent. */
  get held(): number {
    return this.#budget.held;
  }

  /** Takes a link whose TLS handshake is done. */
  accept(socket: TLSSocket, remote: Remote): void {
    if (this.#isDraining) {
      socket.destroy();
      return;
    }
    const { key, log, version } = this.#options;
    const source = sourceKey(remote.bytes);
    const isSurplus =
      this.#pending >= HANDSHAKES_PAST_TLS ||
      (this.#pendingBySource.get(source) ?? 0) >= PENDING_PER_SOURCE;
    if (this.#pending >= HANDSHAKES_PAST_TLS) reached("linkHandshakes");
    else if (isSurplus) reached("linkHandshakesPerSource");
    this.#countPending(source, 1);
    // Links cannot be replaced in this build: one at a time, and nothing is kept for one that is gone.
    const parameters = {
      ...DEFAULT_PARAMETERS.edge,
      maxLinks: 1,
      resumeMs: 0,
      software: `tunl ${version}`,
    };
    acceptLink(socket, {
      key,
      gate: this.#gate,
      parameters,
      admit: () => (isSurplus ? { code: "RETRY_LATER", retryAfterMs: RETRY_LATER_MS } : undefined),
      judge: (admission, proven) => this.#judge(admission, proven),
    })
      .then((link) => this.#attach(link, parameters, remote))
      .catch((error: unknown) => {
        socket.destroySoon();
        if (error instanceof HandshakeError && STRIKES.has(error.code)) {
          this.#options.onFailedProof(remote.address);
        }
        const text = messageOf(error);
        log.debug("link.refused", text, { visitor: remote.address });
      })
      .finally(() => this.#countPending(source, -1));
  }

  #countPending(source: string, by: 1 | -1): void {
    this.#pending += by;
    const count = (this.#pendingBySource.get(source) ?? 0) + by;
    if (count === 0) this.#pendingBySource.delete(source);
    else this.#pendingBySource.set(source, count);
  }

  /** Takes no more links and opens nothing more: what is in progress goes on (PROTOCOL §8). */
  drain(): void {
    this.#isDraining = true;
    for (const { session } of this.#live)
      session.goAway(SESSION_CODES.SHUTDOWN.code, 0, "The edge stops");
  }

  /** Ends every session and takes no more links. */
  close(): void {
    clearInterval(this.#seenTimer);
    this.#isDraining = true;
    for (const { session } of this.#live)
      session.close(SESSION_CODES.SHUTDOWN.code, "The edge stopped");
  }

  #judge(admission: Admission, proven: Proven): SessionCodeName | undefined {
    const others = [...this.#options.registry.of(admission.id)].filter(
      (live) => !isReplaced(live, proven),
    );
    const most =
      admission.kind === "tunnel" ? this.#options.connectorsPerTunnel : SESSIONS_PER_TUNNEL;
    if (others.length < most) return undefined;
    reached("sessionsPerTunnel");
    return "LIMIT";
  }

  #attach(link: AcceptedLink, parameters: typeof DEFAULT_PARAMETERS.edge, remote: Remote): void {
    const { registry, log, onProven, onSeen, onCall } = this.#options;
    const { admission, proven, socket } = link;
    onProven(socket);
    for (const old of [...registry.of(admission.id)]) {
      if (isReplaced(old, proven))
        old.session.close(SESSION_CODES.SUPERSEDED.code, "A newer session took over");
    }
    const scoped = log.child({ [admission.kind]: admission.name });
    const session: Session = new Session(
      {
        side: "edge",
        local: parameters,
        remote: proven.parameters,
        trace: traceTo(scoped),
        budget: this.#budget,
        isTuning: this.#options.isTuning,
      },
      {
        accept: (stream, kind) =>
          kind === STREAM_KINDS.control
            ? acceptCall(stream, (call) => onCall(call, live))
            : undefined,
        status: (status) => {
          if (status.name !== "closed") return;
          // A stop of the edge is no fault of a link either.
          const isGoodbye = status.remote || status.code === SESSION_CODES.SHUTDOWN.code;
          this.#detach(live, status.message, isGoodbye, scoped);
        },
        fault: (error, stream) =>
          scoped.error("bug", `A stream handler failed: ${String(error)}`, { stream }),
      },
    );
    const live = new LiveSession(
      session,
      admission,
      { id: link.sessionId, key: proven.key, instance: proven.instance, ...selfOf(proven) },
      Date.now(),
    );
    session.attach(0, link);
    this.#live.add(live);
    registry.add(live);
    const text = `${admission.kind} "${admission.name}" from ${remote.address}`;
    scoped.info("connected", text, { visitor: remote.address });
    onSeen(live);
    this.#options.onAttached(live);
    if (this.#isDraining) session.close(SESSION_CODES.SHUTDOWN.code, "The edge stops");
  }

  #detach(live: LiveSession, reason: string, isAnnounced: boolean, log: Logger): void {
    if (!this.#live.delete(live)) return;
    this.#options.registry.remove(live);
    this.#options.onDetached(live);
    // Behind them: it writes to the key, and what hears of keys must not take this session for a live one.
    this.#options.onSeen(live);
    const text = `${live.admission.kind} "${live.admission.name}"${reason === "" ? "" : `: ${reason}`}`;
    // A connector that said goodbye is no fault; one that fell silent may be.
    if (isAnnounced) log.info("disconnected", text);
    else log.warn("link.lost", text);
  }

  /** The gate, with a bound on guessed codes: AUTH of registered keys goes on whatever strangers try (A-14). */
  readonly #gate: Gate = {
    admit: (key, application) => this.#options.gate.admit(key, application),
    enrol: async (enrolment) => {
      const now = performance.now();
      if (now - this.#failuresSince >= MINUTE_MS) {
        this.#failuresSince = now;
        this.#failures = 0;
      }
      if (this.#failures >= FAILED_CODES_PER_MINUTE) {
        reached("failedCodes");
        return undefined;
      }
      const admission = await this.#options.gate.enrol(enrolment);
      if (admission === undefined) this.#failures += 1;
      return admission;
    },
  };
}

/** What a stranger can do wrong again and again, and an honest connector does not. */
const STRIKES: ReadonlySet<string> = new Set(["AUTH_FAILED", "LINK_TIMEOUT"]);

/** The same process came again, or one that names the session it had before its end. */
function isReplaced(live: LiveSession, proven: Proven): boolean {
  if (Buffer.compare(live.key, proven.key) !== 0) return false;
  if (proven.kind === "auth" && Buffer.compare(live.id, proven.replaces) === 0) return true;
  return Buffer.compare(live.instance, proven.instance) === 0;
}

/** What the connector says of itself: a stranger's texts, shown printable. */
function selfOf(proven: Proven): { label: string; version: string; platform: string } {
  let said: Readonly<Record<string, unknown>> = {};
  try {
    const value: unknown = JSON.parse(Buffer.from(proven.application).toString("utf8"));
    if (typeof value === "object" && value !== null) said = value as typeof said;
  } catch {
    // Not JSON: it says nothing, which nothing depends on.
  }
  const text = (name: string): string => {
    const value = said[name];
    return typeof value === "string" ? value.replace(/[^\x20-\x7e]/g, "?").slice(0, 64) : "";
  };
  return { label: text("label"), version: text("version"), platform: text("platform") };
}

function traceTo(log: Logger): SessionTrace {
  return {
    link: (event, link, cause) => log.debug("link", `Link ${link} ${event}`, { cause }),
    stream: () => undefined,
    dropped: (what, count) => log.trace("session", `Dropped ${count} of ${what}`),
    violation: (code, frameType, message) => log.warn("session", message, { code, frameType }),
  };
}
