/**
 * The session core: streams above links as a calculation. It never sees a socket, a clock, a timer or randomness:
 * inputs and `now` go in, outputs come out. Start reading at session.ts; streams.ts and the two halves are the
 * vocabulary, references.ts and inbound.ts what frames do, batch.ts what goes out, ledger.ts the books both share.
 *
 * @module
 */
export * from "./events.ts";
export {
  type Claim,
  ConnectorHandshake,
  type ConnectorHandshakeOptions,
  EdgeHandshake,
  type EdgeHandshakeOptions,
  type Exporters,
  type Proven,
  type Readiness,
} from "./handshake.ts";
export { SessionCore } from "./session.ts";
