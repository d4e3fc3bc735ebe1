// This file is the edge's certificates without an edge: a real CA, the answers to its challenges on real ports, a clock that may run fast.
import { createServer as createHttpServer } from "node:http";
import { createServer, type Server } from "node:net";
import type { Server as TlsServer } from "node:tls";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AccountFile, caAddress } from "../../src/edge/certificates/acme/account.ts";
import { AcmeSource } from "../../src/edge/certificates/acme/acme-source.ts";
import { CaBudget } from "../../src/edge/certificates/acme/budget.ts";
import { Ca } from "../../src/edge/certificates/acme/ca.ts";
import type { KeyType } from "../../src/edge/certificates/acme/certificate-key.ts";
import {
  ChallengeAnswers,
  type ChallengeType,
  type DnsAnswers,
} from "../../src/edge/certificates/acme/challenges.ts";
import { FailureFile } from "../../src/edge/certificates/acme/failure-file.ts";
import type { ExternalKey } from "../../src/edge/certificates/acme/jose.ts";
import {
  CertificateStorage,
  type StoredCertificate,
} from "../../src/edge/certificates/acme/storage.ts";
import { ANSWER_MS, CaTransport, type Fetch } from "../../src/edge/certificates/acme/transport.ts";
import { WeeklyCount, type WeeklyLimit } from "../../src/edge/certificates/acme/weekly-count.ts";
import { IssuedFile, WeeklyLog } from "../../src/edge/certificates/acme/weekly-log.ts";
import { CertificateTable } from "../../src/edge/certificates/certificates.ts";
import { Deadlines } from "../../src/deadlines.ts";
import { Logger, type LogRecord } from "../../src/log.ts";
import { eventually } from "../binary/program.ts";
import type { Names, Pebble } from "../pebble.ts";

/** Real time, or faster: an hour of the edge in some seconds. */
export class Clock {
  readonly #speed: number;
  readonly #startedAt = performance.now();
  #base = Date.now();

  constructor(speed = 1) {
    this.#speed = speed;
  }

  readonly now = (): number =>
    this.#base + Math.round((performance.now() - this.#startedAt) * this.#speed);

  /** Jumps. */
  skip(ms: number): void {
    this.#base += ms;
  }

  readonly sleep = async (ms: number, signal: AbortSignal): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms / this.#speed);
    signal.addEventListener("abort", () => resolve(), { once: true });
    if (signal.aborted) resolve();
    await promise;
    clearTimeout(timer);
  };

  readonly later = (ms: number, run: () => void): Disposable => {
    const timer = setTimeout(run, ms / this.#speed);
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  };
}

/** What happens to a request on its way to the CA; `pass` is all that an ordinary one needs. */
export type Way = "pass" | "refuse" | "hang" | "unreachable";

/** The wire between edge and CA: counts, and breaks when told so. */
export class Wire {
  way: Way = "pass";
  /** When each request was made, by the edge's clock. */
  readonly at: number[] = [];
  readonly lines: string[] = [];
  readonly #pass: Fetch;

  constructor(pass: Fetch = fetch) {
    this.#pass = pass;
  }

  /** The most requests that any minute of the edge's clock held. */
  get busiestMinute(): number {
    const within = (from: number): number =>
      this.at.filter((at) => at >= from && at < from + 60_000).length;
    return Math.max(0, ...this.at.map(within));
  }

  readonly fetch: Fetch = async (url, init) => {
    this.lines.push(`${init.method} ${new URL(url).pathname.split("/")[1]}`);
    switch (this.way) {
      case "pass":
        return await this.#pass(url, init);
      case "unreachable":
        throw Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
      case "refuse":
        return Response.json(
          { type: "urn:ietf:params:acme:error:serverInternal", detail: "Out of order" },
          { status: 503 },
        );
      case "hang": {
        const { promise, reject } = Promise.withResolvers<never>();
        init.signal?.addEventListener("abort", () => reject(init.signal?.reason));
        return await promise;
      }
      default:
        this.way satisfies never;
        throw new Error("No such way");
    }
  };
}

/** A CA that hangs is given up after that, real time. */
const HANG_MS = 50;

/**
 * Notes when requests begin, by the edge's clock: at thousandfold speed the milliseconds until a request leaves the
 * machine are seconds.
 */
class NotedBudget extends CaBudget {
  readonly #at: number[];

  constructor(at: number[]) {
    super();
    this.#at = at;
  }

  override begin(now: number): void {
    this.#at.push(now);
    super.begin(now);
  }
}

export interface BenchSetup {
  readonly directory: string;
  readonly roots?: string;
  /** Answers in place of a CA. */
  readonly fetch?: Fetch;
  readonly doors?: Doors;
  /** Shared with other benches at the same doors; its own if absent, which the doors then lead to. */
  readonly answers?: ChallengeAnswers;
  readonly clock?: Clock;
  readonly dns?: DnsAnswers;
  readonly challenge?: ChallengeType | "auto";
  readonly usesWildcards?: boolean;
  readonly hasAddress?: (name: string) => Promise<boolean | undefined>;
  readonly isGranted?: (name: string) => boolean;
  readonly domains?: readonly string[];
  readonly keyType?: KeyType;
  readonly email?: string;
  readonly external?: ExternalKey;
  readonly isAgreed?: boolean;
  readonly state?: string;
  /** Limit of first certificates that the CA has; none that is known if absent. */
  readonly weekly?: WeeklyLimit;
}

/** Certificates by ACME, as the edge has them. */
export class Bench implements AsyncDisposable {
  readonly table = new CertificateTable();
  readonly records: LogRecord[] = [];
  readonly clock: Clock;
  readonly wire: Wire;
  readonly state: string;
  readonly answers: ChallengeAnswers;
  readonly source: AcmeSource;
  readonly weekly: WeeklyLog | undefined;
  readonly storage: CertificateStorage;
  readonly #ownsState: boolean;

  private constructor(setup: BenchSetup) {
    const { directory, clock = new Clock(), dns, state } = setup;
    this.clock = clock;
    this.wire = new Wire(setup.fetch);
    this.#ownsState = state === undefined;
    this.state = state ?? mkdtempSync(join(tmpdir(), "tunl-acme-"));
    this.storage = new CertificateStorage(this.state);
    this.answers = setup.answers ?? new ChallengeAnswers(dns, clock.now);
    const address = caAddress(directory);
    const ca = new Ca({
      directory: address.directory,
      file: new AccountFile(this.state, address),
      account: {
        email: setup.email,
        external: setup.external,
        isAgreed: setup.isAgreed ?? true,
      },
      keyType: setup.keyType ?? "p256",
      transport: new CaTransport(new NotedBudget(this.wire.at), {
        roots: setup.roots,
        userAgent: "tunl/test",
        clock: clock.now,
        fetch: this.wire.fetch,
        sleep: clock.sleep,
        timeoutMs: () => (this.wire.way === "hang" ? HANG_MS : ANSWER_MS),
      }),
      answers: this.answers,
    });
    const log = new Logger((record) => this.records.push(record), "debug");
    this.weekly =
      setup.weekly &&
      new WeeklyLog({
        count: new WeeklyCount(setup.weekly, setup.domains ?? []),
        file: new IssuedFile(this.state, address),
        ...{ cure: "provider", log, clock: clock.now },
      });
    this.source = new AcmeSource({
      domains: setup.domains ?? [],
      ca,
      storage: this.storage,
      failures: new FailureFile(this.state, address),
      weekly: this.weekly,
      answers: this.answers,
      challenge: setup.challenge ?? "auto",
      usesWildcards: setup.usesWildcards ?? dns !== undefined,
      hasAddress: setup.hasAddress ?? (async () => undefined),
      isGranted: setup.isGranted ?? (() => true),
      table: this.table,
      log,
      clock: clock.now,
      random: Math.random,
      later: clock.later,
    });
  }

  static async start(setup: BenchSetup): Promise<Bench> {
    const bench = new Bench(setup);
    if (setup.answers === undefined) setup.doors?.lead(bench.answers);
    bench.source.start();
    return bench;
  }

  /** What is on the disk of a certificate, once it is there: visitors are served before. */
  stored(id: string): Promise<StoredCertificate> {
    return eventually(async () => {
      const found = await this.storage.load(id);
      return found.kind === "whole" ? found.certificate : undefined;
    }, `the stored certificate of ${id}`);
  }

  get messages(): string[] {
    return this.records.filter(({ level }) => level !== "debug").map(({ message }) => message);
  }

  /** Stops; the state stays. */
  async stop(): Promise<void> {
    await this.source[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    if (this.#ownsState) rmSync(this.state, { recursive: true, force: true });
  }
}

interface Rooms {
  answers: ChallengeAnswers | undefined;
  tls: TlsServer | undefined;
}

/** The ports at which a CA knocks. They are open before the CA is told of them. */
export class Doors implements AsyncDisposable {
  readonly httpPort: number;
  readonly tlsPort: number;
  readonly #servers: readonly Server[];
  readonly #rooms: Rooms;
  readonly #deadlines = new Deadlines((error) => {
    throw error;
  });

  private constructor(servers: readonly Server[], ports: readonly number[], rooms: Rooms) {
    this.#servers = servers;
    [this.httpPort, this.tlsPort] = ports as [number, number];
    this.#rooms = rooms;
  }

  static async open(): Promise<Doors> {
    const rooms: Rooms = { answers: undefined, tls: undefined };
    const http = createHttpServer((request, response) => {
      const token = request.url?.replace("/.well-known/acme-challenge/", "") ?? "";
      const answer = rooms.answers?.httpAnswer(token);
      response.writeHead(answer === undefined ? 404 : 200, { connection: "close" }).end(answer);
    });
    const tls = createServer((socket) => {
      socket.on("error", () => undefined);
      if (rooms.tls === undefined) socket.destroy();
      else rooms.tls.emit("connection", socket);
    });
    const ports = [await portOf(http), await portOf(tls)];
    return new Doors([http, tls], ports, rooms);
  }

  /** Whose answers are shown from now on; `tls` false: nobody answers TLS-ALPN-01. */
  lead(answers: ChallengeAnswers, tls = true): void {
    this.#rooms.answers = answers;
    this.#rooms.tls = tls ? answers.createTlsServer(this.#deadlines) : undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) server.close();
    this.#deadlines[Symbol.dispose]();
  }
}

async function portOf(server: Server): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("A TCP server has a port");
  return address.port;
}

/** What a bench needs of a CA. */
export function reach(pebble: Pebble): { directory: string; roots: string } {
  return { directory: pebble.directory, roots: readFileSync(pebble.caFile, "utf8") };
}

/** DNS-01 in the names of challtestsrv: every zone is ours. */
export class TxtAnswers implements DnsAnswers {
  /** Values shown now, and how many there were in all. */
  shown = 0;
  total = 0;
  readonly #names: Names;
  readonly #zones: readonly string[];

  constructor(names: Names, zones: readonly string[]) {
    this.#names = names;
    this.#zones = zones;
  }

  async serves(name: string): Promise<boolean> {
    return this.#zones.some((zone) => name === zone || name.endsWith(`.${zone}`));
  }

  async present(name: string, value: string): Promise<AsyncDisposable> {
    await this.#names.addTxt(name, value);
    this.shown += 1;
    this.total += 1;
    return {
      [Symbol.asyncDispose]: async () => {
        await this.#names.clearTxt(name);
        this.shown -= 1;
      },
    };
  }
}
