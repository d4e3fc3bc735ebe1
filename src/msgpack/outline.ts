// This file is the look at a payload before the library may allocate for it: nesting, counts and ends. PROTOCOL §2.1.
import { MsgpackError } from "./error.ts";

/** Deepest nesting any schema may have. */
export const MAX_DEPTH = 8;

// Values still to come on each open level; reused, because a payload is looked at in one go.
const open = new Int32Array(MAX_DEPTH + 1);

/**
 * Walks over exactly one msgpack array and refuses what no schema describes: maps, ext objects, arrays longer than the
 * bytes that are left or nested deeper than `depth`, a value cut off, bytes left over.
 *
 * The library bounds the length of one array but not the nesting: 16 KiB of `dc 02 00` make it allocate 22 MiB.
 *
 * @param payload One array, whole.
 * @param depth Levels of arrays the schema has, the outermost counted; 1 to 8.
 * @throws MsgpackError
 */
export function checkOutline(payload: Uint8Array, depth: number): void {
  const end = payload.length;
  let at = 0;
  let level = 0;
  open[0] = 1;
  while (level > 0 || open[0] === 1) {
    if (at >= end) throw new MsgpackError(`Payload of ${end} bytes ends inside its values`);
    open[level] = (open[level] as number) - 1;
    const head = payload[at] as number;
    const count = arrayCount(payload, at, head);
    if (count >= 0) {
      if (level === depth) throw new MsgpackError(`Arrays are nested deeper than ${depth} levels`);
      at += head < 0xa0 ? 1 : head === 0xdc ? 3 : 5;
      // Each value takes a byte at least: no array that passes here costs more than the bytes received.
      if (count > end - at) {
        const left = Math.max(0, end - at);
        throw new MsgpackError(`Array announces ${count} values with ${left} bytes left`);
      }
      level += 1;
      open[level] = count;
    } else {
      if (level === 0)
        throw new MsgpackError("Payload starts with another value, expected an array");
      at += scalarSize(payload, at, head);
      if (at > end) throw new MsgpackError(`Payload of ${end} bytes ends inside a value`);
    }
    while (level > 0 && open[level] === 0) level -= 1;
  }
  if (at !== end) throw new MsgpackError(`${end - at} bytes are left over after the array`);
}

/** Values an array announces, -1 when no array starts here. */
function arrayCount(payload: Uint8Array, at: number, head: number): number {
  if (head >= 0x90 && head <= 0x9f) return head & 0x0f;
  if (head === 0xdc) return number(payload, at + 1, 2);
  if (head === 0xdd) return number(payload, at + 1, 4);
  return -1;
}

/** Bytes of the value at `at`, its head included. */
function scalarSize(payload: Uint8Array, at: number, head: number): number {
  if (head < 0x80 || head >= 0xe0) return 1;
  if (head >= 0xa0 && head <= 0xbf) return 1 + (head & 0x1f);
  switch (head) {
    case 0xc0:
    case 0xc2:
    case 0xc3:
      return 1;
    case 0xcc:
    case 0xd0:
      return 2;
    case 0xcd:
    case 0xd1:
      return 3;
    case 0xca:
    case 0xce:
    case 0xd2:
      return 5;
    case 0xcb:
    case 0xcf:
    case 0xd3:
      return 9;
    case 0xc4:
    case 0xd9:
      return 2 + number(payload, at + 1, 1);
    case 0xc5:
    case 0xda:
      return 3 + number(payload, at + 1, 2);
    case 0xc6:
    case 0xdb:
      return 5 + number(payload, at + 1, 4);
    default:
      throw new MsgpackError(
        `Byte 0x${head.toString(16)} starts a map, an ext object or nothing, expected a value`,
      );
  }
}

function number(payload: Uint8Array, at: number, size: number): number {
  if (at + size > payload.length) throw new MsgpackError("Payload ends inside a length");
  let value = 0;
  for (let index = at; index < at + size; index++) value = value * 256 + (payload[index] as number);
  return value;
}
