// This file is which frames may come on a link: the checks of a head, in their order, and the caps before READY. PROTOCOL §2.1, §3.2.
import { reached } from "../limits.ts";
import { WireError } from "./error-codes.ts";
import { HANDSHAKE_FRAMES, type HandshakeFrameName } from "./handshake.ts";
import {
  CONNECTOR_HANDSHAKE_BYTES,
  DATAGRAM_FIELDS_BYTES,
  EDGE_HANDSHAKE_BYTES,
} from "./limits.ts";
import { type FrameSpec, specOf } from "./table.ts";

/** What a link reads now. */
export interface AdmissionOptions {
  /** Who reads here; frames the other side may not send are refused. */
  readonly side: "edge" | "connector";
  /** `handshake` for a new link; `live` lets a test or a simulator start behind READY. */
  readonly phase: "handshake" | "live";
  /** Longest datagram we announced; 0: DATAGRAM is an unknown frame. Bytes. */
  readonly maxDatagram: number;
}

/** The state of a link as far as it decides which heads are allowed. */
export class Admission {
  readonly #side: "edge" | "connector";
  readonly #refusedDirection: "toEdge" | "toConnector";
  #phase: "handshake" | "live";
  #maxDatagram: number;
  /** Bit n: the frame of ext type n may come now. Before READY only. */
  #expected = 0;
  /** Before READY: bytes that arrived, and bytes of whole frames. */
  #arrived = 0;
  #framed = 0;

  constructor(options: AdmissionOptions) {
    this.#side = options.side;
    this.#refusedDirection = options.side === "edge" ? "toConnector" : "toEdge";
    this.#phase = options.phase;
    this.#maxDatagram = options.maxDatagram;
    this.expect(Object.keys(HANDSHAKE_FRAMES) as HandshakeFrameName[]);
  }

  get phase(): "handshake" | "live" {
    return this.#phase;
  }

  expect(names: readonly HandshakeFrameName[]): void {
    this.#expected = 0;
    for (const name of names) this.#expected |= 1 << HANDSHAKE_FRAMES[name].type;
  }

  enterLive(maxDatagram: number): void {
    this.#phase = "live";
    this.#maxDatagram = maxDatagram;
  }

  /**
   * Counts bytes that arrived before READY, `waiting` of them behind others that nobody asked for yet.
   *
   * @returns The error of passing the cap. It covers everything at the edge, which speaks last before READY. To a connector
   * live frames may come right behind READY, so there it covers whole frames (`admit`) and what waits.
   */
  arrived(bytes: number, waiting: number): WireError | undefined {
    if (this.#phase === "live") return undefined;
    this.#arrived += bytes;
    const count = this.#side === "edge" ? this.#arrived : waiting;
    return count > this.#cap() ? this.#overflow("Received", count) : undefined;
  }

  /** Counts a whole frame. */
  read(bytes: number): void {
    if (this.#phase === "handshake") this.#framed += bytes;
  }

  /**
   * Checks a head before a byte of its payload is waited for.
   *
   * @throws WireError UNKNOWN_FRAME, FRAME_TOO_LARGE, FRAME_ENCODING, UNEXPECTED_FRAME, PROTOCOL_VIOLATION for a datagram
   * longer than announced; the first that applies in this order.
   */
  admit(type: number, headSize: number, length: number): FrameSpec {
    const spec = specOf(type);
    if (spec === undefined || (spec.name === "datagram" && this.#maxDatagram === 0)) {
      throw new WireError("UNKNOWN_FRAME", type, `Received a frame of unknown type ${type}`);
    }
    if (length > spec.max) {
      const message = `Received ${spec.label} with a payload of ${length} bytes, allowed ${spec.max}`;
      reached("frameBytes");
      throw new WireError("FRAME_TOO_LARGE", type, message);
    }
    if (length < spec.min) {
      const message = `Received ${spec.label} with a payload of ${length} bytes, expected at least ${spec.min}`;
      throw new WireError("FRAME_ENCODING", type, message);
    }
    if (spec.phase !== this.#phase || spec.direction === this.#refusedDirection) unexpected(spec);
    if (this.#phase === "handshake") {
      if ((this.#expected & (1 << type)) === 0) unexpected(spec);
      const bytes = this.#framed + headSize + length;
      if (bytes > this.#cap()) throw this.#overflow("Announced", bytes);
    }
    if (spec.name === "datagram" && length - DATAGRAM_FIELDS_BYTES > this.#maxDatagram) {
      const message = `Received a datagram of ${length - DATAGRAM_FIELDS_BYTES} bytes, allowed ${this.#maxDatagram}`;
      throw new WireError("PROTOCOL_VIOLATION", type, message);
    }
    return spec;
  }

  #cap(): number {
    return this.#side === "edge" ? EDGE_HANDSHAKE_BYTES : CONNECTOR_HANDSHAKE_BYTES;
  }

  #overflow(what: "Received" | "Announced", bytes: number): WireError {
    const message = `${what} ${bytes} bytes before READY, allowed ${this.#cap()}`;
    reached("linkHandshakeBytes");
    return new WireError("FRAME_TOO_LARGE", 0, message);
  }
}

function unexpected(spec: FrameSpec): never {
  const message = `Received ${spec.label}, not allowed in this state of the link`;
  throw new WireError("UNEXPECTED_FRAME", spec.type, message);
}
