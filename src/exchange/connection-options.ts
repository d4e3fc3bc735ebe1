// This file is which fields `Connection` takes out of a message, and which it may not. http.md §7 step 2; RFC 9110 §7.6.1; S-32.
import { TunlError } from "../errors.ts";
import { latin1 } from "../bytes.ts";
import {
  END_TO_END,
  equalsFolded,
  type HeaderBlock,
  HOP_BY_HOP,
  isToken,
  ListCursor,
  looksLikeFraming,
  LOWER,
  lookUpName,
  nameClass,
  nameId,
  nameKey,
  type ReservedNames,
} from "../headers/index.ts";

const CONNECTION = nameId("connection");

/** Names in all `Connection` lines of one message that are looked for among its fields. */
const MAX_NAMED_FIELDS = 32;

const cursor = new ListCursor();
const NO_NAMES: readonly number[] = [];

/**
 * Names in all `Connection` lines that are not hop-by-hop anyway, as start and end offsets in `block.bytes`.
 * For a request a name that is protected is an error, for a response it is left out.
 */
export function readConnection(
  block: HeaderBlock,
  reserved: ReservedNames,
  code: "BAD_REQUEST" | "ORIGIN_INVALID",
): readonly number[] {
  let named: number[] | undefined;
  for (let index = 0; index < block.count; index++) {
    if (block.nameId(index) !== CONNECTION) continue;
    cursor.open(block.bytes, block.valueStart(index), block.valueEnd(index));
    while (cursor.next()) {
      const { start, end } = cursor;
      if (!isToken(block.bytes, start, end))
        throw new TunlError(code, "Connection is not a list of tokens");
      if (equalsFolded(block.bytes, start, end, "close")) continue;
      const traits = nameClass(
        lookUpName(block.bytes, start, end, nameKey(block.bytes, start, end)),
      );
      if ((traits & HOP_BY_HOP) !== 0) continue;
      if ((traits & END_TO_END) !== 0 || isProtected(block.bytes, start, end, reserved)) {
        if (code === "ORIGIN_INVALID") continue;
        throw new TunlError(
          code,
          `Connection names "${latin1(block.bytes, start, end)}", which belongs to the message`,
        );
      }
      named ??= [];
      if (named.length === 2 * MAX_NAMED_FIELDS) {
        throw new TunlError(code, `Connection names more than ${MAX_NAMED_FIELDS} fields`);
      }
      named.push(start, end);
    }
  }
  return named ?? NO_NAMES;
}

/** Names beyond the table that `Connection` may not touch: Content-*, Sec-*, reserved names and what looks like framing. */
function isProtected(
  bytes: Uint8Array,
  start: number,
  end: number,
  reserved: ReservedNames,
): boolean {
  return (
    startsFolded(bytes, start, end, "content-") ||
    startsFolded(bytes, start, end, "sec-") ||
    reserved.has(bytes, start, end) ||
    looksLikeFraming(bytes, start, end)
  );
}

/** True when the name of field `index` is among `named`, in any case. */
export function isNamed(block: HeaderBlock, index: number, named: readonly number[]): boolean {
  if (named.length === 0) return false;
  const { bytes } = block;
  const start = block.lineStart(index);
  const length = block.nameEnd(index) - start;
  for (let at = 0; at < named.length; at += 2) {
    const from = named[at]!;
    if (named[at + 1]! - from !== length) continue;
    let same = 0;
    while (same < length && LOWER[bytes[start + same]!] === LOWER[bytes[from + same]!]) same++;
    if (same === length) return true;
  }
  return false;
}

function startsFolded(bytes: Uint8Array, start: number, end: number, text: string): boolean {
  return end - start >= text.length && equalsFolded(bytes, start, start + text.length, text);
}
