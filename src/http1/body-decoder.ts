// This file is framed bytes to content: where the body stands in each chunk of input. RFC 9112 §6, §7.1; S-03, S-04.
import { CLASS, CR, HEX_VALUE, LF, QUOTED_TEXT, TOKEN, VALUE } from "../headers/index.ts";
import { type FaultCode, Http1Error } from "./faults.ts";
import type { Framing } from "./head.ts";
import { MAX_CHUNK_DIGITS, MAX_EXTENSION_BYTES, MAX_EXTENSIONS_BYTES } from "./limits.ts";

const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * Where in a chunk of a chunked body the next byte belongs:
 *
 *   size ─┬──────────────────────────► sizeEnd ─┬─► data ─► dataCr ─► dataLf ─► size
 *         └► name ─► (value | quoted) ──┘       └─► trailers (size 0)
 *
 * The grammar is that of RFC 9112 §7.1.1 without its "bad" whitespace, which nobody sends and which was a place to hide line ends.
 */
type ChunkPhase =
  | "size"
  | "nameStart"
  | "name"
  | "valueStart"
  | "value"
  | "quoted"
  | "escaped"
  | "quotedEnd"
  | "sizeEnd"
  | "data"
  | "dataCr"
  | "dataLf";

/** Decodes one body at a time. Reports places instead of bytes: the caller makes a view only of what it wants. */
export class BodyDecoder {
  /** After `body`: the content is `bytes[start..end)`. */
  start = 0;
  end = 0;
  /** Offset in `bytes` of the next byte to read. */
  position = 0;
  #kind: Framing["kind"] = "none";
  #remaining = 0;
  #phase: ChunkPhase = "size";
  #digits = 0;
  #extension = 0;
  #extensions = 0;
  #before = 0;

  /** @param before Bytes of the message in front of the body, for the offsets of faults. */
  begin(framing: Framing, before: number): void {
    this.#kind = framing.kind;
    this.#remaining = framing.kind === "length" ? framing.length : 0;
    this.#before = before;
    this.#extensions = 0;
    this.#expectChunk();
  }

  /** Bytes of the message read so far: the head, and what `decode` went past. */
  get consumed(): number {
    return this.#before;
  }

  /**
   * Reads on at `from`.
   *
   * @returns `body` with `start` and `end`; `trailers` when the trailer section begins at `position`; `end` when the body is complete.
   * @throws Http1Error `BAD_CHUNK_SIZE`, `BAD_CHUNK_EXTENSION`, `CHUNK_EXTENSION_TOO_LARGE`, `BAD_CHUNK_END`, `BARE_LINE_FEED`, `BARE_CARRIAGE_RETURN`
   */
  decode(bytes: Uint8Array, from: number): "needBytes" | "body" | "trailers" | "end" {
    this.position = from;
    switch (this.#kind) {
      case "none":
        return "end";
      case "untilClose":
        return this.#content(bytes, from, bytes.length - from);
      case "length":
        if (this.#remaining === 0) return "end";
        return this.#content(bytes, from, Math.min(bytes.length - from, this.#remaining));
      case "chunked":
        return this.#decodeChunks(bytes, from);
    }
  }

  #content(bytes: Uint8Array, from: number, size: number): "needBytes" | "body" {
    if (from === bytes.length) return "needBytes";
    this.start = from;
    this.end = from + size;
    this.position = this.end;
    this.#before += size;
    this.#remaining -= size;
    return "body";
  }

  #decodeChunks(bytes: Uint8Array, from: number): "needBytes" | "body" | "trailers" {
    let at = from;
    while (at < bytes.length) {
      if (this.#phase === "data") {
        this.#before += at - from;
        const step = this.#content(bytes, at, Math.min(bytes.length - at, this.#remaining));
        if (this.#remaining === 0) this.#phase = "dataCr";
        return step;
      }
      const isLast = this.#control(bytes[at]!, this.#before + at - from);
      at++;
      if (isLast) {
        this.position = at;
        this.#before += at - from;
        return "trailers";
      }
    }
    this.position = at;
    this.#before += at - from;
    return "needBytes";
  }

  /** One byte outside of chunk data. True when it completed the line of the last chunk. */
  #control(byte: number, at: number): boolean {
    switch (this.#phase) {
      case "size": {
        const digit = HEX_VALUE[byte]!;
        if (digit !== 255) {
          this.#remaining = this.#remaining * 16 + digit;
          // 15 digits can say more than a number can count exactly; such a body never ends anyway.
          const isTooLarge =
            ++this.#digits > MAX_CHUNK_DIGITS || this.#remaining > Number.MAX_SAFE_INTEGER;
          if (isTooLarge) throw new Http1Error("BAD_CHUNK_SIZE", at);
          return false;
        }
        if (this.#digits === 0) throw fault(byte, "BAD_CHUNK_SIZE", at);
        return this.#endExtension(byte, "BAD_CHUNK_SIZE", at);
      }
      case "nameStart":
        this.#countExtension(at);
        if ((CLASS[byte]! & TOKEN) === 0) throw fault(byte, "BAD_CHUNK_EXTENSION", at);
        this.#phase = "name";
        return false;
      case "name":
        if (byte === EQUALS) {
          this.#countExtension(at);
          this.#phase = "valueStart";
          return false;
        }
        if ((CLASS[byte]! & TOKEN) === 0)
          return this.#endExtension(byte, "BAD_CHUNK_EXTENSION", at);
        this.#countExtension(at);
        return false;
      case "valueStart":
        this.#countExtension(at);
        if (byte === QUOTE) this.#phase = "quoted";
        else if ((CLASS[byte]! & TOKEN) === 0) throw fault(byte, "BAD_CHUNK_EXTENSION", at);
        else this.#phase = "value";
        return false;
      case "value":
        if ((CLASS[byte]! & TOKEN) === 0)
          return this.#endExtension(byte, "BAD_CHUNK_EXTENSION", at);
        this.#countExtension(at);
        return false;
      case "quoted":
        this.#countExtension(at);
        if (byte === QUOTE) this.#phase = "quotedEnd";
        else if (byte === BACKSLASH) this.#phase = "escaped";
        else if ((CLASS[byte]! & QUOTED_TEXT) === 0) throw fault(byte, "BAD_CHUNK_EXTENSION", at);
        return false;
      case "escaped":
        this.#countExtension(at);
        if ((CLASS[byte]! & VALUE) === 0) throw fault(byte, "BAD_CHUNK_EXTENSION", at);
        this.#phase = "quoted";
        return false;
      case "quotedEnd":
        return this.#endExtension(byte, "BAD_CHUNK_EXTENSION", at);
      case "sizeEnd":
        if (byte !== LF) throw new Http1Error("BARE_CARRIAGE_RETURN", at - 1);
        if (this.#remaining === 0) return true;
        this.#phase = "data";
        return false;
      case "dataCr":
        if (byte !== CR) throw fault(byte, "BAD_CHUNK_END", at);
        this.#phase = "dataLf";
        return false;
      case "dataLf":
        if (byte !== LF) throw new Http1Error("BAD_CHUNK_END", at);
        this.#expectChunk();
        return false;
      case "data":
        return false;
    }
  }

  /** A byte behind a size, a name or a value: the next extension, the end of the line, or `code`. */
  #endExtension(byte: number, code: FaultCode, at: number): false {
    if (byte === SEMICOLON) {
      this.#extension = 0;
      this.#countExtension(at);
      this.#phase = "nameStart";
    } else if (byte === CR) this.#phase = "sizeEnd";
    else throw fault(byte, code, at);
    return false;
  }

  #countExtension(at: number): void {
    if (++this.#extension > MAX_EXTENSION_BYTES || ++this.#extensions > MAX_EXTENSIONS_BYTES) {
      throw new Http1Error("CHUNK_EXTENSION_TOO_LARGE", at);
    }
  }

  #expectChunk(): void {
    this.#phase = "size";
    this.#digits = 0;
    if (this.#kind === "chunked") this.#remaining = 0;
  }
}

function fault(byte: number, code: FaultCode, at: number): Http1Error {
  return new Http1Error(byte === LF ? "BARE_LINE_FEED" : code, at);
}
