/**
 * @module msgpack: objects. Heads of ext objects, and positional arrays described by schemas.
 *
 * The only importer of the msgpack library, which decodes lists of values of any kind; values of a known kind are read
 * and written by hand. Pure: it knows no frame, no link and no stream, and never allocates for a length that was only
 * announced. Start reading in `schema.ts`; `ext.ts` stands by itself.
 */
export { MsgpackError } from "./error.ts";
export { EXT_HEAD_MAX, ExtHead, extHeadSize, writeExt32Head, writeExtHead } from "./ext.ts";
export {
  asciiUpTo,
  bin,
  binOf,
  binUpTo,
  bool,
  copied,
  type Field,
  int,
  integer,
  list,
  nilable,
  strUpTo,
  uint,
} from "./fields.ts";
export { type Fields, type Flat, flat, flatOf, type RecordOf } from "./positions.ts";
export { type Infer, nested, Schema, schema } from "./schema.ts";
export { values } from "./values.ts";
export {
  arrayHeadSize,
  binHeadSize,
  textSize,
  uintSize,
  type Value,
  writeArrayHead,
  writeBinHead,
  writeBool,
  writeU64,
  writeUint,
} from "./write.ts";
