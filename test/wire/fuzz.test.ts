// This file is damaged frames in random pieces: no error but WireError, no memory but for bytes received. PROTOCOL §10.2.
import { describe, expect, test } from "bun:test";
import {
  FRAME_SPECS,
  FrameDecoder,
  type FrameSpec,
  SESSION_CODES,
  WireError,
} from "../../src/wire/index.ts";
import { Random, seedOf } from "../msgpack/random.ts";
import { randomFrame } from "./samples.ts";

const FRAMES = 100_000;

/** Damages a frame in place or returns a longer or shorter one. */
function mutate(frame: Uint8Array, random: Random): Uint8Array {
  const bytes = frame.slice();
  const at = random.below(bytes.length);
  // Heads decide most, so every other change hits the first bytes.
  const near = random.below(Math.min(24, bytes.length));
  switch (random.below(7)) {
    case 0:
      bytes[at] = random.below(256);
      return bytes;
    case 1:
      bytes[near] = random.pick([
        0xdd, 0xdc, 0xdf, 0xc6, 0xdb, 0xc9, 0xff, 0x00, 0xcf, 0xcb, 0xc1, 0x9f,
      ]);
      return bytes;
    case 2:
      bytes[near] = (bytes[near] as number) ^ (1 << random.below(8));
      return bytes;
    case 3:
      return bytes.subarray(0, at);
    case 4: {
      const longer = new Uint8Array(bytes.length + 1 + random.below(8));
      longer.set(bytes.subarray(0, near));
      longer.set(bytes.subarray(near), longer.length - (bytes.length - near));
      return longer;
    }
    case 5:
      bytes.set([0xdd, 0x02, 0xfa, 0xf0, 0x80].slice(0, bytes.length - near), near);
      return bytes;
    default:
      return bytes;
  }
}

describe("fuzz", () => {
  test("a hundred thousand damaged frames give frames or a WireError", () => {
    const random = new Random(seedOf("fuzz"));
    // Made once: making random records costs more than reading them.
    const pool = FRAME_SPECS.flatMap((spec) =>
      Array.from({ length: 40 }, () => ({ spec, bytes: randomFrame(spec, random) })).filter(
        ({ bytes }) => bytes.length < 2_000,
      ),
    );
    const byCode = new Map<string, number>();
    let decoded = 0;
    let fed = 0;
    // What is left when the garbage is gone: the runner shares this process with other suites.
    Bun.gc(true);
    const before = process.memoryUsage().rss;
    const newDecoder = (spec: FrameSpec): FrameDecoder => {
      const decoder = new FrameDecoder({
        side: spec.direction === "toConnector" ? "connector" : "edge",
        phase: spec.phase,
        maxDatagram: 1_500,
      });
      return decoder;
    };
    for (let count = 0; count < FRAMES;) {
      const { spec } = random.pick(pool);
      const decoder = newDecoder(spec);
      // A few frames on one link, in chunks that respect no border.
      const frames = Array.from({ length: 1 + random.below(4) }, () =>
        mutate(random.pick(pool).bytes, random),
      );
      count += frames.length;
      try {
        for (const frame of frames) {
          for (let at = 0; at < frame.length;) {
            const end = Math.min(frame.length, at + random.pick([1, 2, 7, 100, 5_000]));
            decoder.feed(frame.subarray(at, end));
            fed += end - at;
            at = end;
            while (decoder.next() !== undefined) decoded += 1;
            const { held, allocated } = decoder.snapshot();
            if (allocated > held + 1_024)
              throw new Error(`allocated ${allocated} for ${held} bytes`);
          }
        }
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        byCode.set(error.code, (byCode.get(error.code) ?? 0) + 1);
      }
    }
    expect(decoded).toBeGreaterThan(1_000);
    expect(fed).toBeGreaterThan(1_000_000);
    for (const code of ["FRAME_ENCODING", "FRAME_TOO_LARGE", "UNKNOWN_FRAME", "UNEXPECTED_FRAME"]) {
      expect(byCode.get(code) ?? 0).toBeGreaterThan(100);
    }
    for (const code of byCode.keys()) expect(Object.keys(SESSION_CODES)).toContain(code);
    Bun.gc(true);
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1_048_576);
  });

  test("the same bytes give the same frames and the same error in one piece and byte by byte", () => {
    const random = new Random(seedOf("fuzz splits"));
    let errors = 0;
    for (let round = 0; round < 3_000; round++) {
      const spec = random.pick(FRAME_SPECS.filter((each) => each.phase === "live"));
      const frame = randomFrame(spec, random);
      if (frame.length > 600) continue;
      const bytes = mutate(frame, random);
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
