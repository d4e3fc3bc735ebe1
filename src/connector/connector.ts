// This file is the private end put together: identity, uplink, ingress, announcement, control socket; start, drain, stop. product.md §1.1.
import { type ControlBody, type ControlSocket, serveControlSocket } from "../control-socket.ts";
import type { ConnectorOptions } from "../config/index.ts";
import { Deadlines } from "../deadlines.ts";
import { readDescriptors, spareDescriptors } from "../descriptors.ts";
import { TunlError } from "../errors.ts";
import { STREAM_KINDS } from "../exchange/index.ts";
import { reachedLimits } from "../limits.ts";
import type { Logger } from "../log.ts";
import {
  DEFAULT_PARAMETERS,
  NAME_BYTES,
  ProcessBudget,
  type Session,
  SESSION_CODES,
  type SessionTrace,
  type Stream,
  type StreamEvents,
  totalsOf,
} from "../session/index.ts";
import { type Announced, announce, Answers, refusedName } from "./announce.ts";
import type { ConnectorEvents } from "./events.ts";
import { Ingress } from "./ingress.ts";
import { makeOrigin, SocketAccount } from "./origin/index.ts";
import { OriginService } from "./serve.ts";
import { parseTarget, type Target } from "./target.ts";
import { Troubles } from "./trouble.ts";
import { type Readiness, Uplink } from "./uplink.ts";
import { findIdentity, type Identity } from "./who.ts";

export interface Connector extends AsyncDisposable {
  /** Rejects with the TunlError that ends this process; resolves after `drain` or disposal. */
  readonly done: Promise<void>;
  /** Requests whose last byte the edge has not got. */
  readonly inProgress: number;
  /** Opens and accepts no more; requests in progress get up to `graceMs`. */
  drain(graceMs: number): Promise<void>;
}

/** An edge that does not say that it heard of our end is waited for so long, ms: its link may be dark. */
const SILENT_MS = 3_000;
/** What the edge opened before it heard of our end may come for so long behind its last word, at least, ms. */
const QUIET_MS = 200;
/** Names are asked for anew after this, when the call for them ended and the session did not, ms. */
const ANNOUNCE_AGAIN_MS = 5_000;
/** How often a drain looks whether it is over, ms. */
const PAUSE_MS = 50;

/**
 * Starts a connector: it never ends because a dial failed.
 * @throws TunlError What must be right before the first dial: target, join line, credentials, control socket.
 */
export async function startConnector(
  options: ConnectorOptions,
  log: Logger,
  events: ConnectorEvents,
): Promise<Connector> {
  const target = parseTarget(options.target);
  const identity = await findIdentity(options, Date.now());
  const sockets = new SocketAccount(spareDescriptors(await readDescriptors()));
  const connector = new RunningConnector(options, { identity, target, sockets }, log, events);
  await connector.start();
  return connector;
}

/** What was looked up before the start. */
interface Found {
  readonly identity: Identity;
  readonly target: Target;
  readonly sockets: SocketAccount;
}

class RunningConnector implements Connector {
  readonly #options: ConnectorOptions;
  readonly #identity: Identity;
  readonly #target: Target;
  readonly #log: Logger;
  readonly #events: ConnectorEvents;
  readonly #deadlines: Deadlines;
  readonly #ingress: Ingress;
  readonly #service: OriginService;
  readonly #uplink: Uplink;
  /** What this session serves: names and their addresses. */
  readonly #routes = new Map<string, string>();
  /** Addresses that were told already; a new session says nothing new about them. */
  readonly #shown = new Set<string>();
  readonly #startedAt = new Date();
  readonly #done = Promise.withResolvers<void>();
  #tunnel: string | undefined;
  #control: ControlSocket | undefined;
  #announced: Announced | undefined;
  #isEnding = false;

  constructor(
    options: ConnectorOptions,
    { identity, target, sockets }: Found,
    log: Logger,
    events: ConnectorEvents,
  ) {
    this.#options = options;
    this.#identity = identity;
    this.#target = target;
    this.#log = log;
    this.#events = events;
    this.#tunnel = identity.tunnel;
    this.#deadlines = new Deadlines((error) =>
      log.error("bug", `A deadline failed: ${String(error)}`),
    );
    const onBug = (error: unknown): void => log.error("bug", `An origin failed: ${String(error)}`);
    this.#ingress = new Ingress([
      { origin: makeOrigin(target, options, { deadlines: this.#deadlines, sockets, onBug }) },
    ]);
    this.#service = new OriginService({
      ingress: this.#ingress,
      onRequest: options.accessLog ? (line) => events.request(line, this.#tunnel) : undefined,
      troubles: new Troubles(target, options.hostHeader.kind === "keep", (trouble) =>
        events.originTrouble(trouble),
      ),
    });
    this.#uplink = this.#makeUplink();
  }

  get done(): Promise<void> {
    return this.#done.promise;
  }

  async start(): Promise<void> {
    const { controlPath } = this.#options;
    this.#control = await serveControlSocket(controlPath, async (name) =>
      name === "status" ? this.#status() : undefined,
    );
    this.#events.edge(this.#identity.host, this.#identity.fingerprint);
    if (!this.#options.originTls.isVerified)
      this.#events.notice(`The certificate of ${this.#target.url} is not verified`);
    // Nobody may be waiting on `done` yet when it rejects.
    this.done.catch(() => undefined);
    this.#uplink.run().then(
      () => this.#done.resolve(),
      (error: unknown) => this.#failed(error),
    );
  }

  get inProgress(): number {
    return this.#service.open;
  }

  async drain(graceMs: number): Promise<void> {
    this.#isEnding = true;
    this.#uplink.stop();
    const { session } = this.#uplink;
    if (session !== undefined) {
      const now = performance.now();
      session.goAway(SESSION_CODES.SHUTDOWN.code, 0, "The connector stops");
      // Requests that were on their way before the edge heard of it are still served. When it has answered what we said
      // last, all that it had opened before is here or about to be.
      let quietAt = now + SILENT_MS;
      const withdrawn = this.#announced?.withdraw() ?? Promise.resolve();
      void withdrawn.then(() => {
        quietAt = performance.now() + Math.max(QUIET_MS, session.stats().rttMs ?? 0);
      });
      // A response counts as finished when the edge has acknowledged its last byte, not when the origin gave it.
      const isBusy = (): boolean => performance.now() < quietAt || this.#service.open > 0;
      while (!session.isClosed && isBusy() && performance.now() < now + graceMs) await pause();
      session.close(SESSION_CODES.NO_ERROR.code, "The connector stopped");
      await pause();
    }
    this.#done.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = true;
    this.#uplink.stop();
    this.#uplink.session?.close(SESSION_CODES.NO_ERROR.code, "The connector stopped");
    await pause();
    this.#ingress.close();
    this.#deadlines[Symbol.dispose]();
    await this.#control?.[Symbol.asyncDispose]();
    this.#done.resolve();
  }

  #makeUplink(): Uplink {
    const { label, version, edgeFamily, waitMs } = this.#options;
    const application = {
      label,
      version,
      platform: `${process.platform}-${process.arch}`,
      for: "tunnel",
    };
    return new Uplink(
      {
        identity: this.#identity,
        family: edgeFamily,
        waitMs,
        deadlines: this.#deadlines,
        // Links cannot be replaced yet, so nothing is kept for a link that is gone.
        parameters: { ...DEFAULT_PARAMETERS.connector, resumeMs: 0, software: `tunl ${version}` },
        application: Buffer.from(JSON.stringify(application)),
        name: fitName(label),
        budget: new ProcessBudget(),
        trace: traceTo(this.#log),
      },
      {
        enrolled: (readiness) => this.#enrolled(readiness),
        up: (session, readiness, rttMs) => this.#up(session, readiness, rttMs),
        down: (reason) => {
          if (!this.#isEnding) this.#events.linkLost(reason);
        },
        retry: (error, inMs, attempt) => this.#events.retry(error.message, inMs, attempt),
        refused: (error) => this.#events.failed(error),
        accept: (stream, kind) => this.#accept(stream, kind),
        fault: (error, stream) =>
          this.#log.error("bug", `A stream handler failed: ${String(error)}`, { stream }),
      },
    );
  }

  /** The uplink gave up. A line that was refused for good leaves no key behind. */
  #failed(error: unknown): void {
    const { enrolment, directory } = this.#identity;
    const isRefusedLine = error instanceof TunlError && error.code === "JOIN_REFUSED";
    const cleaned =
      isRefusedLine && enrolment !== undefined
        ? directory.discard(enrolment.pending)
        : Promise.resolve();
    cleaned.then(
      () => this.#done.reject(error),
      // The refusal is what matters; a key file that stays is found again by the same line.
      () => this.#done.reject(error),
    );
  }

  #accept(stream: Stream, kind: number): StreamEvents | undefined {
    return kind === STREAM_KINDS.exchange ? this.#service.serve(stream) : undefined;
  }

  async #enrolled(readiness: Readiness): Promise<void> {
    const { enrolment, directory } = this.#identity;
    if (enrolment === undefined) return;
    const { tunnel, keyId } = readiness;
    await directory.complete(
      enrolment.pending,
      { kind: "tunnel", tunnel: tunnel.id, name: tunnel.name, keyId },
      Date.now(),
    );
    this.#events.joined(tunnel.name, directory.path);
  }

  #up(session: Session, readiness: Readiness, rttMs: number): void {
    this.#tunnel = readiness.tunnel.name;
    this.#events.connected(1, Math.round(rttMs * 10) / 10);
    this.#announce(session, readiness.domains[0] ?? "");
  }

  #announce(session: Session, domain: string): void {
    const { name, hosts } = this.#options;
    const wanted = [...(name === undefined ? [] : [`${name}.${domain}`]), ...hosts];
    const random = wanted.length === 0 ? this.#target.url : "";
    const answers = new Answers(wanted.length === 0 ? 1 : wanted.length);
    this.#routes.clear();
    this.#announced = announce(
      session,
      { hosts: wanted, random },
      {
        granted: (host, url) => {
          answers.granted();
          this.#routes.set(host, url);
          if (this.#shown.has(url)) return;
          this.#shown.add(url);
          this.#events.route(url, this.#target.url);
        },
        refused: (host, code, text) => {
          const error = refusedName(host, code, text);
          const ending = answers.refused(error);
          if (ending === undefined) this.#events.failed(error);
          // Every name was refused for good: there is nothing to stay for.
          else this.#done.reject(ending);
        },
        notice: (text) => this.#events.notice(text),
        lost: () => {
          if (session.isClosed || session.isDraining) return; // The next session announces again.
          setTimeout(() => {
            if (!session.isClosed && !this.#isEnding) this.#announce(session, domain);
          }, ANNOUNCE_AGAIN_MS).unref();
        },
      },
    );
  }

  #status(): ControlBody {
    const { session } = this.#uplink;
    const stats = session?.stats();
    const totals = totalsOf(session === undefined ? [] : [session]);
    return {
      pid: process.pid,
      startedAt: this.#startedAt.toISOString(),
      edge: this.#identity.host,
      tunnel: this.#tunnel ?? "",
      links: stats?.links ?? 0,
      limits: reachedLimits(),
      streams: stats?.streams ?? 0,
      rttMs: stats?.rttMs,
      congestion: session?.tuning?.congestion,
      routes: [...this.#routes].map(([host, url]) => ({ host, url, service: this.#target.url })),
      tables: {
        ...totals.tables,
        exchanges: this.#service.open,
        idleOriginConnections: this.#ingress.idleConnections,
        deadlines: this.#deadlines.pending,
      },
      bytes: totals.bytes,
    };
  }
}

/** A wished name as ENROLL can carry it: at most 64 bytes of UTF-8, no character split. */
function fitName(label: string): string {
  let name = "";
  for (const character of label) {
    if (Buffer.byteLength(name + character) > NAME_BYTES) break;
    name += character;
  }
  return name;
}

/** Time for a look again, or for CLOSE to leave with the next batch. */
function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}

function traceTo(log: Logger): SessionTrace {
  return {
    link: (event, link, cause) => log.debug("link", `Link ${link} ${event}`, { cause }),
    stream: () => undefined,
    dropped: (what, count) => log.trace("session", `Dropped ${count} of ${what}`),
    violation: (code, frameType, message) => log.warn("session", message, { code, frameType }),
  };
}
