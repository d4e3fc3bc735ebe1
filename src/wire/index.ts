/**
 * @module wire: bytes on a link. Frames in and out, transport parameters, codes and constants.
 *
 * Pure: it holds no stream and no session, decides nothing about what a frame means and never closes anything. Start
 * reading in `frames.ts` (the table), then `decoder.ts`. PROTOCOL §2, §3.1.
 */
export { DATA_FRAMES, type DataFrameName, writeDatagramHeader, writeDataHeader } from "./data.ts";
export { type AdmissionOptions } from "./admission.ts";
export { FrameDecoder, type FrameRecord } from "./decoder.ts";
export {
  ACK_ENTRY_MAX,
  decodeBody,
  encodeBody,
  encodeFrame,
  ENTRIES_HEAD_MAX,
  fitMessage,
  frameSize,
  MAX_STREAM_DATA_ENTRY_MAX,
  OPEN_HEADER_MAX,
  openSize,
  writeAck,
  writeFrame,
  writeMaxStreamData,
  writeOpen,
} from "./encoder.ts";
export {
  type CodeCarrier,
  type CodeEffect,
  SESSION_CODES,
  sessionCodeName,
  type SessionCodeName,
  STREAM_CODE_APPLICATION,
  STREAM_CODES,
  streamCodeName,
  type StreamCodeName,
  WireError,
} from "./error-codes.ts";
export {
  CONTROL_FRAMES,
  type ControlFrameName,
  type ControlRecord,
  type Direction,
} from "./frames.ts";
export {
  type BodyRecord,
  HANDSHAKE_BODIES,
  HANDSHAKE_FRAMES,
  type HandshakeFrameName,
  type HandshakeRecord,
  type SignedFrameName,
} from "./handshake.ts";
export * from "./limits.ts";
export {
  ABSENT_PARAMETERS,
  agreeParameters,
  checkExtras,
  decodeParameters,
  DEFAULT_PARAMETERS,
  encodeParameters,
  type ParameterList,
  type ParameterName,
  PARAMETERS,
  type ParameterSide,
  type ParameterSource,
  type TransportParameters,
} from "./parameters.ts";
export {
  type ArrayFrameName,
  FRAME_SPECS,
  type FrameName,
  type FrameSpec,
  labelOf,
  specOf,
} from "./table.ts";
