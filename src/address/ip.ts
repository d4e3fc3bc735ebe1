// This file is IP addresses: text to bytes and back, IPv4-mapped ones folded, and the key a source is counted under.
// RFC 4291 §2.2, RFC 5952; A-14, http.md §1.

const IPV4_BYTES = 4;
const IPV6_BYTES = 16;
const IPV6_GROUPS = 8;
/** Longest textual address: six full groups and a dotted quad. */
const MAX_TEXT = 45;

/**
 * Reads an address in its textual form; the only spellings are those of RFC 4291 §2.2 and dotted decimal.
 *
 * @returns 4 or 16 bytes, a v4-mapped address (`::ffff:192.0.2.1`) as its 4; undefined for anything else,
 *   among it octal or short IPv4, brackets, a prefix length and a zone.
 */
export function parseIp(text: string): Uint8Array | undefined {
  if (text.length > MAX_TEXT) return undefined;
  if (!text.includes(":")) return parseIpv4(text);
  const bytes = parseIpv6(text);
  return bytes !== undefined && isMapped(bytes) ? bytes.slice(12) : bytes;
}

/** As `parseIp`, for the address a socket reports: link-local peers carry a zone (`fe80::1%eth0`), which is dropped. */
export function parsePeerIp(text: string): Uint8Array | undefined {
  const zone = text.indexOf("%");
  return parseIp(zone === -1 ? text : text.slice(0, zone));
}

/**
 * The key under which a source is counted and limited: the whole IPv4 address, the /64 of an IPv6 address.
 *
 * @param bytes 4 or 16 bytes, as `parseIp` gives them.
 * @returns Text such as `192.0.2.1` or `2001:db8:0:7::/64`.
 */
export function sourceKey(bytes: Uint8Array): string {
  if (bytes.length === IPV4_BYTES) return formatIp(bytes);
  const network = new Uint8Array(IPV6_BYTES);
  network.set(bytes.subarray(0, 8));
  return `${formatIp(network)}/64`;
}

/**
 * Writes an address in its canonical form (RFC 5952 §4: lower case, the longest run of zero groups as `::`).
 *
 * @param bytes 4 or 16 bytes.
 */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === IPV4_BYTES) return bytes.join(".");
  const groups: number[] = [];
  for (let index = 0; index < IPV6_BYTES; index += 2) {
    groups.push(((bytes[index] as number) << 8) | (bytes[index + 1] as number));
  }
  const { start, length } = longestZeros(groups);
  const hex = groups.map((group) => group.toString(16));
  if (length < 2) return hex.join(":");
  return `${hex.slice(0, start).join(":")}::${hex.slice(start + length).join(":")}`;
}

function longestZeros(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (let index = 0; index <= groups.length; index++) {
    if (groups[index] === 0) continue;
    if (index - start > best.length) best = { start, length: index - start };
    start = index + 1;
  }
  return best;
}

function isMapped(bytes: Uint8Array): boolean {
  for (let index = 0; index < 10; index++) if (bytes[index] !== 0) return false;
  return bytes[10] === 0xff && bytes[11] === 0xff;
}

function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split(".");
  if (parts.length !== IPV4_BYTES) return undefined;
  const bytes = new Uint8Array(IPV4_BYTES);
  for (const [index, part] of parts.entries()) {
    // A leading zero is refused: some resolvers read it as octal, others as decimal.
    if (!/^(?:0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return undefined;
    bytes[index] = Number(part);
  }
  return bytes;
}

function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const hasGap = halves.length === 2;
  const head = parseGroups(halves[0] as string, !hasGap);
  const tail = hasGap ? parseGroups(halves[1] as string, true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = IPV6_GROUPS - head.length - tail.length;
  // "::" stands for at least one group (RFC 5952 §4.2.2 asks for two when writing; readers accept one).
  if (hasGap ? missing < 1 : missing !== 0) return undefined;

  const bytes = new Uint8Array(IPV6_BYTES);
  const write = (groups: readonly number[], from: number): void => {
    for (const [index, group] of groups.entries()) {
      bytes[(from + index) * 2] = group >> 8;
      bytes[(from + index) * 2 + 1] = group & 0xff;
    }
  };
  write(head, 0);
  write(tail, IPV6_GROUPS - tail.length);
  return bytes;
}

/** Colon-separated groups; the last may be a dotted quad where `allowsQuad`. */
function parseGroups(text: string, allowsQuad: boolean): number[] | undefined {
  if (text === "") return [];
  const parts = text.split(":");
  const groups: number[] = [];
  for (const [index, part] of parts.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(Number.parseInt(part, 16));
      continue;
    }
    const quad = allowsQuad && index === parts.length - 1 ? parseIpv4(part) : undefined;
    if (quad === undefined) return undefined;
    const [a, b, c, d] = quad as unknown as [number, number, number, number];
    groups.push((a << 8) | b, (c << 8) | d);
  }
  return groups;
}
