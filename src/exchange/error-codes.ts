// This file is the codes carried by RESET and STOP_SENDING on exchange streams, by the names of http.md §5.2. PROTOCOL §2.3.
import { STREAM_CODES } from "../session/index.ts";

/** Stream codes an exchange uses; numbers below 40 (hex) belong to the transport and are shared with it. */
export const EXCHANGE_CODES = {
  /** The rest is not wanted: the answer is complete (early response). */
  NO_ERROR: STREAM_CODES.NO_ERROR.code,
  /** The visitor left. */
  CANCELLED: STREAM_CODES.CANCELLED.code,
  /** A bug, or what the other end sent broke the rules of an exchange. */
  INTERNAL_ERROR: STREAM_CODES.INTERNAL_ERROR.code,
  /** Nothing was delivered. */
  REFUSED: STREAM_CODES.REFUSED.code,
  TIMEOUT: STREAM_CODES.TIMEOUT.code,
  /** The local peer's socket was reset. */
  PEER_RESET: STREAM_CODES.PEER_RESET.code,
  /** The local source ended early. */
  TRUNCATED: STREAM_CODES.TRUNCATED.code,
  REVOKED: STREAM_CODES.REVOKED.code,
  SESSION_LOST: STREAM_CODES.SESSION_LOST.code,
  OVERLOADED: STREAM_CODES.OVERLOADED.code,
} as const;

/** Stream kinds: 0 control, 1 exchange. PROTOCOL §12. */
export const STREAM_KINDS = { control: 0, exchange: 1 } as const;
