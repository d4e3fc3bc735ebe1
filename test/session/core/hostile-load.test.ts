// This file is peers that cost work or memory without breaking a rule of one frame: floods, storms, and who never reads. PROTOCOL §2.2, §5.5; S-44, S-48.
import { describe, expect, test } from "bun:test";
import { encodeFrame, SESSION_CODES } from "../../../src/wire/index.ts";
import { forgotten, frameOf, openFrame, opened } from "./hostile-scripts.ts";
import { dataFrame, join, pattern, ScriptedPeer } from "./peer.ts";

describe("hostile peer", () => {
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
      peer.open(0, pattern(10));
      return dataFrame(0, 0, pattern(10));
    },
    "DATA behind a RESET": (peer) => {
      peer.open(0);
      peer.send("reset", { id: 0, code: 1, finalSize: 10 });
      return dataFrame(0, 0, pattern(10));
    },
    "a repeated RESET": (peer) => {
      peer.open(0);
      return encodeFrame("reset", { id: 0, code: 1, finalSize: 10 });
    },
    "a repeated STOP_SENDING": (peer) => encodeFrame("stopSending", { id: opened(peer), code: 1 }),
    "a repeated OPEN": (peer) => {
      peer.open(0);
      return openFrame(peer, 0);
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
    // The newest: the peer waits for no other.
    expect(peer.drain()).toEqual([{ name: "pong", id: 999 }]);
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
