/**
 * The public listeners: the front door on 443 with TLS towards visitors and links, HTTP/1.1, and port 80.
 *
 * Decides who may connect and which protocol a connection speaks; never which tunnel a request belongs to.
 * Start reading in `front-door.ts`.
 *
 * @module
 */
export { FirstCertificates } from "./first-certificate.ts";
export { ARRIVAL_TIMEOUTS } from "./arrival.ts";
export type { ArrivalTimeouts } from "./arrival.ts";
export { bind } from "./bind.ts";
export type { ListenAddress } from "./bind.ts";
export { startFrontDoor } from "./front-door.ts";
export type { FrontDoor, FrontDoorOptions } from "./front-door.ts";
export { createLinkServer, LINK_PROTOCOL } from "./links.ts";
export type { LinkServerOptions } from "./links.ts";
export { Orphans } from "./orphans.ts";
export { PeerLimits } from "./peer-limits.ts";
export { RefusalLog } from "./refusal-log.ts";
export type { AdmissionRefusal, PeerLimitOptions, Place } from "./peer-limits.ts";
export { remoteOf } from "./remote.ts";
export type { Remote } from "./remote.ts";
export { createVisitorServer } from "./terminate.ts";
export type { SecureVisitor, VisitorServerOptions } from "./terminate.ts";
export { redirectToHttps } from "./plain.ts";
export type { VisitorLimits, VisitorTimeouts } from "./visitor-options.ts";
export { Visitors } from "./visitors.ts";
export {
  type PlainListener,
  type PlainListenerOptions,
  startPlainListener,
} from "./plain-listener.ts";
