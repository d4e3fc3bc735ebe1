// This file is visitors who ask without a pause, and an origin that writes down who asked: a history to judge restarts by. reliability.md §1.
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type Reachable } from "../e2e/rig.ts";
import { Visitor } from "../e2e/visitor.ts";
import { within } from "../within.ts";

/** Every second request is a POST of this size. */
const BODY_BYTES = 16_384;

/** Counts requests by the id in their path, and says back what came. */
export class CountingServer implements AsyncDisposable {
  readonly counts = new Map<string, number>();
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      const id = request.url ?? "";
      this.counts.set(id, (this.counts.get(id) ?? 0) + 1);
      const hash = createHash("sha256");
      request.on("data", (bytes: Buffer) => hash.update(bytes));
      request.on("end", () => response.end(`${id} ${hash.digest("hex")}`));
    });
  }

  static async start(): Promise<CountingServer> {
    const counting = new CountingServer();
    counting.#server.listen(0, "127.0.0.1");
    await within(once(counting.#server, "listening"), "the origin");
    return counting;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Ids that came more than once. */
  get repeated(): string[] {
    return [...this.counts].filter(([, count]) => count > 1).map(([id]) => id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

let lastId = 0;

/** Visitors with one connection each, GET and POST in turn, until they are told to stop. */
export class Traffic {
  /** Answers by their kind: `200`, `200 with other content`, `503 TUNNEL_OFFLINE`, or how a connection ended. */
  readonly kinds: Record<string, number> = {};
  /** Ids of the requests that were answered with 200. */
  readonly served: string[] = [];
  slowestMs = 0;
  slowerThan50Ms = 0;
  readonly #edge: Reachable;
  readonly #host: string;
  readonly #loops: Promise<unknown>;
  #isStopping = false;
  #wake: (() => void) | undefined;
  #wanted = 0;

  constructor(edge: Reachable, host: string, visitors: number) {
    this.#edge = edge;
    this.#host = host;
    this.#loops = Promise.all(Array.from({ length: visitors }, () => this.#visit()));
  }

  get count(): number {
    return Object.values(this.kinds).reduce((sum, count) => sum + count, 0);
  }

  /** Resolves when so many more answers are there than now. */
  async answers(more: number, withinMs?: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wanted = this.count + more;
    this.#wake = resolve;
    await within(promise, `${more} more answers`, withinMs);
  }

  /** Each visitor ends with its answer. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await within(this.#loops, "the last answers", 30_000);
  }

  async #visit(): Promise<void> {
    while (!this.#isStopping) {
      try {
        using visitor = await Visitor.open(this.#edge, this.#host);
        while (!this.#isStopping && (await this.#ask(visitor)));
      } catch (error) {
        this.#count(error instanceof Error ? error.message.slice(0, 60) : String(error));
        return;
      }
    }
  }

  /** Returns whether the connection goes on. */
  async #ask(visitor: Visitor): Promise<boolean> {
    lastId += 1;
    const id = `/r/${lastId}`;
    const isPost = lastId % 2 === 0;
    const body = isPost ? String.fromCharCode(65 + (lastId % 26)).repeat(BODY_BYTES) : "";
    const length = isPost ? `Content-Length: ${BODY_BYTES}\r\n` : "";
    const startedAt = performance.now();
    visitor.send(
      `${isPost ? "POST" : "GET"} ${id} HTTP/1.1\r\nHost: ${visitor.authority}\r\n${length}\r\n${body}`,
    );
    const { status, error = "", body: text, isKept } = await visitor.answer();
    const tookMs = performance.now() - startedAt;
    this.slowestMs = Math.max(this.slowestMs, tookMs);
    if (tookMs > 50) this.slowerThan50Ms += 1;
    const expected = `${id} ${createHash("sha256").update(body, "latin1").digest("hex")}`;
    if (status === 200 && text === expected) this.served.push(id);
    const kind = status === 200 && text !== expected ? "200 with other content" : status;
    this.#count(`${kind} ${error}`.trim());
    return isKept;
  }

  #count(kind: string): void {
    this.kinds[kind] = (this.kinds[kind] ?? 0) + 1;
    if (this.count >= this.#wanted) this.#wake?.();
  }
}
