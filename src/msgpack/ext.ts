// This file is the heads of msgpack ext objects: every form in, the smallest form or ext 32 out. PROTOCOL §2.1.

/** Size of the longest head: ext 32, a marker, four bytes of length, the type. */
export const EXT_HEAD_MAX = 6;

/**
 * Reads the head of an ext object from bytes that arrive in pieces. One instance is reused for all heads of a link.
 *
 * The library is not asked here: it makes a time stamp of type -1 and wants the whole object first.
 */
export class ExtHead {
  /** Ext type, -128 to 127. */
  type = 0;
  /** Announced bytes of payload, 0 to 2^32 - 1; nothing is allocated for it here. */
  length = 0;

  /**
   * Looks at the bytes from `at` to `end`.
   *
   * @returns Bytes the head takes (2 to 6), `type` and `length` are set; 0: more bytes are needed; -1: no ext object starts here.
   */
  read(bytes: Uint8Array, at: number, end: number): number {
    if (at >= end) return 0;
    const form = bytes[at] as number;
    if (form >= 0xd4 && form <= 0xd8) {
      if (end - at < 2) return 0;
      this.length = 1 << (form - 0xd4);
      this.type = toInt8(bytes[at + 1] as number);
      return 2;
    }
    if (form < 0xc7 || form > 0xc9) return -1;
    const size = form === 0xc7 ? 3 : form === 0xc8 ? 4 : EXT_HEAD_MAX;
    if (end - at < size) return 0;
    let length = 0;
    for (let index = at + 1; index < at + size - 1; index++) {
      length = length * 256 + (bytes[index] as number);
    }
    this.length = length;
    this.type = toInt8(bytes[at + size - 1] as number);
    return size;
  }
}

function toInt8(byte: number): number {
  return (byte << 24) >> 24;
}

/** Bytes the smallest head for `length` bytes of payload takes. */
export function extHeadSize(length: number): number {
  if (length === 1 || length === 2 || length === 4 || length === 8 || length === 16) return 2;
  return length <= 0xff ? 3 : length <= 0xffff ? 4 : EXT_HEAD_MAX;
}

/** Writes the smallest head. @returns The offset after it. */
export function writeExtHead(into: Uint8Array, at: number, type: number, length: number): number {
  const size = extHeadSize(length);
  if (size === EXT_HEAD_MAX) return writeExt32Head(into, at, type, length);
  if (size === 2) {
    into[at] = 0xd4 + (31 - Math.clz32(length));
  } else if (size === 3) {
    into[at] = 0xc7;
    into[at + 1] = length;
  } else {
    into[at] = 0xc8;
    into[at + 1] = length >>> 8;
    into[at + 2] = length;
  }
  into[at + size - 1] = type;
  return at + size;
}

/** Writes an ext 32 head whatever the length, so that the payload starts at a known place. @returns `at + 6`. */
export function writeExt32Head(into: Uint8Array, at: number, type: number, length: number): number {
  into[at] = 0xc9;
  into[at + 1] = length >>> 24;
  into[at + 2] = length >>> 16;
  into[at + 3] = length >>> 8;
  into[at + 4] = length;
  into[at + 5] = type;
  return at + EXT_HEAD_MAX;
}
