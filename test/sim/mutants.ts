// This file is rules broken on purpose, one each: a simulator that does not notice is not worth its time.
import {
  encodeFrame,
  type FrameDecoder,
  type FrameName,
  writeDataHeader,
} from "../../src/wire/index.ts";
import type { Mutant, StreamOutput } from "./shell.ts";
import type { TappedFrame } from "./tap.ts";

const DATA_HEADER_BYTES = 22;

/** Drops every frame of a kind. */
function without(...names: readonly FrameName[]): Mutant {
  return { frame: ({ name, decoder }) => (names.includes(name) ? undefined : copyOf(decoder)) };
}

/** Changes frames of one kind and lets all others through. */
function changing(
  wanted: FrameName,
  change: (decoder: FrameDecoder) => Uint8Array | undefined,
): Mutant {
  return {
    frame: ({ name, decoder }: TappedFrame) =>
      name === wanted ? change(decoder) : copyOf(decoder),
  };
}

function hiding(kind: StreamOutput["kind"]): Mutant {
  return { output: (output) => output.kind !== kind };
}

function copyOf(decoder: FrameDecoder): Uint8Array {
  return decoder.raw.slice();
}

/** DATA of the same bytes at another offset, or DATA_FIN as DATA. */
function dataOf(decoder: FrameDecoder, offset: number, bytes: Uint8Array): Uint8Array {
  const frame = new Uint8Array(DATA_HEADER_BYTES + bytes.length);
  writeDataHeader(frame, 0, false, decoder.stream, offset, bytes.length);
  frame.set(bytes, DATA_HEADER_BYTES);
  return frame;
}

export interface BrokenRule {
  readonly mutant: () => Mutant;
  /** What the simulator says. */
  readonly finding: RegExp;
}

const NOT_OVER = /is not over at the/;

/** What is broken, by the sentence of the rule. */
export const BROKEN_RULES: Readonly<Record<string, BrokenRule>> = {
  "credit follows consumption, not receipt": {
    mutant: () => ({ hasCreditOnReceipt: true }),
    finding: /counts \d+ bytes as held/,
  },
  "stream credit comes back": { mutant: () => without("maxStreamData"), finding: NOT_OVER },
  "session credit comes back": { mutant: () => without("maxData"), finding: NOT_OVER },
  "stream count comes back": { mutant: () => without("maxStreams"), finding: /may open no stream/ },
  "receipt is acknowledged": { mutant: () => without("ack"), finding: NOT_OVER },
  "the final ACK leaves before a stream is forgotten": {
    mutant: withoutFinalAck,
    finding: NOT_OVER,
  },
  "FIN arrives": { mutant: withoutFin, finding: NOT_OVER },
  "FIN of an OPEN arrives": {
    mutant: () =>
      changing("open", (decoder) => encodeFrame("open", { ...decoder.record("open"), fin: false })),
    finding: NOT_OVER,
  },
  "RESET arrives": { mutant: () => without("reset"), finding: NOT_OVER },
  "STOP_SENDING arrives": { mutant: () => without("stopSending"), finding: NOT_OVER },
  "OPEN comes first": { mutant: openLater, finding: /violation 8 .* was not opened/ },
  "limits are those announced": {
    mutant: higherLimits,
    finding: /wrote \d+ bytes of stream \d+, allowed/,
  },
  "bytes stay what they were": { mutant: otherBytes, finding: /delivered other bytes/ },
  "no byte is left out": {
    mutant: () =>
      changing("data", (decoder) => dataOf(decoder, decoder.offset, decoder.bytes.subarray(0, -1))),
    finding: /Received offset|ended after/,
  },
  "a paused writer is woken": { mutant: () => hiding("streamWritable"), finding: NOT_OVER },
  "the end of a direction is told": {
    mutant: () => hiding("streamEnded"),
    finding: /before its reader knew/,
  },
  "a reset is told": { mutant: () => hiding("streamReset"), finding: /before its reader knew/ },
  "the end of a stream is told": {
    mutant: () => hiding("streamClosed"),
    finding: /is not over at the|left stream \d+ open/,
  },
};

function withoutFinalAck(): Mutant {
  return changing("ack", (decoder) => {
    const entries = decoder.record("ack").entries.filter(({ ended }) => !ended);
    return entries.length === 0 ? undefined : encodeFrame("ack", { entries });
  });
}

function withoutFin(): Mutant {
  return changing("dataFin", (decoder) =>
    decoder.bytes.length === 0 ? undefined : dataOf(decoder, decoder.offset, decoder.bytes),
  );
}

function higherLimits(): Mutant {
  return changing("maxStreamData", (decoder) => {
    const entries = decoder
      .record("maxStreamData")
      .entries.map(({ id, limit }) => ({ id, limit: limit + 1 }));
    return encodeFrame("maxStreamData", { entries });
  });
}

function otherBytes(): Mutant {
  return changing("data", (decoder) => {
    const frame = copyOf(decoder);
    const last = frame.length - 1;
    frame[last] = (frame[last] as number) ^ 1;
    return frame;
  });
}

/** The first OPEN leaves behind a frame of its own stream. */
function openLater(): Mutant {
  let kept: { readonly id: number; readonly frame: Uint8Array } | undefined;
  return {
    frame: ({ name, decoder }) => {
      const frame = copyOf(decoder);
      if (name === "open" && kept === undefined) {
        kept = { id: decoder.record("open").id, frame };
        return undefined;
      }
      const isData = name === "data" || name === "dataFin";
      if (kept === undefined || !isData || decoder.stream !== kept.id) return frame;
      const late = kept.frame;
      kept = undefined;
      return new Uint8Array(Buffer.concat([frame, late]));
    },
  };
}
