// This file is what a peer may not do: the error a broken rule becomes, and how much work without progress is too much. PROTOCOL §2.2.
import {
  CONNECTOR_OPENS,
  CONNECTOR_OPENS_WINDOW_MS,
  CONTROL_FRAMES,
  DATA_FRAMES,
  IDLE_FRAMES_PER_SECOND,
  IDLE_FRAMES_WINDOW_MS,
  SESSION_CODES,
  type SessionCodeName,
} from "../../wire/index.ts";
import { reached } from "../../limits.ts";
import { TransportError } from "../errors.ts";

export type LiveFrameName = keyof typeof CONTROL_FRAMES | keyof typeof DATA_FRAMES;

const TYPES = { ...CONTROL_FRAMES, ...DATA_FRAMES };

/** The error that closes the session; `message` says what was received and what is allowed. */
export function violation(
  code: SessionCodeName,
  frame: LiveFrameName,
  message: string,
): TransportError {
  if (code === "FLOW_CONTROL") reached("flowControl");
  if (code === "STREAM_LIMIT") reached("peerStreams");
  return new TransportError(true, SESSION_CODES[code].code, TYPES[frame].type, message);
}

/** How often something happened within a window of time; the window starts anew when it is over. */
class Rate {
  readonly #windowMs: number;
  #since = Number.NEGATIVE_INFINITY;
  #count = 0;

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** Counts one more and returns how many there are in the window. */
  count(now: number): number {
    if (now - this.#since >= this.#windowMs) {
      this.#since = now;
      this.#count = 0;
    }
    this.#count += 1;
    return this.#count;
  }
}

/** Work the peer causes. Both methods throw EXCESSIVE_LOAD above their limit. */
export class PeerLoad {
  readonly #opens = new Rate(CONNECTOR_OPENS_WINDOW_MS);
  readonly #idleFrames = new Rate(IDLE_FRAMES_WINDOW_MS);

  /** A frame changed nothing. */
  changedNothing(frame: LiveFrameName, now: number): void {
    const most = (IDLE_FRAMES_PER_SECOND * IDLE_FRAMES_WINDOW_MS) / 1_000;
    if (this.#idleFrames.count(now) <= most) return;
    reached("idleFrames");
    throw violation(
      "EXCESSIVE_LOAD",
      frame,
      `Received more than ${most} frames that change nothing in ${IDLE_FRAMES_WINDOW_MS} ms`,
    );
  }

  /** A connector opened a stream. */
  opened(now: number): void {
    if (this.#opens.count(now) <= CONNECTOR_OPENS) return;
    reached("connectorOpens");
    throw violation(
      "EXCESSIVE_LOAD",
      "open",
      `Received more than ${CONNECTOR_OPENS} streams in ${CONNECTOR_OPENS_WINDOW_MS} ms`,
    );
  }
}
