// This file is what a session does when it holds too much: the read valve and eviction. PROTOCOL §5.3.
import { describe, expect, test } from "bun:test";
import { STREAM_CODES } from "../../../src/wire/index.ts";
import { pattern, ScriptedPeer } from "./peer.ts";

const KIB = 1_024;
const OVERLOADED = STREAM_CODES.OVERLOADED.code;
const RECEIVE = 512 * KIB;

/** A connector of 512 KiB, each stream with a window of 256 KiB. */
function small(pressure: () => number = () => 0): ScriptedPeer {
  const peer = new ScriptedPeer({
    local: { initialMaxData: RECEIVE, initialWindow: 256 * KIB },
    budget: { receive: RECEIVE, pressure },
  });
  peer.drain();
  return peer;
}

/** Sends `bytes` on a stream that is opened for it. */
function upload(peer: ScriptedPeer, id: number, bytes: number): void {
  peer.open(id);
  for (let offset = 0; offset < bytes; offset += 16_000)
    peer.data(id, offset, pattern(Math.min(16_000, bytes - offset)));
}

const evicted = (peer: ScriptedPeer): number[] =>
  peer
    .of("streamReset")
    .filter(({ code, remote }) => code === OVERLOADED && !remote)
    .map(({ stream }) => stream);

describe("eviction", () => {
  test("ends the stream that holds most where 7/8 of the budget is held for 1 s", () => {
    const peer = small();
    upload(peer, 0, 250 * KIB);
    upload(peer, 2, 210 * KIB);
    peer.advance(999);
    expect(evicted(peer)).toEqual([]);
    peer.advance(1);
    expect(evicted(peer)).toEqual([0]);
    // Both directions end; what it held counts as consumed at once.
    const said = peer.drain().filter(({ name }) => name === "stopSending" || name === "reset");
    expect(said).toEqual([
      { name: "reset", id: 0, code: OVERLOADED, finalSize: 0 },
      { name: "stopSending", id: 0, code: OVERLOADED },
    ]);
    const { received, consumed } = peer.core.stats();
    expect(received - consumed).toBe(210 * KIB);
    expect(peer.held).toBe(210 * KIB);
    peer.advance(10_000);
    expect(evicted(peer)).toEqual([0]);
  });

  test("spares a stream that is read, however much it holds", () => {
    const peer = small();
    upload(peer, 0, 250 * KIB);
    upload(peer, 2, 230 * KIB);
    for (let round = 0; round < 30; round++) {
      peer.advance(100);
      peer.core.consumed(0, 1, peer.now);
    }
    expect(evicted(peer)).toEqual([2]);
  });

  test("does not take bytes that have just come for bytes that nobody reads", () => {
    const peer = small(() => 1);
    peer.open(0);
    peer.advance(5_000);
    peer.data(0, 0, pattern(10));
    peer.advance(999);
    expect(evicted(peer)).toEqual([]);
    peer.advance(100);
    expect(evicted(peer)).toEqual([0]);
  });

  test("does not blame readers for a loop that stood still: its time does not count, and they get a turn first", () => {
    const peer = small();
    upload(peer, 0, 250 * KIB);
    upload(peer, 2, 210 * KIB);
    peer.advance(500);
    // Five seconds in which nobody could read. Bytes come first when the loop runs again.
    peer.now += 5_000;
    peer.data(2, 210 * KIB, pattern(10));
    expect(evicted(peer)).toEqual([]);
    peer.core.consumed(0, 1, peer.now);
    peer.advance(300);
    expect(evicted(peer)).toEqual([]);
    peer.advance(400);
    expect(evicted(peer)).toEqual([2]);
  });

  test("gives readers a turn when the process becomes full all at once", () => {
    let pressure = 0;
    const peer = small(() => pressure);
    upload(peer, 0, 10 * KIB);
    upload(peer, 2, 9 * KIB);
    peer.advance(5_000);
    pressure = 1;
    peer.handle({ kind: "tick" });
    expect(evicted(peer)).toEqual([]);
    peer.core.consumed(0, 1, peer.now);
    peer.advance(100);
    expect(evicted(peer)).toEqual([2]);
  });

  test("comes although the process is full and not full in turn, and its loop stumbles all the time", () => {
    let pressure = 0;
    const peer = small(() => pressure);
    for (const id of [0, 2, 4]) upload(peer, id, 20 * KIB);
    peer.advance(2_000);
    for (let turn = 0; turn < 20; turn++) {
      pressure = turn % 2 === 0 ? 1 : 0.95;
      // 60 ms later than it wanted to look.
      peer.now = Math.max(peer.now + 40, Math.min(peer.core.deadline() + 60, peer.now + 160));
      peer.handle({ kind: "tick" });
    }
    expect(evicted(peer).length).toBeGreaterThan(1);
  });

  test("takes one stream in 100 ms, as long as the process is full", () => {
    const peer = small(() => 1);
    for (const id of [0, 2, 4]) upload(peer, id, 16 * KIB);
    const start = peer.now;
    const times: number[] = [];
    while (peer.now < start + 1_500) {
      peer.advance(1);
      while (times.length < evicted(peer).length) times.push(peer.now - start);
    }
    const [first, second, third] = times as [number, number, number];
    expect(first).toBeWithin(1_000, 1_101);
    expect([second - first, third - second]).toEqual([100, 100]);
    expect(evicted(peer).sort()).toEqual([0, 2, 4]);
    expect(peer.held).toBe(0);
  });

  test("tells the application before a stream of which only reading was left is over", () => {
    const peer = small(() => 1);
    peer.open(0, pattern(10), true);
    peer.core.finish(0, peer.now);
    peer.drain();
    peer.send("ack", { entries: [{ id: 0, received: 0, ended: true }] });
    peer.advance(1_100);
    peer.drain();
    const told = peer.outputs.filter((output) => "stream" in output).map(({ kind }) => kind);
    expect(told).toEqual([
      "streamOpened",
      "streamBytes",
      "streamEnded",
      "streamReset",
      "streamClosed",
    ]);
    expect(peer.core.stats().streams).toBe(0);
  });

  test("takes a stream whose bytes nobody acknowledges for 10 s, where the process is full and nothing else helps", () => {
    let pressure = 0;
    const peer = small(() => pressure);
    const [idle, stuck] = [
      peer.core.open(0, pattern(10), false, peer.now),
      peer.core.open(0, pattern(50_000), false, peer.now),
    ];
    peer.drain();
    peer.send("ack", { entries: [{ id: idle as number, received: 10, ended: false }] });
    peer.advance(9_000);
    pressure = 1;
    peer.send("ping", { id: 1 });
    peer.advance(900);
    expect(evicted(peer)).toEqual([]);
    peer.advance(200);
    expect(evicted(peer)).toEqual([stuck as number]);
    expect(peer.held).toBe(0);
  });
});

describe("eviction of what waits for the peer", () => {
  test("takes a stream that gets no credit for 10 s, not one that goes on or just began to wait", () => {
    let pressure = 0;
    const peer = new ScriptedPeer({
      remote: { initialWindow: 20 * KIB },
      budget: { receive: RECEIVE, pressure: () => pressure },
    });
    const open = (): number => {
      const id = peer.core.open(0, pattern(30 * KIB), false, peer.now);
      if (typeof id !== "number") throw new Error("no stream");
      return id;
    };
    const [stuck, slow] = [open(), open()];
    peer.drain();
    // All that was sent has arrived: nothing is retained.
    for (const id of [stuck, slow])
      peer.send("ack", { entries: [{ id, received: 20 * KIB, ended: false }] });
    peer.advance(9_000);
    peer.send("maxStreamData", { entries: [{ id: slow, limit: 21 * KIB }] });
    const late = open();
    peer.drain();
    pressure = 1;
    peer.send("ping", { id: 1 });
    peer.advance(900);
    expect(evicted(peer)).toEqual([]);
    peer.advance(200);
    expect(evicted(peer)).toEqual([stuck]);
    // What it held is given back.
    expect(peer.held).toBe(10 * KIB + 30 * KIB);
    peer.advance(7_000);
    expect(evicted(peer)).toEqual([stuck]);
    peer.advance(3_000);
    expect(evicted(peer).sort()).toEqual([stuck, slow, late].sort());
    expect(peer.held).toBe(0);
  });

  test("takes one that got credit meanwhile no sooner, though it could not use that yet", () => {
    let pressure = 0;
    const peer = new ScriptedPeer({
      remote: { initialWindow: 20 * KIB },
      budget: { receive: RECEIVE, pressure: () => pressure },
    });
    const id = peer.core.open(0, pattern(30 * KIB), false, peer.now);
    if (typeof id !== "number") throw new Error("no stream");
    peer.drain();
    peer.send("ack", { entries: [{ id, received: 20 * KIB, ended: false }] });
    peer.advance(9_900);
    // The link takes nothing from now on.
    peer.send("ping", { id: 1 });
    peer.fill();
    peer.send("maxStreamData", { entries: [{ id, limit: 40 * KIB }] });
    pressure = 1;
    peer.send("ping", { id: 2 });
    peer.advance(9_900);
    expect(evicted(peer)).toEqual([]);
    peer.advance(200);
    expect(evicted(peer)).toEqual([id]);
  });
});

describe("read valve", () => {
  const valve = (peer: ScriptedPeer): string[] =>
    peer.outputs.map(({ kind }) => kind).filter((kind) => kind.endsWith("Link"));

  test("closes when the process is full, and opens below 0.9", () => {
    let pressure = 0;
    const peer = small(() => pressure);
    upload(peer, 0, 64 * KIB);
    pressure = 1;
    peer.handle({ kind: "tick" });
    expect(valve(peer)).toEqual(["pauseLink"]);
    pressure = 0.9;
    peer.advance(100);
    peer.core.consumed(0, 1, peer.now);
    expect(valve(peer)).toEqual(["pauseLink"]);
    expect(peer.core.stats().isReading).toBe(false);
    pressure = 0.89;
    // It looks again by itself: nothing comes in that would make it.
    peer.advance(100);
    expect(valve(peer)).toEqual(["pauseLink", "resumeLink"]);
    expect(peer.core.stats().isReading).toBe(true);
  });

  test("is followed by eviction until it opens, though the process is not full any more", () => {
    let pressure = 1;
    const peer = small(() => pressure);
    upload(peer, 0, 64 * KIB);
    pressure = 0.95;
    peer.advance(1_200);
    expect(evicted(peer)).toEqual([0]);
    expect(valve(peer)).toEqual(["pauseLink", "resumeLink"]);
  });

  test("does not close where what is held waits for the peer's ACKs", () => {
    const peer = small(() => 1);
    const id = peer.core.open(0, pattern(100 * KIB), false, peer.now);
    expect(typeof id).toBe("number");
    peer.drain();
    upload(peer, 0, 16 * KIB);
    peer.handle({ kind: "tick" });
    expect(valve(peer)).toEqual([]);
  });

  test("opens when eviction took the last received byte, though the process stays full", () => {
    const peer = small(() => 1);
    upload(peer, 0, 64 * KIB);
    peer.advance(1_200);
    expect(evicted(peer)).toEqual([0]);
    expect(valve(peer)).toEqual(["pauseLink", "resumeLink"]);
  });

  test("does not stay closed for readers of a byte now and then", () => {
    const peer = small(() => 1);
    upload(peer, 0, 16_000);
    upload(peer, 2, 32_000);
    const start = peer.now;
    while (evicted(peer).length < 2 && peer.now < start + 60_000) {
      peer.advance(200);
      for (const id of [0, 2]) peer.core.consumed(id, 1, peer.now);
    }
    expect(evicted(peer)).toEqual([2, 0]);
    expect(peer.now - start).toBeWithin(5_000, 6_000);
    expect(valve(peer)).toEqual(["pauseLink", "resumeLink"]);
  });

  test("keeps a silent link alive on both sides while it is not read", () => {
    const peer = small(() => 1);
    // One is given up in 100 ms: so many last for half a minute.
    for (let id = 0; id < 700; id += 2) peer.open(id, pattern(100));
    let pings = 0;
    for (let second = 0; second < 30; second++) {
      peer.advance(1_000);
      pings += peer.drain().filter(({ name }) => name === "ping").length;
    }
    expect(valve(peer)).toEqual(["pauseLink"]);
    expect(peer.closed).toBeUndefined();
    // One in 5 s: the peer would call a silent link lost.
    expect(pings).toBeGreaterThanOrEqual(5);
    peer.advance(10_000);
    expect(valve(peer)).toEqual(["pauseLink", "resumeLink"]);
  });

  test("holds for links that come while it is closed", () => {
    const peer = small(() => 1);
    upload(peer, 0, 64 * KIB);
    peer.handle({ kind: "linkAttached", link: 1 });
    expect(peer.of("pauseLink").map(({ link }) => link)).toEqual([0, 1]);
  });
});
