// This file is damaged frames for the fuzz tests: bytes changed anywhere, and frames of the right shape with wrong or extreme values.
import { encode } from "@msgpack/msgpack";
import { writeExt32Head } from "../../src/msgpack/index.ts";
import { FRAME_SPECS, type FrameSpec } from "../../src/wire/index.ts";
import type { Random } from "../msgpack/random.ts";
import { formAt, wrongValues } from "./forms.ts";
import { randomFrame, randomRecord } from "./samples.ts";

/** Heads of huge arrays, maps, strings and ext objects, and other bytes that mean much. */
const LOADED = [0xdd, 0xdc, 0xdf, 0xc6, 0xdb, 0xc9, 0xff, 0x00, 0xcf, 0xcb, 0xc1, 0x9f];
/** An array that claims 50 million values in five bytes. */
const HUGE_ARRAY = [0xdd, 0x02, 0xfa, 0xf0, 0x80];
/** Longer frames are of no use: damage near their start decides, and they cost time. */
const LONGEST = 2_000;
const KINDS = 8;

/** Damages bytes; the result may be longer, shorter or the same. */
export function damaged(frame: Uint8Array, random: Random): Uint8Array {
  const bytes = frame.slice();
  const at = random.below(bytes.length);
  // Heads decide most, so every other change hits the first bytes.
  const near = random.below(Math.min(24, bytes.length));
  switch (random.below(KINDS)) {
    case 0:
      bytes[at] = random.below(256);
      return bytes;
    case 1:
      bytes[near] = random.pick(LOADED);
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
      bytes.set(HUGE_ARRAY.slice(0, bytes.length - near), near);
      return bytes;
    case 6:
      bytes.copyWithin(near, at);
      return bytes;
    default:
      return bytes;
  }
}

/** Frames to damage: some of each kind as they should be, and each with every wrong value at every position. Made once: making costs more than reading. */
export function framePool(
  random: Random,
  specs: readonly FrameSpec[] = FRAME_SPECS,
): readonly Uint8Array[] {
  const frames = specs.flatMap((spec) => [
    ...Array.from({ length: 40 }, () => randomFrame(spec, random)),
    ...misfits(spec, random),
  ]);
  return frames.filter(({ length }) => length < LONGEST);
}

function misfits(spec: FrameSpec, random: Random): Uint8Array[] {
  if (spec.schema === undefined) return [];
  const values = valuesOf(spec, random);
  return [...values.keys()].flatMap((position) =>
    [...wrongValues(formAt(spec, position)), ...EXTREMES].map((value) =>
      framed(spec, encode(values.with(position, value))),
    ),
  );
}

const EXTREMES: readonly unknown[] = [0, 127, 128, 2 ** 31, 2 ** 32, 2 ** 52, 2 ** 53 - 1];

/** A payload under the ext 32 head of its frame, whatever it is. */
export function framed(spec: FrameSpec, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(6 + payload.length);
  writeExt32Head(frame, 0, spec.type, payload.length);
  frame.set(payload, 6);
  return frame;
}

/** The values of a small valid record in wire order, groups flattened. */
export function valuesOf(spec: FrameSpec, random: Random): unknown[] {
  const record = randomRecord(spec.name as "ack", random) as { readonly [name: string]: unknown };
  return Object.entries(record).flatMap(([name, value]) => {
    if (name === "entries")
      return (value as object[]).slice(0, 2).flatMap((group) => Object.values(group));
    return name === "live" ? (value as unknown[]) : [value];
  });
}

/** Cuts `frames`, joined, into pieces that respect no border. */
export function pieces(frames: readonly Uint8Array[], random: Random): Uint8Array[] {
  const bytes = frames.length === 1 ? (frames[0] as Uint8Array) : Buffer.concat(frames);
  const cut: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + random.pick(PIECES));
    cut.push(bytes.subarray(at, end));
    at = end;
  }
  return cut;
}

const PIECES = [1, 2, 7, 100, 5_000, 20_000] as const;
