// This file is ordered rules from hostname and path to a service; the first match wins. Pure. product.md §3.3.
import { isBelow } from "../address/index.ts";
import { decodedPath, pathAmbiguity } from "../http1/index.ts";

/** One rule; `Service` is whatever answers. */
export interface Rule<Service> {
  /** A canonical name, `*.x` for every name below x at any depth, or "" for every host. */
  readonly hostname: string;
  /** Searched in the percent-decoded path, never in the query; undefined takes every path. */
  readonly path: { readonly source: string; test(path: string): boolean } | undefined;
  /** True: decides by paths that an origin might read otherwise, too. */
  readonly allowAmbiguousPaths: boolean;
  readonly service: Service;
}

/** A rule without conditions: what a connector without a configuration file has. */
export function catchAll<Service>(service: Service): Rule<Service> {
  return { hostname: "", path: undefined, allowAmbiguousPaths: false, service };
}

/** What became of a request. `number` counts rules from 0, as `tunl ingress rule` does. */
export interface Found<Service> {
  readonly service: Service;
  readonly number: number;
}

/** Decides if the hostname of a rule takes a canonical host. */
type HostTest = (host: string) => boolean;

interface Entry<Service> {
  readonly takes: HostTest;
  readonly rule: Rule<Service>;
  readonly found: Found<Service>;
}

/**
 * Looks from the top: a rule costs a comparison of two short strings, its expression is asked only where its host matched
 * (`scripts/bench` has the figure for a thousand rules).
 */
export class Ingress<Service> {
  readonly #entries: readonly Entry<Service>[];

  constructor(rules: readonly Rule<Service>[]) {
    this.#entries = rules.map((rule, index) => ({
      takes: hostTest(rule.hostname),
      rule,
      found: { service: rule.service, number: index },
    }));
  }

  /**
   * @param authority Host of the request, with or without a port.
   * @param target Path and query as bytes, as the visitor wrote them.
   * @returns undefined: no rule takes it. `ambiguous`: a rule would have to decide by a path that the origin might read
   *   otherwise (S-37).
   */
  find(authority: string, target: Uint8Array): Found<Service> | "ambiguous" | undefined {
    const host = hostOf(authority);
    let path: string | undefined;
    let isAmbiguous: boolean | undefined;
    for (const { takes, rule, found } of this.#entries) {
      if (!takes(host)) continue;
      if (rule.path === undefined) return found;
      if (!rule.allowAmbiguousPaths) {
        isAmbiguous ??= pathAmbiguity(target) !== undefined;
        // Whether this rule or a later one is meant depends on who reads the path: nobody decides it.
        if (isAmbiguous) return "ambiguous";
      }
      path ??= decodedPath(target);
      if (rule.path.test(path)) return found;
    }
    return undefined;
  }

  /**
   * The rules that requests for a name may come to, in order: up to the first that takes every path of it.
   *
   * @param host Canonical name, or `*.x` for the names below x.
   */
  rulesFor(host: string): readonly Rule<Service>[] {
    const sample = host.startsWith("*.") ? host.slice(1) : host;
    const rules: Rule<Service>[] = [];
    for (const { rule } of this.#entries) {
      const isTaken = rule.hostname === host || hostTest(rule.hostname)(sample);
      if (!isTaken) continue;
      rules.push(rule);
      if (rule.path === undefined) break;
    }
    return rules;
  }
}

function hostTest(hostname: string): HostTest {
  if (hostname === "" || hostname === "*") return () => true;
  if (!hostname.startsWith("*.")) return (host) => host === hostname;
  const parent = hostname.slice(2);
  return (host) => isBelow(host, parent);
}

/** The edge sends canonical names; whatever else comes is compared in the same form. */
function hostOf(authority: string): string {
  const colon = authority.lastIndexOf(":");
  const end = colon < 0 ? authority.length : colon;
  const isDotted = authority.charCodeAt(end - 1) === DOT;
  return authority.slice(0, isDotted ? end - 1 : end).toLowerCase();
}

const DOT = 0x2e;
