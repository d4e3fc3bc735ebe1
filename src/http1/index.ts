/**
 * HTTP/1.1 as bytes: a Reader turns chunks into steps, a Writer turns heads and content into bytes, for both directions.
 * It never touches a socket, clock or timer, never repairs what breaks the grammar, and never copies a framing field.
 * Start reading at `reader.ts` and `writer.ts`; what is refused and why stands in `faults.ts`.
 *
 * @module
 */
export { decodedPath, type PathAmbiguity, pathAmbiguity } from "./ambiguous-path.ts";
export { CHUNK_OVERHEAD } from "./body-encoder.ts";
export { type FaultCode, FAULTS, Http1Error } from "./faults.ts";
export { type Framing, type Head, type RequestHead, type ResponseHead } from "./head.ts";
export { type Http1Limits, MAX_INTERIM, REQUEST_LIMITS, RESPONSE_LIMITS } from "./limits.ts";
export {
  type Reader,
  requestReader,
  type ResponseReader,
  responseReader,
  type Step,
} from "./reader.ts";
export {
  CONTINUE,
  type FramingToWrite,
  headCapacity,
  type HeadToWrite,
  interimHead,
  type RequestLine,
  type StatusLine,
} from "./serializer.ts";
export { originForm } from "./target.ts";
export { acceptsWebSocket, websocketAccept } from "./upgrade.ts";
export { requestWriter, responseWriter, type Writer } from "./writer.ts";
