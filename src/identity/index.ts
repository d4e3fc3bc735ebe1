/**
 * Who is at the other end: Ed25519 keys, proofs over the live TLS link, join lines, and the files they live in.
 *
 * Knows no socket and no session: the exporter and the transcript are arguments. A secret (seed, code) is
 * never part of an error text. Start reading in `proof.ts`, then `credentials.ts`.
 *
 * @module
 */
export { decodeBase32, encodeBase32 } from "./base32.ts";
export {
  fingerprintOf,
  formatKey,
  generateKey,
  keyFromSeed,
  loadKey,
  parseKey,
  saveKey,
  verify,
} from "./keys.ts";
export type { SigningKey } from "./keys.ts";
export {
  CONNECTOR_EXPORTER_LABEL,
  EDGE_EXPORTER_LABEL,
  EXPORTER_BYTES,
  hashFrames,
  PROOF_LABELS,
  signProof,
  verifyProof,
} from "./proof.ts";
export type { Proof, ProofKind } from "./proof.ts";
export { formatToken, parseToken } from "./token.ts";
export type { Token } from "./token.ts";
export { CODE_BYTES, formatJoinLine, hashCode, makeCode, parseJoinLine } from "./join.ts";
export type { JoinLine } from "./join.ts";
export {
  formatAccount,
  formatEdge,
  formatPending,
  formatTunnel,
  parseAccount,
  parseEdge,
  parsePending,
  parseTunnel,
} from "./credentials.ts";
export type {
  AccountCredentials,
  Credentials,
  EdgeRecord,
  PendingKey,
  TunnelCredentials,
} from "./credentials.ts";
export { EdgeDirectory, listEdges } from "./edge-directory.ts";
export type { Joined, Prepared } from "./edge-directory.ts";
export {
  assertPrivate,
  assertPrivateDirectory,
  hasEntry,
  isMissing,
  isTemporary,
  makePrivateDirectory,
  readSecret,
  removeFile,
  sweepTemporaries,
  writeDirectoryAtomic,
  writeFileAtomic,
} from "./files.ts";
