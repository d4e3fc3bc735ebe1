// This file is the codes of the protocol: those that end sessions, those that end streams, and the error that carries them. PROTOCOL §2.3.
import { TunlError } from "../errors.ts";

/**
 * What a session code makes the other side do (PROTOCOL §2.3, §7.6):
 * `reconnect` at once; `slow` phase; `stop` dialling; `stopOrSlow`: stop, unless this process had a session before;
 * `wait` as long as the frame says; `authenticate` on the same link; `successor`: dial the next process first;
 * `yield`: a newer session took over, nothing is dialled for this one.
 */
export type CodeEffect =
  "reconnect" | "slow" | "stop" | "stopOrSlow" | "wait" | "authenticate" | "successor" | "yield";

/** Frames a session code may travel in: CLOSE, GOAWAY, REFUSED. */
export type CodeCarrier = "close" | "goAway" | "refused";

interface SessionCodeRow {
  readonly code: number;
  readonly in: readonly CodeCarrier[];
  readonly effect: CodeEffect;
  readonly sentence: string;
}

/** Codes of CLOSE, GOAWAY and REFUSED. PROTOCOL §2.3. */
export const SESSION_CODES = {
  NO_ERROR: { code: 0x00, in: ["close", "goAway"], effect: "reconnect", sentence: "Normal end" },
  INTERNAL_ERROR: {
    code: 0x01,
    in: ["close", "refused"],
    effect: "reconnect",
    sentence: "An invariant of the sender broke",
  },
  FRAME_ENCODING: {
    code: 0x02,
    in: ["close", "refused"],
    effect: "slow",
    sentence: "Bytes that are no frame, or a payload against its table",
  },
  FRAME_TOO_LARGE: {
    code: 0x03,
    in: ["close", "refused"],
    effect: "slow",
    sentence: "A frame longer than its maximum",
  },
  UNKNOWN_FRAME: {
    code: 0x04,
    in: ["close", "refused"],
    effect: "slow",
    sentence: "A frame type that is not assigned or was not announced",
  },
  UNEXPECTED_FRAME: {
    code: 0x05,
    in: ["close", "refused"],
    effect: "slow",
    sentence: "A frame not allowed in this state or direction",
  },
  FLOW_CONTROL: {
    code: 0x06,
    in: ["close"],
    effect: "slow",
    sentence: "More bytes than a limit allowed",
  },
  STREAM_LIMIT: {
    code: 0x07,
    in: ["close"],
    effect: "slow",
    sentence: "A stream beyond the number announced",
  },
  STREAM_STATE: {
    code: 0x08,
    in: ["close"],
    effect: "slow",
    sentence: "A frame for a stream that cannot have it",
  },
  FINAL_SIZE: {
    code: 0x09,
    in: ["close"],
    effect: "slow",
    sentence: "Bytes beyond the end of a direction, or a second end",
  },
  PROTOCOL_VIOLATION: {
    code: 0x0a,
    in: ["close"],
    effect: "slow",
    sentence: "Another rule was broken",
  },
  EXCESSIVE_LOAD: {
    code: 0x0b,
    in: ["close"],
    effect: "slow",
    sentence: "Too much work without progress",
  },
  PARAMETER: {
    code: 0x0c,
    in: ["refused"],
    effect: "stop",
    sentence: "A transport parameter was refused; the message names it",
  },
  VERSION: {
    code: 0x0d,
    in: ["refused"],
    effect: "stop",
    sentence: "No common revision; the message names those supported",
  },
  AUTH_FAILED: {
    code: 0x20,
    in: ["refused"],
    effect: "stopOrSlow",
    sentence: "The proof was not accepted, whatever the reason",
  },
  RETRY_LATER: {
    code: 0x21,
    in: ["close", "goAway", "refused"],
    effect: "wait",
    sentence: "Overloaded for now",
  },
  SESSION_UNKNOWN: {
    code: 0x22,
    in: ["refused"],
    effect: "authenticate",
    sentence: "No session with this id and key",
  },
  LIMIT: {
    code: 0x23,
    in: ["refused"],
    effect: "slow",
    sentence: "Too many sessions of the tunnel or links of the session",
  },
  SHUTDOWN: {
    code: 0x30,
    in: ["close", "goAway"],
    effect: "reconnect",
    sentence: "The process ends",
  },
  REVOKED: {
    code: 0x31,
    in: ["close", "refused"],
    effect: "stop",
    sentence: "The key or the tunnel was revoked",
  },
  SUPERSEDED: { code: 0x32, in: ["close"], effect: "yield", sentence: "A newer session took over" },
  RESTART: {
    code: 0x33,
    in: ["close", "goAway"],
    effect: "successor",
    sentence: "The process ends, a successor accepts already",
  },
} as const satisfies Record<string, SessionCodeRow>;

export type SessionCodeName = keyof typeof SESSION_CODES;

/** Codes of RESET and STOP_SENDING. 0x40 and above belong to the layer above; unknown ones count as CANCELLED. PROTOCOL §2.3. */
export const STREAM_CODES = {
  NO_ERROR: { code: 0x00, sentence: "Not interested any more" },
  CANCELLED: { code: 0x01, sentence: "Given up by whoever asked" },
  INTERNAL_ERROR: { code: 0x02, sentence: "An invariant of the sender broke" },
  REFUSED: { code: 0x03, sentence: "Nothing was delivered; safe to open elsewhere" },
  OVERLOADED: { code: 0x04, sentence: "Evicted to keep the memory budget" },
  TIMEOUT: { code: 0x05, sentence: "A deadline passed" },
  SESSION_LOST: { code: 0x06, sentence: "The session ended; a local report, never sent" },
  REVOKED: { code: 0x07, sentence: "The grant was withdrawn" },
  PEER_RESET: { code: 0x08, sentence: "The local socket was reset" },
  TRUNCATED: { code: 0x09, sentence: "The local source ended early" },
} as const satisfies Record<string, { readonly code: number; readonly sentence: string }>;

export type StreamCodeName = keyof typeof STREAM_CODES;

/** First stream code of the layer above. */
export const STREAM_CODE_APPLICATION = 0x40;

const sessionNames = new Map<number, SessionCodeName>(
  Object.entries(SESSION_CODES).map(([name, row]) => [row.code, name as SessionCodeName]),
);
const streamNames = new Map<number, StreamCodeName>(
  Object.entries(STREAM_CODES).map(([name, row]) => [row.code, name as StreamCodeName]),
);

/** The name of a session code; `undefined` for a number no revision known here assigns. */
export function sessionCodeName(code: number): SessionCodeName | undefined {
  return sessionNames.get(code);
}

/** The name of a stream code; `undefined` for unknown ones and those of the layer above. */
export function streamCodeName(code: number): StreamCodeName | undefined {
  return streamNames.get(code);
}

/**
 * The other end broke a rule of the wire. It ends the link before READY (REFUSED where allowed) and the session after it (CLOSE).
 * `code` is the name, `sessionCode` the number that travels, `frameType` the ext type at fault, 0 where there is none.
 */
export class WireError extends TunlError {
  declare readonly code: SessionCodeName;
  readonly sessionCode: number;
  readonly frameType: number;

  constructor(code: SessionCodeName, frameType: number, message: string, cause?: unknown) {
    super(code, message, { cause });
    this.sessionCode = SESSION_CODES[code].code;
    // CLOSE names types 0 to 127 only.
    this.frameType = frameType < 0 ? 0 : frameType;
  }
}
