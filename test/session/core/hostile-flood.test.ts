// This file is peers that send without end, trickle, leave gaps or never read: what they can make a core hold. PROTOCOL §2.2, §5.5; S-44, S-45, S-48.
import { describe, expect, test } from "bun:test";
import { heapStats } from "bun:jsc";
import {
  BATCH_BYTES,
  DATA_BYTES,
  encodeFrame,
  FrameDecoder,
  SESSION_CODES,
  STREAM_CODES,
} from "../../../src/wire/index.ts";
import { frameOf, openFrame } from "./hostile-scripts.ts";
import { dataFrame, join, pattern, ScriptedPeer } from "./peer.ts";

const KIB = 1_024;
const MIB = 1_024 * KIB;
/** 10^7 takes some seconds. */
const FLOOD = process.env["TUNL_SLOW"] === "1" ? 10_000_000 : 1_000_000;
const STORM = 20_000;

function heapBytes(): number {
  Bun.gc(true);
  const { heapSize, extraMemorySize } = heapStats();
  return heapSize + extraMemorySize;
}

/** A peer whose core was attached and then writes into a socket that nobody reads: one batch is under way for ever. */
function deaf(streams: number): ScriptedPeer {
  const peer = new ScriptedPeer({ local: { initialMaxStreams: streams } });
  peer.fill();
  return peer;
}

describe("control that is never read", () => {
  test(`stays within 1 MiB over ${FLOOD} frames and replies [CVE-2024-32984, CVE-2023-49295, CVE-2024-22189]`, () => {
    const streams = 1_000;
    const peer = deaf(streams);
    for (let ordinal = 0; ordinal < streams; ordinal++) peer.open(peer.theirs(ordinal), pattern(1));
    peer.outputs.length = 0;
    // What changes something may come as fast as it likes; the rest stays just below what ends the session.
    const idle = [
      encodeFrame("ping", { id: 7 }),
      encodeFrame("pong", { id: 9 }),
      encodeFrame("retire", { link: 1 }),
      encodeFrame("sync", { upTo: 3, live: [0, 3] }),
      encodeFrame("maxStreams", { count: 0 }),
    ];
    const quiet = join(...Array.from({ length: 380 }, () => idle).flat());
    const before = heapBytes();
    let frames = 0;
    let limit = 64 * MIB;
    for (; frames < FLOOD; peer.now += 1_000) {
      const news: Uint8Array[] = [];
      for (let round = 0; round < 1_000; round++) {
        const id = peer.theirs(round % streams);
        limit += 1;
        news.push(
          encodeFrame("maxData", { limit }),
          encodeFrame("maxStreamData", { entries: [{ id, limit }] }),
        );
      }
      peer.bytes(join(quiet, ...news));
      frames += 5 * 380 + news.length;
      peer.handle({ kind: "timer", lagMs: 0 });
      peer.outputs.length = 0;
    }
    expect(peer.closed).toBeUndefined();
    expect(heapBytes() - before).toBeLessThan(MIB);
    expect(peer.core.stats().owing).toBeLessThanOrEqual(streams);
    // When it reads at last, one frame of each kind stands for all of them.
    peer.handle({ kind: "linkWritable", link: 0 });
    const written = peer.drain();
    expect(written.filter(({ name }) => name === "pong")).toHaveLength(1);
    expect(written.length).toBeLessThan(50);
  });

  test("is one flag each, however often streams stop, reset and acknowledge", () => {
    const streams = 200;
    const peer = deaf(streams);
    for (let ordinal = 0; ordinal < streams; ordinal++) peer.open(peer.theirs(ordinal), pattern(1));
    for (let ordinal = 0; ordinal < streams; ordinal++) {
      const id = peer.theirs(ordinal);
      peer.core.reset(id, STREAM_CODES.CANCELLED.code, peer.now);
      peer.core.stop(id, STREAM_CODES.CANCELLED.code, peer.now);
      for (const name of ["stopSending", "reset", "reset"] as const)
        peer.bytes(
          name === "reset"
            ? encodeFrame("reset", { id, code: 1, finalSize: 1 })
            : frameOf(name, id),
        );
    }
    peer.advance(100);
    expect(peer.closed).toBeUndefined();
    expect(peer.core.stats().owing).toBe(streams);
    peer.handle({ kind: "linkWritable", link: 0 });
    const written = peer.drain();
    expect(written.filter(({ name }) => name === "reset")).toHaveLength(streams);
    // Both directions ended at the peer's word: nothing is left to stop.
    expect(written.filter(({ name }) => name === "stopSending")).toEqual([]);
  });

  test("answers at most ten PINGs a second to a peer that reads", () => {
    const peer = new ScriptedPeer();
    peer.drain();
    const before = peer.frames.length;
    for (let ms = 0; ms < 5_000; ms++) {
      peer.bytes(join(encodeFrame("ping", { id: ms }), encodeFrame("ping", { id: ms })));
      peer.drain();
      peer.now += 1;
    }
    const pongs = peer.frames.slice(before).filter(({ name }) => name === "pong");
    expect(peer.closed).toBeUndefined();
    expect(pongs.length).toBeLessThanOrEqual(51);
    expect(pongs.length).toBeGreaterThanOrEqual(49);
  });
});

describe("a frame that trickles", () => {
  test("of 16,378 bytes, one per second, costs what arrived and keeps the session", () => {
    const peer = new ScriptedPeer({ isAttached: false });
    const decoder = new FrameDecoder({ side: peer.side, phase: "live", maxDatagram: 0 });
    peer.handle({ kind: "linkAttached", link: 0, decoder });
    peer.open(peer.theirs(0));
    const frame = dataFrame(peer.theirs(0), 0, pattern(DATA_BYTES));
    let arrived = 0;
    for (const byte of frame.subarray(0, -1)) {
      peer.bytes(Uint8Array.of(byte));
      arrived += 1;
      const { held, allocated } = decoder.snapshot();
      if (held !== arrived || allocated > arrived + KIB)
        throw new Error(`held ${held}, allocated ${allocated} after ${arrived} bytes`);
      // The core's PINGs leave; it is the peer that cannot answer them within its frame.
      peer.advance(1_000);
      peer.drain();
    }
    expect(arrived).toBe(16_383);
    expect(peer.closed).toBeUndefined();
    expect(peer.core.stats()).toMatchObject({ received: 0, streams: 1 });
    peer.bytes(frame.slice(-1));
    expect(peer.core.stats().received).toBe(DATA_BYTES);
    expect(peer.of("streamBytes").at(-1)?.bytes).toEqual(pattern(DATA_BYTES));
  });

  test("and then stops ends the session after the silence, and holds nothing", () => {
    const peer = new ScriptedPeer();
    peer.bytes(dataFrame(peer.theirs(0), 0, pattern(DATA_BYTES)).subarray(0, 100));
    peer.advance(15_000);
    expect(peer.of("status").at(-1)?.status).toMatchObject({
      name: "closed",
      remote: false,
      code: SESSION_CODES.NO_ERROR.code,
    });
    expect(peer.core.stats().links).toBe(0);
  });
});

describe("ids", () => {
  test("in gaps up to the limit cost their count, and each can still be opened once", () => {
    const streams = 1_000;
    const peer = new ScriptedPeer({ local: { initialMaxStreams: streams } });
    peer.open(peer.theirs(streams - 1));
    const before = heapBytes();
    for (let ordinal = streams - 2; ordinal >= 0; ordinal--) {
      const told = peer.of("streamOpened").length;
      peer.open(peer.theirs(ordinal), pattern(1));
      expect(peer.of("streamOpened")).toHaveLength(told + 1);
    }
    peer.outputs.length = 0;
    expect(peer.core.stats().streams).toBe(streams);
    expect(heapBytes() - before).toBeLessThan(4 * MIB);
    // A repeat is no second stream.
    for (let ordinal = 0; ordinal < streams; ordinal++) peer.open(peer.theirs(ordinal));
    expect(peer.of("streamOpened")).toEqual([]);
    peer.open(peer.theirs(streams));
    expect(peer.closed?.code).toBe(SESSION_CODES.STREAM_LIMIT.code);
  });

  test("used up near 2^52 drain the session, without a wrong id on the wire", () => {
    const drainAt = 2 ** 52 - 1_000;
    const peer = new ScriptedPeer({ firstOrdinal: drainAt - 2 });
    peer.send("maxStreams", { count: 2 ** 52 });
    const ids = [0, 1, 2].map(() => peer.core.open(peer.ourKind, pattern(1), true, peer.now));
    expect(ids).toEqual([peer.ours(drainAt - 2), peer.ours(drainAt - 1), "draining"]);
    const opens = peer.drain().filter(({ name }) => name === "open");
    expect(opens.map(({ id }) => id as unknown)).toEqual(ids.slice(0, 2));
    expect(peer.frames.filter(({ name }) => name === "goAway")).toHaveLength(1);
    expect(peer.core.open(peer.ourKind, pattern(1), true, peer.now)).toBe("draining");
  });

  test("of DATAGRAMs that nobody can use are dropped and counted, and end nothing", () => {
    const peer = new ScriptedPeer({ local: { maxDatagram: 100, initialMaxStreams: 10 } });
    peer.open(peer.theirs(2));
    const ids = [peer.theirs(2), peer.theirs(1), peer.theirs(9), peer.ours(0)];
    for (const id of ids) peer.bytes(frameOf("datagram", id));
    expect(peer.closed).toBeUndefined();
    expect(peer.dropped.filter((what) => what === "datagram")).toHaveLength(ids.length);
  });
});

describe("a storm", () => {
  /** @returns The most streams that were there at once. */
  function storm(peer: ScriptedPeer, streams: number): number {
    let most = 0;
    let announced = 100;
    for (let ordinal = 0; ordinal < streams; ordinal++) {
      // It stays within what it may open: everything else is an error of its own.
      if (ordinal >= announced) announced = settle(peer, announced);
      if (ordinal >= announced) throw new Error(`Stream ${ordinal} is never allowed`);
      const id = peer.theirs(ordinal);
      const open = openFrame(peer, id, pattern(1));
      peer.bytes(join(open, encodeFrame("reset", { id, code: 1, finalSize: 1 })));
      peer.core.reset(id, STREAM_CODES.CANCELLED.code, peer.now);
      most = Math.max(most, peer.core.stats().streams);
    }
    settle(peer, announced);
    return most;
  }

  test(`of ${STORM} streams that are opened and reset at once leaves nothing behind`, () => {
    // Code that is compiled for the first time stays in the heap, too.
    storm(new ScriptedPeer({ local: { initialMaxStreams: 100 } }), STORM);
    const peer = new ScriptedPeer({ local: { initialMaxStreams: 100 } });
    const before = heapBytes();
    expect(storm(peer, STORM)).toBe(100);
    expect(peer.closed).toBeUndefined();
    expect(peer.core.stats()).toMatchObject({ streams: 0, owing: 0, retained: 0, unsent: 0 });
    expect(peer.held).toBe(0);
    expect(heapBytes() - before).toBeLessThan(2 * MIB);
  });
});

/** Reads what the core has to say, acknowledges its resets, and forgets all of it. Returns how many streams it allows. */
function settle(peer: ScriptedPeer, announced: number): number {
  peer.advance(30);
  let allowed = announced;
  for (let written = peer.drain(); written.length > 0; written = peer.drain()) {
    for (const { name, id, count } of written) {
      if (name === "maxStreams") allowed = count as number;
      if (name !== "reset") continue;
      peer.send("ack", { entries: [{ id: id as number, received: 0, ended: true }] });
    }
  }
  peer.frames.length = 0;
  peer.outputs.length = 0;
  return allowed;
}

describe("a peer whose bytes nobody consumes", () => {
  test("fills the budget to its last byte and not one further", () => {
    const receive = 512 * KIB;
    const peer = new ScriptedPeer({
      local: { initialMaxData: 256 * KIB, initialWindow: 64 * KIB, initialMaxStreams: 100 },
      budget: { receive },
    });
    // It uses whatever credit it was given, on stream after stream.
    let sessionLimit = 256 * KIB;
    let sent = 0;
    for (let ordinal = 0; sent < sessionLimit && ordinal < 100; ordinal++) {
      const id = peer.theirs(ordinal);
      peer.open(id);
      for (let offset = 0; offset < 64 * KIB && sent < sessionLimit;) {
        const length = Math.min(16_000, 64 * KIB - offset, sessionLimit - sent);
        peer.data(id, offset, pattern(length));
        offset += length;
        sent += length;
        for (const frame of peer.drain())
          if (frame.name === "maxData") sessionLimit = frame["limit"] as number;
      }
      expect(peer.held).toBeLessThanOrEqual(receive);
    }
    expect(peer.closed).toBeUndefined();
    expect(sessionLimit).toBe(receive);
    expect(peer.held).toBe(receive);
    peer.open(peer.theirs(99), pattern(1));
    expect(peer.closed?.message).toBe(
      `Received ${receive + 1} bytes on all streams, allowed ${receive}`,
    );
    expect(peer.held).toBe(0);
  });

  test("and that takes none of ours leaves at most what it gave credit for, and one batch under way", () => {
    const peer = deaf(10);
    const id = peer.core.open(peer.ourKind, pattern(1), false, peer.now);
    expect(typeof id).toBe("number");
    let pauses = 0;
    for (let round = 0; round < 1_000 && pauses === 0; round++)
      if (peer.core.write(id as number, pattern(16_000), peer.now) === "pause") pauses += 1;
    expect(pauses).toBe(1);
    expect(peer.core.stats().unsent).toBeLessThanOrEqual(MIB + BATCH_BYTES);
    expect(peer.core.stats().retained).toBe(0);
  });
});
