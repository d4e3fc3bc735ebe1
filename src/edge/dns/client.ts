// This file is the interface of questions to the DNS: the servers of a zone itself, never a cache, so that what was changed a moment ago is seen. product.md §6; dependencies.md §0 trap 2.
import type { DnsRecord, RecordType } from "./provider.ts";

/** The servers that answer for a zone. */
export interface Zone {
  /** Canonical name of the apex. */
  readonly name: string;
  readonly servers: readonly ZoneServer[];
}

/** One name server of a zone. */
export interface ZoneServer {
  /** `ns1.customer.org`, or the address where it has no name. */
  readonly name: string;
  /** Tried in turn until one answers. */
  readonly addresses: readonly ServerAddress[];
}

export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

/** What the zone's servers say about a name and type. */
export interface Answer {
  /**
   * `found`: records of the type. `noData`: the name exists, not with this type. `noName`: it does not exist.
   * `unknown`: nobody who is in charge of the zone answered.
   */
  readonly state: "found" | "noData" | "noName" | "unknown";
  /** Of the type asked for, in the order of the answer; for a name that is an alias those at the end of its chain. */
  readonly records: readonly DnsRecord[];
  /** The aliases followed, in order. */
  readonly chain: readonly DnsRecord[];
  /** Who said so; for `unknown` who was asked. */
  readonly server: string;
  /** For `unknown`: what happened, for people. */
  readonly text: string;
}

/** Asks; every method ends within its time limits, and rejects only when `signal` does. */
export interface DnsClient {
  /** The zone that holds a name, and who serves it; undefined: nobody could say. */
  authoritative(name: string, signal?: AbortSignal): Promise<Zone | undefined>;
  /** Asks every server of the name's zone; one answer for each, in the order of the servers. At least one. */
  askAll(name: string, type: RecordType, signal?: AbortSignal): Promise<readonly Answer[]>;
  /** As `askAll`, in one word: what most servers in charge say. Aliases are followed, each in its own zone. */
  query(name: string, type: RecordType, signal?: AbortSignal): Promise<Answer>;
  /**
   * Resolves when every server in charge of the record's zone that answers at all shows the record; asks every few seconds
   * until then.
   *
   * @returns The name of the server that showed it last, and how long it took.
   * @throws The reason of `signal`; nothing else ends it.
   */
  seen(
    record: DnsRecord,
    signal: AbortSignal,
  ): Promise<{ readonly server: string; readonly ms: number }>;
}
