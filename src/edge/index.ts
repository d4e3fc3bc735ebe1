/**
 * The public end: it accepts visitors and links on one port, decides which tunnel a request belongs to, and never dials
 * anybody. Start reading at edge.ts (everything put together), then listen/front-door.ts (a connection) and serve.ts
 * (a request).
 *
 * @module
 */
export type { Invitation } from "./admin/index.ts";
export type { Terms } from "./certificates/index.ts";
export { domainsOf } from "./domains.ts";
export { type Edge, startEdge } from "./edge.ts";
export { Repair, type Repaired, type RepairPlan } from "./store/index.ts";
export { agreeToTerms } from "./terms.ts";
