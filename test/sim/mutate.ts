// This file is the tools of those who break rules on purpose: frames left out or changed, outputs hidden, methods of the core replaced.
import type { SessionOutput } from "../../src/session/core/index.ts";
import { type FrameDecoder, type FrameName, writeDataHeader } from "../../src/wire/index.ts";
import type { Mutant } from "./shell.ts";
import type { TappedFrame } from "./tap.ts";

const DATA_HEADER_BYTES = 22;

/** Drops every frame of a kind. */
export function without(...names: readonly FrameName[]): Mutant {
  return { frame: ({ name, decoder }) => (names.includes(name) ? undefined : copyOf(decoder)) };
}

/** Changes frames of one kind and lets all others through. */
export function changing(
  wanted: FrameName,
  change: (decoder: FrameDecoder) => Uint8Array | undefined,
): Mutant {
  return {
    frame: ({ name, decoder }: TappedFrame) =>
      name === wanted ? change(decoder) : copyOf(decoder),
  };
}

/** Replaces something of the core while the run lasts. */
export function patching<T extends object, K extends keyof T & string>(
  target: T,
  name: K,
  make: (original: T[K]) => T[K],
): Mutant {
  return {
    patch: () => {
      const before = Object.getOwnPropertyDescriptor(target, name) as PropertyDescriptor;
      Object.defineProperty(target, name, { ...before, value: make(target[name]) });
      return () => Object.defineProperty(target, name, before);
    },
  };
}

export function hiding(kind: SessionOutput["kind"]): Mutant {
  return { output: (output) => output.kind !== kind };
}

export function copyOf(decoder: FrameDecoder): Uint8Array {
  return decoder.raw.slice();
}

/** DATA of the same bytes at another offset, or DATA_FIN as DATA. */
export function dataOf(decoder: FrameDecoder, offset: number, bytes: Uint8Array): Uint8Array {
  const frame = new Uint8Array(DATA_HEADER_BYTES + bytes.length);
  writeDataHeader(frame, 0, false, decoder.stream, offset, bytes.length);
  frame.set(bytes, DATA_HEADER_BYTES);
  return frame;
}
