// This file is the access log of the edge: one line for each request that its pipeline took, whoever answered it. product.md §8.
import { latin1 } from "../bytes.ts";
import type { Logger } from "../log.ts";
import { type AnswerCode, ANSWERS } from "./answers.ts";
import { hex } from "./reply.ts";
import type { CanonicalRequest } from "./request.ts";

/** What became of a request. */
export interface Outcome {
  /** 0: the visitor left before a head. */
  readonly status: number;
  /** The answer of ours, where it was not the service's. */
  readonly code: AnswerCode | undefined;
  readonly ms: number;
  /** Body bytes of the request, and of the response. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly tunnel: string | undefined;
}

/** Writes the line of a request that is over. */
export function logRequest(log: Logger, request: CanonicalRequest, outcome: Outcome): void {
  const { status, ms, bytesIn, bytesOut, code, tunnel } = outcome;
  log.info("request", "", {
    host: request.host,
    method: request.method,
    path: pathOf(request.target),
    status,
    ms: Math.round(ms),
    bytesIn,
    bytesOut,
    visitor: request.visitor.address,
    requestId: hex(request.id),
    code,
    tunnel,
  });
}

/** Writes the line of a request that no tunnel saw. */
export function logAnswered(
  log: Logger,
  request: CanonicalRequest,
  code: AnswerCode,
  bytesOut: number,
): void {
  const { status } = ANSWERS[code];
  logRequest(log, request, { status, code, ms: 0, bytesIn: 0, bytesOut, tunnel: undefined });
}

/** The path without its query: queries carry secrets and are never logged (product.md §8). */
function pathOf(target: Uint8Array): string {
  const text = latin1(target, 0, target.length);
  const query = text.indexOf("?");
  return query < 0 ? text : text.slice(0, query);
}
