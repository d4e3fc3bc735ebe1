// This file is what a connector tells whoever runs it; the command line turns it into lines.
import type { TunlError } from "../errors.ts";
import type { FailureCode } from "../exchange/index.ts";

/** One finished request, as the person at the terminal sees it. */
export interface RequestLine {
  readonly method: string;
  /** Without its query. */
  readonly path: string;
  readonly host: string;
  /** 0 when no head was ever seen. */
  readonly status: number;
  readonly ms: number;
  /** Body bytes of the request, and of the response. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Address of the visitor. */
  readonly visitor: string;
  /** 32 hex digits, the same at both ends. */
  readonly requestId: string;
  /** In full form; undefined where no rule led to one. */
  readonly service: string | undefined;
  /** Number of the rule that matched, from 1. */
  readonly rule: number | undefined;
  /** The answer of ours that stands for the service's, http.md §13. */
  readonly code: FailureCode | undefined;
}

/** What went wrong at the origin, for the person who runs it: their visitors see no more than a code. */
export interface OriginTrouble {
  /** http.md §13; `ORIGIN_HOST_CHECK` is a hint, the visitor got the service's own answer. */
  readonly code: FailureCode | "ORIGIN_HOST_CHECK";
  readonly text: string;
  readonly hint: string | undefined;
  readonly host: string;
  /** In full form; undefined where no rule led to one. */
  readonly service: string | undefined;
  readonly requestId: string;
}

export interface ConnectorEvents {
  edge(host: string, fingerprint: string): void;
  joined(tunnel: string, savedPath: string): void;
  connected(links: number, rttMs: number): void;
  /** A rule serves a name. @param expression Of paths, where the rule has one. */
  route(url: string, service: string, expression: string | undefined): void;
  /** A certificate for a name is there, or is not to be had now. */
  certificate(host: string, state: "ready" | "failed", ms: number, text: string): void;
  notice(text: string): void;
  /** @param tunnel Name of the tunnel that this process serves. */
  request(line: RequestLine, tunnel: string | undefined): void;
  /** A request got an answer of ours instead of the origin's; the same trouble is told once in ten seconds. */
  originTrouble(trouble: OriginTrouble): void;
  linkLost(text: string): void;
  retry(text: string, inMs: number, attempt: number): void;
  /** Refused, but this process goes on trying in the slow phase. */
  failed(error: TunlError): void;
}
