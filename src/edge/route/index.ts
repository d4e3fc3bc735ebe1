/**
 * Where a hostname leads: names and grants (from the store's snapshot), live sessions and what they announced. It
 * decides and remembers, it opens nothing. Start reading at grants.ts, then registry.ts.
 *
 * @module
 */
export {
  type Claim,
  type Decision,
  decideClaim,
  decideGrant,
  type GrantView,
  impossibleScope,
  isGranted,
  type NameRules,
  randomBase,
} from "./grants.ts";
export { drawName, isReserved, type NameStyle, RESERVED_LABELS } from "./names.ts";
export { LiveSession, Registry } from "./registry.ts";
