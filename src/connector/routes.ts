// This file is what the edge said of the names of this connector: where each leads, and what was told of it already. product.md §1.2, §3.3 item 7.
import type { TunlError } from "../errors.ts";
import type { ConnectorEvents } from "./events.ts";
import type { Ingress } from "./ingress.ts";
import type { Service } from "./services.ts";

/** One line of `tunl status`: a rule that serves a name. */
export interface Route {
  readonly host: string;
  readonly url: string;
  readonly service: string;
  /** Expression of the rule, where it has one. */
  readonly path?: string;
}

/**
 * The names of one session. A new session is told the same again: what was shown once is not shown again.
 *
 * What is remembered is bounded by the names of the rules, 1,000 at most.
 */
export class RouteBook {
  readonly #ingress: Ingress<Service>;
  readonly #events: ConnectorEvents;
  readonly #now: () => number;
  /** Names granted to this session, and when. */
  readonly #granted = new Map<string, { readonly url: string; readonly at: number }>();
  readonly #shown = new Set<string>();
  /** Code by name. */
  readonly #refused = new Map<string, string>();

  constructor(
    ingress: Ingress<Service>,
    events: ConnectorEvents,
    now: () => number = () => performance.now(),
  ) {
    this.#ingress = ingress;
    this.#events = events;
    this.#now = now;
  }

  /** A new session asks anew. */
  begin(): void {
    this.#granted.clear();
  }

  granted(host: string, url: string): void {
    this.#granted.set(host, { url, at: this.#now() });
    this.#refused.delete(host);
    if (this.#shown.has(url)) return;
    this.#shown.add(url);
    for (const { service, path } of this.#ingress.rulesFor(host))
      this.#events.route(url, service.origin.url, path?.source);
  }

  /** The same refusal of a name is told once, however often it is asked for; a name that was served is served no more. */
  refused(host: string, error: TunlError): void {
    const lost = this.#granted.get(host);
    this.#granted.delete(host);
    if (lost !== undefined) this.#shown.delete(lost.url);
    if (this.#refused.get(host) === error.code) return;
    this.#refused.set(host, error.code);
    this.#events.failed(error);
  }

  /** @param took How long the edge says that it took, ms. */
  certificate(host: string, state: string, took: number | undefined, text: string): void {
    if (state !== "ready" && state !== "failed") return; // Still under way.
    const at = this.#granted.get(host)?.at ?? this.#now();
    this.#events.certificate(host, state, took ?? this.#now() - at, text);
  }

  list(): readonly Route[] {
    return [...this.#granted].flatMap(([host, { url }]) =>
      this.#ingress.rulesFor(host).map(({ service, path }) => ({
        host,
        url,
        service: service.origin.url,
        ...(path !== undefined && { path: path.source }),
      })),
    );
  }
}
