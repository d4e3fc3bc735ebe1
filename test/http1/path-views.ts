// This file is how others read a path: what an application behind a proxy is told. S-37.
import { posix } from "node:path";

/** What a reader makes of a path; undefined: it refuses the request. */
export type View = (path: string) => string | undefined;

const decodeBytes = (path: string): Buffer =>
  Buffer.from(
    path.replaceAll(/%([0-9a-f]{2})/gi, (_, digits: string) =>
      String.fromCharCode(Number.parseInt(digits, 16)),
    ),
    "latin1",
  );

/** UTF-8 as careless decoders read it: a spelling of two or three bytes is that character, needlessly long or not. */
const overlong = (bytes: Buffer): string =>
  bytes
    .toString("latin1")
    .replaceAll(/[\xc0-\xdf][\x80-\xbf]/g, (pair) =>
      String.fromCharCode(((pair.charCodeAt(0) & 31) << 6) | (pair.charCodeAt(1) & 63)),
    )
    .replaceAll(/[\xe0-\xef][\x80-\xbf]{2}/g, (three) =>
      String.fromCharCode(
        ((three.charCodeAt(0) & 15) << 12) |
          ((three.charCodeAt(1) & 63) << 6) |
          (three.charCodeAt(2) & 63),
      ),
    );

/** The path as rules see it: decoded once. */
export const decodedOnce: View = (path) => decodeBytes(path).toString("utf8");

export const VIEWS: Readonly<Record<string, View>> = {
  /** Splits into segments first and decodes each: a slash inside one is none between two. */
  segments: (path) =>
    path
      .split("/")
      .map((segment) => decodeBytes(segment).toString("utf8").replaceAll("/", "\u2215"))
      .join("/"),
  /** Decodes, then resolves dots and merges slashes; broken UTF-8 is an error. */
  node: (path) => {
    try {
      return posix.normalize(decodeURIComponent(path));
    } catch {
      return undefined;
    }
  },
  /** The URL standard resolves dots, encoded ones too, before anything is decoded. */
  url: (path) => {
    const { pathname } = new URL(`http://a${path}`);
    return decodeBytes(pathname).toString("utf8");
  },
  /** Merges slashes and resolves dots after decoding; a NUL is refused. */
  nginx: (path) => {
    const decoded = decodeBytes(path).toString("utf8").replaceAll(/\/+/g, "/");
    return decoded.includes("\0") ? undefined : posix.normalize(decoded);
  },
  /** Ends the path at a NUL, as C does. */
  php: (path) => decodeBytes(path).toString("utf8").split("\0")[0],
  /** Takes `;parameters` off each segment, then decodes and resolves. */
  java: (path) => {
    const bare = path
      .split("/")
      .map((segment) => segment.replace(/(;|%3b).*/i, ""))
      .join("/");
    return posix.normalize(decodeBytes(bare).toString("utf8"));
  },
  /** Decodes twice, takes a backslash and every spelling of a slash for one, then resolves. */
  iis: (path) => {
    const twice = decodeBytes(overlong(decodeBytes(path)).replaceAll(/[^\0-\xff]/g, "?"));
    const once = overlong(decodeBytes(path));
    return posix.normalize((path.includes("%25") ? overlong(twice) : once).replaceAll("\\", "/"));
  },
};
