// This file is who may serve which hostname: the check on every stream, and the decision about a claim or grant.
// product.md §6 item 2; A-08; http.md §6.
import { formatPattern, isBelow, parsePattern } from "../../address/index.ts";
import type { HostPattern } from "../../address/index.ts";
import { isReserved } from "./names.ts";

/** What decisions read: the owners of hostnames now. The store's snapshot implements it; every answer is synchronous. */
export interface GrantView {
  /**
   * Owner of a name, by its own entry or by the nearest `*.x` above it, at any depth.
   *
   * @param host Canonical, exact or `*.x`.
   * @returns UUID of the tunnel, undefined for a free name.
   */
  ownerOf(host: string): string | undefined;
  /** True when a tunnel other than `tunnel` has a name below canonical `parent`. */
  hasForeignBelow(parent: string, tunnel: string): boolean;
}

/** The edge's rules about names, from its configuration. */
export type NameRules = {
  /** Canonical, the edge's own name first. */
  readonly domains: readonly string[];
  /** `names.reserved`. */
  readonly reserved: readonly string[];
  /** `names.claim`: inside the key's scope, any free label for any tunnel, or never. */
  readonly claim: "invited" | "all" | "none";
  /** `grants`: what the configuration gives to tunnels by their names, whether they exist yet or not. */
  readonly fixed: readonly FixedGrant[];
};

/** Names, exact or `*.x`, that are one tunnel's as long as the configuration says so. */
export type FixedGrant = { readonly tunnel: string; readonly hosts: readonly string[] };

/** What a tunnel asks for. */
export type Claim = {
  /** UUID. */
  readonly tunnel: string;
  /** Its name; undefined for one that has none. */
  readonly name?: string | undefined;
  /** Patterns of the key; empty for the default: any one label below the domains. */
  readonly scope: readonly string[];
  /** Exact name or `*.x`, canonical. */
  readonly host: string;
};

/** `held` by this tunnel already, `free` for it to take, `taken` by another, or none of its business. */
export type Decision = "held" | "free" | "taken" | "notGranted";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** True when the tunnel may serve `host` at this moment. Asked on every stream: two map look-ups in the usual case. */
export function isGranted(view: GrantView, host: string, tunnel: string): boolean {
  return view.ownerOf(host) === tunnel;
}

/** Decides what a claim of a tunnel comes to. Scope is judged first: outside it nobody learns who has a name. */
export function decideClaim(view: GrantView, rules: NameRules, claim: Claim): Decision {
  const pattern = parsePattern(claim.host);
  if (pattern === undefined) return "notGranted";
  if (view.ownerOf(claim.host) === claim.tunnel) return "held";
  const fixedFor = fixedOwner(rules.fixed, pattern);
  const isFixed = fixedFor !== undefined && (fixedFor === claim.name || fixedFor === claim.tunnel);
  if (!isFixed && !isClaimable(rules, claim.scope, pattern)) return "notGranted";
  if (fixedFor !== undefined && !isFixed) return "taken";
  return availability(view, claim.tunnel, pattern);
}

/** Name or UUID of the tunnel that a fixed grant gives this name to, or one that overlaps with it. */
export function fixedOwner(fixed: readonly FixedGrant[], pattern: HostPattern): string | undefined {
  for (const { tunnel, hosts } of fixed)
    if (hosts.some((text) => isOverlapping(text, pattern))) return tunnel;
  return undefined;
}

function isOverlapping(text: string, pattern: HostPattern): boolean {
  const fixed = parsePattern(text);
  if (fixed === undefined) return false;
  if (fixed.host === pattern.host && fixed.isWildcard === pattern.isWildcard) return true;
  if (fixed.isWildcard && isBelow(pattern.host, fixed.host)) return true;
  return pattern.isWildcard && isBelow(fixed.host, pattern.host);
}

/**
 * Decides what a grant by the edge's owner comes to: reserved labels, bare domains and foreign domains too, but
 * no overlap with another tunnel's name, and `<uuid>.<domain>` to nobody.
 */
export function decideGrant(
  view: GrantView,
  rules: NameRules,
  tunnel: string,
  host: string,
): Decision {
  const pattern = parsePattern(host);
  if (pattern === undefined || isProofName(rules, pattern)) return "notGranted";
  // A wildcard of its own may already cover an exact name; the grant then adds nothing.
  if (view.ownerOf(host) === tunnel) return "held";
  return availability(view, tunnel, pattern);
}

/**
 * The name below which a random label is drawn for a key.
 *
 * @returns The first domain for the default scope, else the first `*.x` of the scope that lies within the
 *   domains; undefined where the scope has exact names only.
 */
export function randomBase(rules: NameRules, scope: readonly string[]): string | undefined {
  if (scope.length === 0 || rules.claim === "all") return rules.domains[0];
  for (const text of scope) {
    const pattern = parsePattern(text);
    if (pattern?.isWildcard !== true) continue;
    if (rules.domains.some((domain) => pattern.host === domain || isBelow(pattern.host, domain)))
      return pattern.host;
  }
  return undefined;
}

/**
 * Decides why a pattern of a key's scope could never be claimed, whoever has the key.
 *
 * @param host Exact name or `*.x`, canonical.
 * @returns `bare` for a domain itself or what is above it, `reserved` for a label only a grant gives; undefined when it can
 *   be. Names outside of the domains can, with their owner's proof.
 */
export function impossibleScope(
  rules: Pick<NameRules, "domains" | "reserved">,
  host: string,
): "bare" | "reserved" | undefined {
  const pattern = parsePattern(host);
  if (pattern === undefined) return "bare";
  const label = ownLabel(rules, pattern);
  if (label !== undefined) return isReserved(label.name, rules.reserved) ? "reserved" : undefined;
  if (isForeign(rules, pattern)) return undefined;
  return pattern.isWildcard && rules.domains.includes(pattern.host) ? undefined : "bare";
}

/**
 * True when everything that `pattern` stands for may be claimed within `scope`: a key is never given more than the one
 * that asks for it has.
 */
export function isWithinScope(
  rules: NameRules,
  scope: readonly string[],
  pattern: HostPattern | undefined,
): boolean {
  if (pattern === undefined) return false;
  return isClaimable(
    { ...rules, claim: rules.claim === "none" ? "invited" : rules.claim },
    scope,
    pattern,
  );
}

/**
 * True where whoever has this scope may make a tunnel of this name: the names that the configuration keeps for it come with
 * it, and a scope for certain names is not widened by a word.
 */
export function isFreeFor(rules: NameRules, name: string, scope: readonly string[]): boolean {
  if (scope.length === 0) return true;
  return rules.fixed
    .filter(({ tunnel }) => tunnel === name)
    .every(({ hosts }) => hosts.every((host) => isWithinScope(rules, scope, parsePattern(host))));
}

function isClaimable(rules: NameRules, scope: readonly string[], pattern: HostPattern): boolean {
  if (rules.claim === "none") return false;
  const label = ownLabel(rules, pattern);
  // A name outside the domains has to be meant by name; whose it is, is proven in the DNS (product.md §6 item 3).
  if (label === undefined)
    return isForeign(rules, pattern) && scope.some((text) => isInScope(text, pattern));
  if (isReserved(label.name, rules.reserved) || UUID.test(label.name)) return false;
  const isOneLabel = !pattern.isWildcard && label.isWhole;
  if (scope.length === 0 || rules.claim === "all") {
    if (isOneLabel) return true;
  }
  return scope.some((text) => isInScope(text, pattern));
}

function isInScope(text: string, pattern: HostPattern): boolean {
  const allowed = parsePattern(text);
  if (allowed === undefined) return false;
  if (!allowed.isWildcard) return !pattern.isWildcard && pattern.host === allowed.host;
  if (isBelow(pattern.host, allowed.host)) return true;
  return pattern.isWildcard && pattern.host === allowed.host;
}

/** The label right below the nearest domain; undefined for a domain itself, `*.<domain>` and foreign names. */
function ownLabel(
  rules: Pick<NameRules, "domains">,
  pattern: HostPattern,
): { name: string; isWhole: boolean } | undefined {
  const { host } = pattern;
  if (rules.domains.includes(host)) return undefined;
  let nearest = "";
  for (const domain of rules.domains)
    if (domain.length > nearest.length && isBelow(host, domain)) nearest = domain;
  if (nearest === "") return undefined;
  const labels = host.slice(0, host.length - nearest.length - 1);
  const name = labels.slice(labels.lastIndexOf(".") + 1);
  return { name, isWhole: name === labels };
}

/**
 * True for a custom domain: a name outside of the domains, which its owner has to prove. What stands above a domain of the
 * edge is none.
 */
export function isForeign(
  rules: Pick<NameRules, "domains">,
  { host, isWildcard }: HostPattern,
): boolean {
  return rules.domains.every(
    (domain) => host !== domain && !isBelow(host, domain) && !(isWildcard && isBelow(domain, host)),
  );
}

/** `<uuid>.<domain>` is what custom domains point at (product.md §6 item 3). */
function isProofName(rules: NameRules, pattern: HostPattern): boolean {
  const label = ownLabel(rules, pattern);
  return label !== undefined && UUID.test(label.name);
}

function availability(view: GrantView, tunnel: string, pattern: HostPattern): Decision {
  const owner = view.ownerOf(formatPattern(pattern));
  if (owner !== undefined && owner !== tunnel) return "taken";
  if (pattern.isWildcard && view.hasForeignBelow(pattern.host, tunnel)) return "taken";
  return "free";
}
