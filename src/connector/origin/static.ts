// This file is the services a connector answers for itself: `http_status:N` and `hello_world` (product.md §3.3).
import type { RequestHead } from "../../exchange/index.ts";
import type { StaticTarget } from "../target.ts";
import { failure, type OnBug, reasonOf, throwLater } from "./failures.ts";
import type { Origin, OriginEvents, OriginExchange } from "./origin.ts";

const encoder = new TextEncoder();
const NO_BYTES = new Uint8Array(0);
const HELLO_FIELDS = encoder.encode(
  "Content-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n",
);
const HELLO_PAGE = encoder.encode(
  `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>The tunnel works</title>
<style>:root{color-scheme:light dark}
body{max-width:36rem;margin:clamp(3rem,18vh,12rem) auto 3rem;padding:0 1.5rem;font:1.125rem/1.6 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
h1{margin:0 0 1rem;font-size:clamp(2rem,6vw,3rem);line-height:1.1;letter-spacing:-.02em}
code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.9em}</style>
<h1>The tunnel works</h1>
<p>This page comes from the connector itself. For a service of yours on port 8000, start <code>tunl connect 8000</code> instead.</p>
</html>
`,
);

/** An empty answer with one status, or the built-in page. A request body is read and dropped. */
export class StaticOrigin implements Origin {
  readonly url: string;
  readonly #status: number;
  readonly #page: Uint8Array | undefined;
  readonly #onBug: OnBug;

  constructor(target: StaticTarget, onBug: OnBug = throwLater) {
    this.#onBug = onBug;
    this.url = target.url;
    this.#status = target.status ?? 200;
    this.#page = target.status === undefined ? HELLO_PAGE : undefined;
  }

  request(head: RequestHead, events: OriginEvents): OriginExchange {
    const exchange = new StaticExchange(events, this.#onBug);
    exchange.later(() => exchange.answer(head.method, this.#status, this.#page));
    return exchange;
  }

  close(): void {
    // Nothing is kept between requests.
  }
}

class StaticExchange implements OriginExchange {
  readonly #events: OriginEvents;
  readonly #onBug: OnBug;
  #isAnswering = false;
  #isOver = false;
  #isPaused = false;
  #rest: (() => void) | undefined;

  constructor(events: OriginEvents, onBug: OnBug) {
    this.#events = events;
    this.#onBug = onBug;
  }

  /** Runs a step in a task of its own; what it throws ends this exchange only (S-73). */
  later(step: () => void): void {
    queueMicrotask(() => {
      try {
        step();
      } catch (error) {
        this.#onBug(error);
        this.#giveUp(error);
      }
    });
  }

  answer(method: string, status: number, page: Uint8Array | undefined): void {
    if (this.#isOver) return;
    const hasBody = method !== "HEAD" && status !== 204 && status !== 304;
    const isBare = status === 204 || status === 304;
    this.#isAnswering = true;
    this.#events.response({
      status,
      reason: NO_BYTES,
      fields: page === undefined ? NO_BYTES : HELLO_FIELDS,
      length: isBare ? -1 : (page?.length ?? 0),
      hasBody,
    });
    const rest = (): void => {
      if (this.#isOver) return;
      if (hasBody && page !== undefined) this.#events.body(page);
      if (this.#isOver) return;
      this.#isOver = true;
      this.#events.end(undefined);
    };
    if (this.#isPaused) this.#rest = rest;
    else rest();
  }

  write(bytes: Uint8Array): "more" {
    const { length } = bytes;
    this.later(() => {
      if (!this.#isOver) this.#events.taken(length);
    });
    return "more";
  }

  end(): void {
    // The answer does not depend on the body.
  }

  abort(): void {
    this.#isOver = true;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    const rest = this.#rest;
    this.#rest = undefined;
    rest?.();
  }

  #giveUp(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    try {
      if (this.#isAnswering) this.#events.cut("truncated");
      else this.#events.failure(failure("INTERNAL", false, reasonOf(error)));
    } catch (second) {
      this.#onBug(second);
    }
  }
}
