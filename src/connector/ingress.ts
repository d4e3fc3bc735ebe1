// This file is ordered rules from hostname and path to an origin; the first match wins. Pure. product.md §3.3.
import { decodedPath, pathAmbiguity } from "../http1/index.ts";
import type { Origin } from "./origin/index.ts";

/** One rule. Without a hostname it matches every host. */
export interface Rule {
  readonly origin: Origin;
  /** An expression, searched in the percent-decoded path; undefined takes every path. */
  readonly path?: { test(path: string): boolean };
}

/** Finds the origin of a request. A connector without a configuration file has one rule, which catches all. */
export class Ingress {
  readonly #rules: readonly Rule[];

  constructor(rules: readonly Rule[]) {
    this.#rules = rules;
  }

  /**
   * @returns undefined: no rule takes it. `ambiguous`: a rule would have to decide by a path that the origin might read
   * otherwise (S-37).
   */
  find(_authority: string, target: Uint8Array): Origin | "ambiguous" | undefined {
    let path: string | undefined;
    for (const rule of this.#rules) {
      if (rule.path === undefined) return rule.origin;
      if (path === undefined) {
        if (pathAmbiguity(target) !== undefined) return "ambiguous";
        path = decodedPath(target);
      }
      if (rule.path.test(path)) return rule.origin;
    }
    return undefined;
  }

  /** Connections to origins kept for later. */
  get idleConnections(): number {
    return this.#rules.reduce((sum, { origin }) => sum + (origin.idleConnections ?? 0), 0);
  }

  close(): void {
    for (const { origin } of this.#rules) origin.close();
  }
}
