// This file is the table of everything refused in an HTTP/1.1 message: status, sentence, requirement. http.md §3.1.
import { TunlError } from "../errors.ts";
import type { FieldFault } from "../headers/index.ts";

interface Fault {
  /** Status towards a visitor; at the connector any fault is `ORIGIN_INVALID`, `WRONG_UPGRADE` is `ORIGIN_UPGRADE`. */
  readonly status: 400 | 405 | 414 | 417 | 431 | 505;
  readonly text: string;
  /** Requirement id of security.md. */
  readonly rule: string;
}

export const FAULTS = {
  BARE_LINE_FEED: { status: 400, text: "A line ends with LF alone, expected CRLF", rule: "S-03" },
  BARE_CARRIAGE_RETURN: { status: 400, text: "CR is not followed by LF", rule: "S-03" },

  BAD_METHOD: {
    status: 400,
    text: "The method is not a token of 1 to 64 bytes and a space",
    rule: "S-02",
  },
  METHOD_REFUSED: { status: 405, text: "CONNECT, TRACE and TRACK are not served", rule: "S-06" },
  BAD_TARGET: {
    status: 400,
    text: "The target has a byte or a form that is not allowed",
    rule: "S-36",
  },
  TARGET_TOO_LONG: { status: 414, text: "The target is longer than allowed", rule: "S-44" },
  BAD_VERSION: { status: 400, text: "The start line does not name an HTTP version", rule: "S-02" },
  VERSION_REFUSED: { status: 505, text: "The HTTP version is neither 1.0 nor 1.1", rule: "S-02" },
  BAD_STATUS: { status: 400, text: "The status is not three digits from 100 on", rule: "S-08" },
  BAD_REASON: { status: 400, text: "The reason phrase has a control byte", rule: "S-08" },

  OBS_FOLD: { status: 400, text: "A line begins with a blank", rule: "S-02" },
  EMPTY_NAME: { status: 400, text: "A field has no name", rule: "S-02" },
  NAME_TOO_LONG: { status: 400, text: "A field name is longer than 256 bytes", rule: "S-02" },
  BLANK_BEFORE_COLON: { status: 400, text: "A field name is followed by a blank", rule: "S-02" },
  BAD_NAME: { status: 400, text: "A field name has a byte that is not allowed", rule: "S-02" },
  BAD_VALUE: { status: 400, text: "A field value has a control byte", rule: "S-02" },
  TOO_MANY_FIELDS: { status: 431, text: "There are more fields than allowed", rule: "S-44" },
  SECTION_TOO_LARGE: {
    status: 431,
    text: "The header section is larger than allowed",
    rule: "S-44",
  },

  MISSING_HOST: { status: 400, text: "There is no Host", rule: "S-20" },
  REPEATED_HOST: { status: 400, text: "There is more than one Host", rule: "S-20" },
  HOST_MISMATCH: { status: 400, text: "The authority of the target is not the Host", rule: "S-29" },
  EXPECTATION_REFUSED: { status: 417, text: "The expectation is not 100-continue", rule: "S-07" },

  BAD_LENGTH: { status: 400, text: "Content-Length is not 1 to 15 digits", rule: "S-01" },
  REPEATED_LENGTH: { status: 400, text: "There is more than one Content-Length", rule: "S-01" },
  BAD_CODING: { status: 400, text: "Transfer-Encoding is not exactly chunked", rule: "S-01" },
  CODING_IN_1_0: { status: 400, text: "Transfer-Encoding is used with HTTP/1.0", rule: "S-01" },
  FRAMING_CONFLICT: {
    status: 400,
    text: "Content-Length and Transfer-Encoding are used together",
    rule: "S-01",
  },
  FRAMING_ALIAS: {
    status: 400,
    text: "A field name can be mistaken for a framing field",
    rule: "S-01",
  },

  BAD_CHUNK_SIZE: {
    status: 400,
    text: "The chunk size is not 1 to 15 hexadecimal digits",
    rule: "S-04",
  },
  BAD_CHUNK_EXTENSION: { status: 400, text: "A chunk extension breaks its grammar", rule: "S-04" },
  CHUNK_EXTENSION_TOO_LARGE: {
    status: 400,
    text: "Chunk extensions are larger than allowed",
    rule: "S-04",
  },
  BAD_CHUNK_END: { status: 400, text: "Chunk data is not followed by CRLF", rule: "S-04" },
  BAD_TRAILER: {
    status: 400,
    text: "A trailer has a name that is not allowed there",
    rule: "S-04",
  },
  TOO_MANY_TRAILERS: { status: 400, text: "There are more than 32 trailers", rule: "S-04" },
  TRAILERS_TOO_LARGE: { status: 400, text: "The trailers are larger than 8 KiB", rule: "S-04" },

  TOO_MANY_INTERIM: { status: 400, text: "There are more than 16 interim responses", rule: "S-08" },
  WRONG_UPGRADE: {
    status: 400,
    text: "A 101 does not answer the upgrade that was asked for",
    rule: "S-50",
  },
  UNSOLICITED: { status: 400, text: "Bytes came that answer no request", rule: "S-08" },
} as const satisfies Record<string, Fault> & Record<FieldFault, Fault>;

export type FaultCode = keyof typeof FAULTS;

/** A message breaks §3.1. Nothing after it can be trusted: refuse, then close the connection. */
export class Http1Error extends TunlError {
  declare readonly code: FaultCode;
  /** 400, 405, 414, 417, 431 or 505. */
  readonly status: number;
  /** Offset of the offending byte from the first byte of the message. */
  readonly at: number;

  constructor(code: FaultCode, at: number) {
    super(code, `${FAULTS[code].text}, at byte ${at}`);
    this.status = FAULTS[code].status;
    this.at = at;
  }
}
