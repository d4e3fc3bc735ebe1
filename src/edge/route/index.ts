/**
 * Where a hostname leads: names and grants (from the store's snapshot), live sessions and what they announced. It
 * decides and remembers, it opens nothing. Start reading at grants.ts, then registry.ts, then hold.ts.
 *
 * @module
 */
export {
  type Claim,
  type Decision,
  decideClaim,
  decideGrant,
  type FixedGrant,
  fixedOwner,
  isFreeFor,
  type GrantView,
  impossibleScope,
  isForeign,
  isGranted,
  isWithinScope,
  type NameRules,
  randomBase,
} from "./grants.ts";
export {
  EXPECTED_BACK_MS,
  Hold,
  HOLD_BYTES,
  HOLD_IN_ALL,
  HOLD_PER_HOST,
  type Place,
  type Waiter,
} from "./hold.ts";
export { drawName, isReserved, type NameStyle, RESERVED_LABELS } from "./names.ts";
export { LiveSession, Registry } from "./registry.ts";
