// This file is the table of control frames after READY: ext type, largest payload, direction, fields in wire order. PROTOCOL §2.2.
import {
  binUpTo,
  bool,
  type Fields,
  flat,
  flatOf,
  type Infer,
  integer,
  schema,
  type Schema,
  strUpTo,
  uint,
} from "../msgpack/index.ts";
import {
  ENTRIES_PER_FRAME,
  KIND_MAX,
  LINKS_PER_SESSION,
  MESSAGE_BYTES,
  OPEN_DATA_BYTES,
  STREAM_COUNT_MAX,
} from "./limits.ts";

/** Who may send a frame: only the connector, only the edge, both. */
export type Direction = "toEdge" | "toConnector" | "both";

/** One frame whose payload is a positional array. */
export interface FrameRow {
  /** Ext type. */
  readonly type: number;
  /** Largest payload in bytes, in whatever msgpack forms. */
  readonly max: number;
  readonly direction: Direction;
  readonly schema: Schema<Fields>;
}

export interface FrameTable {
  readonly [name: string]: FrameRow;
}

/** Control frames. Offsets and limits in bytes; `id` is a stream id, `link` a link number; times in milliseconds. */
export const CONTROL_FRAMES = {
  ping: { type: 0x10, max: 16, direction: "both", schema: schema({ id: uint }) },
  pong: { type: 0x11, max: 16, direction: "both", schema: schema({ id: uint }) },
  maxData: { type: 0x12, max: 16, direction: "both", schema: schema({ limit: uint }) },
  maxStreams: {
    type: 0x13,
    max: 16,
    direction: "both",
    schema: schema({ count: integer(0, STREAM_COUNT_MAX) }),
  },
  sync: {
    type: 0x16,
    max: 128,
    direction: "both",
    schema: schema({ upTo: uint, live: flatOf(uint, 1, LINKS_PER_SESSION) }),
  },
  retire: { type: 0x17, max: 16, direction: "both", schema: schema({ link: uint }) },
  goAway: {
    type: 0x18,
    max: 512,
    direction: "both",
    schema: schema({ code: uint, retryAfterMs: uint, message: strUpTo(MESSAGE_BYTES) }),
  },
  close: {
    type: 0x19,
    max: 512,
    direction: "both",
    schema: schema({
      code: uint,
      frameType: integer(0, 127),
      retryAfterMs: uint,
      message: strUpTo(MESSAGE_BYTES),
    }),
  },
  links: {
    type: 0x1a,
    max: 16,
    direction: "toConnector",
    schema: schema({ wanted: integer(1, LINKS_PER_SESSION) }),
  },
  open: {
    type: 0x22,
    max: 16_380,
    direction: "both",
    schema: schema({
      id: uint,
      kind: integer(0, KIND_MAX),
      fin: bool,
      receiveLimit: uint,
      data: binUpTo(OPEN_DATA_BYTES),
    }),
  },
  reset: {
    type: 0x23,
    max: 32,
    direction: "both",
    schema: schema({ id: uint, code: uint, finalSize: uint }),
  },
  stopSending: { type: 0x24, max: 32, direction: "both", schema: schema({ id: uint, code: uint }) },
  maxStreamData: {
    type: 0x25,
    max: 2_560,
    direction: "both",
    schema: schema({ entries: flat({ id: uint, limit: uint }, 1, ENTRIES_PER_FRAME) }),
  },
  ack: {
    type: 0x26,
    max: 2_560,
    direction: "both",
    schema: schema({
      entries: flat({ id: uint, received: uint, ended: bool }, 1, ENTRIES_PER_FRAME),
    }),
  },
} as const satisfies FrameTable;

export type ControlFrameName = keyof typeof CONTROL_FRAMES;
export type ControlRecord<N extends ControlFrameName> = Infer<(typeof CONTROL_FRAMES)[N]["schema"]>;

/**
 * What the fields of a SYNC must be to each other: live links ascending, none above `upTo`.
 *
 * @returns The broken rule, `undefined` when there is none.
 */
export function faultOfSync(sync: ControlRecord<"sync">): string | undefined {
  let previous = -1;
  for (const link of sync.live) {
    if (link <= previous) return `live link ${link} after ${previous}, expected ascending numbers`;
    previous = link;
  }
  return previous > sync.upTo ? `live link ${previous} above upTo ${sync.upTo}` : undefined;
}
