// This file is one core and a peer made of frames: the peer says anything, and everything the core says is kept.
import type {
  SessionBudget,
  SessionInput,
  SessionOutput,
  Side,
} from "../../../src/session/core/index.ts";
import { SessionCore } from "../../../src/session/core/index.ts";
import {
  BATCH_BYTES,
  type ControlFrameName,
  type ControlRecord,
  DATA_HEADER_BYTES,
  DEFAULT_PARAMETERS,
  encodeFrame,
  FrameDecoder,
  type FrameName,
  type TransportParameters,
  writeDataHeader,
} from "../../../src/wire/index.ts";

const MIB = 1_024 * 1_024;
const LINK = 0;

/** A frame the core wrote; the fields are those of its record, or of DATA. */
export interface WrittenFrame {
  readonly name: FrameName;
  readonly [field: string]: unknown;
}

export interface PeerOptions {
  readonly side?: Side;
  readonly local?: Partial<TransportParameters>;
  readonly remote?: Partial<TransportParameters>;
  readonly budget?: Partial<SessionBudget>;
  readonly firstOrdinal?: number;
  /** False: the peer takes no batch until `drain`. */
  readonly isAttached?: boolean;
}

/** The side under test is the connector unless said: the peer opens even ids then, the core odd ones. */
export class ScriptedPeer {
  readonly core: SessionCore;
  readonly side: Side;
  /** A kind the core accepts, and one its peer does. */
  readonly kind: number;
  readonly ourKind: number;
  now = 1_000;
  /** Sum of what the budget was told. */
  held = 0;
  /** Everything `handle` returned. */
  readonly outputs: SessionOutput[] = [];
  readonly frames: WrittenFrame[] = [];
  readonly violations: {
    readonly code: number;
    readonly frameType: number;
    readonly message: string;
  }[] = [];
  readonly dropped: string[] = [];
  readonly #decoder: FrameDecoder;
  readonly #buffer = new Uint8Array(BATCH_BYTES);
  #isWanted = false;

  constructor(options: PeerOptions = {}) {
    const { side = "connector", local, remote, budget, firstOrdinal } = options;
    const other: Side = side === "edge" ? "connector" : "edge";
    this.side = side;
    this.kind = DEFAULT_PARAMETERS[side].acceptKinds[0] as number;
    this.ourKind = DEFAULT_PARAMETERS[other].acceptKinds[0] as number;
    this.#decoder = new FrameDecoder({ side: other, phase: "live", maxDatagram: 0 });
    this.core = new SessionCore({
      side,
      local: { ...DEFAULT_PARAMETERS[side], resumeMs: 0, ...local },
      remote: { ...DEFAULT_PARAMETERS[other], resumeMs: 0, ...remote },
      ...(firstOrdinal === undefined ? {} : { firstOrdinal }),
      trace: {
        link: () => undefined,
        stream: () => undefined,
        dropped: (what) => this.dropped.push(what),
        violation: (code, frameType, message) => this.violations.push({ code, frameType, message }),
      },
      budget: {
        receive: 16 * MIB,
        retain: 16 * MIB,
        unsent: 16 * MIB,
        pressure: () => 0,
        hold: (bytes) => {
          this.held += bytes;
        },
        ...budget,
      },
    });
    if (options.isAttached !== false) this.handle({ kind: "linkAttached", link: LINK });
  }

  /** Id of the stream that the peer opens as its n-th, counted from 0; likewise `ours` of the core. */
  theirs(ordinal: number): number {
    return 2 * ordinal + (this.side === "edge" ? 1 : 0);
  }
  ours(ordinal: number): number {
    return 2 * ordinal + (this.side === "edge" ? 0 : 1);
  }

  handle(input: SessionInput): readonly SessionOutput[] {
    const outputs = [...this.core.handle(input, this.now)];
    this.outputs.push(...outputs);
    for (const output of outputs) if (output.kind === "wantWrite") this.#isWanted = true;
    return outputs;
  }

  /** The peer's bytes arrive; returns what the core answers with at once. */
  bytes(bytes: Uint8Array): readonly SessionOutput[] {
    return this.handle({ kind: "linkBytes", link: LINK, bytes });
  }

  send<N extends ControlFrameName>(name: N, record: ControlRecord<N>): readonly SessionOutput[] {
    return this.bytes(encodeFrame(name, record));
  }

  open(
    id: number,
    data: Uint8Array = new Uint8Array(0),
    fin = false,
    kind = this.kind,
  ): readonly SessionOutput[] {
    return this.send("open", { id, kind, fin, receiveLimit: 64 * 1_024, data });
  }

  data(id: number, offset: number, bytes: Uint8Array, fin = false): readonly SessionOutput[] {
    return this.bytes(dataFrame(id, offset, bytes, fin));
  }

  /** Applies what methods caused and takes one batch, without saying that it left. Returns its frames. */
  fill(): readonly WrittenFrame[] {
    this.handle({ kind: "tick" });
    this.#isWanted = false;
    const length = this.core.fill(LINK, this.#buffer, this.now);
    const frames = this.#read(this.#buffer.slice(0, length));
    this.frames.push(...frames);
    return frames;
  }

  /** Takes batches until the core has nothing to say. Returns the new frames. */
  drain(): readonly WrittenFrame[] {
    const from = this.frames.length;
    for (let rounds = 0; ; rounds++) {
      if (rounds === 1_000) throw new Error("The core still writes after 1,000 batches");
      const written = this.fill();
      if (written.length > 0) this.handle({ kind: "linkWritable", link: LINK });
      else if (!this.#isWanted) break;
      else this.#isWanted = false;
      if (written.length === 0) break;
    }
    return this.frames.slice(from);
  }

  /** Time passes; timers fire when they are due, `lagMs` late. */
  advance(ms: number, lagMs = 0): void {
    const until = this.now + ms;
    for (let rounds = 0; this.core.deadline() + lagMs <= until; rounds++) {
      if (rounds === 10_000) throw new Error("The timer is due for ever");
      this.now = Math.max(this.now, this.core.deadline() + lagMs);
      this.handle({ kind: "timer", lagMs });
    }
    this.now = until;
  }

  /** Everything told so far of one kind. */
  of<K extends SessionOutput["kind"]>(kind: K): (SessionOutput & { readonly kind: K })[] {
    return this.outputs.filter(
      (output): output is SessionOutput & { readonly kind: K } => output.kind === kind,
    );
  }

  /** The status the session closed with. */
  get closed():
    { readonly code: number; readonly remote: boolean; readonly message: string } | undefined {
    for (const { status } of this.of("status")) if (status.name === "closed") return status;
    return undefined;
  }

  #read(batch: Uint8Array): WrittenFrame[] {
    const frames: WrittenFrame[] = [];
    const decoder = this.#decoder;
    decoder.feed(batch);
    for (let name = decoder.next(); name !== undefined; name = decoder.next()) {
      if (name === "data" || name === "dataFin") {
        frames.push({
          name,
          id: decoder.stream,
          offset: decoder.offset,
          length: decoder.bytes.length,
        });
      } else if (name !== "datagram") {
        frames.push({ name, ...(decoder.record(name) as object) });
      }
    }
    return frames;
  }
}

export function dataFrame(id: number, offset: number, bytes: Uint8Array, fin = false): Uint8Array {
  const frame = new Uint8Array(DATA_HEADER_BYTES + bytes.length);
  writeDataHeader(frame, 0, fin, id, offset, bytes.length);
  frame.set(bytes, DATA_HEADER_BYTES);
  return frame;
}

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** `length` bytes that differ. */
export function pattern(length: number, from = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (from + index * 7) & 255);
}
