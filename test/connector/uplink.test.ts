// This file is an uplink against an edge of the test, over real TLS and with real files: who it says it is, and what it makes of refusals. PROTOCOL §3.1, §7.6.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer, type Server, type TLSSocket } from "node:tls";
import { Deadlines } from "../../src/deadlines.ts";
import { type Readiness, Uplink, type UplinkEvents } from "../../src/connector/uplink.ts";
import type { Identity } from "../../src/connector/who.ts";
import { makeSelfSigned, type PemPair } from "../../src/edge/certificates/internal-ca.ts";
import { TunlError } from "../../src/errors.ts";
import {
  EdgeDirectory,
  fingerprintOf,
  generateKey,
  makeCode,
  type SigningKey,
} from "../../src/identity/index.ts";
import {
  acceptLink,
  type Admission,
  ALPN,
  DEFAULT_PARAMETERS,
  type Gate,
  ProcessBudget,
  Session,
  SESSION_CODES,
  type SessionTrace,
} from "../../src/session/index.ts";
import { eventually } from "../binary/program.ts";
import { within } from "../within.ts";

/** Two waits of a slow phase and a refusal, with room for a busy machine, ms. */
const WAIT_MS = 10_000;
const HOST = "tunl.localhost";
const TUNNEL = "7f0c9a52-0000-4000-8000-000000000001";
const READY = {
  tunnel: { id: TUNNEL, name: "home" },
  keyId: "k1",
  domains: ["example.com"],
  publicPort: 443,
};

const SILENT: SessionTrace = {
  link: () => undefined,
  stream: () => undefined,
  dropped: () => undefined,
  violation: () => undefined,
};

/** An edge with one tunnel and one code. */
class TestEdge implements AsyncDisposable {
  readonly key = generateKey();
  readonly code = makeCode();
  /** What was claimed, in order: `enrol` or `auth`, with the fingerprint of the key. */
  readonly claims: string[] = [];
  readonly registered = new Set<string>();
  readonly sessions: Session[] = [];
  readonly sockets: TLSSocket[] = [];
  /** The code is over. */
  isExpired = false;
  /** Called after a claim was granted, before the reply leaves. */
  onGranted: (socket: TLSSocket) => void = () => undefined;
  application: string = JSON.stringify(READY);
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    server.on("secureConnection", (socket) => this.#accept(socket));
  }

  static async listen({ cert, key }: PemPair): Promise<TestEdge> {
    const server = createServer({
      cert,
      key,
      minVersion: "TLSv1.3",
      ALPNProtocols: [ALPN],
      allowHalfOpen: true,
    });
    server.listen(0, "127.0.0.1");
    await within(once(server, "listening"), "the listener");
    return new TestEdge(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get fingerprint(): string {
    return fingerprintOf(this.key.publicKey);
  }

  #accept(socket: TLSSocket): void {
    this.sockets.push(socket);
    // Links are cut on purpose here; what became of one is told by the other end.
    socket.on("error", () => undefined);
    acceptLink(socket, {
      key: this.key,
      gate: this.#gate(socket),
      parameters: { ...DEFAULT_PARAMETERS.edge, resumeMs: 0 },
      admit: () => undefined,
      judge: () => undefined,
    }).then(
      (link) => {
        const session = new Session(
          {
            side: "edge",
            local: { ...DEFAULT_PARAMETERS.edge, resumeMs: 0 },
            remote: link.proven.parameters,
            trace: SILENT,
            budget: new ProcessBudget(1 << 30),
            isTuning: false,
          },
          { accept: () => undefined, status: () => undefined, fault: () => undefined },
        );
        session.attach(0, link);
        this.sessions.push(session);
      },
      // The connector hears of a refusal, and the test with it.
      () => undefined,
    );
  }

  #gate(socket: TLSSocket): Gate {
    const granted = (): Admission => {
      this.onGranted(socket);
      const application = Buffer.from(this.application);
      return { kind: "tunnel", id: TUNNEL, name: "home", keyId: "k1", application };
    };
    return {
      admit: (publicKey) => {
        const key = fingerprintOf(publicKey);
        this.claims.push(`auth ${key}`);
        return this.registered.has(key) ? granted() : undefined;
      },
      enrol: async ({ key: publicKey, code }) => {
        const key = fingerprintOf(publicKey);
        this.claims.push(`enrol ${key}`);
        if (this.isExpired || Buffer.compare(code, this.code) !== 0) return undefined;
        this.registered.add(key);
        return granted();
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    const closed = once(this.#server, "close");
    this.#server.close();
    await within(closed, "the listener to close");
  }
}

/** A connector as far as its uplink goes: what `connect --join` does with its events. */
class TestConnector implements Disposable {
  readonly uplink: Uplink;
  readonly log: string[] = [];
  readonly up = Promise.withResolvers<Session>();
  /** Ends with the uplink. */
  readonly run: Promise<void>;
  readonly key: string;
  /** Stands in for a full disk: how many attempts to store the credentials fail. */
  failures = 0;

  private constructor(identity: Identity) {
    this.key = fingerprintOf(identity.key.publicKey);
    const { enrolment, directory } = identity;
    const events: UplinkEvents = {
      enrolled: async ({ tunnel, keyId }: Readiness) => {
        this.failures -= 1;
        if (this.failures >= 0) throw new TunlError("STATE_UNWRITABLE", "The disk is full");
        if (enrolment === undefined) throw new Error("Nothing was to be enrolled");
        const joined = { kind: "tunnel", tunnel: tunnel.id, name: tunnel.name, keyId } as const;
        await directory.complete(enrolment.pending, joined, 0);
        this.log.push("enrolled");
      },
      up: (session, { tunnel }) => {
        this.log.push(`up ${tunnel.name}`);
        this.up.resolve(session);
      },
      down: () => this.log.push("down"),
      retry: ({ code }) => this.log.push(`retry ${code}`),
      refused: ({ code }) => this.log.push(`refused ${code}`),
      accept: () => undefined,
      fault: (error) => this.log.push(`fault ${String(error)}`),
    };
    this.uplink = new Uplink(
      {
        identity,
        family: "auto",
        waitMs: undefined,
        parameters: { ...DEFAULT_PARAMETERS.connector, resumeMs: 0 },
        application: Buffer.from("{}"),
        name: "home",
        budget: new ProcessBudget(1 << 30),
        deadlines: new Deadlines((error) => this.log.push(`deadline ${String(error)}`)),
        trace: SILENT,
      },
      events,
    );
    this.run = this.uplink.run();
    // A test that expects no refusal sees it by what did not come.
    this.run.catch((error: unknown) => this.up.reject(error));
    this.up.promise.catch(() => undefined);
  }

  /** With a line, as in a first start or one more after a crash: the key is that of the line. */
  static async join(
    edge: TestEdge,
    base: string,
    reread?: Identity["reread"],
  ): Promise<TestConnector> {
    const { port, fingerprint, code } = edge;
    const line = { host: HOST, port, fingerprint, code };
    const directory = new EdgeDirectory(base, HOST, port);
    const prepared = await directory.prepare(line, "tunnel", 0);
    if (prepared.state !== "pending") throw new Error("The line is known already");
    const { pending } = prepared;
    return new TestConnector({
      host: HOST,
      port,
      fingerprint,
      key: pending.key,
      directory,
      enrolment: { pending, code },
      tunnel: undefined,
      ...(reread !== undefined && { reread }),
    });
  }

  async connected(): Promise<Session> {
    return await within(this.up.promise, `a session, so far ${this.log.join(", ")}`, WAIT_MS);
  }

  async failure(): Promise<unknown> {
    const ended = this.run.then(
      () => "no failure",
      (error: unknown) => error,
    );
    return await within(ended, "the end of the uplink", WAIT_MS);
  }

  [Symbol.dispose](): void {
    this.uplink.stop();
    this.uplink.session?.close(SESSION_CODES.NO_ERROR.code, "");
  }
}

describe("uplink", () => {
  let certificate: PemPair;
  let base: string;
  let count = 0;

  beforeAll(async () => {
    certificate = await makeSelfSigned("tunl test", 1, Date.now());
    base = mkdtempSync(join(tmpdir(), "tunl-uplink-"));
  });
  afterAll(() => rmSync(base, { recursive: true, force: true }));

  const freshBase = (): string => join(base, String((count += 1)));
  const listen = (): Promise<TestEdge> => TestEdge.listen(certificate);

  /** Names of the files it keeps of the edge. */
  function filesOf(home: string): string[] {
    return readdirSync(home, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".json"))
      .map((name) => name.slice(name.indexOf("/") + 1))
      .sort();
  }

  test("enrols its key once, and it is kept", async () => {
    await using edge = await listen();
    const home = freshBase();
    using connector = await TestConnector.join(edge, home);
    await connector.connected();
    expect(edge.claims).toEqual([`enrol ${connector.key}`]);
    expect(connector.log).toEqual(["enrolled", "up home"]);
    expect(filesOf(home)).toEqual([`${TUNNEL}.json`, "edge.json"]);
  });

  test("a lost reply to ENROLL and a code that expired meanwhile: AUTH with the same key", async () => {
    await using edge = await listen();
    // The edge has registered the key, and its answer never leaves.
    edge.onGranted = (socket) => {
      socket.destroy();
      edge.isExpired = true;
      edge.onGranted = () => undefined;
    };
    const home = freshBase();
    using connector = await TestConnector.join(edge, home);
    await connector.connected();
    const { key } = connector;
    expect(edge.claims).toEqual([`enrol ${key}`, `enrol ${key}`, `auth ${key}`]);
    expect(connector.log).toEqual(["retry LINK_CLOSED", "enrolled", "up home"]);
    expect(filesOf(home)).toEqual([`${TUNNEL}.json`, "edge.json"]);
  });

  test("the same, when its process was killed in between", async () => {
    await using edge = await listen();
    const home = freshBase();
    const isGone = Promise.withResolvers<void>();
    edge.onGranted = (socket) => {
      socket.destroy();
      isGone.resolve();
    };
    let first: string;
    {
      using killed = await TestConnector.join(edge, home);
      first = killed.key;
      await within(isGone.promise, "the first claim");
    }
    edge.onGranted = () => undefined;
    edge.isExpired = true;
    using connector = await TestConnector.join(edge, home);
    await connector.connected();
    expect(connector.key).toBe(first);
    expect(edge.claims).toEqual([`enrol ${first}`, `enrol ${first}`, `auth ${first}`]);
    expect(filesOf(home)).toEqual([`${TUNNEL}.json`, "edge.json"]);
  });

  test("a refused line whose key is not registered either is refused for good", async () => {
    await using edge = await listen();
    edge.isExpired = true;
    using connector = await TestConnector.join(edge, freshBase());
    expect(await connector.failure()).toMatchObject({ code: "JOIN_REFUSED" });
    expect(edge.claims).toEqual([`enrol ${connector.key}`, `auth ${connector.key}`]);
    expect(connector.log).toEqual([]);
  });

  test("credentials that cannot be stored: the link ends at once, and the line is tried again", async () => {
    await using edge = await listen();
    using connector = await TestConnector.join(edge, freshBase());
    connector.failures = 1;
    await connector.connected();
    expect(connector.log).toEqual(["retry STATE_UNWRITABLE", "enrolled", "up home"]);
    expect(edge.claims).toEqual([`enrol ${connector.key}`, `enrol ${connector.key}`]);
    const [first] = edge.sockets;
    if (first === undefined) throw new Error("No link came");
    // Nobody reads it: only the one who proved it can end it.
    if (!first.closed) await within(once(first, "close"), "the end of the first link");
  });

  const escape = JSON.stringify({ ...READY, tunnel: { id: "../../escaped", name: "home" } });
  test.each([
    ["is no JSON", "no json"],
    ["names a tunnel by a path", escape],
  ])("a READY that %s ends the link, and is asked for again", async (_, application) => {
    await using edge = await listen();
    edge.application = application;
    const { onGranted } = edge;
    edge.onGranted = () => {
      edge.onGranted = () => {
        edge.application = JSON.stringify(READY);
        edge.onGranted = onGranted;
      };
    };
    using connector = await TestConnector.join(edge, freshBase());
    await connector.connected();
    expect(connector.log).toEqual(["retry EDGE_UNREACHABLE", "enrolled", "up home"]);
    const [first] = edge.sockets;
    if (first === undefined) throw new Error("No link came");
    if (!first.closed) await within(once(first, "close"), "the end of the first link");
  });

  test("stopped during a handshake it takes no session, and the link ends", async () => {
    await using edge = await listen();
    const home = freshBase();
    let connector: TestConnector | undefined;
    edge.onGranted = () => connector?.uplink.stop();
    connector = await TestConnector.join(edge, home);
    using _connector = connector;
    expect(await connector.failure()).toBe("no failure");
    expect(connector.log).toEqual([]);
    expect(connector.uplink.session).toBeUndefined();
    const [link] = edge.sockets;
    if (link === undefined) throw new Error("No link came");
    if (!link.closed) await within(once(link, "close"), "the end of the link");
    expect(edge.claims.length).toBe(1);
  });

  test("an edge that revokes the key of a live session ends the process", async () => {
    await using edge = await listen();
    using connector = await TestConnector.join(edge, freshBase());
    await connector.connected();
    edge.sessions[0]?.close(SESSION_CODES.REVOKED.code, "");
    expect(await connector.failure()).toMatchObject({ code: "KEY_REFUSED" });
    expect(connector.log).toEqual(["enrolled", "up home", "down"]);
  });

  test("a revoked key that was renewed in its file meanwhile: the new one goes on; refused too, it is the end", async () => {
    await using edge = await listen();
    const [renewed, unknown] = [generateKey(), generateKey()];
    let inFile: SigningKey | undefined;
    using connector = await TestConnector.join(edge, freshBase(), async () => inFile);
    await connector.connected();
    edge.registered.clear();
    edge.registered.add(fingerprintOf(renewed.publicKey));
    const came = Promise.withResolvers<void>();
    edge.onGranted = () => came.resolve();
    edge.sessions[0]?.close(SESSION_CODES.REVOKED.code, "");
    // The file is written a moment after the old key ended.
    inFile = renewed;
    await within(came.promise, "the renewed key", WAIT_MS);
    expect(edge.claims.at(-1)).toBe(`auth ${fingerprintOf(renewed.publicKey)}`);
    await eventually(() => edge.sessions[1], "its session");
    inFile = unknown;
    edge.sessions[1]?.close(SESSION_CODES.REVOKED.code, "");
    expect(await connector.failure()).toMatchObject({ code: "KEY_REFUSED" });
    expect(edge.claims.at(-1)).toBe(`auth ${fingerprintOf(unknown.publicKey)}`);
  });

  test("an edge that ends a session for a fault gets this process back, by AUTH", async () => {
    await using edge = await listen();
    using connector = await TestConnector.join(edge, freshBase());
    await connector.connected();
    edge.sessions[0]?.close(SESSION_CODES.INTERNAL_ERROR.code, "");
    const came = Promise.withResolvers<void>();
    edge.onGranted = () => came.resolve();
    await within(came.promise, "the next link", WAIT_MS);
    expect(edge.claims).toEqual([`enrol ${connector.key}`, `auth ${connector.key}`]);
  });
});
