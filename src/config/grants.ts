// This file is `grants` of edge.yml: which tunnel has which names as long as the file says so. product.md §3.1; A-08.
import { formatPattern, isBelow, parsePattern, withoutWildcard } from "../address/index.ts";
import type { Tree } from "./document.ts";
import { nearest } from "./nearest.ts";
import type { Problem, Span } from "./report.ts";

/** One entry: a tunnel by its name, whether it exists yet or not, and its names in canonical form. */
export interface FixedGrant {
  readonly tunnel: string;
  readonly hosts: readonly string[];
}

const FORM = "a list such as [{tunnel: my-tunnel, hosts: [app.example.com]}]";
const KEYS = ["tunnel", "hosts"];
/** Known keys of an entry that this build does not have. */
const LATER = new Set(["tcp", "udp", "limits"]);
const MAX_GRANTS = 1_000;
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,54}[a-z0-9])?$/;

/** Reads the value of `grants`; never throws. A typing error in here would open or shut a door, so every one is an error. */
export function readGrants(tree: Tree): { grants: FixedGrant[]; problems: Problem[] } {
  const reader = new GrantsReader();
  if (tree.kind === "scalar" && tree.isEmpty) return reader;
  if (tree.kind !== "list") reader.fail(`grants is no list, expected ${FORM}`, tree.span);
  else if (tree.items.length > MAX_GRANTS)
    reader.fail(`grants has ${tree.items.length} entries, allowed ${MAX_GRANTS}`, tree.span);
  else for (const item of tree.items) reader.entry(item);
  return reader;
}

class GrantsReader {
  readonly grants: FixedGrant[] = [];
  readonly problems: Problem[] = [];
  readonly #hosts: { readonly tunnel: string; readonly host: string }[] = [];

  entry(item: Tree): void {
    if (item.kind !== "map")
      return this.fail(`An entry of grants is no map, expected ${FORM}`, item.span);
    let tunnel: string | undefined;
    let hosts: string[] | undefined;
    for (const { name, nameSpan, value } of item.entries) {
      if (name === "tunnel") tunnel = this.#tunnel(value);
      else if (name === "hosts") hosts = this.#texts(value);
      else this.#unknown(name, nameSpan);
    }
    if (tunnel === undefined || hosts === undefined || hosts.length === 0) {
      // What is there and wrong has been told; what is missing has not.
      const missing = KEYS.filter((key) => !item.entries.some(({ name }) => name === key));
      if (missing.length > 0)
        this.fail(
          `An entry of grants has no ${missing.join(" and no ")}, expected ${FORM}`,
          item.span,
        );
      return;
    }
    this.grants.push({ tunnel, hosts });
    for (const host of hosts) this.#assertFree(tunnel, host, item.span);
  }

  fail(message: string, span: Span, hint?: string): void {
    const code = "BAD_VALUE";
    this.problems.push({
      severity: "error",
      code,
      message,
      span,
      ...(hint !== undefined && { hint }),
    });
  }

  #tunnel(value: Tree): string | undefined {
    const text = value.kind === "scalar" ? value.text.toLowerCase() : "";
    if (NAME.test(text)) return text;
    this.fail("tunnel of a grant is no name, expected one such as my-tunnel", value.span);
    return undefined;
  }

  #texts(value: Tree): string[] {
    const hosts: string[] = [];
    for (const item of value.kind === "list" ? value.items : [value]) {
      const pattern = item.kind === "scalar" ? parsePattern(item.text) : undefined;
      if (pattern === undefined) {
        const shown = item.kind === "scalar" ? JSON.stringify(item.text) : `a ${item.kind}`;
        this.fail(
          `A name of a grant is ${shown}, expected app.example.com or "*.dev.example.com"`,
          item.span,
        );
      } else hosts.push(formatPattern(pattern));
    }
    return hosts;
  }

  #unknown(name: string, span: Span): void {
    if (LATER.has(name))
      return this.fail(`"${name}" of a grant is not in this build yet`, span, "Remove it");
    const near = nearest(name, KEYS);
    this.fail(
      `Unknown key "${name}" in a grant${near === undefined ? "" : `, nearest is "${near}"`}`,
      span,
    );
  }

  /** Two tunnels with one name, or one with a name below the wildcard of another: nobody could say whose visitor it is. */
  #assertFree(tunnel: string, host: string, span: Span): void {
    for (const other of this.#hosts) {
      if (other.tunnel === tunnel || !isOverlapping(other.host, host)) continue;
      this.fail(
        `grants gives ${host} to "${tunnel}" and ${other.host} to "${other.tunnel}"`,
        span,
        "Each name belongs to one tunnel",
      );
    }
    this.#hosts.push({ tunnel, host });
  }
}

function isOverlapping(one: string, other: string): boolean {
  if (one === other) return true;
  return isUnder(one, other) || isUnder(other, one);
}

function isUnder(host: string, wildcard: string): boolean {
  if (!wildcard.startsWith("*.")) return false;
  return isBelow(withoutWildcard(host), wildcard.slice(2));
}
