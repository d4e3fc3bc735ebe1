// This file is the readers of values: the text of a flag, a variable or a key becomes a value, or says what was expected.
import { homedir } from "node:os";
import { resolve } from "node:path";
import { canonicalName, formatIp, formatPattern, parseIp, parsePattern } from "../address/index.ts";
import type { Option } from "./option.ts";
import { parseDuration, parseRate, parseSize } from "./units.ts";

/** Where to listen, or whom to dial. */
export interface Address {
  /** Hostname in canonical form or IP literal without brackets; undefined = every address, IPv6 and IPv4. */
  readonly host: string | undefined;
  /** 0 lets the system choose, for listening only. */
  readonly port: number;
}

/** A value after reading: durations in ms, sizes in bytes, rates per second, `off` as the word. */
export type Value = string | number | boolean | Address;

/** What a reader answers: the value, or the form that was expected and maybe what to write instead. */
export type Reading =
  { readonly value: Value } | { readonly expected: string; readonly hint?: string };

/** What the reading of a path depends on. */
export interface PathBase {
  /** Directory of the file that holds the path, or where the command was typed. */
  readonly directory: string;
  /** What `~` means. */
  readonly home?: string;
}

const MAX_TEXT = 1_024;
const MAX_PORT = 65_535;
const DEFAULT_EDGE_PORT = 443;
const DNS_PORT = 53;
const BOOLEANS: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  on: true,
  false: false,
  no: false,
  off: false,
};
const OFF = new Set(["off", "no", "false"]);
// C0, DEL and C1: none has a place in a value, and a terminal would act on them.
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/**
 * Reads one value of an option.
 *
 * @param text As typed, or the source text of a YAML scalar.
 * @param base For paths only.
 */
export function readValue(option: Option, text: string, base: PathBase): Reading {
  if (option.canBeOff && OFF.has(text)) return { value: "off" };
  if (option.canBeInput && text === "-") return { value: "-" };
  if (option.canBeAuto && text === "auto") return { value: "auto" };
  if (text === "") return { expected: expectedForm(option) };
  const value = read(option, text, base);
  if (value !== undefined && typeof value === "object" && "expected" in value) return value;
  if (value === undefined) return { expected: expectedForm(option) };
  if (
    typeof value === "number" &&
    (value < (option.min ?? value) || value > (option.max ?? value))
  ) {
    return { expected: `${boundsOf(option)}` };
  }
  return { value };
}

function read(
  option: Option,
  text: string,
  base: PathBase,
): Value | { expected: string; hint?: string } | undefined {
  switch (option.kind) {
    case "json":
      return text;
    case "text":
      return text.length <= MAX_TEXT && !CONTROL.test(text) ? text : undefined;
    case "hostname":
      return canonicalName(text) ?? nameInside(text);
    case "pattern":
      return canonicalPattern(text);
    case "label":
      return isLabel(text) ? text.toLowerCase() : labelInside(text);
    case "reserved":
      return isReserved(text) ? text.toLowerCase() : undefined;
    case "path":
      return CONTROL.test(text) ? undefined : resolvePath(text, base);
    case "listen":
      return readListen(text);
    case "peer":
      return readPeer(text) ?? nameInside(text);
    case "ip":
      return readIp(text);
    case "server":
      return readServer(text);
    case "socket":
      return readSocket(text, base);
    case "duration":
      return parseDuration(text);
    case "size":
      return parseSize(text);
    case "rate":
      return parseRate(text);
    case "integer":
      return /^(?:0|[1-9]\d{0,14})$/.test(text) ? Number(text) : undefined;
    case "choice":
      return option.choices?.includes(text) ? text : undefined;
    case "boolean":
      return Object.hasOwn(BOOLEANS, text) ? BOOLEANS[text] : undefined;
    case "ca":
      return readCa(text);
    case "pairs":
    case "grants":
      return undefined;
    default:
      option.kind satisfies never;
      return undefined;
  }
}

/** Expands `~` and makes a path absolute. */
export function resolvePath(text: string, { directory, home = homedir() }: PathBase): string {
  if (text === "~") return home;
  return resolve(directory, text.startsWith("~/") ? `${home}/${text.slice(2)}` : text);
}

/** Writes an address as it was typed: `:443`, `[::1]:8443`. */
export function formatAddress({ host, port }: Address): string {
  return `${host?.includes(":") ? `[${host}]` : (host ?? "")}:${port}`;
}

/** Splits HOST:PORT, :PORT and [IPv6]:PORT; neither part is judged. */
export function splitHostPort(
  text: string,
): { host: string; port: number | undefined } | undefined {
  const match = /^(?:\[([^\[\]]*)\]|([^\[\]:]*))(?::(\d{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const port = match[3] === undefined ? undefined : Number(match[3]);
  if (port !== undefined && port > MAX_PORT) return undefined;
  // Brackets are for IPv6 alone, and IPv6 is for brackets alone: otherwise the last group could be the port.
  if (match[1] !== undefined && parseIp(match[1])?.length !== 16) return undefined;
  return { host: match[1] ?? (match[2] as string), port };
}

/** A hostname in canonical form or an IP address; undefined for anything else. */
export function canonicalHostOrIp(text: string): string | undefined {
  return parseIp(text) === undefined ? canonicalName(text) : text;
}

function readListen(text: string): Address | { expected: string; hint: string } | undefined {
  if (/^\d{1,5}$/.test(text) && Number(text) <= MAX_PORT)
    return { expected: "an address such as :443", hint: `Write :${text}` };
  const split = splitHostPort(text);
  if (split?.port === undefined) return undefined;
  if (split.host === "") return { host: undefined, port: split.port };
  const host = canonicalHostOrIp(split.host);
  return host === undefined ? undefined : { host, port: split.port };
}

function readPeer(text: string): Address | undefined {
  const split = splitHostPort(text);
  const host = split === undefined ? undefined : canonicalHostOrIp(split.host);
  if (split === undefined || host === undefined || split.port === 0) return undefined;
  return { host, port: split.port ?? DEFAULT_EDGE_PORT };
}

function readIp(text: string): string | undefined {
  const bytes = parseIp(text);
  return bytes === undefined ? undefined : formatIp(bytes);
}

function readServer(text: string): Address | undefined {
  const alone = readIp(text);
  if (alone !== undefined) return { host: alone, port: DNS_PORT };
  const split = splitHostPort(text);
  const host = split === undefined ? undefined : readIp(split.host);
  if (split === undefined || host === undefined || split.port === 0) return undefined;
  return { host, port: split.port ?? DNS_PORT };
}

function readSocket(
  text: string,
  base: PathBase,
): string | { expected: string; hint: string } | undefined {
  if (text.startsWith("/")) return { expected: "unix:PATH", hint: `Write unix:${text}` };
  if (!text.startsWith("unix:") || text.length === 5 || CONTROL.test(text)) return undefined;
  return resolvePath(text.slice(5), base);
}

/** CAs that need no URL. */
export const KNOWN_CAS = ["letsencrypt", "letsencrypt-staging", "zerossl"] as const;

function readCa(text: string): string | undefined {
  if (KNOWN_CAS.some((name) => name === text)) return text;
  if (CONTROL.test(text) || !URL.canParse(text)) return undefined;
  const { protocol, username, password, hash, href } = new URL(text);
  // Credentials would end up in a log; a fragment is never sent.
  const isPlain = username === "" && password === "" && hash === "";
  return protocol === "https:" && isPlain ? href : undefined;
}

/** A URL where a name belongs is mostly one copied from a browser. */
function nameInside(text: string): { expected: string; hint: string } | undefined {
  const host = /^https?:\/\/([^/:?#]+)(?::\d+)?(?:[/?#].*)?$/i.exec(text)?.[1];
  const name = host === undefined ? undefined : canonicalName(host);
  return name === undefined ? undefined : { expected: "a hostname alone", hint: `Write ${name}` };
}

/** A whole name where its first label belongs. */
function labelInside(text: string): { expected: string; hint: string } | undefined {
  const label = text.split(".")[0] as string;
  if (canonicalName(text) === undefined || !isLabel(label)) return undefined;
  return { expected: "one label", hint: `Write ${label}, or give the whole name with --host` };
}

function canonicalPattern(text: string): string | undefined {
  const pattern = parsePattern(text);
  return pattern === undefined ? undefined : formatPattern(pattern);
}

function isLabel(text: string): boolean {
  return /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i.test(text);
}

/** `www`, or `_*` for every label that begins so: reserved names may be such that no visitor could ever ask for them. */
function isReserved(text: string): boolean {
  return /^[a-z0-9_-]{1,63}\*?$/i.test(text);
}

/** The form of a value in words, as it stands after "expected". */
export function expectedForm(option: Option): string {
  return `${form(option)}${option.canBeOff ? " or off" : ""}${option.canBeAuto ? " or auto" : ""}`;
}

function form(option: Option): string {
  switch (option.kind) {
    case "text":
      return "a text of up to 1024 characters without control characters";
    case "hostname":
      return "a hostname such as app.example.com";
    case "pattern":
      return "a hostname such as app.example.com or *.dev.example.com";
    case "label":
      return "one label of a hostname such as my-app";
    case "reserved":
      return 'labels such as www or "_*"';
    case "path":
      return "a path";
    case "listen":
      return "an address such as :443, 127.0.0.1:8443 or [::1]:8443";
    case "peer":
      return "HOST or HOST:PORT such as example.com:8443";
    case "ip":
      return "an IP address such as 203.0.113.7";
    case "server":
      return "an address such as 192.0.2.53 or [2001:db8::53]:5353";
    case "socket":
      return "unix:PATH";
    case "duration":
      return "a duration with a unit such as 30s";
    case "size":
      return "a size such as 64KiB";
    case "rate":
      return "a rate such as 20/s";
    case "integer":
      return "a whole number";
    case "choice":
      return listWords(option.choices ?? []);
    case "boolean":
      return "true or false";
    case "ca":
      return `${KNOWN_CAS.join(", ")} or the https URL of a directory`;
    case "json":
      return "a JSON document";
    case "pairs":
      return "a list such as [{cert: chain.pem, key: key.pem}]";
    case "grants":
      return "a list such as [{tunnel: my-tunnel, hosts: [app.example.com]}]";
    default:
      option.kind satisfies never;
      return "";
  }
}

function boundsOf({ kind, min, max }: Option): string {
  const show = (value: number) =>
    kind === "duration" ? showDuration(value) : kind === "rate" ? `${value}/s` : `${value}`;
  return `${show(min ?? 0)} to ${show(max ?? Number.MAX_SAFE_INTEGER)}${kind === "size" ? " bytes" : ""}`;
}

/** Exactly and in the user's own units: these go back into a file. */
function showDuration(ms: number): string {
  for (const [unit, size] of [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["m", 60_000],
    ["s", 1_000],
  ] as const) {
    if (ms > 0 && ms % size === 0) return `${ms / size}${unit}`;
  }
  return ms === 0 ? "0" : `${ms}ms`;
}

/** `a`, `a or b`, `a, b or c`. */
export function listWords(words: readonly string[]): string {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}
