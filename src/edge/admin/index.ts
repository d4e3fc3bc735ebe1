/**
 * What is asked of the edge besides requests: calls on control streams and on the owner's socket, one table for both.
 * It changes the store and reads the registry; it never sees a visitor. Start reading at calls.ts.
 *
 * @module
 */
export { answerCall, type CallContext, type Invitation, invite, OWNER_CALLS } from "./calls.ts";
