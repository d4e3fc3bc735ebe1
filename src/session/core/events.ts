// This file is the language of the session core: what goes in, what comes out. PROTOCOL §9.
import type { FrameDecoder, TransportParameters } from "../../wire/index.ts";

export type StreamId = number;
export type LinkNumber = number;
export type Side = "edge" | "connector";
export type LinkLoss = "fin" | "rst" | "tls" | "write" | "silence" | "retired" | "peer";

/** What one session may hold, in bytes, and its view of the process. */
export interface SessionBudget {
  /** Received and not consumed. */
  readonly receive: number;
  /** Sent and not acknowledged. */
  readonly retain: number;
  /** Written and not sent: above it sources pause at 64 KiB. */
  readonly unsent: number;
  /** Bytes held / process budget; 1.0 or above only for the sessions that hold most. */
  readonly pressure: () => number;
  /** Tells the process budget what was taken or, negative, given back. */
  readonly hold: (bytes: number) => void;
}

export interface SessionOptions {
  readonly side: Side;
  readonly local: TransportParameters;
  readonly remote: TransportParameters;
  readonly trace: SessionTrace;
  readonly budget: SessionBudget;
  /** Tests only: where our ordinals begin. */
  readonly firstOrdinal?: number;
}

export type SessionInput =
  /** `decoder`: the one of the handshake, in its live phase, with what it already holds; a new one where there was none. */
  | { readonly kind: "linkAttached"; readonly link: LinkNumber; readonly decoder?: FrameDecoder }
  /** The previous batch has wholly left. */
  | { readonly kind: "linkWritable"; readonly link: LinkNumber }
  /** Ownership of the bytes passes to the core. */
  | { readonly kind: "linkBytes"; readonly link: LinkNumber; readonly bytes: Uint8Array }
  | { readonly kind: "linkLost"; readonly link: LinkNumber; readonly cause: LinkLoss }
  | { readonly kind: "timer"; readonly lagMs: number }
  | { readonly kind: "tick" };

export type SessionOutput =
  /** Answer with `refuse()` before the next `handle`, otherwise it is accepted. */
  | { readonly kind: "streamOpened"; readonly stream: StreamId; readonly streamKind: number }
  /** Answer with `consumed()`. */
  | { readonly kind: "streamBytes"; readonly stream: StreamId; readonly bytes: Uint8Array }
  | { readonly kind: "streamEnded" | "streamWritable" | "streamClosed"; readonly stream: StreamId }
  /**
   * `replay` comes where the peer took nothing, because it refused the stream or never heard of it: all bytes written so
   * far, to be opened elsewhere.
   */
  | {
      readonly kind: "streamReset";
      readonly stream: StreamId;
      readonly code: number;
      readonly remote: boolean;
      readonly replay?: readonly Uint8Array[];
    }
  | { readonly kind: "streamStopped"; readonly stream: StreamId; readonly code: number }
  /** `pauseLink`: no byte of the link is read until `resumeLink`. */
  | {
      readonly kind: "wantWrite" | "closeLink" | "pauseLink" | "resumeLink";
      readonly link: LinkNumber;
    }
  | { readonly kind: "status"; readonly status: SessionStatus };

export type SessionStatus =
  | { readonly name: "attached"; readonly links: readonly LinkNumber[] }
  | {
      readonly name: "draining";
      readonly remote: boolean;
      readonly code: number;
      readonly retryAfterMs: number;
    }
  | {
      readonly name: "closed";
      readonly remote: boolean;
      readonly code: number;
      readonly message: string;
    };

/** Called instead of logging; must not throw and must not call back. */
export interface SessionTrace {
  link(event: "attached" | "lost", link: LinkNumber, cause?: LinkLoss): void;
  stream(
    event: "opened" | "refused" | "reset" | "evicted" | "forgotten",
    stream: StreamId,
    code?: number,
  ): void;
  dropped(what: "datagram" | "duplicateBytes" | "staleFrame", count: number): void;
  violation(code: number, frameType: number, message: string): void;
}

/** Totals of one session; tests look at these, never inside. Bytes unless said. */
export interface SessionStats {
  readonly streams: number;
  readonly received: number;
  readonly consumed: number;
  readonly receiveLimit: number;
  readonly retained: number;
  readonly unsent: number;
  readonly sent: number;
  readonly sendLimit: number;
  readonly links: number;
  /** Latest smoothed round trip of the first link, ms; undefined before a sample. */
  readonly rttMs: number | undefined;
  /** Bytes that may be sent and unacknowledged on the first link. */
  readonly inFlightBound: number;
  /** False while the links are not read, because too much is held. */
  readonly isReading: boolean;
  /** Present streams that owe a control frame. */
  readonly owing: number;
}
