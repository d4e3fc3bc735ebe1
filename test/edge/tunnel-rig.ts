// This file is the edge's pipeline before real sessions, in one process: visitors without sockets, connectors that count what reaches their origin.
import { createHash, randomBytes } from "node:crypto";
import { OriginService } from "../../src/connector/serve.ts";
import { catchAll, Ingress } from "../../src/connector/ingress.ts";
import type { Origin, OriginEvents, OriginExchange } from "../../src/connector/origin/index.ts";
import { untold } from "../connector/untold.ts";
import { Deadlines } from "../../src/deadlines.ts";
import { hex } from "../../src/edge/reply.ts";
import type { CanonicalRequest } from "../../src/edge/request.ts";
import { LiveSession, Registry } from "../../src/edge/route/index.ts";
import { createService, type Service } from "../../src/edge/serve.ts";
import type {
  BodySink,
  Reply,
  ReplyEvents,
  ReplyHead,
  Visit,
  VisitorBody,
} from "../../src/edge/visit.ts";
import type { RequestHead } from "../../src/exchange/index.ts";
import { Logger } from "../../src/log.ts";
import { DEFAULT_PARAMETERS, ProcessBudget, Session, type Side } from "../../src/session/index.ts";
import { FrameDecoder } from "../../src/wire/index.ts";
import { TlsDoor } from "../session/tls-rig.ts";
import { within } from "../within.ts";

export const TUNNEL = "7f0c";
export const HOST = "app.example.com";
const MIB = 1_024 * 1_024;
const NOTHING = new Uint8Array(0);

export interface VisitSetup {
  readonly method?: string;
  readonly host?: string;
  /** Parts of the body, in the order in which they come. */
  readonly body?: readonly Uint8Array[];
  /** False: the length of the body is not announced. */
  readonly hasLength?: boolean;
  /** So many parts come by themselves, the others when `more` is called. */
  readonly readyParts?: number;
  readonly upgrade?: string;
}

/** What a visitor got in the end. */
export interface Outcome {
  readonly status: number;
  /** `Tunl-Error` and `Retry-After`, where tunl itself answered. */
  readonly error: string | undefined;
  readonly retryAfter: number | undefined;
  readonly text: string;
  readonly ending: "whole" | "cut";
  readonly afterMs: number;
}

/** A request body of parts that are there, or come when the test says so. */
class TestBody implements VisitorBody {
  readonly length: number;
  readonly hasBody: boolean;
  isStarted = false;
  /** The visitor is not read: it is not noticed if it leaves. */
  isWithheld = false;
  readonly #parts: Uint8Array[];
  readonly #isOpenEnded: boolean;
  #ready: number;
  #sink: BodySink | undefined;
  #isPaused = false;
  #hasEnded = false;

  constructor({ body = [], hasLength = true, readyParts, upgrade }: VisitSetup) {
    this.#parts = [...body];
    this.#ready = readyParts ?? body.length;
    this.#isOpenEnded = upgrade !== undefined;
    this.hasBody = body.length > 0;
    this.length = hasLength ? body.reduce((sum, part) => sum + part.length, 0) : -1;
  }

  more(): void {
    this.#ready += 1;
    this.#flow();
  }

  start(sink: BodySink): void {
    if (this.isStarted) throw new Error("A body is started once");
    this.isStarted = true;
    this.isWithheld = false;
    this.#sink = sink;
    this.#flow();
  }

  withhold(): number {
    this.isWithheld = true;
    return 0;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.isWithheld = false;
    this.#flow();
  }

  #flow(): void {
    while (this.#sink !== undefined && !this.#isPaused && this.#ready > 0) {
      const part = this.#parts.shift();
      if (part === undefined) break;
      this.#ready -= 1;
      this.#sink.bytes(part);
    }
    const isWhole = !this.#isPaused && this.#parts.length === 0 && !this.#isOpenEnded;
    if (this.#sink === undefined || !isWhole || this.#hasEnded) return;
    this.#hasEnded = true;
    this.#sink.end(undefined);
  }
}

/** A visitor and its one request, without a socket. */
export class TestVisit implements Visit {
  readonly request: CanonicalRequest;
  readonly body: TestBody;
  events: ReplyEvents | undefined;
  isHeadSent = false;
  isOver = false;
  readonly #startedAt = performance.now();
  readonly #settled = Promise.withResolvers<Outcome>();
  #status = 0;
  #fields = "";
  #text = "";

  constructor(setup: VisitSetup = {}) {
    const { method = setup.body === undefined ? "GET" : "POST", host = HOST } = setup;
    this.body = new TestBody(setup);
    this.request = {
      id: randomBytes(16),
      method,
      host,
      authority: host,
      scheme: "https",
      target: Buffer.from("/"),
      fields: NOTHING,
      upgrade: setup.upgrade,
      acceptsTrailers: false,
      visitor: { address: "127.0.0.1", bytes: new Uint8Array(4), port: 1, protocol: "http/1.1" },
      tls: undefined,
      accept: "",
      fetchMode: "",
    };
  }

  get id(): string {
    return hex(this.request.id);
  }

  get outcome(): Promise<Outcome> {
    const { method, host } = this.request;
    return within(this.#settled.promise, `the answer to ${method} ${host}`);
  }

  leave(): void {
    this.isOver = true;
    this.events?.gone("left");
  }

  get reply(): Reply {
    const reply: Reply = {
      isHeadSent: this.isHeadSent,
      interim: () => undefined,
      head: ({ status, fields }: ReplyHead) => {
        this.isHeadSent = true;
        this.#status = status;
        this.#fields = Buffer.from(fields).toString("latin1");
      },
      upgrade: () => {
        this.isHeadSent = true;
        this.#status = 101;
      },
      body: (bytes) => {
        this.#text += Buffer.from(bytes).toString("latin1");
        this.events?.taken(bytes.length);
      },
      end: () => this.#settle("whole"),
      orphan: () => undefined,
      cut: () => this.#settle("cut"),
    };
    return reply;
  }

  #settle(ending: Outcome["ending"]): void {
    if (this.isOver) throw new Error("A reply ends once");
    this.isOver = true;
    const retryAfter = /^retry-after: (\d+)/im.exec(this.#fields)?.[1];
    this.#settled.resolve({
      status: this.#status,
      error: /^tunl-error: (\S+)/im.exec(this.#fields)?.[1],
      retryAfter: retryAfter === undefined ? undefined : Number(retryAfter),
      text: this.#text,
      ending,
      afterMs: performance.now() - this.#startedAt,
    });
  }
}

/** An origin that writes down what reached it; answers with length and hash of the body. */
export class CountingOrigin implements Origin {
  readonly url = "http://counting";
  /** How often a request with this id was begun here. */
  readonly counts = new Map<string, number>();
  /** `whole`: the answer; `head`: its first bytes and no more; `silent`: nothing. */
  manner: "whole" | "head" | "silent" = "whole";
  onRequest: () => void = () => undefined;

  request({ id }: RequestHead, events: OriginEvents): OriginExchange {
    const name = hex(id);
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
    this.onRequest();
    const hash = createHash("sha256");
    let length = 0;
    let isAborted = false;
    const answer = (): void => {
      if (isAborted || this.manner === "silent") return;
      const text = describeBody(length, hash.digest("hex"));
      const head = { status: 200, reason: Buffer.from("OK"), fields: NOTHING };
      events.response({ ...head, length: text.length, hasBody: true });
      const bytes = Buffer.from(text);
      events.body(this.manner === "head" ? bytes.subarray(0, 10) : bytes);
      if (this.manner === "whole") events.end(undefined);
    };
    return {
      write: (bytes) => {
        hash.update(bytes);
        length += bytes.length;
        events.taken(bytes.length);
        return "more";
      },
      end: () => setImmediate(answer),
      abort: () => (isAborted = true),
      pause: () => undefined,
      resume: () => undefined,
    };
  }

  close(): void {}
}

function describeBody(length: number, sha256: string): string {
  return `${length} ${sha256}`;
}

/** What `CountingOrigin` answers to a request with these parts. */
export function answerTo(parts: readonly Uint8Array[]): string {
  const bytes = Buffer.concat(parts);
  return describeBody(bytes.length, createHash("sha256").update(bytes).digest("hex"));
}

export interface ConnectorSetup {
  readonly origin?: CountingOrigin;
  readonly hosts?: readonly string[];
  /** False: every stream is refused. */
  readonly takes?: boolean;
  /** Streams that the edge may open at a time. */
  readonly streams?: number;
  /** Leads to the edge's door. */
  readonly port?: number;
}

/** A connector with one session to the edge of the rig. */
export class TestConnector {
  readonly origin: CountingOrigin;
  readonly session: Session;
  readonly live: LiveSession;
  readonly service: OriginService;

  constructor(session: Session, live: LiveSession, origin: CountingOrigin, service: OriginService) {
    this.session = session;
    this.live = live;
    this.origin = origin;
    this.service = service;
  }
}

export interface EdgeSetup {
  readonly holdMs?: number;
  readonly concurrent?: number;
}

/** The pipeline of an edge, and the sessions it has. */
export class TestEdge implements AsyncDisposable {
  /** Names without proof. */
  readonly suspended = new Set<string>();
  readonly registry = new Registry();
  readonly service: Service;
  /** Of the sessions at both ends. */
  readonly budget = new ProcessBudget(1_024 * MIB);
  /** Who has the names below example.com. */
  owner: string | undefined = TUNNEL;
  /** When the tunnel was last here, wall clock. */
  seenAt: number | undefined = Date.now();
  readonly #door: TlsDoor;
  readonly #deadlines = new Deadlines((error) => {
    throw error;
  });

  private constructor(door: TlsDoor, { holdMs = 10_000, concurrent = 1_000 }: EdgeSetup) {
    this.#door = door;
    this.service = createService({
      grants: {
        ownerOf: (host) => (host.endsWith(".example.com") ? this.owner : undefined),
        hasForeignBelow: () => false,
      },
      isSuspended: (host) => this.suspended.has(host),
      presence: { lastSeen: () => this.seenAt },
      registry: this.registry,
      deadlines: this.#deadlines,
      log: new Logger(() => undefined, "error"),
      concurrent,
      holdMs,
      firstByteMs: 0,
      accessLog: false,
    });
  }

  static async start(setup: EdgeSetup = {}): Promise<TestEdge> {
    return new TestEdge(await TlsDoor.listen(), setup);
  }

  get port(): number {
    return this.#door.port;
  }

  visit(setup: VisitSetup = {}): TestVisit {
    const visit = new TestVisit(setup);
    this.service.serve(visit);
    return visit;
  }

  /** A connector dials, and announces its names. */
  async connect(setup: ConnectorSetup = {}): Promise<TestConnector> {
    const { origin = new CountingOrigin(), hosts = ["*.example.com"], takes = true } = setup;
    const sockets = await this.#door.pair(setup.port);
    const troubles = untold();
    const service = new OriginService({
      ingress: new Ingress([catchAll({ origin, troubles })]),
      onRequest: undefined,
      troubles,
    });
    const parameters = {
      edge: { ...DEFAULT_PARAMETERS.edge, resumeMs: 0 },
      connector: {
        ...DEFAULT_PARAMETERS.connector,
        resumeMs: 0,
        ...(setup.streams !== undefined && { initialMaxStreams: setup.streams }),
      },
    };
    const make = (side: Side): Session =>
      new Session(
        {
          side,
          local: parameters[side],
          remote: parameters[side === "edge" ? "connector" : "edge"],
          trace: SILENT,
          isTuning: false,
          budget: this.budget,
        },
        {
          accept: (stream) => (side === "connector" && takes ? service.serve(stream) : undefined),
          status: ({ name }) => {
            if (name === "closed" && side === "edge") this.registry.remove(live);
          },
          fault: (error) => {
            throw error;
          },
        },
      );
    const session = make("connector");
    const live = new LiveSession(
      make("edge"),
      { kind: "tunnel", id: TUNNEL, name: "home", keyId: "k", application: NOTHING },
      { id: randomBytes(16), key: NOTHING, instance: NOTHING, label: "" },
      Date.now(),
    );
    for (const side of ["edge", "connector"] as const) {
      const decoder = new FrameDecoder({ side, phase: "live", maxDatagram: 0 });
      const end = side === "edge" ? live.session : session;
      end.attach(0, { socket: sockets[side], decoder });
    }
    this.registry.add(live);
    live.announce(this, { hosts, takesRest: false });
    return new TestConnector(session, live, origin, service);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.service.stopHolding();
    this.#deadlines[Symbol.dispose]();
    await this.#door[Symbol.asyncDispose]();
  }
}

const SILENT = {
  link: () => undefined,
  stream: () => undefined,
  dropped: () => undefined,
  violation: () => undefined,
};
