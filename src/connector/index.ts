/**
 * The private end: it dials the edge, proves its key, and answers streams with a local service. It never listens on a
 * network and never dials what the edge names. Start reading at connector.ts, then uplink.ts (to the edge) and
 * serve.ts (one request).
 *
 * @module
 */
export { type CallBody, callEdge, type EdgeCall } from "./call-edge.ts";
export { enrolAccount } from "./enrol-account.ts";
export { type Connector, startConnector } from "./connector.ts";
export type { ConnectorEvents, OriginTrouble, RequestLine } from "./events.ts";
export { proveKey } from "./prove-key.ts";
export { whichRule } from "./which-rule.ts";
export { parseTarget, type Target } from "./target.ts";
