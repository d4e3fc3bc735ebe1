// This file is the interface of whoever edits a zone for us: the API of a DNS host, or a name server that takes updates. product.md §6 item 4.

/** Types of records that tunl makes and compares. */
export type RecordType = "A" | "AAAA" | "CNAME" | "TXT";

/** One record. Names and the values of CNAME are canonical: lower case, no dot at the end. */
export interface DnsRecord {
  /** May begin with `*.` or `_label.`. */
  readonly name: string;
  readonly type: RecordType;
  /** A, AAAA: an address; CNAME: a name; TXT: the text, without quotes, at most 255 bytes. */
  readonly value: string;
}

/**
 * Edits zones. Mode `none` has no provider.
 *
 * Every method rejects with TunlError `DNS_REFUSED` (the credentials or the zone's rules forbid it) or `DNS_FAILED` (not
 * reachable, or broken; retryable).
 */
export interface DnsProvider {
  readonly name: "cloudflare" | "rfc2136";
  /** The zone this provider edits that holds `name`; undefined: not one of its zones. */
  zoneOf(name: string): Promise<string | undefined>;
  /** What stands at exactly this name, of the types of `RecordType`. */
  find(name: string): Promise<readonly DnsRecord[]>;
  /** Adds one record beside others; what must not stand beside it is removed before by the caller. There already: fine. */
  add(record: DnsRecord): Promise<void>;
  /** Removes this one record; absent is fine. */
  remove(record: DnsRecord): Promise<void>;
}
