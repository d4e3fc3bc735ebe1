// This file is the one canonical form of a hostname, and patterns `*.x` over it. S-20, S-21; http.md §6.

/** Longest hostname without its trailing dot (RFC 1035 §2.3.4). */
const MAX_HOST = 253;
const MAX_LABEL = 63;
const MAX_PORT = 65_535;

const DOT = 0x2e;
const HYPHEN = 0x2d;
const COLON = 0x3a;

/** A canonical host and the port that was named beside it, if one was. */
export type Authority = { readonly host: string; readonly port: number | undefined };

/** `host` itself, or with `isWildcard` every name below it but not `host`. */
export type HostPattern = { readonly host: string; readonly isWildcard: boolean };

// Both are used within one synchronous call only; they keep the hot path free of allocations but the result.
const folded = Buffer.alloc(MAX_HOST + 1);
const ascii = new Uint8Array(MAX_HOST + 1);

/** What a byte is inside a label: 0 nothing allowed, 1 a letter, 2 a digit, 3 the hyphen. */
const LABEL_CLASS = new Uint8Array(256);
for (let byte = 0x61; byte <= 0x7a; byte++) LABEL_CLASS[byte] = LABEL_CLASS[byte - 0x20] = 1;
for (let byte = 0x30; byte <= 0x39; byte++) LABEL_CLASS[byte] = 2;
LABEL_CLASS[HYPHEN] = 3;

/**
 * Reads a Host field value or an authority: a hostname with an optional port.
 *
 * @param bytes The whole value, without surrounding blanks.
 * @returns The host lower-cased, without its one trailing dot, and the port (1 to 65535, no leading zero);
 *   undefined for everything else: IP literals, empty labels, `_`, `%`, userinfo, an empty port, non-ASCII.
 * @see S-20, http.md §6
 */
export function canonicalHost(bytes: Uint8Array): Authority | undefined {
  // A port is at most six bytes from the end: nothing before that can be its colon.
  let end = bytes.length;
  let port: number | undefined;
  const colon = bytes.lastIndexOf(COLON);
  if (colon !== -1) {
    port = readPort(bytes, colon + 1);
    if (port === undefined) return undefined;
    end = colon;
  }
  const host = foldHost(bytes, end);
  return host === undefined ? undefined : { host, port };
}

/**
 * Brings a hostname given as text (configuration, SNI, a join line) into canonical form; a port is refused.
 *
 * @returns The canonical name, undefined if it is none by S-20.
 */
export function canonicalName(text: string): string | undefined {
  if (text.length > ascii.length) return undefined;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit > 0x7f) return undefined;
    ascii[index] = unit;
  }
  return foldHost(ascii, text.length);
}

/**
 * Reads an exact name or `*.x`.
 *
 * @returns undefined unless the part without `*.` is a hostname by S-20.
 */
export function parsePattern(text: string): HostPattern | undefined {
  const isWildcard = text.startsWith("*.");
  const host = canonicalName(isWildcard ? text.slice(2) : text);
  return host === undefined ? undefined : { host, isWildcard };
}

/** The inverse of `parsePattern`, in canonical spelling. */
export function formatPattern(pattern: HostPattern): string {
  return pattern.isWildcard ? `*.${pattern.host}` : pattern.host;
}

/** `x` for `*.x`, every other name as it is. */
export function withoutWildcard(name: string): string {
  return name.startsWith("*.") ? name.slice(2) : name;
}

/** True when canonical `host` lies below canonical `parent`, at any depth; a name is not below itself. */
export function isBelow(host: string, parent: string): boolean {
  const dot = host.length - parent.length - 1;
  return dot > 0 && host.charCodeAt(dot) === DOT && host.endsWith(parent);
}

/** Match at any depth: grants and ingress rules (product.md §6 item 2). */
export function matchesPattern(pattern: HostPattern, host: string): boolean {
  return pattern.isWildcard ? isBelow(host, pattern.host) : host === pattern.host;
}

/** Match as a certificate and the routing table do: `*.x` covers exactly one label (S-21). */
export function matchesOneLabel(pattern: HostPattern, host: string): boolean {
  if (!pattern.isWildcard) return host === pattern.host;
  return isBelow(host, pattern.host) && host.indexOf(".") === host.length - pattern.host.length - 1;
}

/** Folds `bytes[0, end)`; one pass that also finds what S-20 forbids. */
function foldHost(bytes: Uint8Array, end: number): string | undefined {
  let length = end;
  if (length > 0 && bytes[length - 1] === DOT) length -= 1;
  if (length === 0 || length > MAX_HOST) return undefined;

  let labelStart = 0;
  for (let index = 0; index < length; index++) {
    const byte = bytes[index] as number;
    if (byte === DOT) {
      if (!isLabel(bytes, labelStart, index)) return undefined;
      labelStart = index + 1;
      folded[index] = DOT;
      continue;
    }
    const kind = LABEL_CLASS[byte];
    if (kind === 0) return undefined;
    // Letters differ from their lower case by this one bit, digits and hyphen have it already.
    folded[index] = byte | 0x20;
  }
  if (!isLabel(bytes, labelStart, length) || isNumber(labelStart, length)) return undefined;
  return folded.toString("latin1", 0, length);
}

function isLabel(bytes: Uint8Array, start: number, end: number): boolean {
  const length = end - start;
  if (length < 1 || length > MAX_LABEL) return false;
  return bytes[start] !== HYPHEN && bytes[end - 1] !== HYPHEN;
}

/**
 * A last label of digits, or `0x` and hexadecimal digits, makes the whole an IPv4 address for resolvers
 * (`127.1`, `0x7f000001`; the "ends in a number" rule of the URL standard): such a name is an IP literal.
 */
function isNumber(start: number, end: number): boolean {
  const isHex = end - start >= 2 && folded[start] === 0x30 && folded[start + 1] === 0x78;
  for (let index = isHex ? start + 2 : start; index < end; index++) {
    const byte = folded[index] as number;
    const isDigit = LABEL_CLASS[byte] === 2;
    if (!isDigit && !(isHex && byte >= 0x61 && byte <= 0x66)) return false;
  }
  return true;
}

function readPort(bytes: Uint8Array, start: number): number | undefined {
  const digits = bytes.length - start;
  if (digits < 1 || digits > 5 || bytes[start] === 0x30) return undefined;
  let port = 0;
  for (let index = start; index < bytes.length; index++) {
    const byte = bytes[index] as number;
    if (LABEL_CLASS[byte] !== 2) return undefined;
    port = port * 10 + byte - 0x30;
  }
  return port <= MAX_PORT ? port : undefined;
}
