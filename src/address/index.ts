/**
 * Where something is: hostnames and IP addresses in one canonical form each.
 *
 * Pure calculations on text and bytes. Never resolves a name, never opens a socket, never asks a URL
 * parser: one that folds `ex%61mple.com` to `example.com` would be a second opinion (S-20, S-29).
 * Start reading in `hostname.ts`.
 *
 * @module
 */
export {
  canonicalHost,
  canonicalName,
  formatPattern,
  isBelow,
  matchesOneLabel,
  matchesPattern,
  parsePattern,
  withoutWildcard,
} from "./hostname.ts";
export type { Authority, HostPattern } from "./hostname.ts";
export { formatIp, parseIp, parsePeerIp, sourceKey } from "./ip.ts";
