/**
 * Certificates by ACME (RFC 8555): a client for one CA, the answers to its challenges, a calendar of what is due when.
 *
 * Loaded when the mode is `acme` and not before. Never orders a name that was not granted. Start reading in
 * `acme-source.ts`; the calendar (`schedule.ts`) and the budget (`budget.ts`) are calculations.
 *
 * @module
 */
export { AcmeSource } from "./acme-source.ts";
export { agreeToTerms } from "./terms.ts";
export type { Terms } from "./terms.ts";
export { startAcme } from "./start-acme.ts";
export type { StartedAcme } from "./start-acme.ts";
