// This file is what the tests of visitor connections share: a loopback listener, a visitor made of bytes, and a recording pipeline.
import { connect, createServer, type Server, type Socket } from "node:net";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import type { AddressInfo } from "node:net";
import { Deadlines } from "../../../src/deadlines.ts";
import type { VisitorOptions } from "../../../src/edge/listen/visitor-options.ts";
import { Visitors } from "../../../src/edge/listen/visitors.ts";
import type { VisitorPeer } from "../../../src/edge/request.ts";
import type {
  BodySink,
  Reply,
  ReplyEvents,
  ReplyHead,
  Serve,
  Visit,
} from "../../../src/edge/visit.ts";
import { Logger, type LogRecord } from "../../../src/log.ts";
import { within } from "../../within.ts";

/** Something that changes and can be waited for. */
export class Changes {
  #waiting: (() => void)[] = [];

  changed(): void {
    for (const check of [...this.#waiting]) check();
  }

  async until<T>(probe: () => T | undefined | false, what: string): Promise<T> {
    const { promise, resolve } = Promise.withResolvers<T>();
    const check = (): void => {
      const value = probe();
      if (value !== undefined && value !== false) resolve(value);
    };
    this.#waiting.push(check);
    check();
    try {
      return await within(promise, what);
    } finally {
      this.#waiting = this.#waiting.filter((other) => other !== check);
    }
  }
}

/** A visitor that sends and receives bytes. */
export class RawVisitor {
  readonly socket: Socket;
  readonly #changes = new Changes();
  #received: Buffer = Buffer.alloc(0);
  /** "end": FIN came. "reset": RST came. */
  ending: "end" | "reset" | undefined;
  isClosed = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("error", () => {
      this.ending = "reset";
      this.#changes.changed();
    });
    socket.on("end", () => {
      this.ending ??= "end";
      this.#changes.changed();
    });
    socket.on("close", () => {
      this.isClosed = true;
      this.#changes.changed();
    });
    socket.on("data", (bytes: Buffer) => {
      this.#received = Buffer.concat([this.#received, bytes]);
      this.#changes.changed();
    });
  }

  /** All bytes so far, one character per byte. */
  get text(): string {
    return this.#received.toString("latin1");
  }

  send(bytes: string | Uint8Array): void {
    this.socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  }

  fin(): void {
    this.socket.end();
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }

  async until(
    probe: string | RegExp | ((text: string) => boolean),
    what?: string,
  ): Promise<string> {
    const matches =
      typeof probe === "function"
        ? probe
        : (text: string): boolean =>
            typeof probe === "string" ? text.includes(probe) : probe.test(text);
    try {
      return await this.#changes.until(
        () => (matches(this.text) ? this.text : undefined),
        what ?? `"${probe}"`,
      );
    } catch (error) {
      throw new Error(
        `Received ${JSON.stringify(this.text.slice(0, 600))}, ending ${this.ending}`,
        { cause: error },
      );
    }
  }

  /** @returns How the connection ended. */
  async ended(): Promise<"end" | "reset"> {
    return this.#changes.until(() => this.ending, "the end of the connection");
  }
}

/** One visit with everything that happened to it. */
export class RecordedVisit implements BodySink, ReplyEvents {
  readonly visit: Visit;
  readonly #changes: Changes;
  #body: Buffer[] = [];
  hasEnded = false;
  trailers: string | undefined;
  takenBytes = 0;
  cause: "left" | "short" | "stalled" | undefined;
  chunks = 0;

  constructor(visit: Visit, changes: Changes) {
    this.visit = visit;
    this.#changes = changes;
    visit.events = this;
  }

  get reply(): Reply {
    return this.visit.reply;
  }

  /** The body so far, one character per byte. */
  get text(): string {
    return Buffer.concat(this.#body).toString("latin1");
  }

  start(): this {
    this.visit.body.start(this);
    return this;
  }

  bytes(bytes: Uint8Array): void {
    if (this.hasEnded || this.cause !== undefined) throw new Error("bytes after the end");
    this.#body.push(Buffer.from(bytes));
    this.chunks += 1;
    this.#changes.changed();
  }

  end(trailers: Uint8Array | undefined): void {
    if (this.hasEnded || this.cause !== undefined) throw new Error("a second end");
    this.hasEnded = true;
    this.trailers = trailers === undefined ? undefined : Buffer.from(trailers).toString("latin1");
    this.#changes.changed();
  }

  taken(bytes: number): void {
    this.takenBytes += bytes;
    this.#changes.changed();
  }

  gone(cause: "left" | "short" | "stalled"): void {
    if (this.cause !== undefined) throw new Error("gone twice");
    this.cause = cause;
    this.#changes.changed();
  }
}

export const NO_LINES = new Uint8Array(0);
const OK = Buffer.from("OK");

export function lines(...fields: string[]): Uint8Array {
  return Buffer.from(fields.map((field) => `${field}\r\n`).join(""), "latin1");
}

/** A final head; `length` -1 is unknown, undefined is no body at all. */
export function headOf(
  length: number | undefined,
  status = 200,
  fields: Uint8Array = NO_LINES,
): ReplyHead {
  return { status, reason: OK, fields, length: length ?? -1, hasBody: length !== undefined };
}

/** Answers with a text of known length. */
export function respond(reply: Reply, text: string, status = 200): void {
  const body = Buffer.from(text, "latin1");
  reply.head(headOf(body.length, status));
  reply.body(body);
  reply.end(undefined);
}

/** Records visits and leaves the answers to the test, or answers each at once. */
export class Pipeline extends Changes {
  readonly visits: RecordedVisit[] = [];
  readonly #answer: ((visit: RecordedVisit) => void) | undefined;

  constructor(answer?: (visit: RecordedVisit) => void) {
    super();
    this.#answer = answer;
  }

  readonly serve: Serve = (visit) => {
    const recorded = new RecordedVisit(visit, this);
    this.visits.push(recorded);
    this.#answer?.(recorded);
    this.changed();
  };

  /** The visit with this number, once it is there. */
  async visit(index: number): Promise<RecordedVisit> {
    return this.until(() => this.visits[index], `visit ${index}`);
  }
}

export const PEER: VisitorPeer = {
  scheme: "https",
  tls: { version: "TLSv1.3", serverName: "app.example.com" },
  remote: { address: "192.0.2.7", bytes: Uint8Array.of(192, 0, 2, 7), port: 50_000 },
  covers: (host) => host === "app.example.com" || host === "other.example.com",
  publicPorts: [443, 8443],
  loopMark: "tunl-0123456789abcdef",
};

/** A loopback listener whose sockets are served as visitors. */
export class Rig {
  readonly visitors: Visitors;
  readonly records: LogRecord[] = [];
  readonly deadlines: Deadlines;
  /** Sockets of the edge's side, in the order they came. */
  readonly sockets: Socket[] = [];
  /** Errors thrown into the timer wheel. */
  readonly errors: unknown[] = [];
  readonly #changes = new Changes();
  readonly #server: Server;
  readonly #isTls: boolean;
  readonly #clients: RawVisitor[] = [];

  /** @param certificate With one, visitors speak TLS. */
  constructor(
    serve: Serve,
    options: Partial<VisitorOptions> = {},
    peer: VisitorPeer = PEER,
    certificate?: { readonly cert: string; readonly key: string },
  ) {
    this.deadlines = new Deadlines((error) => this.errors.push(error));
    const log = new Logger((record) => this.records.push(record), "trace");
    this.visitors = new Visitors({ serve, deadlines: this.deadlines, log, ...options });
    const accept = (socket: Socket): void => {
      this.sockets.push(socket);
      this.visitors.accept(socket, peer, () => this.#changes.changed());
      this.#changes.changed();
    };
    this.#isTls = certificate !== undefined;
    this.#server =
      certificate === undefined
        ? createServer({ allowHalfOpen: true }, accept)
        : createTlsServer({ ...certificate, allowHalfOpen: true }, accept);
  }

  async start(): Promise<this> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.listen(0, "127.0.0.1", resolve);
    await within(promise, "the listener");
    return this;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async connect(): Promise<RawVisitor> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const target = { port: this.port, host: "127.0.0.1", allowHalfOpen: true };
    const socket = this.#isTls
      ? connectTls({ ...target, rejectUnauthorized: false }, resolve)
      : connect(target, resolve);
    const visitor = new RawVisitor(socket);
    this.#clients.push(visitor);
    await within(promise, "a connection");
    return visitor;
  }

  /** The edge's side of the first connection. */
  async firstSocket(): Promise<Socket> {
    return this.#changes.until(() => this.sockets[0], "the first connection");
  }

  /** Waits for a condition about sockets that no event announces: looks once per turn of the loop. */
  async until(probe: () => boolean, what: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    let isOver = false;
    const look = (): void => {
      if (probe()) resolve();
      else if (!isOver) setImmediate(look);
    };
    look();
    await within(promise, what).finally(() => {
      isOver = true;
    });
  }

  /** Waits until no connection is left. */
  async empty(): Promise<void> {
    await this.#changes.until(
      () => this.visitors.count === 0 && this.sockets.length > 0,
      "all connections to end",
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.socket.destroy();
    this.visitors.abort();
    this.deadlines[Symbol.dispose]();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    await within(promise, "the listener to close");
    if (this.errors.length > 0) throw this.errors[0];
  }
}

export function get(target = "/", ...fields: string[]): string {
  return request("GET", target, ...fields);
}

export function request(method: string, target: string, ...fields: string[]): string {
  return `${[`${method} ${target} HTTP/1.1`, "Host: app.example.com", ...fields].join("\r\n")}\r\n\r\n`;
}

/** `TUNL_SEED` replays a run; failures name it. */
export const seed = Number(process.env.TUNL_SEED ?? Math.floor(Math.random() * 2 ** 32));

/** mulberry32, from `seed` on. @returns 0 up to, not including, 1 */
export function seededRandom(): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
