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
  ProcessBudget,
  type Session,
  SESSION_CODES,
  type SessionTrace,
  type Stream,
  type StreamEvents,
  totalsOf,
} from "../session/index.ts";
import { Claims, ruledHosts } from "./claims.ts";
import type { ConnectorEvents } from "./events.ts";
import { SocketAccount } from "./origin/index.ts";
import { RouteBook } from "./routes.ts";
import { OriginService } from "./serve.ts";
import { Services } from "./services.ts";
import { tagFields } from "./tags.ts";
import { Troubles } from "./trouble.ts";
import { refuseTooManyNames, warningsFor } from "./unserved.ts";
import { type Readiness, Uplink } from "./uplink.ts";
import { fitName } from "./wished-name.ts";
import { findIdentity, type Identity, otherTunnel } from "./who.ts";

export interface Connector extends AsyncDisposable {
  /** Rejects with the TunlError that ends this process; resolves after `drain` or disposal. */
  readonly done: Promise<void>;
  /** Requests whose last byte the edge has not got. */
  readonly inProgress: number;
  /** Opens and accepts no more; requests in progress get up to `graceMs`. */
  drain(graceMs: number): Promise<number>;
}

/** An edge that does not say that it heard of our end is waited for so long, ms: its link may be dark. */
const SILENT_MS = 3_000;
/** What the edge opened before it heard of our end may come for so long behind its last word, at least, ms. */
const QUIET_MS = 200;
/** How often a drain looks whether it is over, ms. */
const PAUSE_MS = 50;

/**
 * Starts a connector: it never ends because a dial failed.
 * @throws TunlError What must be right before the first dial: rules, join line, credentials, control socket.
 */
export async function startConnector(
  options: ConnectorOptions,
  log: Logger,
  events: ConnectorEvents,
): Promise<Connector> {
  refuseTooManyNames([...options.hosts, ...ruledHosts(options.ingress)]);
  const identity = await findIdentity(options, Date.now());
  const sockets = new SocketAccount(spareDescriptors(await readDescriptors()));
  const connector = new RunningConnector(options, { identity, sockets }, log, events);
  await connector.start();
  return connector;
}

/** What was looked up before the start. */
interface Found {
  readonly identity: Identity;
  readonly sockets: SocketAccount;
}

class RunningConnector implements Connector {
  readonly #options: ConnectorOptions;
  readonly #identity: Identity;
  readonly #log: Logger;
  readonly #events: ConnectorEvents;
  readonly #deadlines: Deadlines;
  readonly #services: Services;
  readonly #service: OriginService;
  readonly #uplink: Uplink;
  readonly #routes: RouteBook;
  readonly #claims: Claims;
  readonly #startedAt = new Date();
  readonly #done = Promise.withResolvers<void>();
  #tunnel: string | undefined;
  #control: ControlSocket | undefined;
  #isEnding = false;

  constructor(
    options: ConnectorOptions,
    { identity, sockets }: Found,
    log: Logger,
    events: ConnectorEvents,
  ) {
    this.#options = options;
    this.#identity = identity;
    this.#log = log;
    this.#events = events;
    this.#tunnel = identity.tunnel;
    this.#deadlines = new Deadlines((error) =>
      log.error("bug", `A deadline failed: ${String(error)}`),
    );
    const onBug = (error: unknown): void => log.error("bug", `An origin failed: ${String(error)}`);
    const onTrouble = events.originTrouble.bind(events);
    this.#services = new Services({
      ingress: options.ingress,
      deadlines: this.#deadlines,
      sockets,
      addedFields: tagFields(options.tags),
      onTrouble,
      onBug,
    });
    const { ingress } = this.#services;
    this.#service = new OriginService({
      ingress,
      onRequest: options.accessLog ? (line) => events.request(line, this.#tunnel) : undefined,
      troubles: new Troubles({ target: undefined, keepsHost: false, source: "file" }, onTrouble),
    });
    this.#routes = new RouteBook(ingress, events);
    this.#claims = new Claims({
      options,
      routes: this.#routes,
      events,
      tunnel: () => this.#tunnel,
      fail: (error) => this.#done.reject(error),
    });
    this.#uplink = this.#makeUplink();
  }

  get done(): Promise<void> {
    return this.#done.promise;
  }

  async start(): Promise<void> {
    this.#control = await this.#listen();
    this.#events.edge(this.#identity.host, this.#identity.fingerprint);
    for (const warning of warningsFor(this.#options.ingress)) this.#events.notice(warning);
    if ((this.#options.mostLinks ?? 1) > 1)
      this.#events.notice("This version keeps one link, however many are allowed");
    // Nobody may be waiting on `done` yet when it rejects.
    this.done.catch(() => undefined);
    this.#uplink.run().then(
      () => this.#done.resolve(),
      (error: unknown) => this.#failed(error),
    );
  }

  /** In a container nothing may be writable, and with a token nothing has to be: then nobody asks for the status. */
  async #listen(): Promise<ControlSocket | undefined> {
    const { controlPath, token } = this.#options;
    try {
      return await serveControlSocket(controlPath, async (name) =>
        name === "status" ? this.#status() : undefined,
      );
    } catch (error) {
      const isLocal = error instanceof TunlError && error.code === "SOCKET_FAILED";
      if (token === undefined || !isLocal) throw error;
      this.#events.notice(`tunl status cannot ask this process: ${error.message}`);
      return undefined;
    }
  }

  get inProgress(): number {
    return this.#service.open;
  }

  async drain(graceMs: number): Promise<number> {
    let cut = 0;
    this.#isEnding = true;
    this.#uplink.stop();
    const { session } = this.#uplink;
    if (session !== undefined) {
      const now = performance.now();
      session.goAway(SESSION_CODES.SHUTDOWN.code, 0, "The connector stops");
      // Requests that were on their way before the edge heard of it are still served. When it has answered what we said
      // last, all that it had opened before is here or about to be.
      let quietAt = now + SILENT_MS;
      void this.#claims.withdraw().then(() => {
        quietAt = performance.now() + Math.max(QUIET_MS, session.stats().rttMs ?? 0);
      });
      // A response counts as finished when the edge has acknowledged its last byte, not when the origin gave it.
      const isBusy = (): boolean => performance.now() < quietAt || this.#service.open > 0;
      while (!session.isClosed && isBusy() && performance.now() < now + graceMs) await pause();
      cut = this.#service.open;
      session.close(SESSION_CODES.NO_ERROR.code, "The connector stopped");
      await pause();
    }
    this.#done.resolve();
    return cut;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = true;
    this.#uplink.stop();
    this.#uplink.session?.close(SESSION_CODES.NO_ERROR.code, "The connector stopped");
    await pause();
    this.#services.close();
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
        isTuning: this.#options.kernelTuning,
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
    const { id, name } = readiness.tunnel;
    this.#tunnel = name;
    const { tunnel: wanted, isTunnelTyped, token } = this.#options;
    // A token has no name in it; this is the first to be heard of it.
    if (token !== undefined && isTunnelTyped && wanted !== id && wanted !== name)
      return this.#done.reject(otherTunnel("The token", name, wanted));
    this.#events.connected(1, Math.round(rttMs * 10) / 10);
    this.#claims.begin(session, readiness.domains[0] ?? "");
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
      rules: this.#options.ingress.rules.length,
      routes: this.#routes.list(),
      tables: {
        ...totals.tables,
        exchanges: this.#service.open,
        idleOriginConnections: this.#services.idleConnections,
        deadlines: this.#deadlines.pending,
      },
      bytes: totals.bytes,
    };
  }
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
