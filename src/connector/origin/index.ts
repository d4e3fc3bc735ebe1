/**
 * Origins: the local services behind a connector, each answering one request as events. They dial only what local
 * configuration names (S-60), send a request at most once, and decide neither which origin answers nor what a visitor
 * sees of a failure.
 * Start reading at `origin.ts` (the interface), then `http1-exchange.ts` (one request) and `connection.ts` below it.
 *
 * @module
 */
export { type HostHeader, parseHostHeader } from "./host-header.ts";
export { HTTP_ORIGIN_DEFAULTS, HttpOrigin, type HttpOriginOptions } from "./http1.ts";
export { IdleAccount } from "./idle-account.ts";
export {
  HONOURED,
  makeOrigin,
  type OriginSettings,
  type OriginSurroundings,
} from "./make-origin.ts";
export type { Origin, OriginEvents, OriginExchange } from "./origin.ts";
export { SocketAccount } from "./socket-account.ts";
export { StaticOrigin } from "./static.ts";
export { type OriginTlsOptions, TrustedRoots } from "./tls.ts";
