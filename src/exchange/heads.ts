// This file is the shapes of the heads that travel on a stream of kind 1. PROTOCOL §12.1.
import type { HeaderBlock } from "../headers/index.ts";

/** Who made the request: the address as 4 or 16 bytes. */
export interface Visitor {
  readonly address: Uint8Array;
  readonly port: number;
  /** "http/1.1" or "h2". */
  readonly protocol: string;
}

/** How the visitor's connection to the edge was secured. */
export interface VisitorTls {
  /** "TLSv1.3", as the TLS library names it. */
  readonly version: string;
  readonly serverName: string;
}

/** A request as the edge sends it. `fields` are validated "Name: value CRLF" lines without framing, hop-by-hop and Host. */
export interface RequestHead {
  /** 16 random bytes; as 32 hex digits the request id everywhere. */
  readonly id: Uint8Array;
  readonly method: string;
  /** Canonical host, with the port where the visitor named one. ASCII. */
  readonly authority: string;
  /** Exactly the bytes received (origin-form or `*`). */
  readonly target: Uint8Array;
  readonly scheme: "https" | "http";
  readonly fields: Uint8Array;
  /** Exact body length; 0 with `hasBody` false for none; -1 unknown. */
  readonly length: number;
  readonly hasBody: boolean;
  /** Lower-case protocol token of an upgrade request; then `hasBody` is false and the direction stays open. */
  readonly upgrade: string | undefined;
  readonly acceptsTrailers: boolean;
  readonly visitor: Visitor;
  readonly tls: VisitorTls | undefined;
}

/** A final response. `fields` as in a request. */
export interface ResponseHead {
  /** 101, or 200..999. */
  readonly status: number;
  readonly reason: Uint8Array;
  readonly fields: Uint8Array;
  /** Length of the representation, -1 unknown. */
  readonly length: number;
  /** False for answers to HEAD, for 204 and 304: no body follows whatever `length` says. */
  readonly hasBody: boolean;
  /** `fields` as read by the validator, where they came over the tunnel. */
  readonly block?: HeaderBlock;
}

/** Codes of http.md §13 that a connector may answer with. */
export type FailureCode =
  | "ORIGIN_REFUSED"
  | "ORIGIN_UNREACHABLE"
  | "ORIGIN_TLS"
  | "ORIGIN_CLOSED"
  | "ORIGIN_INVALID"
  | "ORIGIN_UPGRADE"
  | "ORIGIN_CONNECT_TIMEOUT"
  | "ORIGIN_TIMEOUT"
  | "LENGTH_REQUIRED"
  | "NO_ROUTE"
  | "ROUTE_ERROR"
  | "BAD_REQUEST"
  | "BAD_PATH"
  | "INTERNAL";

/** The origin failed before its head. `sent`: may the request have reached it. `detail` goes to logs only, <= 256 bytes. */
export interface Failure {
  readonly code: FailureCode;
  readonly sent: boolean;
  readonly detail: string;
}
