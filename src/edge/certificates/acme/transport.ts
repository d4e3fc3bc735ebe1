// This file is one request to a CA and its answer: budget, roots, time-out, bound of the body, the clock of the CA. RFC 8555 §6.1.
import { reached } from "../../../limits.ts";
import { type CaBudget, type Outcome, WINDOW_MS } from "./budget.ts";
import { AcmeError, printable, type Problem, readProblem, unreachable } from "./problem.ts";

/** Hands a CA's bytes over; the runtime's own, except in tests that count. */
export type Fetch = (
  url: string,
  init: RequestInit & { tls?: { ca: string } },
) => Promise<Response>;

export interface TransportOptions {
  /** PEM roots of a private CA; undefined: those that everybody trusts. */
  readonly roots: string | undefined;
  readonly userAgent: string;
  /** Wall clock, milliseconds since 1970. */
  readonly clock: () => number;
  /** How long an answer may take, whole. */
  readonly timeoutMs?: () => number;
  readonly fetch?: Fetch;
  /** Waits; ends early when the signal says so, without an error. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

export interface CaReply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Of an answer that is no good one. */
  readonly problem: Problem;
  readonly retryAfterMs: number | undefined;
}

export const ANSWER_MS = 30_000;
/** Directories, orders and chains have some KB; a CA that sends more is none. */
const MAX_BODY = 1_048_576;
const DAY_MS = 86_400_000;
/** Clocks that differ by so much are worth a word beside any failure. */
const SKEW_MS = 600_000;

/** Speaks HTTPS with one CA, no faster than its budget allows. */
export class CaTransport {
  readonly #options: TransportOptions;
  readonly #budget: CaBudget;
  /** Whoever waits for the budget, one after the other. */
  #line: Promise<void> = Promise.resolve();
  #onEnded: () => void = () => undefined;
  #skewMs = 0;

  constructor(budget: CaBudget, options: TransportOptions) {
    this.#budget = budget;
    this.#options = options;
  }

  /** How far the clock of this machine is ahead of the CA's, as last seen; 0 where it is near enough. */
  get skewMs(): number {
    return Math.abs(this.#skewMs) < SKEW_MS ? 0 : this.#skewMs;
  }

  get now(): number {
    return this.#options.clock();
  }

  /** An order that stays pending is no failure of one request, but it is one of the CA. */
  noteSlow(): void {
    this.#budget.note("failed", this.#options.clock());
  }

  pause(ms: number, signal: AbortSignal): Promise<void> {
    return this.#options.sleep(ms, signal);
  }

  /**
   * Asks once.
   *
   * @throws AcmeError where no answer came; a refusal is an answer. The signal's reason when it ends the wait.
   */
  async request(
    method: "GET" | "HEAD" | "POST",
    url: string,
    body: string | undefined,
    signal: AbortSignal,
  ): Promise<CaReply> {
    assertAddress(url);
    await this.#turn(signal);
    let outcome: Outcome | undefined = "failed";
    try {
      const reply = await this.#ask(method, url, body, signal);
      const { type } = reply.problem;
      if (reply.status < 400 || isOfTheName(reply)) outcome = "good";
      else if (type === "badNonce") outcome = "nonce";
      return reply;
    } catch (error) {
      // Our own stop says nothing of the CA.
      if (signal.aborted) outcome = undefined;
      throw error;
    } finally {
      this.#budget.end(outcome, this.#options.clock());
      this.#onEnded();
    }
  }

  /** Waits until the budget allows a request, and takes it. */
  async #turn(signal: AbortSignal): Promise<void> {
    const before = this.#line;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#line = promise;
    try {
      await before;
      for (let isHeld = false; ; isHeld = true) {
        signal.throwIfAborted();
        const delay = this.#budget.delay(this.#options.clock());
        if (delay === 0) break;
        if (!isHeld && delay !== Number.POSITIVE_INFINITY) reached("caRequests");
        const ended = new Promise<void>((wake) => (this.#onEnded = wake));
        const rest = new AbortController();
        const stop = AbortSignal.any([signal, rest.signal]);
        await Promise.race([this.#options.sleep(Math.min(delay, WINDOW_MS), stop), ended]);
        rest.abort();
      }
      this.#budget.begin(this.#options.clock());
    } finally {
      resolve();
    }
  }

  async #ask(
    method: string,
    url: string,
    body: string | undefined,
    signal: AbortSignal,
  ): Promise<CaReply> {
    const { roots, userAgent, fetch: send = fetch } = this.#options;
    const timeoutMs = this.#options.timeoutMs?.() ?? ANSWER_MS;
    const limit = AbortSignal.timeout(timeoutMs);
    let response: Response;
    let text: string;
    try {
      response = await send(url, {
        method,
        redirect: method === "POST" ? "error" : "follow",
        headers: {
          "user-agent": userAgent,
          ...(body !== undefined && { "content-type": "application/jose+json" }),
        },
        ...(body !== undefined && { body }),
        ...(roots !== undefined && { tls: { ca: roots } }),
        signal: AbortSignal.any([signal, limit]),
      });
      text = await readBounded(response, url);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof AcmeError) throw error;
      if (limit.aborted) reached("caAnswerTime");
      throw unreachable(new URL(url).host, limit.aborted ? limit.reason : error, timeoutMs);
    }
    const { status, headers } = response;
    this.#readClock(headers.get("date"));
    return {
      status,
      headers,
      text,
      problem: status < 400 ? { type: "", detail: "" } : readProblem(parseJson(text)),
      retryAfterMs: retryAfter(headers.get("retry-after"), this.#options.clock()),
    };
  }

  #readClock(date: string | null): void {
    const theirs = date === null ? Number.NaN : Date.parse(date);
    if (!Number.isNaN(theirs)) this.#skewMs = this.#options.clock() - theirs;
  }
}

/** Addresses come from the CA: none leads to where there is no TLS, or to no place at all. */
function assertAddress(url: string): void {
  if (URL.parse(url)?.protocol === "https:") return;
  const text = `The CA named "${printable(url)}" as an address, expected one that begins with https://`;
  throw new AcmeError(text, { blame: "ca" });
}

/** The CA does well when it says no to a name. */
function isOfTheName({ problem: { type } }: CaReply): boolean {
  return type === "rejectedIdentifier" || type === "unsupportedIdentifier" || type === "caa";
}

async function readBounded(response: Response, url: string): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    length += part.length;
    if (length > MAX_BODY) {
      reached("caAnswerBytes");
      const host = new URL(url).host;
      throw new AcmeError(`The CA at ${host} sent more than ${MAX_BODY} bytes`, { blame: "ca" });
    }
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

/** JSON that somebody sent; undefined where it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // No JSON at all: whoever needed it says what it expected.
    return undefined;
  }
}

/** Seconds or a date (RFC 9110 §10.2.3), to milliseconds from now, at most a day. */
export function retryAfter(text: string | null, now: number): number | undefined {
  if (text === null) return undefined;
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - now;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(0, ms), DAY_MS);
}
