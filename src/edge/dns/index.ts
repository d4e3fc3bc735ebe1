/**
 * What the edge asks of the DNS and writes to it: records for names and certificates, and the proof that a name is its
 * owner's.
 *
 * Questions go to the servers of a zone themselves. Nothing that runs depends on an answer: where the DNS is silent,
 * everything stays as it was. Start reading in `client.ts` and `provider.ts`.
 *
 * @module
 */
export { addressesBy, type HasAddress } from "./addresses.ts";
export type { Answer, DnsClient, ServerAddress, Zone, ZoneServer } from "./client.ts";
export type { DnsProvider, DnsRecord, RecordType } from "./provider.ts";
export { Exchanges } from "./exchange.ts";
export { Lookup } from "./lookup.ts";
export { Rfc2136 } from "./rfc2136.ts";
export { findNameServers } from "./servers.ts";
export type { NameServers } from "./servers.ts";
export type { TsigKey } from "./tsig.ts";
export { CustomNames } from "./custom-names.ts";
export type { NameState } from "./custom-names.ts";
export { leadHere, leadsWhere } from "./lead.ts";
export type { LeadEvent, LeadOptions } from "./lead.ts";
export { startDns } from "./start.ts";
export type { EdgeDns } from "./start.ts";
export { aliasRecord, textRecord } from "./proof.ts";
