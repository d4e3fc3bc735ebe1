// This file is the table of frames before READY, HELLO to REFUSED, and of the bodies that are signed. PROTOCOL §2.2, §3.1.
import {
  bin,
  binOf,
  binUpTo,
  type Infer,
  integer,
  list,
  schema,
  strUpTo,
  uint,
  values,
} from "../msgpack/index.ts";
import type { FrameTable } from "./frames.ts";
import {
  CONNECTOR_APPLICATION_BYTES,
  EDGE_APPLICATION_BYTES,
  EDGE_BODY_BYTES,
  KEY_BYTES,
  LINK_NUMBER_MAX,
  LINKS_PER_SESSION,
  MESSAGE_BYTES,
  NAME_BYTES,
  NONCE_BYTES,
  PARAMETER_PAIRS,
  RANDOM_ID_BYTES,
  REVISION_MAX,
  SIGNATURE_BYTES,
} from "./limits.ts";

const revision = integer(1, REVISION_MAX);
const key = bin(KEY_BYTES);
const nonce = bin(NONCE_BYTES);
const randomId = bin(RANDOM_ID_BYTES);
// Checked by `decodeParameters`: its faults have a code of their own.
const parameters = values(2 * PARAMETER_PAIRS);

/** A body and the signature over it; the body is verified first and decoded after that. */
function signed(max: number) {
  return schema({ body: binUpTo(max), signature: bin(SIGNATURE_BYTES) });
}

const AUTH_MAX = 5_120;
const RESUME_MAX = 1_024;
// Array head, head of the body, signature with its head.
const SIGNED_OVERHEAD = 1 + 3 + 2 + SIGNATURE_BYTES;

/** Frames before READY. `extras` and `parameters` are flat lists of ids and values (PROTOCOL §2.4). */
export const HANDSHAKE_FRAMES = {
  hello: {
    type: 0x01,
    max: 1_024,
    direction: "toEdge",
    schema: schema({ revision, nonce, extras: parameters }),
  },
  edgeAuth: { type: 0x02, max: 2_048, direction: "toConnector", schema: signed(EDGE_BODY_BYTES) },
  auth: {
    type: 0x03,
    max: AUTH_MAX,
    direction: "toEdge",
    schema: signed(AUTH_MAX - SIGNED_OVERHEAD),
  },
  enroll: {
    type: 0x04,
    max: AUTH_MAX,
    direction: "toEdge",
    schema: signed(AUTH_MAX - SIGNED_OVERHEAD),
  },
  resume: {
    type: 0x05,
    max: RESUME_MAX,
    direction: "toEdge",
    schema: signed(RESUME_MAX - SIGNED_OVERHEAD),
  },
  ready: {
    type: 0x06,
    max: 20_480,
    direction: "toConnector",
    schema: schema({
      sessionId: randomId,
      link: uint,
      parameters,
      application: binUpTo(EDGE_APPLICATION_BYTES),
    }),
  },
  refused: {
    type: 0x07,
    max: 512,
    direction: "toConnector",
    schema: schema({ code: uint, retryAfterMs: uint, message: strUpTo(MESSAGE_BYTES) }),
  },
} as const satisfies FrameTable;

export type HandshakeFrameName = keyof typeof HANDSHAKE_FRAMES;
export type HandshakeRecord<N extends HandshakeFrameName> = Infer<
  (typeof HANDSHAKE_FRAMES)[N]["schema"]
>;

/** The signed bodies, by the frame that carries each. `decode` throws MsgpackError; `decodeBody` turns it into FRAME_ENCODING. */
export const HANDSHAKE_BODIES = {
  edgeAuth: schema({ revision, edgeKey: key, nonce, extras: parameters }),
  auth: schema({
    key,
    instance: randomId,
    replaces: binOf(0, RANDOM_ID_BYTES),
    parameters,
    application: binUpTo(CONNECTOR_APPLICATION_BYTES),
  }),
  enroll: schema({
    key,
    instance: randomId,
    code: randomId,
    name: strUpTo(NAME_BYTES),
    parameters,
    application: binUpTo(CONNECTOR_APPLICATION_BYTES),
  }),
  resume: schema({
    key,
    sessionId: randomId,
    link: integer(1, LINK_NUMBER_MAX),
    live: list(uint, 0, LINKS_PER_SESSION),
  }),
} as const;

export type SignedFrameName = keyof typeof HANDSHAKE_BODIES;
export type BodyRecord<N extends SignedFrameName> = Infer<(typeof HANDSHAKE_BODIES)[N]>;
