// This file is what really happened in a simulated session, told by both applications: the judge of what either side is told.
import type { Side } from "../../src/session/index.ts";

export class SimulationError extends Error {
  override readonly name = "SimulationError";
}

export function fail(message: string): never {
  throw new SimulationError(message);
}

export function other(side: Side): Side {
  return side === "edge" ? "connector" : "edge";
}

/** One direction of a stream. */
export interface HalfTruth {
  /** Bytes its writer wrote. */
  written: number;
  isFinished: boolean;
  /** Code the writer abandoned it with. */
  resetCode: number | undefined;
  /** Code the reader asked to stop with. */
  stopCode: number | undefined;
}

export interface StreamTruth {
  readonly id: number;
  readonly kind: number;
  readonly opener: Side;
  /** By writer. */
  readonly halves: Readonly<Record<Side, HalfTruth>>;
  /** How often the acceptor saw it open. */
  timesOpened: number;
  isRefused: boolean;
}

export class Truth {
  readonly streams = new Map<number, StreamTruth>();
  /** Sides that said GOAWAY: they refuse what comes late. */
  readonly draining = new Set<Side>();

  opened(id: number, kind: number, opener: Side): StreamTruth {
    if (this.streams.has(id)) fail(`open() gave out stream ${id} twice`);
    const half = (): HalfTruth => ({
      written: 0,
      isFinished: false,
      resetCode: undefined,
      stopCode: undefined,
    });
    const stream = {
      id,
      kind,
      opener,
      halves: { edge: half(), connector: half() },
      timesOpened: 0,
      isRefused: false,
    };
    this.streams.set(id, stream);
    return stream;
  }

  get(id: number): StreamTruth {
    return this.streams.get(id) ?? fail(`stream ${id} was never opened`);
  }
}
