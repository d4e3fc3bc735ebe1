// This file is the errors of a session: what ends it, and why. PROTOCOL §2.3, §9.
import { TunlError } from "../errors.ts";

/** Ends a session. `remote`: the peer is at fault (it broke a rule), or told us so. */
export class TransportError extends TunlError {
  readonly remote: boolean;
  /** Session code of PROTOCOL §2.3. */
  readonly sessionCode: number;
  /** Frame the violation was found in, 0 for none. */
  readonly frameType: number;

  constructor(remote: boolean, sessionCode: number, frameType: number, message: string) {
    super("TRANSPORT", message, { retryable: true });
    this.remote = remote;
    this.sessionCode = sessionCode;
    this.frameType = frameType;
  }
}

/** A link could not be proven or was refused. */
export class HandshakeError extends TunlError {
  /** Session code of REFUSED; undefined where we gave up ourselves. */
  readonly sessionCode: number | undefined;
  /** Wait asked for by the peer, ms; 0 for none. */
  readonly retryAfterMs: number;

  constructor(
    code: string,
    message: string,
    details: {
      retryable: boolean;
      sessionCode?: number;
      retryAfterMs?: number;
      cause?: unknown;
      hint?: string;
    },
  ) {
    super(code, message, details);
    this.sessionCode = details.sessionCode;
    this.retryAfterMs = details.retryAfterMs ?? 0;
  }
}
