// This file is damaged frames in random pieces: no error but WireError, no memory but for bytes received. PROTOCOL §10; S-45, A-12.
import { describe, expect, test } from "bun:test";
import { heapStats } from "bun:jsc";
import { FRAME_SPECS, FrameDecoder, SESSION_CODES, WireError } from "../../src/wire/index.ts";
import { Random, seedOf } from "../msgpack/random.ts";
import { damaged, framePool, pieces } from "./damage.ts";
import { randomFrame } from "./samples.ts";

/** 2 × 10^7 take minutes. */
const FRAMES = process.env["TUNL_SLOW"] === "1" ? 20_000_000 : 1_000_000;
const TIMEOUT_MS = 1_200_000;
const KIB = 1_024;
const MIB = 1_024 * KIB;
const LINKS = 10_000;

/** What a link can be when frames come, and the frames that may come then. */
const STATES = (["handshake", "live"] as const).flatMap((phase) =>
  (["edge", "connector"] as const).map((side) => {
    const foreign = side === "edge" ? "toConnector" : "toEdge";
    const specs = FRAME_SPECS.filter((spec) => spec.phase === phase && spec.direction !== foreign);
    return { options: { phase, side, maxDatagram: 1_500 }, specs };
  }),
);
/** One frame in so many belongs to another state. */
const FOREIGN = 20;

describe("fuzz", () => {
  test(
    `${FRAMES} damaged frames give frames or a WireError`,
    () => {
      const random = new Random(seedOf("fuzz"));
      const foreign = framePool(random);
      const states = STATES.map(({ options, specs }) => ({
        options,
        pool: framePool(random, specs),
      }));
      const byCode = new Map<string, number>();
      let decoded = 0;
      let fed = 0;
      // What is left when the garbage is gone: the runner shares this process with other suites.
      Bun.gc(true);
      const before = process.memoryUsage().rss;
      for (let count = 0; count < FRAMES;) {
        const { options, pool } = random.pick(states);
        const decoder = new FrameDecoder(options);
        // A few frames on one link, half of them whole: what damage does may show in the next one.
        const frames: Uint8Array[] = [];
        for (let left = 1 + random.below(6); left > 0; left--) {
          const frame = random.pick(random.below(FOREIGN) === 0 ? foreign : pool);
          frames.push(random.below(2) === 0 ? frame : damaged(frame, random));
        }
        try {
          for (const piece of pieces(frames, random)) {
            decoder.feed(piece);
            fed += piece.length;
            while (decoder.next() !== undefined) decoded += 1;
            const { held, allocated } = decoder.snapshot();
            if (allocated > held + KIB) throw new Error(`allocated ${allocated} for ${held} bytes`);
          }
          count += frames.length;
        } catch (error) {
          if (!(error instanceof WireError)) throw error;
          byCode.set(error.code, (byCode.get(error.code) ?? 0) + 1);
          // What follows a wrong frame was never looked at: it does not count.
          count += 1;
        }
      }
      expect(decoded).toBeGreaterThan(FRAMES / 100);
      expect(fed).toBeGreaterThan(10 * FRAMES);
      for (const code of [
        "FRAME_ENCODING",
        "FRAME_TOO_LARGE",
        "UNKNOWN_FRAME",
        "UNEXPECTED_FRAME",
      ]) {
        expect(byCode.get(code) ?? 0).toBeGreaterThan(FRAMES / 1_000);
      }
      for (const code of byCode.keys()) expect(Object.keys(SESSION_CODES)).toContain(code);
      Bun.gc(true);
      expect(process.memoryUsage().rss - before).toBeLessThan(32 * MIB);
    },
    TIMEOUT_MS,
  );

  test("the same bytes give the same frames and the same error in one piece and byte by byte", () => {
    const random = new Random(seedOf("fuzz splits"));
    let errors = 0;
    for (let round = 0; round < 3_000; round++) {
      const spec = random.pick(FRAME_SPECS.filter((each) => each.phase === "live"));
      const frame = randomFrame(spec, random);
      if (frame.length > 600) continue;
      const bytes = damaged(frame, random);
      const verdict = (chunks: Uint8Array[]): string => {
        const decoder = new FrameDecoder({ side: "connector", phase: "live", maxDatagram: 1_500 });
        const names: string[] = [];
        try {
          for (const chunk of chunks) {
            decoder.feed(chunk);
            for (let name = decoder.next(); name !== undefined; name = decoder.next())
              names.push(name);
          }
        } catch (error) {
          if (!(error instanceof WireError)) throw error;
          errors += 1;
          names.push(`${error.code} ${error.message}`);
        }
        return names.join("\n");
      };
      expect(verdict(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toBe(
        verdict([bytes.slice()]),
      );
    }
    expect(errors).toBeGreaterThan(500);
  });
});

describe("memory", () => {
  test(`${LINKS} links whose peers announce the longest frame cost what arrived and 1 KiB each`, () => {
    const live = FRAME_SPECS.filter(({ phase }) => phase === "live");
    let received = 0;
    Bun.gc(true);
    const before = heapBytes();
    const decoders = Array.from({ length: LINKS }, (_, index) => {
      const { type, max } = live[index % live.length] as (typeof live)[number];
      const decoder = new FrameDecoder({
        side: "connector",
        phase: "live",
        maxDatagram: 65_507,
      });
      // The head alone, or some bytes of the payload with it.
      const chunk = new Uint8Array(6 + Math.min(max, (index % 3) * 500));
      chunk.set([0xc9, 0, max >> 16, (max >> 8) & 255, max & 255, type]);
      const isWhole = chunk.length === 6 + max;
      decoder.feed(isWhole ? chunk.subarray(0, -1) : chunk);
      expect(decoder.next()).toBeUndefined();
      received += decoder.held;
      return decoder;
    });
    const allocated = decoders.reduce((sum, decoder) => sum + decoder.snapshot().allocated, 0);
    expect(allocated).toBeLessThanOrEqual(received + LINKS * KIB);
    Bun.gc(true);
    // The decoder itself, its buffer's object and what the collector rounds up to included.
    const perLink = (heapBytes() - before - received) / LINKS;
    expect(perLink).toBeLessThan(2 * KIB);
    expect(decoders).toHaveLength(LINKS);
  });
});

function heapBytes(): number {
  const { heapSize, extraMemorySize } = heapStats();
  return heapSize + extraMemorySize;
}
