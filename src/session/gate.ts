// This file is what the edge must answer while a link proves itself, as an interface owned by the session layer. PROTOCOL §3.1.

/** Who a proven key belongs to. */
export interface Admission {
  readonly kind: "tunnel" | "account";
  /** Tunnel UUID or account id. */
  readonly id: string;
  /** Name of the tunnel or account, for people. */
  readonly name: string;
  /** Label of the key within its owner. */
  readonly keyId: string;
  /** `application` of READY: JSON as UTF-8 (PROTOCOL §12.4), opaque to the session. At most 16,384 bytes. */
  readonly application: Uint8Array;
}

/** The proven content of an ENROLL frame. Byte arrays are copies the gate may keep. */
export interface Enrolment {
  /** The new Ed25519 public key, 32 bytes; its holder is proven. */
  readonly key: Uint8Array;
  /** The one-time code, 16 bytes. */
  readonly code: Uint8Array;
  /** Wished name, at most 64 characters, unvalidated. */
  readonly name: string;
  /** JSON as UTF-8, at most 4,096 bytes, unvalidated. */
  readonly application: Uint8Array;
}

/** The edge's knowledge. `undefined` is AUTH_FAILED, whatever the reason; the reason goes to the edge's log only. */
export interface Gate {
  /** Looks a registered, unrevoked key up in memory. The signature was verified. */
  admit(key: Uint8Array, application: Uint8Array): Admission | undefined;
  /** Uses the code and stores the key in one durable transaction; resolves after the commit. */
  enrol(enrolment: Enrolment): Promise<Admission | undefined>;
}
