/**
 * Header fields as bytes: the grammar, the strict reader of field lines, and the block that finds a field by name.
 * It never decodes a field that nobody asked for, never joins or reorders fields, and knows no message around them.
 * Start reading at `block.ts`, then `field-parser.ts`.
 *
 * @module
 */
export { FieldTable, HeaderBlock, NO_FIELDS } from "./block.ts";
export {
  type FieldFault,
  FieldParser,
  MAX_NAME_BYTES,
  parseLines,
  type SectionLimits,
} from "./field-parser.ts";
export {
  CLASS,
  COLON,
  CR,
  equalsFolded,
  HEX,
  HEX_VALUE,
  HTAB,
  isToken,
  LF,
  LOWER,
  PATH_CHECK,
  QUOTED_TEXT,
  skipBlanks,
  SP,
  TARGET,
  TOKEN,
  trimBlanks,
  VALUE,
} from "./grammar.ts";
export { ListCursor } from "./list.ts";
export { encodeAscii, LineBuffer } from "./line-buffer.ts";
export {
  END_TO_END,
  FRAMING,
  HOP_BY_HOP,
  type KnownName,
  looksLikeFraming,
  nameClass,
  type NameId,
  nameId,
  nameKey,
  NOT_A_TRAILER,
  lookUpName,
  RESERVED_NAMES,
  ReservedNames,
  TAKEN,
} from "./names.ts";
export { findBadTrailer, TRAILER_LIMITS } from "./trailers.ts";
