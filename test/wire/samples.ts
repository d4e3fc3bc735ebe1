// This file is valid values of every frame and the reading of whole inputs, for the tests of `wire`.
import {
  type ArrayFrameName,
  encodeFrame,
  FrameDecoder,
  type FrameName,
  type FrameRecord,
  type FrameSpec,
  writeDatagramHeader,
  writeDataHeader,
} from "../../src/wire/index.ts";
import type { Random } from "../msgpack/random.ts";

/** One frame as a reader sees it, copied out of the decoder. */
export interface Seen {
  readonly name: FrameName;
  readonly record: unknown;
  readonly stream: number;
  readonly offset: number;
  readonly bytes: string;
  readonly raw: string;
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/** A decoder for whom a frame is meant, in the state that allows it. */
export function readerOf(spec: FrameSpec, maxDatagram = 65_507): FrameDecoder {
  const side = spec.direction === "toConnector" ? "connector" : "edge";
  return new FrameDecoder({ side, phase: spec.phase, maxDatagram });
}

/** Everything the decoder gives after one chunk. The chunk is a copy: decoders own what they are fed. */
export function feedAll(decoder: FrameDecoder, chunk: Uint8Array): Seen[] {
  decoder.feed(chunk.slice());
  const seen: Seen[] = [];
  for (let name = decoder.next(); name !== undefined; name = decoder.next()) {
    const common = { name, bytes: hexOf(decoder.bytes), raw: hexOf(decoder.raw) };
    if (name === "data" || name === "dataFin" || name === "datagram") {
      seen.push({ ...common, record: undefined, stream: decoder.stream, offset: decoder.offset });
    } else {
      seen.push({ ...common, record: toPlain(decoder.record(name)), stream: 0, offset: 0 });
    }
  }
  return seen;
}

/** A record with `hex:…` instead of byte arrays: comparable, and independent of the decoder's buffers. */
export function toPlain(value: unknown): unknown {
  if (value instanceof Uint8Array) return `hex:${hexOf(value)}`;
  if (Array.isArray(value)) return value.map(toPlain);
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toPlain(item)]));
  }
  return value;
}

/** A valid record of an array frame, of random size and values. */
export function randomRecord(name: ArrayFrameName, random: Random): FrameRecord<ArrayFrameName> {
  const text = (): string => random.pick(["", "bye", "Grüße aus dem Tunnel", "x".repeat(256)]);
  const entries = <T>(make: () => T): T[] =>
    Array.from({ length: random.pick([1, 2, 5, 128]) }, make);
  const signed = (max: number) => ({
    body: random.bytes(random.below(max + 1)),
    signature: random.bytes(64),
  });
  switch (name) {
    case "hello":
      return {
        revision: 1 + random.below(65_535),
        nonce: random.bytes(32),
        extras: random.pick([[], [64, "x"], [70, [1, 2]]]),
      };
    case "edgeAuth":
      return signed(1_900);
    case "auth":
    case "enroll":
      return signed(5_050);
    case "resume":
      return signed(954);
    case "ready":
      return {
        sessionId: random.bytes(16),
        link: random.below(9),
        parameters: [1, random.below(65_536), 3, [0, 1], 64, "tunl"],
        application: random.bytes(random.below(16_385)),
      };
    case "refused":
    case "goAway":
      return { code: random.integer(), retryAfterMs: random.integer(), message: text() };
    case "close":
      return {
        code: random.integer(),
        frameType: random.below(128),
        retryAfterMs: random.integer(),
        message: text(),
      };
    case "ping":
    case "pong":
      return { id: random.integer() };
    case "maxData":
      return { limit: random.integer() };
    case "maxStreams":
      return { count: Math.floor(random.integer() / 2) };
    case "retire":
      return { link: random.integer() };
    case "links":
      return { wanted: 1 + random.below(8) };
    case "sync": {
      const live = [
        ...new Set(Array.from({ length: 1 + random.below(8) }, () => random.below(1_000))),
      ];
      live.sort((a, b) => a - b);
      return { upTo: (live.at(-1) as number) + random.below(3), live };
    }
    case "open":
      return {
        id: random.integer(),
        kind: random.below(64),
        fin: random.below(2) === 1,
        receiveLimit: random.integer(),
        data: random.bytes(random.pick([0, 1, 200, 16_320])),
      };
    case "reset":
      return { id: random.integer(), code: random.integer(), finalSize: random.integer() };
    case "stopSending":
      return { id: random.integer(), code: random.integer() };
    case "maxStreamData":
      return { entries: entries(() => ({ id: random.integer(), limit: random.integer() })) };
    case "ack":
      return {
        entries: entries(() => ({
          id: random.integer(),
          received: random.integer(),
          ended: random.below(2) === 1,
        })),
      };
    default:
      return name satisfies never;
  }
}

/** A valid frame of any kind, whole. */
export function randomFrame(spec: FrameSpec, random: Random): Uint8Array {
  const name = spec.name;
  switch (name) {
    case "data":
    case "dataFin": {
      const bytes = random.bytes(random.pick(name === "data" ? [1, 5, 16_362] : [0, 5, 16_362]));
      const frame = new Uint8Array(22 + bytes.length);
      writeDataHeader(
        frame,
        0,
        name === "dataFin",
        random.integer(),
        random.integer(),
        bytes.length,
      );
      frame.set(bytes, 22);
      return frame;
    }
    case "datagram": {
      const bytes = random.bytes(random.pick([0, 8, 1_200, 65_507]));
      const frame = new Uint8Array(14 + bytes.length);
      const at = writeDatagramHeader(frame, 0, random.integer(), bytes.length);
      frame.set(bytes, at);
      return frame.subarray(0, at + bytes.length);
    }
    default:
      return encodeFrame(name, randomRecord(name, random) as never);
  }
}
