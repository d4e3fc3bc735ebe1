// The fixture of the front door tests: a door with real certificates, and clients that say how they ended.
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import {
  type Certificate,
  CertificateTable,
  contextOf,
} from "../../../src/edge/certificates/certificates.ts";
import {
  makeLeaf,
  makeRoot,
  makeSelfSigned,
  type PemPair,
} from "../../../src/edge/certificates/internal-ca.ts";
import { FirstCertificates } from "../../../src/edge/listen/first-certificate.ts";
import {
  type FrontDoor,
  type FrontDoorOptions,
  startFrontDoor,
} from "../../../src/edge/listen/front-door.ts";
import { createLinkServer } from "../../../src/edge/listen/links.ts";
import { PeerLimits, type PeerLimitOptions } from "../../../src/edge/listen/peer-limits.ts";
import { RefusalLog } from "../../../src/edge/listen/refusal-log.ts";
import { createVisitorServer, type SecureVisitor } from "../../../src/edge/listen/terminate.ts";
import type { Remote } from "../../../src/edge/listen/remote.ts";
import { ARRIVAL_TIMEOUTS, type ArrivalTimeouts } from "../../../src/edge/listen/arrival.ts";
import { Deadlines } from "../../../src/deadlines.ts";
import { memoryLog } from "../certificates/temporary.ts";
import { WAIT_MS, within } from "../../within.ts";

export interface Authority {
  readonly root: PemPair;
  readonly link: PemPair;
  leaf(id: string, ...names: string[]): Promise<Certificate>;
}

export async function makeAuthority(): Promise<Authority> {
  const now = Date.now();
  const root = await makeRoot(now);
  const life = { notBefore: now - 60_000, notAfter: now + 86_400_000 };
  return {
    root,
    link: await makeSelfSigned("tunl link", 1, now),
    leaf: async (id, ...names) => ({
      id,
      names,
      context: contextOf(await makeLeaf(root, names, life)),
      ...life,
    }),
  };
}

export interface DoorOptions {
  readonly authority: Authority;
  readonly certificates: readonly Certificate[];
  readonly limits?: Partial<PeerLimitOptions>;
  readonly timeouts?: Partial<ArrivalTimeouts>;
  readonly onVisitor?: (socket: TLSSocket, visitor: SecureVisitor) => void;
  readonly onLink?: (socket: TLSSocket, remote: Remote, door: FrontDoor) => void;
  readonly isCovered?: (name: string) => boolean;
  /** First orders under way; none if absent. */
  readonly arriving?: (name: string) => Promise<void> | undefined;
  readonly challenges?: NonNullable<FrontDoorOptions["challenges"]>;
}

export interface Door extends AsyncDisposable {
  readonly front: FrontDoor;
  readonly limits: PeerLimits;
  readonly table: CertificateTable;
  readonly records: ReturnType<typeof memoryLog>["records"];
  /** Deadlines that have not fired: none may be left once everything is closed. */
  readonly deadlines: Deadlines;
}

/** A visitor is greeted with its name and FIN, a link with "link". Deadlines are real, so tests shorten them. */
export async function openDoor(options: DoorOptions): Promise<Door> {
  const { log, records } = memoryLog();
  const table = new CertificateTable();
  for (const certificate of options.certificates) table.put(certificate);
  const deadlines = new Deadlines((error) => log.error("bug", String(error)));
  const limits = new PeerLimits({
    acceptRate: "off",
    onRefused: new RefusalLog(deadlines, log).note,
    ...options.limits,
  });
  const greet = (socket: TLSSocket, visitor: SecureVisitor): void => {
    socket.end(`visitor ${visitor.tls.serverName}`);
  };
  const visitors = createVisitorServer({
    certificates: table,
    minVersion: "TLSv1.2",
    isTuning: true,
    log,
    ...(options.arriving !== undefined && {
      first: new FirstCertificates(options.arriving, deadlines),
    }),
    onVisitor: options.onVisitor ?? greet,
  });
  const links = createLinkServer({
    certificate: options.authority.link,
    log,
    onLink: (socket, remote) => {
      if (options.onLink === undefined) socket.end("link");
      else options.onLink(socket, remote, front);
    },
  });
  const front = await startFrontDoor({
    listen: { host: "127.0.0.1", port: 0 },
    limits,
    timeouts: { ...ARRIVAL_TIMEOUTS, ...options.timeouts },
    deadlines,
    log,
    isCovered:
      options.isCovered ?? ((name) => table.covers(name) || options.arriving?.(name) !== undefined),
    ...(options.challenges !== undefined && { challenges: options.challenges }),
    visitors,
    links,
  });
  return {
    front,
    limits,
    table,
    records,
    deadlines,
    async [Symbol.asyncDispose]() {
      await within(front[Symbol.asyncDispose](), "the front door to close");
      deadlines[Symbol.dispose]();
    },
  };
}

/** Resolves once `isTrue`, asked after each turn of the loop. */
export async function until(isTrue: () => boolean, what: string): Promise<void> {
  const end = performance.now() + WAIT_MS;
  while (!isTrue()) {
    if (performance.now() > end) throw new Error(`Waited ${WAIT_MS} ms for ${what}`);
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

export interface RawEnd {
  readonly received: Buffer;
  /** Code of the error, `undefined` after a clean FIN. */
  readonly error: string | undefined;
}

/** A TCP client that writes `bytes` and waits until the door closes. */
export function raw(
  port: number,
  bytes: Uint8Array | string = "",
): { readonly socket: Socket; readonly ended: Promise<RawEnd> } {
  const socket = connectTcp({ host: "127.0.0.1", port, allowHalfOpen: true });
  const { promise, resolve } = Promise.withResolvers<RawEnd>();
  const chunks: Buffer[] = [];
  let error: string | undefined;
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.on("error", (failure: Error & { code?: string }) => {
    error = failure.code ?? failure.message;
  });
  socket.on("end", () => socket.end());
  socket.on("close", () => resolve({ received: Buffer.concat(chunks), error }));
  if (bytes.length > 0) socket.write(bytes);
  return { socket, ended: within(promise, "the door to close a raw connection") };
}

export interface TlsEnd {
  readonly text: string;
  readonly protocol: string | undefined;
  readonly alpn: string | false | undefined;
  readonly subject: string | undefined;
  readonly error: string | undefined;
}

/** A TLS client that reads until the other side ends. */
export function tls(
  port: number,
  options: ConnectionOptions,
): { readonly socket: TLSSocket; readonly ended: Promise<TlsEnd> } {
  const socket = connectTls({
    host: "127.0.0.1",
    port,
    allowHalfOpen: true,
    rejectUnauthorized: true,
    ...options,
  } as ConnectionOptions);
  const { promise, resolve } = Promise.withResolvers<TlsEnd>();
  let text = "";
  let error: string | undefined;
  let facts: Pick<TlsEnd, "protocol" | "alpn" | "subject"> = {
    protocol: undefined,
    alpn: undefined,
    subject: undefined,
  };
  socket.on("secureConnect", () => {
    const { CN } = socket.getPeerCertificate().subject ?? {};
    facts = {
      protocol: socket.getProtocol() ?? undefined,
      alpn: socket.alpnProtocol ?? undefined,
      subject: typeof CN === "string" ? CN : undefined,
    };
  });
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
  });
  socket.on("error", (failure: Error & { code?: string }) => {
    error = failure.code ?? failure.message;
  });
  socket.on("end", () => socket.end());
  socket.on("close", () => resolve({ text, error, ...facts }));
  return { socket, ended: within(promise, "the door to end a TLS connection") };
}

/** A proxy that passes the client's bytes on one by one, each after the kernel has taken the one before. */
export async function byteByByte(
  target: number,
): Promise<AsyncDisposable & { readonly port: number; passed(): number }> {
  let passed = 0;
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const door = connectTcp({
      host: "127.0.0.1",
      port: target,
      allowHalfOpen: true,
      noDelay: true,
    });
    for (const socket of [client, door]) socket.on("error", () => socket.destroy());
    door.pipe(client);
    client.on("data", (chunk: Buffer) => {
      client.pause();
      const pass = (at: number): void => {
        if (at === chunk.length) return void client.resume();
        passed += 1;
        door.write(chunk.subarray(at, at + 1), (error) => {
          if (error === undefined || error === null) setImmediate(pass, at + 1);
        });
      };
      pass(0);
    });
    client.on("end", () => door.end());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  return {
    port: (server.address() as AddressInfo).port,
    passed: () => passed,
    async [Symbol.asyncDispose]() {
      server.close();
    },
  };
}
