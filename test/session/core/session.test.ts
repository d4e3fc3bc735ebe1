// This file is the rules of a session that show only in the whole core: order, refusal, draining, the end. PROTOCOL §4, §6, §8.
import { describe, expect, test } from "bun:test";
import {
  BATCH_BYTES,
  encodeFrame,
  ORDINAL_DRAIN,
  SESSION_CODES,
  STREAM_CODES,
} from "../../../src/wire/index.ts";
import { dataFrame, join, pattern, ScriptedPeer } from "./peer.ts";

const KIB = 1_024;
const NONE = new Uint8Array(0);
const REFUSED = STREAM_CODES.REFUSED.code;
const names = (frames: readonly { readonly name: string }[]): string[] =>
  frames.map(({ name }) => name);

/** A peer whose core said hello by PING already. */
function quiet(options: ConstructorParameters<typeof ScriptedPeer>[0] = {}): ScriptedPeer {
  const peer = new ScriptedPeer(options);
  peer.drain();
  return peer;
}

function open(peer: ScriptedPeer, head: Uint8Array = NONE, fin = false): number {
  const id = peer.core.open(0, head, fin, peer.now);
  if (typeof id === "string") throw new Error(`open() said ${id}`);
  return id;
}

function told(peer: ScriptedPeer, from: number): unknown[] {
  return peer.outputs.slice(from).filter(({ kind }) => kind !== "wantWrite");
}

describe("opening", () => {
  test("carries the head and the end in one frame", () => {
    const peer = quiet();
    open(peer, pattern(10), true);
    expect(peer.drain()).toEqual([
      { name: "open", id: 1, kind: 0, fin: true, receiveLimit: KIB * KIB, data: pattern(10) },
    ]);
  });

  test("goes on with DATA where the head is longer than an OPEN", () => {
    const peer = quiet();
    open(peer, pattern(40_000), true);
    const frames = peer.drain();
    expect(names(frames)).toEqual(["open", "data", "dataFin"]);
    expect((frames[0]?.["data"] as Uint8Array).length).toBe(16_320);
    expect(frames[2]?.["offset"]).toBe(16_320 + 16_362);
  });

  test("fails at once without a link, over the limit of the peer, and when draining", () => {
    const detached = new ScriptedPeer({ isAttached: false });
    expect(detached.core.open(0, NONE, false, 0)).toBe("detached");
    const peer = quiet({ remote: { initialMaxStreams: 1 } });
    open(peer);
    expect(peer.core.open(0, NONE, false, peer.now)).toBe("streamLimit");
    peer.send("maxStreams", { count: 2 });
    open(peer);
    peer.send("goAway", { code: 0x30, retryAfterMs: 0, message: "" });
    expect(peer.core.open(0, NONE, false, peer.now)).toBe("draining");
  });

  test("drains the session before ids are used up", () => {
    const peer = quiet({ firstOrdinal: ORDINAL_DRAIN - 1 });
    peer.send("maxStreams", { count: 2 ** 52 });
    expect(open(peer)).toBe(2 * (ORDINAL_DRAIN - 1) + 1);
    expect(peer.core.open(0, NONE, false, peer.now)).toBe("draining");
    expect(names(peer.drain())).toEqual(["goAway", "open"]);
  });

  test("is said even of a stream that was reset and stopped before it left", () => {
    const peer = quiet();
    const id = open(peer, pattern(10));
    peer.core.stop(id, 5, peer.now);
    peer.core.reset(id, 9, peer.now);
    const frames = peer.drain();
    expect(names(frames)).toEqual(["open", "reset", "stopSending"]);
    expect(frames[0]?.["data"]).toEqual(NONE);
    expect(frames[1]).toEqual({ name: "reset", id, code: 9, finalSize: 0 });
  });

  test("holds a stop back until credit lets the OPEN out, without asking to write meanwhile", () => {
    const peer = quiet({ remote: { initialMaxData: 128 * KIB, initialWindow: 512 * KIB } });
    open(peer, pattern(128 * KIB));
    peer.drain();
    const id = open(peer, pattern(10));
    peer.core.stop(id, 5, peer.now);
    expect(peer.drain()).toEqual([]);
    expect(peer.handle({ kind: "tick" })).toEqual([]);
    peer.send("maxData", { limit: 1_024 * KIB });
    expect(names(peer.drain())).toEqual(["open", "stopSending"]);
  });

  test("keeps a stop that came before the OPEN when a reset makes the OPEN leave", () => {
    const peer = quiet({ remote: { initialMaxData: 128 * KIB, initialWindow: 512 * KIB } });
    open(peer, pattern(128 * KIB));
    peer.drain();
    const id = open(peer, pattern(10));
    peer.core.stop(id, 5, peer.now);
    peer.drain();
    peer.core.reset(id, 1, peer.now);
    expect(names(peer.drain())).toEqual(["open", "reset", "stopSending"]);
  });
});

describe("batches", () => {
  test("put control before interactive streams before bulk", () => {
    const peer = quiet({
      remote: { initialWindow: 16_384 * KIB, initialMaxData: 16_384 * KIB, initialMaxStreams: 10 },
    });
    const large = open(peer, pattern(2_000 * KIB));
    for (let round = 0; round < 4; round++) {
      peer.fill();
      peer.handle({ kind: "linkWritable", link: 0 });
      // The path stays free: what was sent is acknowledged.
      const { sent } = peer.core.stats();
      peer.send("ack", { entries: [{ id: large, received: sent, ended: false }] });
    }
    peer.open(0, pattern(10));
    peer.advance(25);
    const small = open(peer, pattern(100));
    const frames = peer.fill();
    expect(names(frames).slice(0, 3)).toEqual(["ack", "open", "data"]);
    expect([frames[1]?.["id"], frames[2]?.["id"]]).toEqual([small, large]);
  });

  test("are filled to the last frame by a lone stream", () => {
    const peer = quiet({ remote: { initialWindow: 1_024 * KIB, initialMaxData: 1_024 * KIB } });
    open(peer, pattern(1_024 * KIB));
    peer.fill();
    peer.handle({ kind: "linkWritable", link: 0 });
    const bytes = peer.fill().reduce((sum, frame) => sum + (frame["length"] as number) + 22, 0);
    expect(bytes).toBe(BATCH_BYTES);
  });

  test("are one at a time", () => {
    const peer = quiet();
    open(peer, pattern(10));
    expect(peer.fill()).toHaveLength(1);
    open(peer, pattern(10));
    expect(peer.fill()).toEqual([]);
    peer.handle({ kind: "linkWritable", link: 0 });
    expect(names(peer.drain())).toEqual(["open"]);
  });

  test("stop at the credit of the session and of the stream, to the byte", () => {
    const peer = quiet({
      remote: { initialMaxData: 200 * KIB, initialWindow: 60 * KIB, initialMaxStreams: 10 },
    });
    for (let count = 0; count < 4; count++) open(peer, pattern(100 * KIB));
    peer.drain();
    expect(peer.core.stats().sent).toBe(200 * KIB);
    peer.send("maxData", { limit: 200 * KIB + 1 });
    peer.drain();
    expect(peer.core.stats().sent).toBe(200 * KIB + 1);
  });

  test("hold only control once the retention budget is full, until an ACK", () => {
    const peer = quiet({ budget: { retain: 64 * KIB }, remote: { initialWindow: 1_024 * KIB } });
    const id = open(peer, pattern(200 * KIB));
    peer.drain();
    expect(peer.core.stats().retained).toBe(64 * KIB);
    peer.open(0, NONE, true);
    peer.advance(25);
    expect(names(peer.drain())).toEqual(["ack"]);
    peer.send("ack", { entries: [{ id, received: 60 * KIB, ended: false }] });
    peer.drain();
    expect(peer.core.stats().retained).toBe(64 * KIB);
    expect(peer.core.stats().sent).toBe(124 * KIB);
  });
});

describe("acknowledgement", () => {
  test("comes 25 ms after the first byte, or at once with 64 KiB", () => {
    const peer = quiet();
    peer.open(0, pattern(10));
    expect(peer.drain()).toEqual([]);
    expect(peer.core.deadline()).toBe(peer.now + 25);
    peer.advance(25);
    expect(peer.drain()).toEqual([
      { name: "ack", entries: [{ id: 0, received: 10, ended: false }] },
    ]);
    for (let offset = 10; offset < 64 * KIB; offset += 16_000)
      peer.data(0, offset, pattern(16_000));
    expect(peer.drain()).toEqual([
      { name: "ack", entries: [{ id: 0, received: 80_010, ended: false }] },
    ]);
  });

  test("does not wait for the reader, and credit does", () => {
    const peer = quiet({ local: { initialWindow: 64 * KIB } });
    peer.open(0);
    for (let offset = 0; offset < 64 * KIB; offset += 16 * KIB) {
      for (const half of [0, 8 * KIB]) peer.data(0, offset + half, pattern(8 * KIB));
    }
    expect(names(peer.drain())).toEqual(["ack"]);
    peer.core.consumed(0, 16 * KIB, peer.now);
    expect(peer.drain()).toEqual([
      { name: "maxStreamData", entries: [{ id: 0, limit: 80 * KIB }] },
    ]);
  });

  test("is the last thing said of a stream before it is forgotten", () => {
    const peer = quiet();
    peer.open(0, NONE, true);
    peer.core.finish(0, peer.now);
    peer.drain();
    peer.send("ack", { entries: [{ id: 0, received: 0, ended: true }] });
    expect(peer.core.stats().streams).toBe(1);
    peer.advance(25);
    expect(peer.fill()).toEqual([{ name: "ack", entries: [{ id: 0, received: 0, ended: true }] }]);
    expect(peer.core.stats().streams).toBe(0);
    expect(peer.of("streamClosed")).toHaveLength(0);
    peer.handle({ kind: "tick" });
    expect(peer.of("streamClosed")).toHaveLength(1);
  });
});

describe("refusal", () => {
  test("delivers nothing, acknowledges nothing and returns all credit", () => {
    const peer = quiet();
    peer.open(0, pattern(100));
    peer.core.refuse(0, peer.now);
    peer.data(0, 100, pattern(50), true);
    peer.advance(100);
    expect(peer.drain()).toEqual([
      { name: "reset", id: 0, code: REFUSED, finalSize: 0 },
      { name: "stopSending", id: 0, code: REFUSED },
    ]);
    const { received, consumed } = peer.core.stats();
    expect([received, consumed]).toEqual([150, 150]);
    peer.send("reset", { id: 0, code: REFUSED, finalSize: 150 });
    peer.send("ack", { entries: [{ id: 0, received: 0, ended: true }] });
    peer.advance(25);
    expect(peer.drain()).toEqual([
      { name: "ack", entries: [{ id: 0, received: 150, ended: true }] },
    ]);
    expect(peer.core.stats().streams).toBe(0);
  });

  test("acknowledges a RESET that came right behind the OPEN", () => {
    const peer = quiet();
    peer.bytes(
      join(
        encodeFrame("open", { id: 0, kind: 1, fin: true, receiveLimit: 100, data: NONE }),
        encodeFrame("reset", { id: 0, code: 1, finalSize: 0 }),
      ),
    );
    peer.core.refuse(0, peer.now);
    peer.advance(25);
    expect(names(peer.drain())).toContain("ack");
  });

  test("says STOP_SENDING where the opener stopped us first, even behind its FIN", () => {
    const peer = quiet();
    const opening = encodeFrame("open", {
      id: 0,
      kind: 1,
      fin: false,
      receiveLimit: 100,
      data: NONE,
    });
    peer.bytes(join(opening, encodeFrame("stopSending", { id: 0, code: 1 })));
    peer.core.refuse(0, peer.now);
    peer.data(0, 0, NONE, true);
    expect(peer.drain()).toEqual([
      { name: "reset", id: 0, code: 1, finalSize: 0 },
      { name: "stopSending", id: 0, code: REFUSED },
    ]);
  });

  for (const [order, frames] of Object.entries({
    RESET: [encodeFrame("reset", { id: 1, code: REFUSED, finalSize: 0 })],
    STOP_SENDING: [encodeFrame("stopSending", { id: 1, code: REFUSED })],
    both: [
      encodeFrame("reset", { id: 1, code: REFUSED, finalSize: 0 }),
      encodeFrame("stopSending", { id: 1, code: REFUSED }),
    ],
    "both in the other order": [
      encodeFrame("stopSending", { id: 1, code: REFUSED }),
      encodeFrame("reset", { id: 1, code: REFUSED, finalSize: 0 }),
    ],
  })) {
    test(`gives the opener all its bytes back once: ${order}`, () => {
      const peer = quiet({ remote: { initialWindow: 64 * KIB } });
      const id = open(peer, pattern(100 * KIB));
      peer.drain();
      for (const frame of frames) peer.bytes(frame);
      const resets = peer.of("streamReset");
      expect(resets).toHaveLength(1);
      expect(resets[0]).toMatchObject({ stream: id, code: REFUSED, remote: true });
      expect(Buffer.concat(resets[0]?.replay ?? []).equals(Buffer.from(pattern(100 * KIB)))).toBe(
        true,
      );
      expect(peer.of("streamStopped")).toEqual([]);
      expect(peer.drain()[0]).toEqual({ name: "reset", id, code: REFUSED, finalSize: 64 * KIB });
      expect(peer.held).toBe(0);
    });
  }

  test("is no refusal once bytes were acknowledged", () => {
    const peer = quiet();
    const id = open(peer, pattern(10));
    peer.drain();
    peer.send("ack", { entries: [{ id, received: 4, ended: false }] });
    peer.send("reset", { id, code: REFUSED, finalSize: 0 });
    expect(peer.of("streamReset")).toEqual([
      { kind: "streamReset", stream: id, code: REFUSED, remote: true },
    ]);
  });
});

describe("draining", () => {
  test("still accepts for 1 s, then refuses each OPEN and tells the application nothing", () => {
    const peer = quiet();
    peer.core.goAway(SESSION_CODES.SHUTDOWN.code, 0, "going", peer.now);
    expect(names(peer.drain())).toEqual(["goAway"]);
    expect(peer.core.open(0, NONE, false, peer.now)).toBe("draining");
    peer.advance(999);
    peer.open(0);
    expect(peer.of("streamOpened")).toHaveLength(1);
    peer.drain();
    peer.advance(1);
    const from = peer.outputs.length;
    peer.open(2, pattern(20), true);
    peer.open(4, pattern(20));
    expect(told(peer, from)).toEqual([]);
    expect(peer.drain()).toEqual([
      { name: "reset", id: 2, code: REFUSED, finalSize: 0 },
      { name: "stopSending", id: 2, code: REFUSED },
      { name: "reset", id: 4, code: REFUSED, finalSize: 0 },
      { name: "stopSending", id: 4, code: REFUSED },
    ]);
    for (const id of [2, 4]) {
      peer.send("ack", { entries: [{ id, received: 0, ended: true }] });
      peer.send("reset", { id, code: REFUSED, finalSize: 20 });
    }
    peer.advance(25);
    peer.drain();
    peer.handle({ kind: "tick" });
    expect(told(peer, from)).toEqual([]);
    expect(peer.core.stats().streams).toBe(1);
    const { received, consumed } = peer.core.stats();
    expect(received).toBe(consumed);
  });

  test("accepts for two round trips where those are longer", () => {
    const peer = new ScriptedPeer();
    const [ping] = peer.drain();
    peer.now += 800;
    peer.send("pong", { id: ping?.["id"] as number });
    peer.core.goAway(0, 0, "", peer.now);
    peer.drain();
    peer.advance(1_599);
    peer.open(0);
    peer.advance(1);
    peer.open(2);
    expect(peer.of("streamOpened").map(({ stream }) => stream)).toEqual([0]);
  });

  test("is said once", () => {
    const peer = quiet();
    for (let count = 0; count < 3; count++) {
      peer.core.goAway(0, 0, "", peer.now);
      peer.drain();
      peer.advance(2_000);
    }
    expect(peer.frames.filter(({ name }) => name === "goAway")).toHaveLength(1);
  });
});

describe("closing", () => {
  test("writes CLOSE, ends every stream with a reset and then the link", () => {
    const peer = quiet();
    open(peer, pattern(10));
    peer.open(0, pattern(10));
    peer.drain();
    peer.core.close(SESSION_CODES.SHUTDOWN.code, "bye", peer.now);
    const from = peer.outputs.length;
    expect(peer.fill()).toEqual([
      { name: "close", code: 0x30, frameType: 0, retryAfterMs: 0, message: "bye" },
    ]);
    expect(told(peer, from)).toEqual([
      { kind: "streamReset", stream: 1, code: STREAM_CODES.SESSION_LOST.code, remote: false },
      { kind: "streamClosed", stream: 1 },
      { kind: "streamReset", stream: 0, code: STREAM_CODES.SESSION_LOST.code, remote: false },
      { kind: "streamClosed", stream: 0 },
      { kind: "status", status: { name: "closed", remote: false, code: 0x30, message: "bye" } },
    ]);
    expect(peer.handle({ kind: "linkWritable", link: 0 })).toEqual([
      { kind: "closeLink", link: 0 },
    ]);
    expect(peer.violations).toEqual([]);
    expect(peer.held).toBe(0);
    expect(peer.core.deadline()).toBe(peer.now + 250);
  });

  test("ends the link after 250 ms where the batch before it does not leave", () => {
    const peer = quiet();
    open(peer, pattern(10));
    peer.fill();
    peer.core.close(0, "", peer.now);
    peer.handle({ kind: "tick" });
    peer.advance(249);
    expect(peer.of("closeLink")).toEqual([]);
    peer.advance(1);
    expect(peer.of("closeLink")).toHaveLength(1);
    expect(peer.core.deadline()).toBe(Number.POSITIVE_INFINITY);
  });

  test("by the peer ends every stream, and what follows CLOSE in the same bytes is ignored", () => {
    const peer = quiet();
    const id = open(peer, pattern(10), true);
    peer.drain();
    peer.send("ack", { entries: [{ id, received: 10, ended: true }] });
    const from = peer.outputs.length;
    peer.bytes(
      join(
        encodeFrame("close", {
          code: SESSION_CODES.REVOKED.code,
          frameType: 0,
          retryAfterMs: 0,
          message: "gone",
        }),
        encodeFrame("open", { id: 0, kind: 1, fin: false, receiveLimit: 100, data: pattern(5) }),
        dataFrame(id, 0, pattern(5)),
        Uint8Array.from([0]),
      ),
    );
    expect(told(peer, from)).toEqual([
      // Everything was sent and acknowledged, but the answer will not come: never a silent end.
      { kind: "streamReset", stream: id, code: STREAM_CODES.REVOKED.code, remote: false },
      { kind: "streamClosed", stream: id },
      { kind: "status", status: { name: "closed", remote: true, code: 0x31, message: "gone" } },
      { kind: "closeLink", link: 0 },
    ]);
    expect(peer.violations).toEqual([]);
    expect(peer.drain()).toEqual([]);
    expect(peer.core.deadline()).toBe(Number.POSITIVE_INFINITY);
  });

  test("says nothing more of streams that still waited to be sent", () => {
    const peer = quiet();
    open(peer, pattern(10));
    peer.send("close", { code: 0, frameType: 0, retryAfterMs: 0, message: "" });
    expect(peer.drain()).toEqual([]);
    expect(peer.of("wantWrite").length).toBeLessThanOrEqual(2);
  });

  test.each([
    [20, []],
    // Its owner has bytes that nobody counts from now on.
    [19, [STREAM_CODES.SESSION_LOST.code]],
  ] as const)(
    "tells a reset of a complete stream of which %d of 20 bytes were read: %p",
    (read, codes) => {
      const peer = quiet();
      const id = open(peer, pattern(10), true);
      peer.drain();
      peer.data(id, 0, pattern(20), true);
      peer.core.consumed(id, read, peer.now);
      peer.drain();
      peer.send("ack", { entries: [{ id, received: 10, ended: true }] });
      peer.core.close(0, "", peer.now);
      peer.drain();
      expect(peer.of("streamEnded")).toHaveLength(1);
      expect(peer.of("streamReset").map(({ code }) => code)).toEqual([...codes]);
      expect(peer.of("streamClosed")).toHaveLength(1);
      const { received, consumed } = peer.core.stats();
      expect(received).toBe(consumed);
      expect(peer.held).toBe(0);
    },
  );

  test("happens when the only link is lost", () => {
    const peer = quiet();
    const id = open(peer, pattern(10));
    const from = peer.outputs.length;
    peer.handle({ kind: "linkLost", link: 0, cause: "rst" });
    expect(told(peer, from)).toEqual([
      { kind: "status", status: { name: "attached", links: [] } },
      { kind: "streamReset", stream: id, code: STREAM_CODES.SESSION_LOST.code, remote: false },
      { kind: "streamClosed", stream: id },
      {
        kind: "status",
        status: { name: "closed", remote: false, code: 0, message: "The link was lost (rst)" },
      },
    ]);
    expect(peer.core.open(0, NONE, false, peer.now)).toBe("draining");
    expect(peer.handle({ kind: "linkAttached", link: 1 })).toEqual([
      { kind: "closeLink", link: 1 },
    ]);
  });
});

describe("pulse", () => {
  test("asks at attachment and answers a PING with its id", () => {
    const peer = new ScriptedPeer();
    expect(peer.drain()).toEqual([{ name: "ping", id: 1 }]);
    peer.send("ping", { id: 4_711 });
    expect(peer.drain()).toEqual([{ name: "pong", id: 4_711 }]);
    peer.now += 40;
    peer.send("pong", { id: 1 });
    expect(peer.core.stats().rttMs).toBe(40);
  });

  test("asks after 5 s of silence at the connector, after 7 s at the edge", () => {
    for (const [side, silenceMs] of [
      ["connector", 5_000],
      ["edge", 7_000],
    ] as const) {
      const peer = quiet({ side });
      peer.send("pong", { id: 1 });
      peer.advance(silenceMs - 1);
      expect(peer.drain(), side).toEqual([]);
      peer.advance(1);
      expect(names(peer.drain()), side).toEqual(["ping"]);
    }
  });

  test("ends the session after 15 s of silence", () => {
    const peer = quiet();
    peer.send("pong", { id: 1 });
    peer.advance(14_999);
    expect(peer.closed).toBeUndefined();
    peer.advance(1);
    expect(peer.of("closeLink")).toHaveLength(1);
    expect(peer.closed?.message).toBe("The link was lost (silence)");
  });

  test("does not blame the peer for a loop that stood still", () => {
    const peer = quiet();
    peer.send("pong", { id: 1 });
    // Each timer 6 s late: 15 s of silence take longer.
    peer.advance(20_000, 6_000);
    expect(peer.closed).toBeUndefined();
    peer.advance(60_000);
    expect(peer.closed?.message).toBe("The link was lost (silence)");
  });

  test("gives a peer 2 s after a suspend", () => {
    const peer = quiet();
    peer.send("pong", { id: 1 });
    peer.advance(125_000, 120_000);
    expect(names(peer.drain())).toEqual(["ping"]);
    expect(peer.closed).toBeUndefined();
    peer.advance(2_000);
    expect(peer.closed?.message).toBe("The link was lost (silence)");
  });
});

describe("pausing", () => {
  test("asks a writer to wait above its threshold and wakes it at half", () => {
    const peer = quiet({ remote: { initialWindow: 64 * KIB } });
    const id = open(peer, pattern(64 * KIB));
    expect(peer.core.write(id, pattern(1), peer.now)).toBe("pause");
    peer.fill();
    peer.handle({ kind: "tick" });
    expect(peer.of("streamWritable").map(({ stream }) => stream)).toEqual([id]);
  });

  test("lowers the threshold to 64 KiB when the session has too much unsent", () => {
    const peer = quiet({ budget: { unsent: 100 * KIB }, remote: { initialWindow: 1_024 * KIB } });
    const id = open(peer);
    expect(peer.core.write(id, pattern(100 * KIB), peer.now)).toBe("more");
    expect(peer.core.write(id, pattern(1), peer.now)).toBe("pause");
  });
});
