/**
 * What is asked of the edge besides requests: calls on control streams and on the owner's socket, one table for both.
 * It changes the store and reads the registry; it never sees a visitor. Start reading at calls.ts.
 *
 * @module
 */
export { CallTraffic } from "./call-traffic.ts";
export { answerCall, answerOwner } from "./calls.ts";
export type { CallContext } from "./context.ts";
export { type Invitation, invite } from "./invite.ts";
