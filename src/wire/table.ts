// This file is all frames by ext type: what the decoder looks up, made from the three tables. PROTOCOL §2.2.
import type { Fields, Schema } from "../msgpack/index.ts";
import { DATA_FRAMES, type DataFrameName, type DataFrameRow } from "./data.ts";
import {
  CONTROL_FRAMES,
  type ControlFrameName,
  type Direction,
  type FrameTable,
} from "./frames.ts";
import { HANDSHAKE_FRAMES, type HandshakeFrameName } from "./handshake.ts";

/** Frames whose payload is an array. */
export const ARRAY_FRAMES = { ...HANDSHAKE_FRAMES, ...CONTROL_FRAMES } as const;

export type ArrayFrameName = HandshakeFrameName | ControlFrameName;
export type FrameName = ArrayFrameName | DataFrameName;

/** What a frame of one type must be before its payload is looked at. */
export interface FrameSpec {
  readonly name: FrameName;
  /** As in the specification: `MAX_STREAM_DATA`. */
  readonly label: string;
  readonly type: number;
  readonly min: number;
  readonly max: number;
  readonly direction: Direction;
  readonly phase: "handshake" | "live";
  /** Absent for binary payloads. */
  readonly schema: Schema<Fields> | undefined;
}

/** The name of a frame as the specification writes it. */
export function labelOf(name: FrameName): string {
  // One word since HTTP/2, here too.
  if (name === "goAway") return "GOAWAY";
  return name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

function arraySpecs(table: FrameTable, phase: "handshake" | "live"): FrameSpec[] {
  return Object.entries(table).map(([key, row]) => {
    const name = key as ArrayFrameName;
    return { ...row, name, label: labelOf(name), min: row.schema.minSize, phase };
  });
}

function dataSpecs(table: Readonly<Record<string, DataFrameRow>>): FrameSpec[] {
  return Object.entries(table).map(([key, row]) => {
    const name = key as DataFrameName;
    return { ...row, name, label: labelOf(name), phase: "live", schema: undefined };
  });
}

/** Every frame, in the order of the specification. */
export const FRAME_SPECS: readonly FrameSpec[] = [
  ...arraySpecs(HANDSHAKE_FRAMES, "handshake"),
  ...arraySpecs(CONTROL_FRAMES, "live"),
  ...dataSpecs(DATA_FRAMES),
].sort((a, b) => a.type - b.type);

const BY_TYPE: readonly (FrameSpec | undefined)[] = Array.from({ length: 128 }, (_, type) =>
  FRAME_SPECS.find((spec) => spec.type === type),
);

/** The frame of an ext type; `undefined` for unassigned and negative ones. */
export function specOf(type: number): FrameSpec | undefined {
  return BY_TYPE[type];
}
