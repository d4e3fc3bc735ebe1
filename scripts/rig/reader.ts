// This file is a visitor that downloads at its own pace: as fast as it can, so many bytes a second, or not at all. reliability.md R-11.
import { readFileSync } from "node:fs";
import { connect, createSecureContext } from "node:tls";
import type { SecureContext, TLSSocket } from "node:tls";

const OPEN_MS = 20_000;
/** How often paces are looked at, ms. */
const STEP_MS = 20;
/** Readers that are opened at a time. */
const AT_ONCE = 50;

/** Readers with a pace between nothing and everything; one timer for all of them. */
const paced = new Set<() => void>();
let pacer: Timer | undefined;

function follow(step: () => void): void {
  paced.add(step);
  pacer ??= setInterval(() => {
    for (const each of paced) each();
  }, STEP_MS);
}

function unfollow(step: () => void): void {
  paced.delete(step);
  if (paced.size > 0) return;
  clearInterval(pacer);
  pacer = undefined;
}

/** What all readers of one edge share. */
export interface ReaderGoal {
  readonly host: string;
  readonly port: number;
  readonly context: SecureContext;
  /** Source address; visitors of one machine are one source otherwise. */
  readonly localAddress?: string;
}

/** The goal behind a public URL. */
export function readerGoal(url: URL, caPath: string): ReaderGoal {
  return {
    host: url.hostname,
    port: Number(url.port),
    context: createSecureContext({ ca: readFileSync(caPath, "utf8") }),
  };
}

/** One download. Stalls when it is open: nothing but the head and what came with it is read until a pace is set. */
export class Reader implements Disposable {
  /** Body bytes read. */
  bytes = 0;
  /** Length announced. */
  length = 0;
  /** Resolves when the connection is over: true if the body came whole. */
  readonly ended: Promise<boolean>;
  readonly #socket: TLSSocket;
  readonly #opened = Promise.withResolvers<void>();
  #head = "";
  #isOpen = false;
  #pace = 0;
  #pacedFrom = 0;
  #pacedSince = 0;

  private constructor(goal: ReaderGoal, path: string) {
    const { host, port, context, localAddress } = goal;
    this.#socket = connect({
      host: "127.0.0.1",
      port,
      servername: host,
      secureContext: context,
      ...(localAddress !== undefined && { localAddress }),
    });
    this.#socket.on("secureConnect", () =>
      this.#socket.write(
        `GET ${path} HTTP/1.1\r\nHost: ${host}:${port}\r\nConnection: close\r\n\r\n`,
      ),
    );
    this.#socket.on("data", (bytes: Buffer) => this.#take(bytes));
    this.ended = new Promise((resolve) => {
      // What is missing shows in `bytes`.
      this.#socket.on("error", () => this.#socket.destroy());
      this.#socket.on("end", () => this.#socket.destroy());
      this.#socket.on("close", () => {
        unfollow(this.#step);
        this.#opened.reject(new Error(`The connection ended before a head: ${this.#head}`));
        resolve(this.#isOpen && this.bytes === this.length);
      });
    });
    // Nobody waits for it any more once it is open.
    this.#opened.promise.catch(() => undefined);
  }

  /** Asks, and waits for the head. @throws Error unless it is a 200 with a length. */
  static async open(goal: ReaderGoal, path: string): Promise<Reader> {
    const reader = new Reader(goal, path);
    const timer = setTimeout(
      () => reader.#socket.destroy(new Error("no head within 20 s")),
      OPEN_MS,
    );
    try {
      await reader.#opened.promise;
      return reader;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Reads so many bytes a second from now on; Infinity for all there is, 0 for nothing. */
  pace(bytesPerSecond: number): void {
    unfollow(this.#step);
    this.#pace = bytesPerSecond;
    this.#pacedFrom = this.bytes;
    this.#pacedSince = performance.now();
    if (bytesPerSecond === 0) this.#socket.pause();
    else if (bytesPerSecond === Number.POSITIVE_INFINITY) this.#socket.resume();
    else follow(this.#step);
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  #take(bytes: Buffer): void {
    if (this.#isOpen) {
      this.bytes += bytes.length;
      if (!this.#isBehind) this.#socket.pause();
      return;
    }
    this.#head += bytes.toString("latin1");
    const end = this.#head.indexOf("\r\n\r\n");
    if (end < 0) return;
    const length = /\r\ncontent-length: (\d+)\r\n/i.exec(this.#head.slice(0, end + 2))?.[1];
    if (!this.#head.startsWith("HTTP/1.1 200 ") || length === undefined) {
      this.#head = this.#head.slice(0, end);
      this.#socket.destroy();
      return;
    }
    this.length = Number(length);
    this.bytes = this.#head.length - end - 4;
    this.#head = "";
    this.#isOpen = true;
    this.#socket.pause();
    this.#opened.resolve();
  }

  get #isBehind(): boolean {
    if (this.#pace === Number.POSITIVE_INFINITY) return true;
    const dueBytes = (this.#pace * (performance.now() - this.#pacedSince)) / 1_000;
    return this.bytes - this.#pacedFrom < dueBytes;
  }

  readonly #step = (): void => {
    if (this.#socket.isPaused() && this.#isBehind) this.#socket.resume();
  };
}

/** Opens `count` readers, 50 at a time; each reads at `pace` as soon as it is open. */
export async function openReaders(
  goal: ReaderGoal,
  path: string,
  count: number,
  pace = 0,
): Promise<Reader[]> {
  const readers: Reader[] = [];
  const open = async (): Promise<Reader> => {
    const reader = await Reader.open(goal, path);
    reader.pace(pace);
    return reader;
  };
  while (readers.length < count) {
    const turn = Math.min(AT_ONCE, count - readers.length);
    readers.push(...(await Promise.all(Array.from({ length: turn }, open))));
  }
  return readers;
}

/** Bytes per second of each reader over the time. */
export async function rates(readers: readonly Reader[], seconds: number): Promise<number[]> {
  const before = readers.map(({ bytes }) => bytes);
  const startedAt = performance.now();
  await Bun.sleep(seconds * 1_000);
  const took = (performance.now() - startedAt) / 1_000;
  return readers.map(({ bytes }, index) => (bytes - (before[index] as number)) / took);
}
