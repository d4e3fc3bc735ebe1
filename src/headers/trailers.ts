// This file is what may stand in a trailer section, whoever carries it. http.md §3.1; RFC 9110 §6.5.1; S-04.
import type { HeaderBlock } from "./block.ts";
import type { SectionLimits } from "./field-parser.ts";
import { FRAMING, HOP_BY_HOP, looksLikeFraming, NOT_A_TRAILER, RESERVED_NAMES } from "./names.ts";

export const TRAILER_LIMITS: SectionLimits = { bytes: 8 * 1024, fields: 32 };

/** Index of the first field that may not be a trailer (framing, routing, credential or reserved name), or -1. */
export function findBadTrailer(block: HeaderBlock): number {
  for (let index = 0; index < block.count; index++) {
    if ((block.nameClass(index) & (NOT_A_TRAILER | FRAMING | HOP_BY_HOP)) !== 0) return index;
    const start = block.lineStart(index);
    const end = block.nameEnd(index);
    if (RESERVED_NAMES.has(block.bytes, start, end)) return index;
    if (looksLikeFraming(block.bytes, start, end)) return index;
  }
  return -1;
}
