// This file is the broken rules of PROTOCOL §2.2, one script each: what the peer says, and the code, frame and sentence it is closed with.
import { encodeFrame, type FrameName, type SessionCodeName } from "../../../src/wire/index.ts";
import { dataFrame, join, pattern, type PeerOptions, type ScriptedPeer } from "./peer.ts";

const KIB = 1_024;
const NONE: Uint8Array = new Uint8Array(0);
const WINDOW = 16 * KIB;
const SESSION = 40 * KIB;
const IDLE = encodeFrame("maxData", { limit: 0 });
const SMALL: PeerOptions = {
  local: { initialWindow: WINDOW, initialMaxData: SESSION },
  budget: { receive: SESSION },
};

/** Ids and the kind that fit the side under test. */
export type Ids = Pick<ScriptedPeer, "theirs" | "ours" | "kind">;

export interface Script {
  readonly title: string;
  readonly code: SessionCodeName;
  /** The frame that CLOSE names, or the number of one that has no name; 0 where there is none. */
  readonly frame: FrameName | number;
  /** The whole sentence that travels back; of limits both numbers. */
  readonly text: (peer: Ids) => string;
  readonly options?: PeerOptions;
  /** Everything allowed that comes before; the session must live on after it. */
  readonly before?: (peer: ScriptedPeer) => void;
  /** What breaks the rule. */
  readonly bytes: (peer: Ids) => Uint8Array;
}

// What a peer may say about one stream

const STREAM_FRAMES = [
  "data",
  "dataFin",
  "reset",
  "ack",
  "maxStreamData",
  "stopSending",
  "datagram",
] as const;
type StreamFrame = (typeof STREAM_FRAMES)[number];

export function openFrame(
  peer: Pick<Ids, "kind">,
  id: number,
  data = NONE,
  fin = false,
): Uint8Array {
  return encodeFrame("open", { id, kind: peer.kind, fin, receiveLimit: 64 * KIB, data });
}

/** A frame of any kind that names stream `id` and is otherwise harmless. */
export function frameOf(name: StreamFrame, id: number): Uint8Array {
  switch (name) {
    case "data":
      return dataFrame(id, 0, pattern(1));
    case "dataFin":
      return dataFrame(id, 0, NONE, true);
    case "reset":
      return encodeFrame("reset", { id, code: 1, finalSize: 0 });
    case "stopSending":
      return encodeFrame("stopSending", { id, code: 1 });
    case "maxStreamData":
      return encodeFrame("maxStreamData", { entries: [{ id, limit: 1 << 20 }] });
    case "ack":
      return encodeFrame("ack", { entries: [{ id, received: 0, ended: false }] });
    case "datagram":
      return Uint8Array.of(0xc7, 9, 0x27, ...u64(id), 1);
    default:
      return name satisfies never;
  }
}

export function u64(value: number): number[] {
  return [...Buffer.from(BigInt(value).toString(16).padStart(16, "0"), "hex")];
}

export function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));
}

// States a script starts from

/** The core opens a stream and sends ten bytes on it. Returns its id. */
export function opened(peer: ScriptedPeer): number {
  const id = peer.core.open(peer.ourKind, pattern(10), false, peer.now);
  if (typeof id === "string") throw new Error(`open() said ${id}`);
  peer.drain();
  return id;
}

/** The first stream of the peer was opened, ended on both sides and forgotten. Returns its id. */
export function forgotten(peer: ScriptedPeer): number {
  const id = peer.theirs(0);
  peer.open(id, NONE, true);
  peer.core.finish(id, peer.now);
  peer.advance(30);
  peer.drain();
  peer.send("ack", { entries: [{ id, received: 0, ended: true }] });
  if (peer.core.stats().streams !== 0) throw new Error("The stream is still there");
  return id;
}

/** The first stream of the peer carries `bytes`. */
function carrying(bytes: number, fin = false): (peer: ScriptedPeer) => void {
  return (peer) => peer.open(peer.theirs(0), pattern(bytes), fin);
}

/** Three streams of the peer fill the session to its last byte; the windows of the first two have room left. */
function full(peer: ScriptedPeer): void {
  for (const ordinal of [0, 1]) peer.open(peer.theirs(ordinal), pattern(16_000));
  peer.open(peer.theirs(2), pattern(SESSION - 32_000));
}

// The rows

const LIMITS: readonly Script[] = [
  {
    title: "DATA one byte over the limit of its stream",
    code: "FLOW_CONTROL",
    frame: "data",
    options: SMALL,
    before: (peer) => {
      carrying(16_000)(peer);
      peer.data(peer.theirs(0), 16_000, pattern(384));
    },
    bytes: (peer) => dataFrame(peer.theirs(0), WINDOW, pattern(1)),
    text: (peer) => `Received 16385 bytes on stream ${peer.theirs(0)}, allowed 16384`,
  },
  {
    title: "DATA_FIN one byte over the limit of its stream",
    code: "FLOW_CONTROL",
    frame: "dataFin",
    options: SMALL,
    before: carrying(16_000),
    bytes: (peer) => dataFrame(peer.theirs(0), 16_000, pattern(385), true),
    text: (peer) => `Received 16385 bytes on stream ${peer.theirs(0)}, allowed 16384`,
  },
  {
    title: "DATA one byte over the limit of the session",
    code: "FLOW_CONTROL",
    frame: "data",
    options: SMALL,
    before: full,
    bytes: (peer) => dataFrame(peer.theirs(0), 16_000, pattern(1)),
    text: () => "Received 40961 bytes on all streams, allowed 40960",
  },
  {
    title: "an OPEN whose data is over the limit of the session",
    code: "FLOW_CONTROL",
    frame: "open",
    options: SMALL,
    before: full,
    bytes: (peer) => openFrame(peer, peer.theirs(3), pattern(1)),
    text: () => "Received 40961 bytes on all streams, allowed 40960",
  },
  {
    title: "a RESET whose final size is over the limit of its stream",
    code: "FLOW_CONTROL",
    frame: "reset",
    options: SMALL,
    before: carrying(0),
    bytes: (peer) => encodeFrame("reset", { id: peer.theirs(0), code: 1, finalSize: WINDOW + 1 }),
    text: (peer) => `Received final size 16385 on stream ${peer.theirs(0)}, allowed 16384`,
  },
  {
    title: "a RESET whose final size is over the limit of the session",
    code: "FLOW_CONTROL",
    frame: "reset",
    options: SMALL,
    before: full,
    bytes: (peer) => encodeFrame("reset", { id: peer.theirs(0), code: 1, finalSize: 16_001 }),
    text: () => "Received final sizes of 40961 bytes on all streams, allowed 40960",
  },
  {
    title: "a stream over the limit",
    code: "STREAM_LIMIT",
    frame: "open",
    options: { local: { initialMaxStreams: 4 } },
    before: (peer) => {
      for (const ordinal of [0, 1, 2, 3]) peer.open(peer.theirs(ordinal));
    },
    bytes: (peer) => openFrame(peer, peer.theirs(4)),
    text: (peer) => `Received stream ${peer.theirs(4)}, allowed are 4 streams`,
  },
  {
    title: "an id near 2^53",
    code: "STREAM_LIMIT",
    frame: "open",
    options: { local: { initialMaxStreams: 4 } },
    bytes: (peer) => openFrame(peer, peer.theirs(2 ** 52 - 1)),
    text: (peer) => `Received stream ${peer.theirs(2 ** 52 - 1)}, allowed are 4 streams`,
  },
];

const ENDS: readonly Script[] = [
  {
    title: "DATA beyond the end",
    code: "FINAL_SIZE",
    frame: "data",
    before: carrying(10, true),
    bytes: (peer) => dataFrame(peer.theirs(0), 10, pattern(1)),
    text: (peer) => `Received an end at 11 on stream ${peer.theirs(0)}, known are 10 bytes`,
  },
  {
    title: "DATA_FIN behind the end",
    code: "FINAL_SIZE",
    frame: "dataFin",
    before: carrying(10, true),
    bytes: (peer) => dataFrame(peer.theirs(0), 10, pattern(1), true),
    text: (peer) => `Received an end at 11 on stream ${peer.theirs(0)}, known are 10 bytes`,
  },
  {
    title: "a second end before the first",
    code: "FINAL_SIZE",
    frame: "dataFin",
    before: carrying(10, true),
    bytes: (peer) => dataFrame(peer.theirs(0), 4, pattern(5), true),
    text: (peer) => `Received an end at 9 on stream ${peer.theirs(0)}, known are 10 bytes`,
  },
  {
    title: "an end before what was received",
    code: "FINAL_SIZE",
    frame: "dataFin",
    before: carrying(10),
    bytes: (peer) => dataFrame(peer.theirs(0), 0, pattern(5), true),
    text: (peer) => `Received an end at 5 on stream ${peer.theirs(0)}, known are 10 bytes`,
  },
  {
    title: "a repeated OPEN that ends elsewhere",
    code: "FINAL_SIZE",
    frame: "open",
    before: carrying(10),
    bytes: (peer) => openFrame(peer, peer.theirs(0), pattern(3), true),
    text: (peer) => `Received an end at 3 on stream ${peer.theirs(0)}, known are 10 bytes`,
  },
  {
    title: "a RESET below what was received",
    code: "FINAL_SIZE",
    frame: "reset",
    before: carrying(10),
    bytes: (peer) => encodeFrame("reset", { id: peer.theirs(0), code: 1, finalSize: 9 }),
    text: (peer) => `Received final size 9 on stream ${peer.theirs(0)}, known are 10 bytes`,
  },
  {
    title: "a RESET against the known final size",
    code: "FINAL_SIZE",
    frame: "reset",
    before: carrying(10, true),
    bytes: (peer) => encodeFrame("reset", { id: peer.theirs(0), code: 1, finalSize: 11 }),
    text: (peer) => `Received final size 11 on stream ${peer.theirs(0)}, known are 10 bytes`,
  },
  {
    title: "a second RESET with another final size",
    code: "FINAL_SIZE",
    frame: "reset",
    before: (peer) => {
      carrying(10)(peer);
      peer.send("reset", { id: peer.theirs(0), code: 1, finalSize: 10 });
    },
    bytes: (peer) => encodeFrame("reset", { id: peer.theirs(0), code: 1, finalSize: 12 }),
    text: (peer) => `Received final size 12 on stream ${peer.theirs(0)}, known are 10 bytes`,
  },
  {
    title: "a gap between offsets",
    code: "PROTOCOL_VIOLATION",
    frame: "data",
    before: carrying(10),
    bytes: (peer) => dataFrame(peer.theirs(0), 11, pattern(5)),
    text: (peer) => `Received offset 11 on stream ${peer.theirs(0)}, expected 10`,
  },
  {
    title: "an end behind a gap",
    code: "PROTOCOL_VIOLATION",
    frame: "dataFin",
    before: carrying(10),
    bytes: (peer) => dataFrame(peer.theirs(0), 11, NONE, true),
    text: (peer) => `Received offset 11 on stream ${peer.theirs(0)}, expected 10`,
  },
];

const ANSWERS: readonly Script[] = [
  {
    title: "an ACK beyond what was sent",
    code: "PROTOCOL_VIOLATION",
    frame: "ack",
    before: opened,
    bytes: (peer) =>
      encodeFrame("ack", { entries: [{ id: peer.ours(0), received: 11, ended: false }] }),
    text: (peer) => `Received ACK 11 on stream ${peer.ours(0)}, sent were 10 bytes`,
  },
  {
    title: "an ACK beyond what was sent on a stream of its own",
    code: "PROTOCOL_VIOLATION",
    frame: "ack",
    before: carrying(10),
    bytes: (peer) =>
      encodeFrame("ack", { entries: [{ id: peer.theirs(0), received: 1, ended: false }] }),
    text: (peer) => `Received ACK 1 on stream ${peer.theirs(0)}, sent were 0 bytes`,
  },
  {
    title: "ended without FIN or RESET",
    code: "PROTOCOL_VIOLATION",
    frame: "ack",
    before: opened,
    bytes: (peer) =>
      encodeFrame("ack", { entries: [{ id: peer.ours(0), received: 10, ended: true }] }),
    text: (peer) => `Received an end of stream ${peer.ours(0)}, which we did not end`,
  },
  {
    title: "ended for a FIN that has not left yet",
    code: "PROTOCOL_VIOLATION",
    frame: "ack",
    before: (peer) => peer.core.finish(opened(peer), peer.now),
    bytes: (peer) =>
      encodeFrame("ack", { entries: [{ id: peer.ours(0), received: 10, ended: true }] }),
    text: (peer) => `Received an end of stream ${peer.ours(0)}, which we did not end`,
  },
  {
    title: "a kind nobody accepts",
    code: "PROTOCOL_VIOLATION",
    frame: "open",
    bytes: (peer) =>
      encodeFrame("open", {
        id: peer.theirs(0),
        kind: 7,
        fin: false,
        receiveLimit: 0,
        data: NONE,
      }),
    text: (peer) => `Received OPEN of kind 7, accepted are ${peer.kind}`,
  },
  {
    title: "a DATAGRAM longer than announced",
    code: "PROTOCOL_VIOLATION",
    frame: "datagram",
    options: { local: { maxDatagram: 100 } },
    before: carrying(1),
    bytes: (peer) => Uint8Array.of(0xc7, 8 + 101, 0x27, ...u64(peer.theirs(0)), ...pattern(101)),
    text: () => "Received a datagram of 101 bytes, allowed 100",
  },
];

const OWN_IDS: readonly Script[] = [
  {
    title: "an OPEN under an id of ours",
    code: "STREAM_STATE",
    frame: "open",
    bytes: (peer) => openFrame(peer, peer.ours(0)),
    text: (peer) => `Received a frame for stream ${peer.ours(0)}, which only we may open`,
  },
  {
    title: "an OPEN under an id of ours that is present",
    code: "STREAM_STATE",
    frame: "open",
    before: opened,
    bytes: (peer) => openFrame(peer, peer.ours(0)),
    text: (peer) => `Received a frame for stream ${peer.ours(0)}, which only we may open`,
  },
  {
    title: "an OPEN under an id of ours near 2^53",
    code: "STREAM_STATE",
    frame: "open",
    bytes: (peer) => openFrame(peer, peer.ours(2 ** 52 - 1)),
    text: (peer) => `Received a frame for stream ${peer.ours(2 ** 52 - 1)}, which only we may open`,
  },
];

/** The first table of §2.2: what the id of a frame may refer to. DATAGRAM is dropped where others are errors, except over the limit. */
function resolutionOf(frame: StreamFrame): readonly Script[] {
  const options: PeerOptions = { local: { initialMaxStreams: 10, maxDatagram: 100 } };
  const overLimit: Script = {
    title: `${frame} of a stream over the limit`,
    code: "STREAM_LIMIT",
    frame,
    options,
    bytes: (peer) => frameOf(frame, peer.theirs(10)),
    text: (peer) => `Received stream ${peer.theirs(10)}, allowed are 10 streams`,
  };
  if (frame === "datagram") return [overLimit];
  const unopened = (
    title: string,
    idOf: (peer: Ids) => number,
    before?: (peer: ScriptedPeer) => void,
  ): Script => ({
    title: `${frame} of ${title}`,
    code: "STREAM_STATE",
    frame,
    options,
    ...(before && { before }),
    bytes: (peer) => frameOf(frame, idOf(peer)),
    text: (peer) => `Received a frame for stream ${idOf(peer)}, which was not opened`,
  });
  return [
    overLimit,
    unopened("a stream of the peer above those it opened", (peer) => peer.theirs(3), carrying(1)),
    unopened(
      "a stream of the peer in a gap",
      (peer) => peer.theirs(1),
      (peer) => peer.open(peer.theirs(2)),
    ),
    unopened("a stream of ours that was never opened", (peer) => peer.ours(0)),
    unopened(
      "a stream of ours whose OPEN has not left",
      (peer) => peer.ours(0),
      (peer) => peer.core.open(peer.ourKind, NONE, false, peer.now),
    ),
    unopened("a stream of ours near 2^53", (peer) => peer.ours(2 ** 52 - 1)),
  ];
}

const BYTES: readonly Script[] = [
  {
    title: "bytes that are no frame",
    code: "FRAME_ENCODING",
    frame: 0,
    bytes: () => hex("00"),
    text: () => "Received byte 0x00 at the start of a frame, expected an ext object",
  },
  {
    title: "an offset of 2^53",
    code: "FRAME_ENCODING",
    frame: "data",
    bytes: () => hex("c7 11 20 0000000000000000 0020000000000000 01"),
    text: () => "Received DATA with an offset of 2^53 or more",
  },
  {
    title: "DATA without a byte",
    code: "FRAME_ENCODING",
    frame: "data",
    bytes: () => hex("c9 00000010 20"),
    text: () => "Received DATA with a payload of 16 bytes, expected at least 17",
  },
  {
    title: "a SYNC that names a live link above upTo",
    code: "FRAME_ENCODING",
    frame: "sync",
    bytes: () => encodeFrame("sync", { upTo: 1, live: [2] }),
    text: () => "Received SYNC with live link 2 above upTo 1",
  },
  {
    title: "a SYNC whose links do not ascend",
    code: "FRAME_ENCODING",
    frame: "sync",
    bytes: () => encodeFrame("sync", { upTo: 9, live: [2, 2] }),
    text: () => "Received SYNC with live link 2 after 2, expected ascending numbers",
  },
  {
    title: "DATA of 16,363 bytes, at its head",
    code: "FRAME_TOO_LARGE",
    frame: "data",
    bytes: () => hex("c9 00003ffb 20"),
    text: () => "Received DATA with a payload of 16379 bytes, allowed 16378",
  },
  {
    title: "an OPEN with 4 GiB, at its head",
    code: "FRAME_TOO_LARGE",
    frame: "open",
    bytes: () => hex("c9 ffffffff 22"),
    text: () => "Received OPEN with a payload of 4294967295 bytes, allowed 16380",
  },
  {
    title: "an unassigned frame type",
    code: "UNKNOWN_FRAME",
    frame: 99,
    bytes: () => hex("d4 63 00"),
    text: () => "Received a frame of unknown type 99",
  },
  {
    title: "a negative frame type",
    code: "UNKNOWN_FRAME",
    frame: 0,
    bytes: () => hex("d4 ff 00"),
    text: () => "Received a frame of unknown type -1",
  },
  {
    title: "a DATAGRAM nobody announced",
    code: "UNKNOWN_FRAME",
    frame: "datagram",
    bytes: () => frameOf("datagram", 0),
    text: () => "Received a frame of unknown type 39",
  },
];

const HANDSHAKE = {
  hello: encodeFrame("hello", { revision: 1, nonce: new Uint8Array(32), extras: [] }),
  auth: encodeFrame("auth", { body: NONE, signature: new Uint8Array(64) }),
  edgeAuth: encodeFrame("edgeAuth", { body: NONE, signature: new Uint8Array(64) }),
  enroll: encodeFrame("enroll", { body: NONE, signature: new Uint8Array(64) }),
  resume: encodeFrame("resume", { body: NONE, signature: new Uint8Array(64) }),
  ready: encodeFrame("ready", {
    sessionId: new Uint8Array(16),
    link: 0,
    parameters: [],
    application: NONE,
  }),
  refused: encodeFrame("refused", { code: 1, retryAfterMs: 0, message: "" }),
} as const;

const LABELS = { edgeAuth: "EDGE_AUTH" } as Readonly<Record<string, string>>;

const PHASES: readonly Script[] = Object.entries(HANDSHAKE).map(([name, frame]) => ({
  title: `${name} behind READY`,
  code: "UNEXPECTED_FRAME",
  frame: name as FrameName,
  bytes: () => frame,
  text: () =>
    `Received ${LABELS[name] ?? name.toUpperCase()}, not allowed in this state of the link`,
}));

/** Scripts that any side is the victim of. */
export const SCRIPTS: readonly Script[] = [
  ...LIMITS,
  ...ENDS,
  ...ANSWERS,
  ...OWN_IDS,
  ...STREAM_FRAMES.flatMap(resolutionOf),
  ...BYTES,
  ...PHASES,
  {
    title: "more frames of forgotten streams than both sides may open twice, none of them read",
    code: "EXCESSIVE_LOAD",
    frame: "data",
    options: { local: { initialMaxStreams: 5 }, remote: { initialMaxStreams: 5 } },
    before: (peer) => {
      const id = forgotten(peer);
      for (let count = 0; count < 20; count++) peer.bytes(frameOf("data", id));
    },
    bytes: (peer) => frameOf("data", peer.theirs(0)),
    text: () => "Received 21 frames for streams that are over and read no answer, allowed 20",
  },
  {
    title: "more than 2,000 frames per second that change nothing",
    code: "EXCESSIVE_LOAD",
    frame: "maxData",
    before: (peer) => peer.bytes(join(...Array<Uint8Array>(20_000).fill(IDLE))),
    bytes: () => IDLE,
    text: () => "Received more than 20000 frames that change nothing in 10000 ms",
  },
];

/** Scripts of which only an edge is the victim. */
export const EDGE_SCRIPTS: readonly Script[] = [
  {
    title: "LINKS towards an edge",
    code: "UNEXPECTED_FRAME",
    frame: "links",
    bytes: () => encodeFrame("links", { wanted: 2 }),
    text: () => "Received LINKS, not allowed in this state of the link",
  },
  {
    title: "more than 100 streams of a connector within 10 s",
    code: "EXCESSIVE_LOAD",
    frame: "open",
    options: { local: { initialMaxStreams: 1_000 } },
    before: (peer) => {
      for (let ordinal = 0; ordinal < 100; ordinal++) {
        peer.open(peer.theirs(ordinal), NONE, true);
        peer.advance(99);
      }
    },
    bytes: (peer) => openFrame(peer, peer.theirs(100)),
    text: () => "Received more than 100 streams in 10000 ms",
  },
];
