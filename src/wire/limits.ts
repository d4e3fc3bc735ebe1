// This file is every number of the protocol that is not in a table of its own: name, value, sentence. PROTOCOL §2 to §8.
// Sizes and offsets in bytes, times in milliseconds (names end in _MS).

const KIB = 1_024;
const MIB = 1_024 * KIB;

/* §2.1 Framing */

/** Largest integer, stream id, offset or limit on the wire: 2^53 - 1. */
export const MAX_INTEGER = Number.MAX_SAFE_INTEGER;
/** Largest frame without DATAGRAM, its head included: one TLS record. */
export const FRAME_BYTES = 16_384;
/** Head of DATA and DATA_FIN: ext 32, stream id, offset. */
export const DATA_HEADER_BYTES = 22;
/** Stream bytes in one DATA or DATA_FIN frame. */
export const DATA_BYTES = 16_362;
/** Fixed fields at the start of a DATA or DATA_FIN payload: stream id and offset. */
export const DATA_FIELDS_BYTES = 16;
/** Fixed field at the start of a DATAGRAM payload: the stream id. */
export const DATAGRAM_FIELDS_BYTES = 8;
/** Largest datagram any end can announce to accept: a UDP payload over IPv4. */
export const DATAGRAM_BYTES = 65_507;
/** Bytes a decoder may allocate for an incomplete frame beyond those it received. */
export const DECODER_SLACK_BYTES = 1_024;

/* §2.2 Frames */

/** First bytes of a stream that may travel in its OPEN. */
export const OPEN_DATA_BYTES = 16_320;
/** Entries of one ACK or MAX_STREAM_DATA frame. */
export const ENTRIES_PER_FRAME = 128;
/** Links of a session, and live links named by one SYNC or RESUME. */
export const LINKS_PER_SESSION = 8;
/** Largest link number. */
export const LINK_NUMBER_MAX = 2 ** 31 - 1;
/** Largest value of MAX_STREAMS: streams of one side in the lifetime of a session. */
export const STREAM_COUNT_MAX = 2 ** 52;
/** At this ordinal the opener drains its session: no id is ever used twice. */
export const ORDINAL_DRAIN = 2 ** 52 - 1_000;
/** Largest kind of a stream. */
export const KIND_MAX = 63;
/** Kinds one side can accept. */
export const KINDS = 64;
/** A message to people, as UTF-8. */
export const MESSAGE_BYTES = 256;
/** Answered PINGs per second and link; more are ignored. */
export const PONGS_PER_SECOND = 10;
/** Frames per second that change nothing, above which a session is closed. */
export const IDLE_FRAMES_PER_SECOND = 2_000;
/** Time over which they are averaged. */
export const IDLE_FRAMES_WINDOW_MS = 10_000;
/** Streams a connector may open within `CONNECTOR_OPENS_WINDOW_MS`. */
export const CONNECTOR_OPENS = 100;
/** Time over which they are counted. */
export const CONNECTOR_OPENS_WINDOW_MS = 10_000;

/* §2.3 Codes, §2.4 Parameters */

/** Highest revision of `tunl/1` this program speaks. */
export const REVISION = 1;
/** Largest revision number. */
export const REVISION_MAX = 65_535;
/** Longest wait a peer can ask for by `retryAfterMs`. */
export const RETRY_AFTER_MAX_MS = 300_000;
/** Parameter ids from here on are optional: unknown ones are ignored. Below, they are critical. */
export const PARAMETER_OPTIONAL_ID = 64;
/** Largest parameter id. */
export const PARAMETER_ID_MAX = 255;
/** Pairs of one parameter list. */
export const PARAMETER_PAIRS = 64;
/** The `software` parameter, as UTF-8. */
export const SOFTWARE_BYTES = 64;

/* §3 Handshake */

/** The major version: the ALPN name of a link. */
export const ALPN = "tunl/1";
/** An Ed25519 public key. */
export const KEY_BYTES = 32;
/** An Ed25519 signature. */
export const SIGNATURE_BYTES = 64;
/** The random number of each side. */
export const NONCE_BYTES = 32;
/** A session id, an instance, a one-time code: 128 random bits each. */
export const RANDOM_ID_BYTES = 16;
/** Signed body of EDGE_AUTH. */
export const EDGE_BODY_BYTES = 1_900;
/** Wished name in ENROLL, as UTF-8. */
export const NAME_BYTES = 64;
/** `application` of AUTH and ENROLL. */
export const CONNECTOR_APPLICATION_BYTES = 4_096;
/** `application` of READY. */
export const EDGE_APPLICATION_BYTES = 16_384;
/** All bytes an edge accepts on a link before it is live. */
export const EDGE_HANDSHAKE_BYTES = 8_192;
/** All bytes a connector accepts on a link up to the end of READY. */
export const CONNECTOR_HANDSHAKE_BYTES = 24_576;
/** TLS handshake, both sides. */
export const TLS_MS = 10_000;
/** From TLS to HELLO, at the edge. */
export const FIRST_FRAME_MS = 5_000;
/** From TLS to the whole third frame, at the edge. */
export const HANDSHAKE_MS = 10_000;
/** For each answer of the edge, at the connector. */
export const ANSWER_MS = 10_000;
/** AUTH_FAILED leaves so long after the third frame arrived, whatever the reason. */
export const AUTH_FAILED_DELAY_MS = 250;
/** Unfinished handshakes of an edge that are past TLS; surplus is told RETRY_LATER. */
export const HANDSHAKES_PAST_TLS = 64;
/** Unfinished dials of a connector. */
export const DIALS = 3;
/** Failed proofs per minute and address (or /64), then unanswered. */
export const FAILED_PROOFS_PER_MINUTE = 10;
/** Failed one-time codes per minute in total, then unanswered. */
export const FAILED_CODES_PER_MINUTE = 100;
/** Longest wait taken from a REFUSED of an edge that has not proven itself. */
export const UNPROVEN_RETRY_MAX_MS = 60_000;
/** Sessions of one tunnel. */
export const SESSIONS_PER_TUNNEL = 8;

/* §4 Streams */

/** Longest wait for stream credit by whoever opens; then the open fails. */
export const OPEN_CREDIT_WAIT_MS = 100;
/** MAX_STREAMS is announced at once when the peer has fewer streams left than this. */
export const STREAMS_LEFT_LOW = 8;

/* §5 Flow control */

/** Smallest first window of a stream. */
export const W_FLOOR = 32 * KIB;
/** A window is not halved below this, unless its share of the session is less. */
export const W_MIN = 256 * KIB;
/** A window is halved when more than half of it waited for so long, or for two round trips if that is longer. */
export const SLOW_MS = 250;
/** Largest first window of a stream. */
export const W_INIT = 4 * MIB;
/** Largest window of a stream. */
export const W_MAX = 16 * MIB;
/** Received and not consumed, per session, at the edge. */
export const RECV_SESSION_EDGE = 64 * MIB;
/** Received and not consumed, per session, at the connector. */
export const RECV_SESSION_CONNECTOR = 128 * MIB;
/** Smallest session window. */
export const S_WIN_MIN = 4 * MIB;
/** Part of the memory limit for all sessions of the process. */
export const PROCESS_SHARE = 0.25;
/** Most memory for all sessions of the process, unless the configuration says otherwise. */
export const PROCESS_MAX = 1_024 * MIB;
/** From this pressure on windows do not grow and new ones are small. */
export const PRESSURE_HIGH = 0.8;
/** From this pressure on streams that hold over `W_FLOOR` get no credit. */
export const PRESSURE_SEVERE = 0.95;
/** From this pressure on links are not read, until `PRESSURE_RELIEVED`. */
export const PRESSURE_FULL = 1;
/** Below this pressure links are read again. */
export const PRESSURE_RELIEVED = 0.9;
/** Part of the receive budget above which a session evicts its stalled streams. */
export const EVICTION_SHARE = 7 / 8;
/** A stream without consumption for so long counts as stalled. */
export const EVICTION_STALL_MS = 1_000;
/** Links that were not read for so long: whoever holds most is evicted, however much it consumed meanwhile. */
export const VALVE_MOST_MS = 5_000;
/** Bytes for the peer, which acknowledged none and gave no credit for so long, are freed when the process is full. */
export const WAITING_MS = 10_000;
/** One stream per session is evicted in this time. */
export const EVICTION_INTERVAL_MS = 100;
/** Datagrams waiting per link. */
export const DATAGRAMS_PER_LINK_BYTES = 256 * KIB;
/** Datagrams waiting per stream. */
export const DATAGRAMS_PER_STREAM_BYTES = 64 * KIB;
/** Longest wait of a datagram. */
export const DATAGRAM_WAIT_MS = 200;

/* §6 Sending */

/** Sent and not acknowledged, per session. */
export const RETAIN_SESSION = 16 * MIB;
/** Largest value the option for it can have. */
export const RETAIN_SESSION_MAX = 64 * MIB;
/** Stream bytes on a link after which an ACK is due. */
export const ACK_BYTES = 64 * KIB;
/** Time after the first unacknowledged byte on a link at which an ACK is due. */
export const ACK_DELAY_MS = 25;
/** Control frames in one batch. */
export const CONTROL_PER_BATCH = 32 * KIB;
/** One write on a link. */
export const BATCH_BYTES = 128 * KIB;
/** Bytes a stream of weight 1 may send per turn. */
export const QUANTUM = 16 * KIB;
/** In-flight bound of a link before its rate is known. */
export const IN_FLIGHT_FIRST = 256 * KIB;
/** Smallest in-flight bound of a link. */
export const IN_FLIGHT_MIN = 64 * KIB;

/* §7 Links, §8 Drain */

/** Silence while expecting after which a link is suspect, at least. */
export const SUSPECT_MS = 2_000;
/** Silence while expecting after which a link with a live sibling is lost, at least. */
export const SIBLING_LOST_MS = 5_000;
/** A timer so late moves all silence clocks. */
export const TIMER_LAG_MS = 50;
/** A timer so late means that the machine slept. */
export const SUSPEND_LAG_MS = 10_000;
/** A peer that owes a SYNC for so long is closed. */
export const SYNC_OWED_MS = 30_000;
/** Fast phase of reconnecting after the last link was lost. */
export const FAST_PHASE_MS = 15_000;
/** Links end so long after CLOSE was queued, written or not. */
export const CLOSE_LINGER_MS = 250;
/** After GOAWAY new streams are accepted for so long, at least. */
export const GOAWAY_ACCEPT_MS = 1_000;
