// This file is one message to one server and its reply: UDP from a port of its own, TCP where that is too short, each with a time limit. RFC 1035 §4.2, RFC 5452, RFC 7766.
import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";
import { formatIp, parsePeerIp } from "../../address/index.ts";
import { TunlError } from "../../errors.ts";
import { reached } from "../../limits.ts";
import type { ServerAddress } from "./client.ts";
import { CODES, decodeMessage, type Message } from "./message.ts";

/** Sockets towards name servers at a time: descriptors stay free for visitors. */
export const EXCHANGES_MAX = 64;
/** Messages that wait for one of them; beyond it the question fails and is asked again later, as for a silent server. */
export const EXCHANGES_WAITING_MAX = 1_024;

export interface Reply {
  readonly message: Message;
  /** As received, for signatures. */
  readonly bytes: Uint8Array;
}

export interface ExchangeOptions {
  readonly server: ServerAddress;
  /** The whole message. */
  readonly bytes: Uint8Array;
  readonly by: "udp" | "tcp";
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Name servers as this process reaches them: a bounded number of sockets, first come. */
export class Exchanges {
  #open = 0;
  readonly #waiting: (() => void)[] = [];

  /** Messages that wait for a socket. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * Sends a message and waits for its reply. What comes from elsewhere, with another id or another question is ignored.
   *
   * @throws TunlError `DNS_FAILED`, retryable: not reachable, silent, no DNS message, or too many at once. The reason of
   *   `signal`.
   */
  async send(options: ExchangeOptions): Promise<Reply> {
    options.signal?.throwIfAborted();
    await this.#enter(options.signal);
    try {
      options.signal?.throwIfAborted();
      return await (options.by === "udp" ? sendByUdp(options) : sendByTcp(options));
    } finally {
      // A socket that gets free is given on: nobody who comes meanwhile takes it.
      const next = this.#waiting.shift();
      if (next === undefined) this.#open -= 1;
      else next();
    }
  }

  /** @throws the reason of the signal, which ends the wait for a socket as well. */
  async #enter(signal: AbortSignal | undefined): Promise<void> {
    if (this.#open >= EXCHANGES_MAX) {
      if (this.#waiting.length >= EXCHANGES_WAITING_MAX) {
        reached("dnsQuestions");
        throw new TunlError("DNS_FAILED", "Too many questions to the DNS at once", {
          retryable: true,
        });
      }
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const onAbort = (): void => {
        const place = this.#waiting.indexOf(resolve);
        // It was given a socket this very turn, which `send` gives on.
        if (place === -1) return;
        this.#waiting.splice(place, 1);
        reject(signal?.reason);
      };
      this.#waiting.push(resolve);
      signal?.addEventListener("abort", onAbort, { once: true });
      await promise.finally(() => signal?.removeEventListener("abort", onAbort));
      return;
    }
    this.#open += 1;
  }
}

/** `192.0.2.1`, `[2001:db8::1]:5353`: the port where it is not the usual one. */
export function formatServer({ host, port }: ServerAddress): string {
  if (port === 53) return host;
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function sendByUdp(options: ExchangeOptions): Promise<Reply> {
  const { server, bytes } = options;
  const wanted = wantedReply(bytes);
  const socket = createSocket(isIPv6(server.host) ? "udp6" : "udp4");
  return settle(
    options,
    () => closeQuietly(socket),
    (done, fail) => {
      socket.on("error", (error) => fail(failed(server, wordOf(error), error)));
      socket.on("message", (data, from) => {
        // The kernel filters a connected socket; between bind and connect anybody may have sent something.
        if (from.port !== server.port || !isSameHost(from.address, server.host)) return;
        const message = decodeMessage(data);
        if (message !== undefined && wanted(message)) done({ message, bytes: data });
      });
      socket.connect(server.port, server.host, () => {
        socket.send(bytes, (error) => {
          if (error) fail(failed(server, wordOf(error), error));
        });
      });
    },
  );
}

function sendByTcp(options: ExchangeOptions): Promise<Reply> {
  const { server, bytes } = options;
  const wanted = wantedReply(bytes);
  const socket = connect({ host: server.host, port: server.port });
  return settle(
    options,
    () => socket.destroy(),
    (done, fail) => {
      const chunks: Uint8Array[] = [];
      let size = 0;
      socket.on("error", (error) => fail(failed(server, wordOf(error), error)));
      socket.on("close", () => fail(failed(server, "closed the connection without a reply")));
      socket.on("connect", () => {
        const length = Buffer.alloc(2);
        length.writeUInt16BE(bytes.length);
        socket.write(Buffer.concat([length, bytes]));
      });
      socket.on("data", (data) => {
        chunks.push(typeof data === "string" ? Buffer.from(data, "latin1") : data);
        size += data.length;
        // Put together once, when all is there: byte by byte it would be the square of 64 KiB.
        if (size < 2 || size < 2 + lengthAt(chunks)) return;
        const reply = Buffer.concat(chunks).subarray(2, 2 + lengthAt(chunks));
        const message = decodeMessage(reply);
        if (message !== undefined && wanted(message)) done({ message, bytes: reply });
        else fail(failed(server, "answered with something else than a reply"));
      });
    },
  );
}

/** The two bytes before a message of TCP. */
function lengthAt(chunks: readonly Uint8Array[]): number {
  const first = chunks[0] as Uint8Array;
  const high = first[0] as number;
  const low = first.length > 1 ? first[1] : chunks[1]?.[0];
  return (high << 8) | (low as number);
}

/** Runs `start` until it is done, fails, is late or given up; `close` runs once, whatever happened. */
function settle(
  { server, timeoutMs, signal, by }: ExchangeOptions,
  close: () => void,
  start: (done: (reply: Reply) => void, fail: (error: unknown) => void) => void,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const end = (act: () => void): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      close();
      act();
    };
    const fail = (error: unknown): void => end(() => reject(error));
    const onAbort = (): void => fail(signal?.reason);
    const timer = setTimeout(() => {
      fail(failed(server, `is silent by ${by.toUpperCase()} for ${timeoutMs / 1_000} s`));
    }, timeoutMs);
    signal?.addEventListener("abort", onAbort, { once: true });
    start((reply) => end(() => resolve(reply)), fail);
  });
}

/** What makes a message the reply to `request`: its id, the reply bit, its opcode, its question if it repeats one. */
function wantedReply(request: Uint8Array): (message: Message) => boolean {
  const sent = decodeMessage(request);
  return ({ id, isReply, opcode, question, code }) =>
    isReply &&
    id === sent?.id &&
    opcode === sent.opcode &&
    (question === undefined
      ? // Servers that refuse the whole message may leave it out; an answer never does.
        opcode !== 0 || code !== CODES.NOERROR
      : question.name === sent.question?.name && question.type === sent.question.type);
}

function isSameHost(address: string, host: string): boolean {
  const [from, to] = [parsePeerIp(address), parsePeerIp(host)];
  return from !== undefined && to !== undefined && formatIp(from) === formatIp(to);
}

function failed(server: ServerAddress, what: string, cause?: unknown): TunlError {
  return new TunlError("DNS_FAILED", `Name server ${formatServer(server)} ${what}`, {
    retryable: true,
    cause,
  });
}

function wordOf(error: Error): string {
  const code = "code" in error ? String(error.code) : "";
  if (code === "ECONNREFUSED") return "is not there: nobody listens";
  if (code === "ENETUNREACH" || code === "EHOSTUNREACH") return "cannot be reached from here";
  return `failed: ${error.message}`;
}

function closeQuietly(socket: { close(): void }): void {
  try {
    socket.close();
  } catch {
    // It closed itself on the error that ended the exchange.
  }
}
