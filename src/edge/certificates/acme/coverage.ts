// This file is which certificate covers which wanted name: one for each, or one wildcard for all below a domain. product.md §7; pure.

/** One certificate and what stands in it. */
export interface Line {
  /** Its first name, `*.domain` for the wildcard of a domain. */
  readonly id: string;
  readonly names: readonly string[];
}

/** The wanted names of an edge. */
export class Coverage {
  readonly #domains: ReadonlySet<string>;
  readonly #wanted = new Set<string>();
  /** Domains that get one certificate with their `*.`: their zone is ours to edit. */
  readonly #wildcards = new Set<string>();

  /** @param domains Canonical domains of the edge. */
  constructor(domains: readonly string[]) {
    this.#domains = new Set(domains);
  }

  get wanted(): Iterable<string> {
    return this.#wanted;
  }

  /** Returns false where it was wanted before. */
  want(name: string): boolean {
    if (this.#wanted.has(name)) return false;
    this.#wanted.add(name);
    return true;
  }

  /** Returns false where it was not wanted. */
  unwant(name: string): boolean {
    return this.#wanted.delete(name);
  }

  isWanted(name: string): boolean {
    return this.#wanted.has(name);
  }

  /** From now on one wildcard covers the domain and all one-label names below it. */
  useWildcard(domain: string): void {
    if (this.#domains.has(domain)) this.#wildcards.add(domain);
  }

  /** From now on each name has its own certificate. */
  dropWildcard(domain: string): void {
    this.#wildcards.delete(domain);
  }

  /** The certificate that is to cover a name. */
  lineOf(name: string): Line {
    const domain = this.#wildcards.has(name) ? name : name.slice(name.indexOf(".") + 1);
    return this.#wildcards.has(domain) ? wildcardLine(domain) : { id: name, names: [name] };
  }

  /** The domain of a line that is the wildcard of one. */
  domainOf(id: string): string | undefined {
    const domain = id.startsWith("*.") ? id.slice(2) : "";
    return this.#domains.has(domain) ? domain : undefined;
  }

  /** True while somebody wants a name that this certificate is to cover. */
  isUsed(id: string): boolean {
    for (const name of this.#wanted) if (this.lineOf(name).id === id) return true;
    return false;
  }
}

export function wildcardLine(domain: string): Line {
  return { id: `*.${domain}`, names: [domain, `*.${domain}`] };
}
