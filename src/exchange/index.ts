/**
 * Requests: what the two ends say over streams. It needs neither http1 nor http2, dials nobody and decides no route.
 * Start reading at exchange.ts (the two ends of one request), then messages.ts (what travels) and fields.ts.
 *
 * @module
 */
export {
  type Call,
  type CallBody,
  type CallEvents,
  type IncomingCall,
  type IncomingCallEvents,
  acceptCall,
  openCall,
} from "./control.ts";
export { EXCHANGE_CODES, STREAM_KINDS } from "./error-codes.ts";
export type {
  BodyEvents,
  ExchangeSide,
  NotOpened,
  Requester,
  RequesterEvents,
  Responder,
} from "./exchange.ts";
export type {
  Failure,
  FailureCode,
  RequestHead,
  ResponseHead,
  Visitor,
  VisitorTls,
} from "./heads.ts";
export {
  CALL_BODY_MAX,
  MESSAGE_FIELDS_MAX,
  MESSAGE_MAX,
  MESSAGES,
  encodeMessage,
} from "./messages.ts";
export { Outlet, type OutletEvents } from "./outlet.ts";
export { openExchange } from "./requester.ts";
export { acceptExchange, type TakeRequest } from "./responder.ts";
export {
  keepAliveSeconds,
  keepRequestFields,
  keepResponseFields,
  keepVisitorFields,
  MESSAGE_LIMITS,
  REQUEST_FIELD_RULES,
  type RequestFieldRules,
  validateFields,
  validateTrailers,
  type ValidationFault,
} from "./fields.ts";
