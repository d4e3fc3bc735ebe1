// This file is every bound of an HTTP/1.1 message. http.md §3.1, §14.

export interface Http1Limits {
  /** Start line and fields with the blank line, in bytes. */
  readonly headerBytes: number;
  /** Request target, in bytes. */
  readonly targetBytes: number;
  readonly headerFields: number;
}

/** Requests of visitors (`limits.headerBytes`, `limits.targetBytes`, `limits.headerFields`). */
export const REQUEST_LIMITS: Http1Limits = {
  headerBytes: 32 * 1024,
  targetBytes: 8 * 1024,
  headerFields: 128,
};

/** Responses of origins: what a head message carries. */
export const RESPONSE_LIMITS: Http1Limits = {
  headerBytes: 40 * 1024,
  targetBytes: 0,
  headerFields: 256,
};

export const MAX_METHOD_BYTES = 64;
export const MAX_LENGTH_DIGITS = 15;
export const MAX_CHUNK_DIGITS = 15;
/** One chunk extension with its semicolon. */
export const MAX_EXTENSION_BYTES = 256;
/** All chunk extensions of a message. */
export const MAX_EXTENSIONS_BYTES = 4 * 1024;
/** Responses before the final one, 100 included. */
export const MAX_INTERIM = 16;
