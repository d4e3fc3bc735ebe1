/**
 * @module msgpack: objects. Heads of ext objects, and positional arrays described by schemas.
 *
 * The only importer of the msgpack library. Pure: it knows no frame, no link and no stream, and never allocates for a
 * length that was only announced. Start reading in `schema.ts`; `ext.ts` stands by itself.
 */
export { MsgpackError } from "./error.ts";
export { EXT_HEAD_MAX, ExtHead, extHeadSize, writeExt32Head, writeExtHead } from "./ext.ts";
export {
  bin,
  binOf,
  binUpTo,
  bool,
  type Field,
  int,
  integer,
  list,
  nilable,
  strUpTo,
  uint,
  values,
} from "./fields.ts";
export { type Fields, type Flat, flat, flatOf, type RecordOf } from "./positions.ts";
export {
  type Infer,
  MAX_ARRAY_LENGTH,
  MAX_BIN_LENGTH,
  MAX_STR_LENGTH,
  nested,
  Schema,
  schema,
} from "./schema.ts";
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
