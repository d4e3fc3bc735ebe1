// This file is content to framed bytes, never one more or less than announced. RFC 9112 §6, §7.1; S-05, S-10, S-11.
import { TunlError } from "../errors.ts";
import { type FramingToWrite, writeNumber } from "./serializer.ts";

const CRLF = Uint8Array.of(0x0d, 0x0a);
const LAST_CHUNK = Uint8Array.of(0x30, 0x0d, 0x0a);
const LAST_CHUNK_AND_END = Uint8Array.of(0x30, 0x0d, 0x0a, 0x0d, 0x0a);
const NOTHING: readonly Uint8Array[] = [];

/** Most bytes a chunk adds to its data: 14 hex digits of a safe integer and two line ends. */
export const CHUNK_OVERHEAD = 18;

/** Encodes one body at a time. */
export class BodyEncoder {
  #kind: FramingToWrite["kind"] = "none";
  #remaining = 0;
  #isOpen = false;

  get isOpen(): boolean {
    return this.#isOpen;
  }

  begin(framing: FramingToWrite): void {
    this.#kind = framing.kind;
    this.#remaining = framing.kind === "length" ? framing.length : 0;
    this.#isOpen = true;
  }

  /**
   * Frames content in pieces that share `bytes`.
   *
   * @throws TunlError `BODY_OVERRUN` when the body becomes longer than announced; nothing of `bytes` counts.
   */
  encode(bytes: Uint8Array): readonly Uint8Array[] {
    // An empty chunk would be the last one.
    if (bytes.length === 0) return NOTHING;
    this.#count(bytes.length);
    if (this.#kind !== "chunked") return [bytes];
    const size = new Uint8Array(CHUNK_OVERHEAD);
    const at = writeNumber(bytes.length, 16, size, 0);
    size.set(CRLF, at);
    return [size.subarray(0, at + 2), bytes, CRLF];
  }

  /**
   * Copies framed content into `target`, which has `bytes.length + CHUNK_OVERHEAD` bytes behind `offset`.
   *
   * @returns The offset behind it.
   * @throws TunlError `BODY_OVERRUN`
   */
  encodeInto(bytes: Uint8Array, target: Uint8Array, offset: number): number {
    if (bytes.length === 0) return offset;
    this.#count(bytes.length);
    let at = offset;
    const isChunked = this.#kind === "chunked";
    if (isChunked) {
      at = writeNumber(bytes.length, 16, target, at);
      target[at++] = 0x0d;
      target[at++] = 0x0a;
    }
    target.set(bytes, at);
    at += bytes.length;
    if (isChunked) {
      target[at++] = 0x0d;
      target[at++] = 0x0a;
    }
    return at;
  }

  /**
   * The end of the body; `false` when bytes are missing: abort, so that the message never looks whole.
   *
   * @param trailers Lines; written in a chunked body only, dropped in every other (RFC 9110 §6.5.1).
   */
  finish(trailers: Uint8Array | undefined): readonly Uint8Array[] | false {
    if (this.#remaining > 0) return false;
    this.#isOpen = false;
    if (this.#kind !== "chunked") return NOTHING;
    if (trailers === undefined || trailers.length === 0) return [LAST_CHUNK_AND_END];
    return [LAST_CHUNK, trailers, CRLF];
  }

  #count(size: number): void {
    if (this.#kind === "chunked" || this.#kind === "untilClose") return;
    if (size > this.#remaining) {
      throw new TunlError(
        "BODY_OVERRUN",
        `Body has ${size} bytes more, allowed ${this.#remaining}`,
      );
    }
    this.#remaining -= size;
  }
}
