// This file is what a visitor is told whose request no pipeline sees: which answer a fault becomes, and the answer's bytes. http.md §3.1, §13.
import type { FaultCode, Http1Error } from "../../http1/index.ts";
import { type LimitName, reached } from "../../limits.ts";
import type { Logger } from "../../log.ts";
import { answer, type AnswerCode, type AnswerContext, answerToFault, hex } from "../reply.ts";
import type { VisitorOutput } from "./visitor-output.ts";

/** Why a request goes no further. */
export interface Refusal {
  readonly code: AnswerCode;
  /** For the owner; the visitor sees the code's own sentence. */
  readonly detail?: string;
}

/** Faults that are a limit, not a mistake. */
const LIMIT_OF: Readonly<Partial<Record<FaultCode, LimitName>>> = {
  SECTION_TOO_LARGE: "headerBytes",
  TOO_MANY_FIELDS: "headerFields",
  TARGET_TOO_LONG: "targetBytes",
  CHUNK_EXTENSION_TOO_LARGE: "chunkExtensions",
  TRAILERS_TOO_LARGE: "trailerBytes",
  TOO_MANY_TRAILERS: "trailerFields",
};

/** What a message that breaks the grammar is refused with. */
export function refusalOf({ code, message }: Http1Error): Refusal {
  const limit = LIMIT_OF[code];
  if (limit !== undefined) reached(limit);
  return { code: answerToFault(code), detail: `${code}: ${message}` };
}

/**
 * Writes an answer that closes the connection. The owner finds the reason by the request id that the visitor was shown.
 *
 * @param isHead The request was a HEAD: the answer has no body.
 */
export function writeRefusal(
  output: VisitorOutput,
  log: Logger,
  { code, detail }: Refusal,
  context: AnswerContext,
  isHead: boolean,
): void {
  if (log.isEnabled("debug")) {
    const text = `Refused a request${detail === undefined ? "" : `, ${detail}`}`;
    log.debug("visitor", text, { code, requestId: hex(context.requestId) });
  }
  const { status, reason, fields, body } = answer(code, context);
  const framing = { kind: "length", length: body.length } as const;
  const line = { status, reason };
  output.writeOverhead(output.writer.head({ line, fields, framing, connection: "close" }));
  if (!isHead) for (const part of output.writer.body(body)) output.writeOverhead(part);
}
