// This file is the bytes of the soak: any part of an endless repeated random block, known to origin and visitor alike.
import { createHash, createHmac } from "node:crypto";

const BLOCK = 1 << 20;

/** The same in every process: a key stream over nothing. */
const block = Buffer.concat(
  Array.from({ length: BLOCK / 64 }, (_, index) =>
    createHmac("sha512", "soak").update(String(index)).digest(),
  ),
);
/** Twice, so that a part that wraps is one view. */
const double = Buffer.concat([block, block]);

/** Bytes `from` to `from + length`, at most 1 MiB. */
export function part(from, length) {
  const start = from % BLOCK;
  return double.subarray(start, start + length);
}

/** All of a body in pieces of up to 64 KiB. */
export function* pieces(from, length) {
  for (let at = 0; at < length; at += 65_536) yield part(from + at, Math.min(65_536, length - at));
}

/** SHA-256 of a body, hex. */
export function hashOf(from, length) {
  const hash = createHash("sha256");
  for (const piece of pieces(from, length)) hash.update(piece);
  return hash.digest("hex");
}

/** Until the next piece is wanted, or nobody is there any more. */
export function drained(stream) {
  return new Promise((resolve) => {
    const done = () => {
      stream.off("drain", done);
      stream.off("close", done);
      resolve();
    };
    stream.on("drain", done);
    stream.on("close", done);
  });
}
