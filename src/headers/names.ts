// This file is the table of the field names that tunl treats specially, and what each of them is. http.md §7; S-04, S-30, S-32.
import { ALIAS, CLASS, equalsFolded, LOWER, ODD } from "./grammar.ts";

/** Says where a message ends; made by the writer, never copied (S-05). */
export const FRAMING = 1;
/** Belongs to one connection: removed at every hop (RFC 9110 §7.6.1). */
export const HOP_BY_HOP = 2;
/** Taken out of the list on arrival, because it travels elsewhere in the head or not at all (http.md §7 step 1). */
export const TAKEN = 4;
/** `Connection` may not name it (S-32). */
export const END_TO_END = 8;
/** Never in a trailer section: framing, routing, credentials, or what changes how the body is read (RFC 9110 §6.5.1). */
export const NOT_A_TRAILER = 16;

const HOP = HOP_BY_HOP | NOT_A_TRAILER;
const KEPT = END_TO_END | NOT_A_TRAILER;

/** Every name with a class. Its position is its `NameId` minus one. */
const TABLE = {
  host: TAKEN | KEPT,
  "content-length": FRAMING | TAKEN | KEPT,
  "transfer-encoding": FRAMING | TAKEN | HOP,
  connection: HOP,
  upgrade: HOP,
  expect: TAKEN | KEPT,
  te: HOP,
  "keep-alive": HOP,
  "proxy-connection": HOP,
  "proxy-authorization": HOP,
  "proxy-authenticate": HOP,
  "http2-settings": HOP,
  trailer: NOT_A_TRAILER,
  date: END_TO_END,
  "set-cookie": KEPT,
  cookie: KEPT,
  authorization: KEPT,
  "www-authenticate": KEPT,
  "authentication-info": KEPT,
  "alt-svc": KEPT,
  "content-type": KEPT,
  "content-encoding": KEPT,
  "content-range": KEPT,
  "cdn-loop": KEPT,
  "max-forwards": KEPT,
  via: KEPT,
  range: KEPT,
  "if-match": KEPT,
  "if-none-match": KEPT,
  "if-modified-since": KEPT,
  "if-unmodified-since": KEPT,
  "if-range": KEPT,
  accept: END_TO_END,
  "accept-encoding": END_TO_END,
  "accept-language": END_TO_END,
  "accept-ranges": END_TO_END,
  age: END_TO_END,
  allow: END_TO_END,
  "cache-control": END_TO_END,
  etag: END_TO_END,
  expires: END_TO_END,
  "last-modified": END_TO_END,
  link: END_TO_END,
  location: KEPT,
  origin: END_TO_END,
  pragma: END_TO_END,
  referer: END_TO_END,
  "retry-after": END_TO_END,
  server: END_TO_END,
  "user-agent": END_TO_END,
  vary: END_TO_END,
} as const;

export type KnownName = keyof typeof TABLE;

const NAMES = Object.keys(TABLE);
const CLASSES: readonly number[] = [0, ...Object.values(TABLE)];

/** Number of a name of the table, 1 and up; 0 is every other name. Fits the 7 bits a field entry has for it. */
export type NameId = number;

export function nameId(name: KnownName): NameId {
  return NAMES.indexOf(name) + 1;
}

/** Bit set of what the name is; 0 for a name that is not in the table. */
export function nameClass(id: NameId): number {
  return CLASSES[id]!;
}

/**
 * The 23 bits that two equal names share: length (9), first and last byte (7 each, lower case; tokens are ASCII).
 * Comparing them first makes a miss cost one comparison.
 */
export function nameKey(bytes: Uint8Array, start: number, end: number): number {
  return (end - start) | (LOWER[bytes[start]!]! << 9) | (LOWER[bytes[end - 1]!]! << 16);
}

/** `nameKey` of a lower-case ASCII string. */
export function nameKeyOf(name: string): number {
  return name.length | (name.charCodeAt(0) << 9) | (name.charCodeAt(name.length - 1) << 16);
}

// Open addressing: ids by hashed key, 256 slots for some fifty names.
const SLOTS = new Uint8Array(256);
const KEYS = new Int32Array(NAMES.length + 1);
const slotOf = (key: number): number => Math.imul(key, 0x9e3779b1) >>> 24;
for (const [index, name] of NAMES.entries()) {
  const key = nameKeyOf(name);
  KEYS[index + 1] = key;
  let slot = slotOf(key);
  while (SLOTS[slot] !== 0) slot = (slot + 1) & 255;
  SLOTS[slot] = index + 1;
}

/** The id of the name at `bytes[start..end)`, whose `nameKey` is `key`. */
export function lookUpName(bytes: Uint8Array, start: number, end: number, key: number): NameId {
  for (let slot = slotOf(key); ; slot = (slot + 1) & 255) {
    const id = SLOTS[slot]!;
    if (id === 0) return 0;
    if (KEYS[id] === key && equalsFolded(bytes, start, end, NAMES[id - 1]!)) return id;
  }
}

const LOOK_ALIKES = ["contentlength", "transferencoding"] as const;

/**
 * True when the name spells `Content-Length` or `Transfer-Encoding` once everything but letters and digits is left out
 * (`Content_Length`, `Transfer---Encoding`): somebody behind us may read it as that (S-01). The true names count, too.
 */
export function looksLikeFraming(bytes: Uint8Array, start: number, end: number): boolean {
  return squeezes(bytes, start, end, LOOK_ALIKES[0]) || squeezes(bytes, start, end, LOOK_ALIKES[1]);
}

function squeezes(bytes: Uint8Array, start: number, end: number, word: string): boolean {
  if (end - start < word.length) return false;
  let matched = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === 0x2d || (CLASS[byte]! & ODD) !== 0) continue;
    if (matched === word.length || LOWER[byte] !== word.charCodeAt(matched)) return false;
    matched++;
  }
  return matched === word.length;
}

/** Names whose values only tunl may set towards an origin; `*` at the end means any continuation (S-30). */
const RESERVED = [
  "forwarded",
  "x-forwarded",
  "x-forwarded-*",
  "x-real-ip",
  "x-client-ip",
  "true-client-ip",
  "cf-connecting-ip",
  "cf-ipcountry",
  "x-original-*",
  "x-rewrite-*",
  "x-envoy-*",
  "proxy",
  "x-tunl-*",
  "tunl-*",
] as const;

/** A set of names and prefixes, compared under alias folding: `X_Forwarded.For` is `x-forwarded-for`. */
export class ReservedNames {
  readonly #byFirst: (string[] | undefined)[] = Array.from({ length: 256 });

  /**
   * @param more Configured identity headers, any case; each is folded like the names it is compared with.
   * @param base Folded names and prefixes to start from.
   */
  constructor(more: readonly string[] = [], base: readonly string[] = RESERVED) {
    for (const name of [...base, ...more.map(foldAlias)]) {
      const first = name.charCodeAt(0);
      (this.#byFirst[first] ??= []).push(name);
    }
  }

  has(bytes: Uint8Array, start: number, end: number): boolean {
    const names = this.#byFirst[ALIAS[bytes[start]!]!];
    if (names === undefined) return false;
    for (const name of names) if (matchesAlias(bytes, start, end, name)) return true;
    return false;
  }
}

/** The reserved set without identity headers. */
export const RESERVED_NAMES = new ReservedNames();

function foldAlias(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, "-");
}

function matchesAlias(bytes: Uint8Array, start: number, end: number, name: string): boolean {
  const isPrefix = name.endsWith("*");
  const length = isPrefix ? name.length - 1 : name.length;
  if (isPrefix ? end - start < length : end - start !== length) return false;
  for (let at = 0; at < length; at++) {
    if (ALIAS[bytes[start + at]!] !== name.charCodeAt(at)) return false;
  }
  return true;
}
