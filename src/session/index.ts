/**
 * Streams above links: many ordered byte streams between one connector and one edge over mortal TCP+TLS connections.
 * It never logs and knows nothing of requests; who sits above implements SessionTrace, Gate and StreamEvents. The
 * protocol is core/ (a calculation); the rest is its shell. Start reading at stream.ts, then core/session.ts.
 *
 * @module
 */
export {
  type Claim,
  type Proven,
  type LinkLoss,
  type LinkNumber,
  type SessionBudget,
  type SessionOptions,
  type SessionStats,
  type SessionStatus,
  type SessionTrace,
  type Side,
  type StreamId,
} from "./core/index.ts";
export { Session, type SessionEvents } from "./driver.ts";
export { HandshakeError, TransportError } from "./errors.ts";
export {
  type AcceptedLink,
  acceptLink,
  type AcceptOptions,
  type ConnectedLink,
  connectLink,
  type ConnectOptions,
  type EstablishedLink,
} from "./establish.ts";
export { ProcessBudget, processShare } from "./budget.ts";
export type { Admission, Enrolment, Gate } from "./gate.ts";
export { boundUnsent } from "./kernel.ts";
export type { Stream, StreamEvents } from "./stream.ts";
export { type SessionBytes, type SessionTables, totalsOf } from "./totals.ts";
// What the layers above need of the wire comes through this door.
export {
  ALPN,
  DEFAULT_PARAMETERS,
  FAILED_CODES_PER_MINUTE,
  FAST_PHASE_MS,
  HANDSHAKES_PAST_TLS,
  OPEN_CREDIT_WAIT_MS,
  RANDOM_ID_BYTES,
  RECV_SESSION_CONNECTOR,
  RECV_SESSION_EDGE,
  NAME_BYTES,
  RETAIN_SESSION,
  RETRY_AFTER_MAX_MS,
  SESSION_CODES,
  SESSIONS_PER_TUNNEL,
  type SessionCodeName,
  sessionCodeName,
  STREAM_CODES,
  streamCodeName,
  TLS_MS,
  type TransportParameters,
  WireError,
} from "../wire/index.ts";
