// This file is peers that break the rules, one script per error of PROTOCOL §2.2, against one core.
import { describe, expect, test } from "bun:test";
import {
  encodeFrame,
  MAX_INTEGER,
  SESSION_CODES,
  type SessionCodeName,
} from "../../../src/wire/index.ts";
import { dataFrame, join, pattern, type PeerOptions, ScriptedPeer } from "./peer.ts";

const KIB = 1_024;
const NONE = new Uint8Array(0);
const small = { initialWindow: 16 * KIB, initialMaxData: 40 * KIB };
const tight = { receive: 40 * KIB };

interface Script {
  readonly title: string;
  readonly code: SessionCodeName;
  /** In the message that travels back. */
  readonly text: RegExp;
  readonly options?: PeerOptions;
  readonly run: (peer: ScriptedPeer) => void;
}

/** The core opens a stream and sends ten bytes on it. Returns its id. */
function opened(peer: ScriptedPeer): number {
  const id = peer.core.open(0, pattern(10), false, peer.now);
  if (typeof id === "string") throw new Error(`open() said ${id}`);
  peer.drain();
  return id;
}

/** The peer opens stream 0 and its OPEN is answered. */
function accepted(peer: ScriptedPeer, data: Uint8Array = NONE, fin = false): void {
  peer.open(0, data, fin);
}

/** Stream 0 was opened, ended on both sides and forgotten. */
function forgotten(peer: ScriptedPeer): void {
  accepted(peer, NONE, true);
  peer.core.finish(0, peer.now);
  peer.advance(30);
  peer.drain();
  peer.send("ack", { entries: [{ id: 0, received: 0, ended: true }] });
  if (peer.core.stats().streams !== 0) throw new Error("The stream is still there");
}

const SCRIPTS: readonly Script[] = [
  {
    title: "one byte over the limit of a stream",
    code: "FLOW_CONTROL",
    text: /Received 16385 bytes on stream 0, allowed 16384/,
    options: { local: small },
    run: (peer) => {
      accepted(peer, pattern(16_000));
      peer.data(0, 16_000, pattern(384));
      expect(peer.closed).toBeUndefined();
      peer.data(0, 16_384, pattern(1));
    },
  },
  {
    title: "one byte over the limit of the session",
    code: "FLOW_CONTROL",
    text: /Received 40961 bytes on all streams, allowed 40960/,
    options: { local: small, budget: tight },
    run: (peer) => {
      for (const id of [0, 2]) peer.bytes(join(openFrame(id), dataFrame(id, 0, pattern(16_000))));
      peer.bytes(join(openFrame(4), dataFrame(4, 0, pattern(40 * KIB - 32_000))));
      expect(peer.closed).toBeUndefined();
      peer.data(0, 16_000, pattern(1));
    },
  },
  {
    title: "a final size of RESET over the limit",
    code: "FLOW_CONTROL",
    text: /final size 16385 on stream 0/,
    options: { local: small },
    run: (peer) => {
      accepted(peer);
      peer.send("reset", { id: 0, code: 1, finalSize: 16 * KIB + 1 });
    },
  },
  {
    title: "a gap between offsets",
    code: "PROTOCOL_VIOLATION",
    text: /offset 11 on stream 0, expected 10/,
    run: (peer) => {
      accepted(peer, pattern(10));
      peer.data(0, 11, pattern(5));
    },
  },
  {
    title: "bytes beyond the end",
    code: "FINAL_SIZE",
    text: /end at 11 on stream 0, known are 10/,
    run: (peer) => {
      accepted(peer, pattern(10), true);
      peer.data(0, 10, pattern(1));
    },
  },
  {
    title: "a second end elsewhere",
    code: "FINAL_SIZE",
    text: /end at 5 on stream 0, known are 10/,
    run: (peer) => {
      accepted(peer, pattern(10));
      peer.data(0, 0, pattern(5), true);
    },
  },
  {
    title: "a RESET below what was received",
    code: "FINAL_SIZE",
    text: /final size 9 on stream 0, known are 10/,
    run: (peer) => {
      accepted(peer, pattern(10));
      peer.send("reset", { id: 0, code: 1, finalSize: 9 });
    },
  },
  {
    title: "a RESET against the known final size",
    code: "FINAL_SIZE",
    text: /final size 11 on stream 0, known are 10/,
    run: (peer) => {
      accepted(peer, pattern(10), true);
      peer.send("reset", { id: 0, code: 1, finalSize: 11 });
    },
  },
  {
    title: "an ACK beyond what was sent",
    code: "PROTOCOL_VIOLATION",
    text: /ACK 11 on stream 1, sent were 10 bytes/,
    run: (peer) =>
      peer.send("ack", { entries: [{ id: opened(peer), received: 11, ended: false }] }),
  },
  {
    title: "ended without FIN or RESET",
    code: "PROTOCOL_VIOLATION",
    text: /end of stream 1, which we did not end/,
    run: (peer) => peer.send("ack", { entries: [{ id: opened(peer), received: 10, ended: true }] }),
  },
  {
    title: "a kind nobody accepts",
    code: "PROTOCOL_VIOLATION",
    text: /OPEN of kind 7, accepted are 1/,
    run: (peer) => peer.open(0, NONE, false, 7),
  },
  {
    title: "an OPEN under an id of ours",
    code: "STREAM_STATE",
    text: /stream 1, which only we may open/,
    run: (peer) => peer.open(1),
  },
  {
    title: "an OPEN under an id of ours that is present",
    code: "STREAM_STATE",
    text: /stream 1, which only we may open/,
    run: (peer) => peer.open(opened(peer)),
  },
  {
    title: "a stream over the limit",
    code: "STREAM_LIMIT",
    text: /Received stream 8, allowed are 4/,
    options: { local: { initialMaxStreams: 4 } },
    run: (peer) => {
      for (const id of [0, 2, 4, 6]) peer.open(id);
      expect(peer.closed).toBeUndefined();
      peer.open(8);
    },
  },
  {
    title: "an id near 2^53",
    code: "STREAM_LIMIT",
    text: /Received stream 9007199254740990/,
    run: (peer) => peer.open(MAX_INTEGER - 1),
  },
  ...(["data", "dataFin", "reset", "stopSending", "maxStreamData", "ack"] as const).flatMap(
    (name): Script[] => [
      {
        title: `${name} of a stream of the peer that was never opened`,
        code: "STREAM_STATE",
        text: /stream 2, which was not opened/,
        run: (peer) => {
          peer.open(4);
          peer.bytes(frameOf(name, 2));
        },
      },
      {
        title: `${name} of a stream of ours that was never opened`,
        code: "STREAM_STATE",
        text: /stream 1, which was not opened/,
        run: (peer) => peer.bytes(frameOf(name, 1)),
      },
      {
        title: `${name} of a stream of ours whose OPEN has not left`,
        code: "STREAM_STATE",
        text: /stream 1, which was not opened/,
        run: (peer) => {
          peer.core.open(0, NONE, false, peer.now);
          peer.bytes(frameOf(name, 1));
        },
      },
      {
        title: `${name} of a stream over the limit`,
        code: "STREAM_LIMIT",
        text: /Received stream 2000/,
        run: (peer) => peer.bytes(frameOf(name, 2_000)),
      },
    ],
  ),
  {
    title: "more than 100 streams of a connector within 10 s",
    code: "EXCESSIVE_LOAD",
    text: /more than 100 streams in 10000 ms/,
    options: { side: "edge", local: { initialMaxStreams: 1_000 } },
    run: (peer) => {
      for (let index = 0; index < 100; index++) {
        peer.open(2 * index + 1, NONE, true, 0);
        peer.advance(99);
      }
      expect(peer.closed).toBeUndefined();
      peer.open(201, NONE, true, 0);
    },
  },
  {
    title: "more forgotten streams to answer than both sides may open twice",
    code: "EXCESSIVE_LOAD",
    text: /streams that are over/,
    options: { local: { initialMaxStreams: 5 }, remote: { initialMaxStreams: 5 } },
    run: (peer) => {
      forgotten(peer);
      for (let count = 0; count < 20; count++) peer.bytes(frameOf("data", 0));
      expect(peer.closed).toBeUndefined();
      peer.bytes(frameOf("data", 0));
    },
  },
  {
    title: "an unknown frame",
    code: "UNKNOWN_FRAME",
    text: /unknown type 99/,
    run: (peer) => peer.bytes(Uint8Array.from([0xd4, 99, 0])),
  },
  {
    title: "a DATAGRAM nobody announced",
    code: "UNKNOWN_FRAME",
    text: /unknown type 39/,
    run: (peer) => peer.bytes(Uint8Array.from([0xd7, 0x27, 0, 0, 0, 0, 0, 0, 0, 0])),
  },
  {
    title: "bytes that are no frame",
    code: "FRAME_ENCODING",
    text: /byte 0x00 at the start of a frame/,
    run: (peer) => peer.bytes(Uint8Array.from([0])),
  },
];

function openFrame(id: number): Uint8Array {
  return encodeFrame("open", { id, kind: 1, fin: false, receiveLimit: 64 * KIB, data: NONE });
}

function frameOf(
  name: "data" | "dataFin" | "reset" | "stopSending" | "maxStreamData" | "ack",
  id: number,
): Uint8Array {
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
    default:
      return encodeFrame("ack", { entries: [{ id, received: 0, ended: false }] });
  }
}

describe("hostile peer", () => {
  for (const { title, code, text, options, run } of SCRIPTS) {
    test(`is closed with ${code} for ${title}`, () => {
      const peer = new ScriptedPeer(options);
      run(peer);
      expect(peer.closed?.code).toBe(SESSION_CODES[code].code);
      expect(peer.closed?.message).toMatch(text);
      expect(peer.violations).toHaveLength(1);
      const [close, ...rest] = peer.drain().filter(({ name }) => name === "close");
      expect(rest).toEqual([]);
      expect(close?.["code"]).toBe(SESSION_CODES[code].code);
      expect(close?.["frameType"]).toBe(peer.violations[0]?.frameType);
      expect(peer.core.stats().streams).toBe(0);
      expect(peer.held).toBe(0);
    });
  }

  const CHANGE_NOTHING: Readonly<Record<string, (peer: ScriptedPeer) => Uint8Array>> = {
    PING: () => encodeFrame("ping", { id: 1 }),
    PONG: () => encodeFrame("pong", { id: 9 }),
    MAX_DATA: () => encodeFrame("maxData", { limit: 0 }),
    MAX_STREAMS: () => encodeFrame("maxStreams", { count: 0 }),
    GOAWAY: () => encodeFrame("goAway", { code: 0, retryAfterMs: 0, message: "" }),
    RETIRE: () => encodeFrame("retire", { link: 3 }),
    "ACK without progress": (peer) =>
      encodeFrame("ack", { entries: [{ id: opened(peer), received: 0, ended: false }] }),
    "MAX_STREAM_DATA without progress": (peer) =>
      encodeFrame("maxStreamData", { entries: [{ id: opened(peer), limit: 1 }] }),
    "DATA that is here": (peer) => {
      accepted(peer, pattern(10));
      return dataFrame(0, 0, pattern(10));
    },
    "DATA behind a RESET": (peer) => {
      accepted(peer);
      peer.send("reset", { id: 0, code: 1, finalSize: 10 });
      return dataFrame(0, 0, pattern(10));
    },
    "a repeated RESET": (peer) => {
      accepted(peer);
      return encodeFrame("reset", { id: 0, code: 1, finalSize: 10 });
    },
    "a repeated STOP_SENDING": (peer) => encodeFrame("stopSending", { id: opened(peer), code: 1 }),
    "a repeated OPEN": (peer) => {
      accepted(peer);
      return encodeFrame("open", { id: 0, kind: 1, fin: false, receiveLimit: 0, data: NONE });
    },
    "STOP_SENDING of a forgotten stream": (peer) => {
      forgotten(peer);
      return encodeFrame("stopSending", { id: 0, code: 1 });
    },
  };
  for (const [what, make] of Object.entries(CHANGE_NOTHING)) {
    test(`is closed with EXCESSIVE_LOAD for more than 2,000 frames per second that change nothing: ${what}`, () => {
      const peer = new ScriptedPeer();
      const frame = make(peer);
      // 100 at a time; the first one or two may have changed something.
      const hundred = join(...Array<Uint8Array>(100).fill(frame));
      let sent = 0;
      for (; sent < 20_000 && peer.closed === undefined; sent += 100) peer.bytes(hundred);
      expect(sent).toBe(20_000);
      expect(peer.closed).toBeUndefined();
      peer.bytes(hundred);
      expect(peer.closed?.code).toBe(SESSION_CODES.EXCESSIVE_LOAD.code);
    });
  }

  test("may send 2,000 such frames per second for ever", () => {
    const peer = new ScriptedPeer();
    const frame = join(...Array<Uint8Array>(2_000).fill(encodeFrame("maxData", { limit: 0 })));
    for (let second = 0; second < 30; second++) {
      peer.bytes(frame);
      peer.now += 1_000;
    }
    expect(peer.closed).toBeUndefined();
  });

  test("gets one ACK for each frame of a forgotten stream, and the application sees nothing", () => {
    const peer = new ScriptedPeer();
    forgotten(peer);
    const told = peer.outputs.length;
    for (const name of ["data", "dataFin", "reset"] as const) peer.bytes(frameOf(name, 0));
    peer.open(0);
    expect(peer.outputs.slice(told).filter(({ kind }) => kind !== "wantWrite")).toEqual([]);
    const entry = { id: 0, received: 0, ended: true };
    expect(peer.drain()).toEqual([{ name: "ack", entries: [entry, entry, entry, entry] }]);
  });

  test("makes at most one PONG wait, however many PINGs come unread", () => {
    const peer = new ScriptedPeer();
    peer.drain();
    for (let id = 0; id < 1_000; id++) peer.send("ping", { id });
    expect(peer.drain()).toEqual([{ name: "pong", id: 0 }]);
  });

  test("cannot make control grow that it does not read", () => {
    const peer = new ScriptedPeer({ local: { initialMaxStreams: 50 } });
    peer.drain();
    for (let id = 0; id < 100; id += 2) peer.open(id, pattern(1));
    peer.fill();
    // From here on no batch leaves. Everything a reader can owe, many times.
    for (let round = 1; round < 200; round++) {
      for (let id = 0; id < 100; id += 2) {
        peer.data(id, round, pattern(1));
        peer.core.consumed(id, 1, peer.now);
      }
      peer.advance(30);
    }
    expect(peer.closed).toBeUndefined();
    expect(peer.core.stats().owing).toBeLessThanOrEqual(50);
    peer.handle({ kind: "linkWritable", link: 0 });
    const acks = peer.drain().filter(({ name }) => name === "ack");
    expect(acks).toHaveLength(1);
  });
});
