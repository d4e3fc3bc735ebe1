// This file is the public end put together: state, certificates, listeners, sessions, control socket; start, drain, stop. product.md §1.1, §5.
import type { EdgeOptions } from "../config/index.ts";
import { serveControlSocket } from "../control-socket.ts";
import { Deadlines } from "../deadlines.ts";
import { publicConnections, readDescriptors } from "../descriptors.ts";
import { TunlError } from "../errors.ts";
import { fingerprintOf } from "../identity/index.ts";
import type { Logger } from "../log.ts";
import {
  answerCall,
  answerOwner,
  type CallContext,
  CallTraffic,
  type Invitation,
  invite,
} from "./admin/index.ts";
import {
  CertificateTable,
  listCertificates,
  loadLinkCertificate,
  ProviderAnswers,
  startCertificates,
  wantGranted,
} from "./certificates/index.ts";
import { addressesBy, startDns } from "./dns/index.ts";
import { domainsOf, rememberDomains } from "./domains.ts";
import { drainEdge } from "./drain.ts";
import { createGate } from "./gate.ts";
import {
  createLinkServer,
  FirstCertificates,
  createVisitorServer,
  type FrontDoor,
  LINK_PROTOCOL,
  Orphans,
  PeerLimits,
  type PlainListener,
  type PlainListenerOptions,
  RefusalLog,
  redirectToHttps,
  type SecureVisitor,
  startFrontDoor,
  startPlainListener,
  Visitors,
} from "./listen/index.ts";
import { NameKeeper } from "./name-keeper.ts";
import { Revocation } from "./revocation.ts";
import { Registry } from "./route/index.ts";
import { createService } from "./serve.ts";
import { Sessions } from "./sessions.ts";
import { openState } from "./store/index.ts";
import { edgeFigures } from "./tables.ts";

/** A running edge. */
export interface Edge extends AsyncDisposable {
  readonly port: number;
  readonly httpPort: number | undefined;
  readonly fingerprint: string;
  readonly domains: readonly string[];
  /** True on the first start with this state. */
  readonly isNewState: boolean;
  /** What visitors import to trust an internal CA. */
  readonly rootPemPath: string | undefined;
  readonly adminPath: string;
  invite(invitation: Invitation): Promise<{ line: string; expiresAt: Date }>;
  /**
   * Tells by which address the edge is reached and whether its domains lead to it, and looks again until they do.
   *
   * Resolves when that was told once, after `withinMs` at the latest. Never rejects.
   */
  checkDomains(withinMs: number): Promise<void>;
  /** Requests of visitors. */
  readonly inProgress: number;
  /** Accepts no more; requests in progress get up to `graceMs`, then everything ends. */
  drain(graceMs: number): Promise<number>;
}

/**
 * Starts an edge. Nothing is listened on before everything it needs is there.
 * @throws TunlError `DOMAIN_REQUIRED`, `STATE_*`, `PORT_*`, `CERTIFICATE_REFUSED`, `CA_DAMAGED`, `SOCKET_*`.
 */
export async function startEdge(options: EdgeOptions, log: Logger): Promise<Edge> {
  await using stack = new AsyncDisposableStack();
  const { stateDirectory, names } = options;
  const domains = await domainsOf(options);
  const state = stack.use(
    await openState({
      directory: stateDirectory,
      rules: { domains, reserved: names.reserved, claim: names.claim, fixed: names.fixed },
      style: names.style,
      log,
    }),
  );
  if (options.domains.length > 0) await rememberDomains(stateDirectory, domains, log);
  const fingerprint = fingerprintOf(state.key.publicKey);
  const deadlines = stack.use(
    new Deadlines((error) => log.error("bug", `A deadline failed: ${String(error)}`)),
  );
  const certificates = new CertificateTable();
  let front: FrontDoor | undefined;
  const publicPort = (): number => front?.port ?? options.listen.port;
  const linkCertificate = await loadLinkCertificate(stateDirectory, log);
  const dns = stack.use(
    await startDns({
      ...{ dns: options.dns, domains, store: state.store, deadlines, log, port: publicPort },
      ...{ linkCertificate: linkCertificate.cert, linkProtocol: LINK_PROTOCOL },
      onLed: (domain) => source.retry(domain),
    }),
  );
  const started = await startCertificates({
    options,
    domains,
    dns: dns.provider && new ProviderAnswers({ provider: dns.provider, client: dns.client, log }),
    hasAddress: addressesBy(dns.client),
    isGranted: (name) =>
      state.store.snapshot.ownerOf(name) !== undefined && dns.names.isServed(name),
    table: certificates,
    log,
  });
  const { source, rootPemPath, answers } = started;
  stack.use(source);
  const registry = new Registry();

  const calls: CallContext = {
    store: state.store,
    registry,
    domains,
    reserved: names.reserved,
    fingerprint,
    publicPort,
    startedAt: new Date(),
    dns,
    source,
    certificates: () =>
      listCertificates(certificates, source, [
        ...domains,
        ...[...state.store.snapshot.hosts].map(({ host }) => host),
      ]),
    certificateLimits: () => started.limits(),
    figures: () =>
      edgeFigures({
        limits,
        arrivals: () => front?.size ?? 0,
        visitors: () => visitors.count,
        orphans,
        service,
        sessions,
        registry,
        deadlines,
      }),
  };
  const service = createService({
    grants: state.store.snapshot,
    isSuspended: (host) => !dns.names.isServed(host),
    presence: state.store.snapshot,
    registry,
    deadlines,
    log,
    concurrent: options.limits.concurrent,
    holdMs: options.holdMs,
    firstByteMs: options.timeouts.firstByteMs,
    accessLog: options.accessLog,
  });
  const traffic = new CallTraffic();
  const keeper = stack.use(
    new NameKeeper({
      ...{ store: state.store, registry, deadlines, log },
      ...{ keepMs: names.keepMs, fixed: names.fixed },
    }),
  );
  const revocation = new Revocation({
    ...{ snapshot: state.store.snapshot, registry, deadlines, log, now: () => state.store.now() },
    onTunnelMade: (name) => keeper.tunnelMade(name),
  });
  state.store.snapshot.events = revocation;
  state.store.snapshot.watchHosts({ granted: () => undefined, released: () => service.revoke() });
  await keeper.start();
  const sessions = new Sessions({
    key: state.key,
    gate: createGate({ store: state.store, log, domains, publicPort }),
    registry,
    log,
    version: options.version,
    memory: options.limits.memory,
    isTuning: options.kernelTuning,
    connectorsPerTunnel: options.limits.connectorsPerTunnel,
    onAttached: (live) => revocation.attached(live),
    onDetached: (live) => revocation.detached(live),
    onCall: (call, live) => answerCall(calls, traffic, call, live),
    onProven: (socket) => front?.excuseLink(socket),
    onFailedProof: (address) => front?.strikeLink(address),
    onSeen: ({ admission: { kind, id, keyId }, hosts }) => {
      state.store.touch({ kind, id }, keyId);
      for (const host of hosts) state.store.touchHost(host);
    },
  });
  stack.defer(() => sessions.close());

  const orphans = new Orphans();
  const shared = {
    orphans,
    deadlines,
    log,
    http1: options.limits,
    limits: { bodyBytes: options.limits.bodyBytes },
    timeouts: options.timeouts,
  };
  const visitors = new Visitors({ ...shared, serve: service.serve });
  stack.defer(() => visitors.abort());
  const limits = new PeerLimits({
    connectionsPerSource: options.limits.connectionsPerIp ?? "off",
    acceptRate: options.limits.acceptPerIp ?? "off",
    connections: publicConnections(await readDescriptors()),
    onRefused: new RefusalLog(deadlines, log).note,
  });
  const loopMark = `tunl-${fingerprint}`;
  const first = new FirstCertificates((name) => source.arriving(name), deadlines);
  const secure = { certificates, first, log, minVersion: options.minVersion };
  front = stack.use(
    await startFrontDoor({
      listen: options.listen,
      limits,
      timeouts: options.timeouts,
      deadlines,
      log,
      isCovered: (name) => certificates.covers(name) || source.arriving(name) !== undefined,
      ...(answers !== undefined && {
        challenges: {
          server: answers.createTlsServer(deadlines),
          isExpected: (name) => answers.isExpected(name),
        },
      }),
      visitors: createVisitorServer({
        ...secure,
        isTuning: options.kernelTuning,
        onVisitor: (socket, { tls, remote, covers }: SecureVisitor) => {
          visitors.accept(socket, {
            scheme: "https",
            tls,
            remote,
            covers,
            publicPorts: [publicPort()],
            loopMark,
          });
        },
      }),
      links: createLinkServer({
        certificate: linkCertificate,
        log,
        onLink: (socket, remote) => sessions.accept(socket, remote),
      }),
    }),
  );
  const door = front;
  const isServed = (host: string): boolean => state.store.snapshot.ownerOf(host) !== undefined;
  const plain = await startPlain(options, log, {
    limits,
    visitors: new Visitors({
      ...shared,
      serve: redirectToHttps({
        isServed,
        httpsPort: door.port,
        challengeAnswer: (token) => answers?.httpAnswer(token),
      }),
    }),
    loopMark,
  });
  if (plain !== undefined) stack.use(plain);
  if (answers !== undefined) answers.isHttpOn = plain !== undefined;

  stack.use(
    await serveControlSocket(options.adminPath, (name, body) => answerOwner(calls, name, body)),
  );

  started.begin();
  wantGranted(source, dns.names.provable(state.store));
  const resources = stack.move();
  return {
    port: door.port,
    httpPort: plain?.port,
    fingerprint,
    domains,
    isNewState: state.isNew,
    rootPemPath,
    adminPath: options.adminPath,
    invite: (invitation) => invite(calls, invitation),
    checkDomains: (withinMs) => dns.checkDomains(withinMs),
    get inProgress() {
      return service.inProgress;
    },
    drain: (graceMs) => drainEdge({ door, plain, visitors, sessions, service }, graceMs),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/**
 * Opens port 80.
 *
 * @returns undefined where it is off, or where it cannot be had and is not needed: with `acme` a web server that has the
 *   port is no reason to serve nobody.
 * @throws TunlError `PORT_IN_USE`, `PORT_FORBIDDEN`, `LISTEN_FAILED`.
 */
async function startPlain(
  { http, certificates }: EdgeOptions,
  log: Logger,
  setup: Omit<PlainListenerOptions, "listen">,
): Promise<PlainListener | undefined> {
  if (http === undefined) return undefined;
  try {
    return await startPlainListener({ listen: http, ...setup });
  } catch (error) {
    const isPort = error instanceof TunlError && PORT_CODES.has(error.code);
    if (!isPort || certificates.mode !== "acme") throw error;
    const text = `${error.message}: nobody is redirected to https, and names are proven by other ways than HTTP-01`;
    // Another port would be of no use: neither a CA nor a browser asks there.
    const isInUse = error.code === "PORT_IN_USE";
    log.warn("listening", text, {
      hint: isInUse ? "Stop it and start again, or go on without it: --http off" : error.hint,
    });
    return undefined;
  }
}

const PORT_CODES = new Set(["PORT_IN_USE", "PORT_FORBIDDEN", "LISTEN_FAILED"]);
