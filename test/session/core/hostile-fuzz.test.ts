// This file is peers that say anything at any time, mostly what is allowed: a core goes on or closes with the fault of the peer, and its books add up. PROTOCOL §2.2; S-45.
import { describe, expect, test } from "bun:test";
import { SESSION_CODES, STREAM_CODES } from "../../../src/wire/index.ts";
import { Random, seedOf } from "../../msgpack/random.ts";
import { frameOf, openFrame } from "./hostile-scripts.ts";
import { pattern, ScriptedPeer, type WrittenFrame } from "./peer.ts";

const KIB = 1_024;
const RUNS = process.env["TUNL_SLOW"] === "1" ? 50_000 : 1_000;
const STEPS = 60;
const STREAMS = 6;
const WINDOW = 16 * KIB;
const SESSION = 64 * KIB;
const TIMEOUT_MS = 1_200_000;
/** From where a frame would be right to where it is put. */
const OFFSETS = [-9_000, -1, 0, 1, 1, 500, 20_000] as const;
const FAULTS = new Set<number>(
  Object.values(SESSION_CODES).flatMap(({ code, effect }) => (effect === "slow" ? [code] : [])),
);

/** One in so many frames is not what the peer knows to be right. */
const WILD = 40;

/** What the peer knows of a stream. */
interface Known {
  /** Its own direction: bytes sent, the limit it was given, whether it ended. */
  sent: number;
  limit: number;
  hasEnded: boolean;
  /** The core's direction. */
  heard: number;
  hasHeardEnd: boolean;
}

/** One peer, what it knows, and a core whose application is as erratic as it. */
class Fuzzer {
  readonly peer: ScriptedPeer;
  readonly #random: Random;
  readonly #known = new Map<number, Known>();
  #opened = 0;
  #maxStreams = STREAMS;
  #sessionLimit = SESSION;
  #sessionLeft = SESSION;
  #seen = 0;
  /** Bytes the application has, by stream. */
  readonly #held = new Map<number, number>();

  constructor(random: Random) {
    this.#random = random;
    const parameters = {
      initialMaxStreams: STREAMS,
      initialWindow: WINDOW,
      initialMaxData: SESSION,
    };
    this.peer = new ScriptedPeer({
      side: random.pick(["edge", "connector"] as const),
      local: { ...parameters, maxDatagram: random.pick([0, 50]) },
      remote: parameters,
      budget: { receive: random.pick([64, 256]) * KIB, retain: 32 * KIB, unsent: 64 * KIB },
    });
  }

  step(): void {
    const { peer } = this;
    const kind = this.#random.below(10);
    if (kind < 5) this.#say();
    else if (kind < 8) this.#act();
    else if (kind === 8) peer.advance(this.#random.pick([1, 30, 300, 2_000]));
    else for (const frame of peer.drain()) this.#hear(frame);
    this.#react();
    this.#check();
  }

  // The peer

  #say(): void {
    const random = this.#random;
    if (random.below(WILD) === 0) this.#sayWild();
    else if (random.below(4) === 0) this.#open();
    else if (random.below(5) === 0) this.#saySession();
    else this.#sayOf(random.pick([...this.#known.keys()]));
  }

  #open(): void {
    const { peer } = this;
    const random = this.#random;
    if (this.#opened >= this.#maxStreams) return;
    const id = peer.theirs(this.#opened);
    this.#opened += 1;
    const data = pattern(Math.min(random.pick([0, 1, 500, 9_000]), this.#sessionLeft));
    const fin = random.below(6) === 0;
    const known = { sent: data.length, limit: WINDOW, hasEnded: fin, heard: 0, hasHeardEnd: false };
    this.#known.set(id, known);
    this.#sessionLeft -= data.length;
    peer.send("open", { id, kind: peer.kind, fin, receiveLimit: random.below(40_000), data });
  }

  /** Something about a stream that is right, as far as this peer knows. */
  #sayOf(id: number | undefined): void {
    const known = id === undefined ? undefined : this.#known.get(id);
    if (id === undefined || known === undefined) return;
    const { peer } = this;
    const random = this.#random;
    switch (random.below(7)) {
      case 0:
      case 1:
      case 2: {
        if (known.hasEnded) break;
        const isFin = random.below(5) === 0;
        const room = Math.min(known.limit - known.sent, this.#sessionLeft, 16_000);
        const length = Math.min(room, random.pick([0, 1, 300, 9_000, 16_000]));
        if (length === 0 && !isFin) break;
        const offset = known.sent;
        known.sent += length;
        known.hasEnded = isFin;
        this.#sessionLeft -= length;
        peer.data(id, offset, pattern(length), isFin);
        break;
      }
      case 3:
        if (random.below(3) > 0) break;
        known.hasEnded = true;
        peer.send("reset", { id, code: random.below(12), finalSize: known.sent });
        break;
      case 4:
        if (random.below(3) === 0) peer.send("stopSending", { id, code: random.below(12) });
        break;
      case 5:
        peer.send("ack", { entries: [{ id, received: known.heard, ended: known.hasHeardEnd }] });
        break;
      default:
        peer.send("maxStreamData", { entries: [{ id, limit: random.below(200_000) }] });
    }
  }

  #saySession(): void {
    const { peer } = this;
    const random = this.#random;
    switch (random.below(9)) {
      case 0:
        peer.send("maxStreams", { count: random.below(20) });
        break;
      case 1:
        if (random.below(5) === 0)
          peer.send("goAway", { code: 0x30, retryAfterMs: 5, message: "" });
        break;
      case 2:
        peer.send("sync", { upTo: 3, live: [0, 2] });
        break;
      case 3:
        peer.send("retire", { link: random.below(3) });
        break;
      case 4:
        if (random.below(20) === 0)
          peer.send("close", { code: 0, frameType: 0, retryAfterMs: 0, message: "bye" });
        break;
      case 5:
      case 6:
        peer.send("maxData", { limit: random.below(500_000) });
        break;
      default:
        peer.send(random.pick(["ping", "pong"] as const), { id: random.below(3) });
    }
  }

  /** Something that may be wrong: about any stream, at any offset. */
  #sayWild(): void {
    const { peer } = this;
    const random = this.#random;
    const ordinal = random.below(2 * STREAMS);
    const id = random.below(2) === 0 ? peer.theirs(ordinal) : peer.ours(ordinal);
    const known = this.#known.get(id);
    const around = (offset: number): number => Math.max(0, offset + random.pick(OFFSETS));
    const finalSize = around(known?.sent ?? 0);
    switch (random.below(6)) {
      case 0:
        peer.bytes(
          openFrame(peer, id, pattern(random.pick([0, 1, 16_000])), random.below(2) === 0),
        );
        break;
      case 1:
        peer.data(id, finalSize, pattern(random.pick([1, 16_000])), random.below(3) === 0);
        break;
      case 2:
        peer.send("reset", { id, code: 1, finalSize });
        break;
      case 3: {
        const received = around(known?.heard ?? 0);
        peer.send("ack", { entries: [{ id, received, ended: random.below(2) === 0 }] });
        break;
      }
      case 4:
        peer.bytes(frameOf(random.pick(["stopSending", "maxStreamData", "datagram"] as const), id));
        break;
      default:
        peer.send("open", { id, kind: 9, fin: false, receiveLimit: 0, data: pattern(0) });
    }
  }

  /** What the core wrote. */
  #hear(frame: WrittenFrame): void {
    const { name, count, entries, fin, id, limit } = frame;
    if (name === "maxStreams") this.#maxStreams = count as number;
    if (name === "maxStreamData")
      for (const each of entries as { id: number; limit: number }[]) {
        const known = this.#known.get(each.id);
        if (known !== undefined) known.limit = each.limit;
      }
    if (name === "maxData") this.#sessionLeft += (limit as number) - this.#sessionLimit;
    if (name === "maxData") this.#sessionLimit = limit as number;
    if (name === "open") {
      const { data, receiveLimit } = frame as unknown as { data: Uint8Array; receiveLimit: number };
      this.#known.set(id as number, {
        sent: 0,
        limit: receiveLimit,
        hasEnded: false,
        heard: data.length,
        hasHeardEnd: fin as boolean,
      });
    }
    const known = this.#known.get(id as number);
    if (known === undefined) return;
    if (name === "data" || name === "dataFin")
      known.heard = (frame["offset"] as number) + (frame["length"] as number);
    if (name === "dataFin" || name === "reset") known.hasHeardEnd = true;
  }

  // The application

  #act(): void {
    const { core, now, ourKind } = this.peer;
    const random = this.#random;
    const id = random.pick([...this.#known.keys(), 0, 1]);
    switch (random.below(7)) {
      case 0:
        core.open(ourKind, pattern(random.pick([0, 10, 9_000])), random.below(5) === 0, now);
        break;
      case 1:
        core.write(id, pattern(random.pick([1, 5_000, 30_000])), now);
        break;
      case 2:
        core.finish(id, now);
        break;
      case 3:
        core.reset(id, STREAM_CODES.CANCELLED.code, now);
        break;
      case 4:
        core.stop(id, STREAM_CODES.CANCELLED.code, now);
        this.#held.delete(id);
        break;
      case 5: {
        const held = this.#held.get(id) ?? 0;
        if (held === 0) break;
        const bytes = random.below(2) === 0 ? held : 1 + random.below(held);
        this.#held.set(id, held - bytes);
        core.consumed(id, bytes, now);
        break;
      }
      default:
        if (random.below(20) === 0) core.goAway(SESSION_CODES.SHUTDOWN.code, 0, "", now);
    }
  }

  /** Takes what the core told since the last look. */
  #react(): void {
    const { outputs } = this.peer;
    for (; this.#seen < outputs.length; this.#seen++) {
      const output = outputs[this.#seen] as (typeof outputs)[number];
      if (output.kind === "streamBytes") {
        this.#held.set(output.stream, (this.#held.get(output.stream) ?? 0) + output.bytes.length);
      } else if (output.kind === "streamReset") {
        // What was not read yet is dropped with it.
        this.#held.delete(output.stream);
      }
    }
  }

  #check(): void {
    const { core, held } = this.peer;
    const stats = core.stats();
    const own = stats.received - stats.consumed + stats.retained + stats.unsent;
    if (held !== own || stats.retained < 0 || stats.unsent < 0 || stats.received < stats.consumed)
      throw new Error(`The budget was told ${held} bytes: ${JSON.stringify(stats)}`);
    if (stats.received > stats.receiveLimit || stats.sent > stats.sendLimit)
      throw new Error(`A limit was passed: ${JSON.stringify(stats)}`);
    if (stats.owing > 4 * STREAMS + 8) throw new Error(`${stats.owing} streams owe control`);
  }
}

describe("a peer that says anything", () => {
  test(
    `is served or closed for its own fault, over ${RUNS} sessions`,
    () => {
      const random = new Random(seedOf("hostile fuzz"));
      const ends = new Map<number | undefined, number>();
      let steps = 0;
      for (let run = 0; run < RUNS; run++) {
        const fuzzer = new Fuzzer(random);
        const { peer } = fuzzer;
        for (let step = 0; step < STEPS && peer.closed === undefined; step++) {
          fuzzer.step();
          steps += 1;
        }
        const { closed } = peer;
        if (closed !== undefined) {
          if (!closed.remote && !FAULTS.has(closed.code))
            throw new Error(`Closed with ${closed.code}: ${closed.message}`);
          expect(peer.held).toBe(0);
          expect(peer.core.stats().streams).toBe(0);
        }
        ends.set(closed?.code, (ends.get(closed?.code) ?? 0) + 1);
      }
      console.log(`${steps} steps; ended with ${JSON.stringify([...ends])}`);
      // Most of what was said was allowed, and every frequent kind of fault was met.
      expect(steps).toBeGreaterThan(10 * RUNS);
      expect(ends.get(undefined) ?? 0).toBeGreaterThan(RUNS / 50);
      for (const name of [
        "STREAM_LIMIT",
        "STREAM_STATE",
        "FINAL_SIZE",
        "PROTOCOL_VIOLATION",
      ] as const)
        expect([name, (ends.get(SESSION_CODES[name].code) ?? 0) > 0]).toEqual([name, true]);
    },
    TIMEOUT_MS,
  );
});
