// This file is copying and reading bytes without views: the cheap forms of what every layer does with byte arrays.
//
// A view (`subarray`) or `.buffer` of a small fresh array first moves its bytes out of the collector's heap (0.13 to
// 0.2 µs), and `set(subarray)` costs twice a plain copy; measured on the pinned runtime, see scripts/bench.

const copy: (this: Uint8Array, target: Uint8Array, at: number, from: number, to: number) => number =
  Buffer.prototype.copy;
const latin1Slice: (this: Uint8Array, from: number, to: number) => string =
  Buffer.prototype.latin1Slice;

/** Copies `source[from..to)` to `target` at `at`; the caller made sure that it fits. */
export function copyBytes(
  source: Uint8Array,
  from: number,
  to: number,
  target: Uint8Array,
  at: number,
): void {
  copy.call(source, target, at, from, to);
}

/** `source[from..to)` in an array of its own; unlike `slice`, which is a view when the source is a Buffer. */
export function cloneBytes(source: Uint8Array, from = 0, to = source.length): Uint8Array {
  const bytes = new Uint8Array(to - from);
  copy.call(source, bytes, 0, from, to);
  return bytes;
}

/** `bytes[from..to)` as text, one character per byte. */
export function latin1(bytes: Uint8Array, from: number, to: number): string {
  return latin1Slice.call(bytes, from, to);
}
