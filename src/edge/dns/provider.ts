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

/** What is to stand at a name in place of something else. */
export interface Replacement {
  /** The name that is to lead elsewhere. */
  readonly name: string;
  /** What goes; all of it at `name`, and as `find` showed it a moment ago. Absent by now is fine. */
  readonly gone: readonly DnsRecord[];
  /** What comes: at `name`, or at another name of its zone. None of it is there yet. */
  readonly added: readonly DnsRecord[];
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
  /** Adds one record beside others. There already: fine. */
  add(record: DnsRecord): Promise<void>;
  /** Removes this one record; absent is fine. */
  remove(record: DnsRecord): Promise<void>;
  /**
   * In one step: all of it, or nothing. Rejects with TunlError `RECORD_IN_THE_WAY` too, where what stands there is not what
   * was seen; that, and `DNS_REFUSED`, is nothing for certain. After `DNS_FAILED` it may be either.
   */
  replace(change: Replacement): Promise<void>;
}

/** True for the same record, whoever made it. */
export function isSameRecord(
  one: { readonly name: string; readonly type: string; readonly value: string },
  other: { readonly name: string; readonly type: string; readonly value: string },
): boolean {
  return one.name === other.name && one.type === other.type && one.value === other.value;
}
