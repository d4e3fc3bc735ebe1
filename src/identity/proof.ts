// This file is the proof of a key over one live TLS link: what is signed, under which label. PROTOCOL §3.1.
import { createHash } from "node:crypto";
import { bug } from "../errors.ts";
import type { SigningKey } from "./keys.ts";
import { verify } from "./keys.ts";

/** Exporter labels (RFC 8446 §7.5), no context: one per direction, so that no proof can be reflected. */
export const EDGE_EXPORTER_LABEL = "EXPORTER-tunl-edge-v1";
export const CONNECTOR_EXPORTER_LABEL = "EXPORTER-tunl-connector-v1";
export const EXPORTER_BYTES = 32;

/** What a signature begins with; each ends in one zero byte. */
export const PROOF_LABELS = {
  edgeAuth: "tunl edge auth v1\0",
  auth: "tunl connector auth v1\0",
  enrol: "tunl connector enrol v1\0",
  resume: "tunl connector resume v1\0",
} as const;

/** Which frame carries the proof: EDGE_AUTH, AUTH, ENROLL or RESUME. */
export type ProofKind = keyof typeof PROOF_LABELS;

/** What a proof is bound to. */
export type Proof = {
  /** 32 bytes of the TLS exporter: the edge's label for `edgeAuth`, the connector's for the others. */
  readonly exporter: Uint8Array;
  /** SHA-256 over the whole frames before this one, 32 bytes: HELLO, and EDGE_AUTH for the connector's. */
  readonly transcript: Uint8Array;
  /** The signed body, exactly as it stands in the frame. */
  readonly body: Uint8Array;
};

const labels: Readonly<Record<ProofKind, Uint8Array>> = {
  edgeAuth: Buffer.from(PROOF_LABELS.edgeAuth),
  auth: Buffer.from(PROOF_LABELS.auth),
  enrol: Buffer.from(PROOF_LABELS.enrol),
  resume: Buffer.from(PROOF_LABELS.resume),
};

/** SHA-256 over whole frames as on the wire, in order; 32 bytes. */
export function hashFrames(...frames: readonly Uint8Array[]): Uint8Array {
  const hash = createHash("sha256");
  for (const frame of frames) hash.update(frame);
  return hash.digest();
}

/** Signs a proof; 64 bytes. */
export function signProof(key: SigningKey, kind: ProofKind, proof: Proof): Uint8Array {
  return key.sign(messageOf(kind, proof));
}

/** True when `signature` is this key's over exactly this proof. Never throws for what a peer sent. */
export function verifyProof(
  publicKey: Uint8Array,
  kind: ProofKind,
  proof: Proof,
  signature: Uint8Array,
): boolean {
  return verify(publicKey, messageOf(kind, proof), signature);
}

function messageOf(kind: ProofKind, proof: Proof): Uint8Array {
  // Both parts before the body have a fixed length, so the join has one reading only.
  if (proof.exporter.length !== EXPORTER_BYTES || proof.transcript.length !== 32) {
    bug(
      `Proof over ${proof.exporter.length} and ${proof.transcript.length} bytes, expected 32 and 32`,
    );
  }
  return Buffer.concat([labels[kind], proof.exporter, proof.transcript, proof.body]);
}
