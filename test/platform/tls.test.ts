// Facts of platform.md §3 and its traps 4 and 5: an update of the runtime that changes one of them fails here, by the requirement that leans on it.
import { once } from "node:events";
import {
  type AddressInfo,
  connect as connectTcp,
  createServer,
  type Server,
  type Socket,
} from "node:net";
import {
  type ConnectionOptions,
  connect as connectTls,
  createSecureContext,
  createServer as createTlsServer,
  type SecureContext,
  type TlsOptions,
  type TLSSocket,
} from "node:tls";
import { beforeAll, describe, expect, test } from "bun:test";
import { makeLeaf, makeRoot, type PemPair } from "../../src/edge/certificates/internal-ca.ts";

const CBC = "ECDHE-ECDSA-AES128-SHA";
const GCM = "ECDHE-ECDSA-AES128-GCM-SHA256";

interface Rig extends AsyncDisposable {
  readonly port: number;
  readonly secured: TLSSocket[];
  readonly failures: (Error & { code?: string })[];
  /** Raw sockets, each from its hand-over on. */
  readonly raws: Socket[];
  /** Whether each handshake was a resumption; the socket itself forgets when it closes. */
  readonly resumptions: boolean[];
}

/** A raw listener that hands each connection to a TLS server, after its first bytes, as the front door does. */
async function rig(options: TlsOptions, keepsFailedOpen = false): Promise<Rig> {
  const secured: TLSSocket[] = [];
  const failures: Error[] = [];
  const raws: Socket[] = [];
  const resumptions: boolean[] = [];
  const tlsServer = createTlsServer({ allowHalfOpen: true, ...options });
  tlsServer.on("secureConnection", (socket) => {
    secured.push(socket);
    resumptions.push(socket.isSessionReused());
    socket.on("error", () => undefined);
    socket.end("done");
  });
  tlsServer.on("tlsClientError", (error, socket) => {
    failures.push(error);
    if (!keepsFailedOpen) socket.destroy();
  });
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    socket.on("error", () => undefined);
    socket.once("data", (bytes: Buffer) => {
      socket.pause();
      socket.unshift(bytes);
      tlsServer.emit("connection", socket);
      raws.push(socket);
    });
    socket.resume();
  });
  await listening(server);
  return {
    port: (server.address() as AddressInfo).port,
    secured,
    failures,
    raws,
    resumptions,
    async [Symbol.asyncDispose]() {
      server.close();
      for (const socket of raws) socket.destroy();
    },
  };
}

async function listening(server: Server): Promise<void> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening", { signal: AbortSignal.timeout(4_000) });
}

interface Outcome {
  readonly error: string | undefined;
  readonly session: Buffer | undefined;
  readonly isReused: boolean;
}

/** Connects, reads to the end and says how it went. */
async function handshake(port: number, options: ConnectionOptions): Promise<Outcome> {
  const client = connectTls({ host: "127.0.0.1", port, rejectUnauthorized: false, ...options });
  let error: string | undefined;
  let session: Buffer | undefined;
  let isReused = false;
  client.on("secureConnect", () => {
    isReused = client.isSessionReused();
  });
  client.on("session", (bytes: Buffer) => {
    session = bytes;
  });
  client.on("data", () => undefined);
  client.on("error", (failure: Error & { code?: string }) => {
    error = failure.code ?? failure.message;
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  client.on("close", () => resolve());
  const deadline = setTimeout(() => reject(new Error("No end of the handshake within 4 s")), 4_000);
  try {
    await promise;
  } finally {
    clearTimeout(deadline);
    client.destroy();
  }
  return { error, session, isReused };
}

describe("TLS of the runtime", () => {
  let first: PemPair;
  let second: PemPair;
  let root: PemPair;
  /** Answers every name from a map of contexts. */
  const sni = (contexts: Readonly<Record<string, SecureContext>>): TlsOptions => ({
    SNICallback: (name, answer) => answer(null, contexts[name]),
  });

  beforeAll(async () => {
    const now = Date.now();
    const life = { notBefore: now - 60_000, notAfter: now + 86_400_000 };
    root = await makeRoot(now);
    first = await makeLeaf(root, ["a.test"], life);
    second = await makeLeaf(root, ["b.test"], life);
  });

  test("S-22: a server object without a certificate shows none when SNICallback has none", async () => {
    await using server = await rig(sni({}));
    expect((await handshake(server.port, { servername: "a.test" })).error).toBeString();
    expect((await handshake(server.port, {})).error).toBeString();
    expect(server.secured).toHaveLength(0);
  });

  test("S-22: a server object with a certificate shows it to whoever sends no name", async () => {
    // The reason why the visitors' server has none.
    await using server = await rig({ ...first, ...sni({}) });
    expect((await handshake(server.port, {})).error).toBeUndefined();
    expect(server.secured).toHaveLength(1);
  });

  test("S-22: an error of SNICallback ends the connection", async () => {
    await using server = await rig({
      SNICallback: (_name, answer) => answer(new Error("unknown")),
    });
    expect((await handshake(server.port, { servername: "a.test" })).error).toBeString();
    expect(server.failures.map(({ message }) => message)).toEqual(["unknown"]);
  });

  test("S-23: a session is resumed with its own certificate, not with that of another name", async () => {
    const contexts = {
      "a.test": createSecureContext(first),
      "b.test": createSecureContext(second),
    };
    for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
      await using server = await rig(sni(contexts));
      const { session } = await handshake(server.port, { servername: "a.test", maxVersion });
      if (session === undefined) throw new Error(`No session with ${maxVersion}`);
      const same = await handshake(server.port, { servername: "a.test", maxVersion, session });
      const other = await handshake(server.port, { servername: "b.test", maxVersion, session });
      expect({
        maxVersion,
        same: same.isReused,
        other: other.isReused,
        error: other.error,
      }).toEqual({
        maxVersion,
        same: true,
        other: false,
        error: undefined,
      });
      expect(server.resumptions).toEqual([false, true, false]);
    }
  });

  test("http.md §2: suites are those of the context, the server object's do not count", async () => {
    const names = { servername: "a.test", maxVersion: "TLSv1.2", ciphers: CBC } as const;
    await using lax = await rig({ ciphers: GCM, ...sni({ "a.test": createSecureContext(first) }) });
    expect((await handshake(lax.port, names)).error).toBeUndefined();
    await using strict = await rig(
      sni({ "a.test": createSecureContext({ ...first, ciphers: GCM }) }),
    );
    expect((await handshake(strict.port, names)).error).toBe(
      "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE",
    );
    expect((await handshake(strict.port, { ...names, ciphers: GCM })).error).toBeUndefined();
  });

  test("http.md §2: the minimum version is that of the server object, the context's does not count", async () => {
    const names = { servername: "a.test", maxVersion: "TLSv1.2" } as const;
    const strict = createSecureContext({ ...first, minVersion: "TLSv1.3" });
    await using lax = await rig({ minVersion: "TLSv1.2", ...sni({ "a.test": strict }) });
    expect((await handshake(lax.port, names)).error).toBeUndefined();
    await using server = await rig({
      minVersion: "TLSv1.3",
      ...sni({ "a.test": createSecureContext(first) }),
    });
    expect((await handshake(server.port, names)).error).toBe(
      "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION",
    );
  });

  test("S-40: handshakeTimeout of the server object reports and leaves the socket open", async () => {
    await using server = await rig({ ...first, handshakeTimeout: 50 }, true);
    const client = connectTcp({ host: "127.0.0.1", port: server.port });
    client.on("error", () => undefined);
    // The beginning of a hello: the handshake starts and waits.
    client.write(Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]));
    await waitFor(() => server.failures.length === 1, "tlsClientError");
    expect(server.failures[0]?.code).toBe("ERR_TLS_HANDSHAKE_TIMEOUT");
    expect(server.raws[0]?.destroyed).toBe(false);
    client.destroy();
  });

  test("S-40: destroying the raw socket closes the TLS side at once, during the handshake and after", async () => {
    await using server = await rig({ ...first });
    const half = connectTcp({ host: "127.0.0.1", port: server.port });
    half.on("error", () => undefined);
    half.write(Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]));
    await waitFor(() => server.raws.length === 1, "the hand-over");
    const left = closing(half);
    server.raws[0]?.destroy();
    await left;
    const whole = connectTls({
      host: "127.0.0.1",
      port: server.port,
      servername: "a.test",
      rejectUnauthorized: false,
      allowHalfOpen: true,
    } as ConnectionOptions);
    whole.on("error", () => undefined);
    await waitFor(() => server.secured.length === 1, "the handshake");
    const gone = closing(server.secured[0] as TLSSocket);
    server.raws[1]?.destroy();
    await gone;
    whole.destroy();
  });

  test("PROTOCOL §3.1: the exporter is equal on both ends after the hand-over, and new each time", async () => {
    await using server = await rig({ ...first, minVersion: "TLSv1.3" });
    const seen = new Set<string>();
    for (let round = 0; round < 2; round++) {
      const client = connectTls({
        host: "127.0.0.1",
        port: server.port,
        rejectUnauthorized: false,
      });
      client.on("error", () => undefined);
      await once(client, "secureConnect", { signal: AbortSignal.timeout(4_000) });
      await waitFor(() => server.secured.length === round + 1, "the server's side");
      const label = "EXPORTER-tunl-edge-v1";
      const local = client.exportKeyingMaterial(32, label, Buffer.alloc(0)).toString("hex");
      const remote = server.secured[round]
        ?.exportKeyingMaterial(32, label, Buffer.alloc(0))
        .toString("hex");
      expect(remote).toBe(local);
      seen.add(local);
      client.destroy();
    }
    expect(seen.size).toBe(2);
  });

  test("S-25: NODE_TLS_REJECT_UNAUTHORIZED=0 is overruled by rejectUnauthorized: true, and by nothing else", async () => {
    await using server = await rig({ ...first });
    const program = `
      const { connect } = require("node:tls");
      const attempt = (options) => new Promise((resolve) => {
        const client = connect({ host: "127.0.0.1", port: ${server.port}, servername: "a.test", ...options });
        client.on("secureConnect", () => { resolve("connected"); client.destroy(); });
        client.on("error", (error) => resolve(error.code));
      });
      console.log(await attempt({}), await attempt({ rejectUnauthorized: true }));`;
    const child = Bun.spawn([process.execPath, "-e", program], {
      env: { ...process.env, NODE_TLS_REJECT_UNAUTHORIZED: "0" },
      stdout: "pipe",
      stderr: "ignore",
      timeout: 4_000,
    });
    expect((await child.stdout.text()).trim()).toBe("connected UNABLE_TO_VERIFY_LEAF_SIGNATURE");
  });
});

async function waitFor(isTrue: () => boolean, what: string): Promise<void> {
  const end = performance.now() + 4_000;
  while (!isTrue()) {
    if (performance.now() > end) throw new Error(`Waited 4000 ms for ${what}`);
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

/** Resolves when the socket is closed, with an error or without. */
async function closing(socket: Socket): Promise<void> {
  let isClosed = false;
  socket.once("close", () => {
    isClosed = true;
  });
  socket.resume();
  await waitFor(() => isClosed, "a socket to close");
}
