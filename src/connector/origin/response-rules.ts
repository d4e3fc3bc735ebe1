// This file is the head of an origin's response judged: may it go on, is its 101 a right one, may its connection be used again (http.md §9, §11; S-09, S-50).
import { keepResponseFields, MESSAGE_FIELDS_MAX, type RequestHead } from "../../exchange/index.ts";
import { LineBuffer, parseLines } from "../../headers/index.ts";
import { acceptsWebSocket, type ResponseHead } from "../../http1/index.ts";
import { authenticatesConnection, challengesConnection } from "./connection-login.ts";
import { reasonOf } from "./failures.ts";
import type { HostRewrite } from "./host-header.ts";

/** Longest reason phrase that is passed on, bytes. Real ones have 30; a message carries 1,024 (http.md §5.1). */
export const MAX_REASON = 512;

/** Where response fields are put together; empty between two heads. */
const lines = new LineBuffer();

/**
 * Fields without what belongs to the connection, the local authority mapped back.
 *
 * @returns Validated lines, or why no message could carry this head.
 */
export function endToEnd(
  rewrite: HostRewrite,
  request: RequestHead,
  { reason, fields: received }: ResponseHead,
): Uint8Array | string {
  if (reason.length > MAX_REASON) {
    return `the reason phrase has ${reason.length} bytes, allowed ${MAX_REASON}`;
  }
  lines.clear();
  try {
    keepResponseFields(received, lines);
  } catch (error) {
    return reasonOf(error);
  }
  const fields = rewrite.responseFields(request, lines.take());
  if (fields.length <= MESSAGE_FIELDS_MAX) return fields;
  return `the header has ${fields.length} bytes, allowed ${MESSAGE_FIELDS_MAX}`;
}

/** True when a 101 has the right answer to the key of a WebSocket request. */
export function hasAccepted({ fields }: RequestHead, response: ResponseHead): boolean {
  const block = parseLines(fields, { bytes: fields.length, fields: 1_024 });
  if (typeof block === "string") return false;
  const index = block.find("sec-websocket-key");
  return index >= 0 && acceptsWebSocket(response.fields, block.text(index));
}

/** True when nothing in the two heads forbids another request on this connection; how the exchange ends does not count here. */
export function leavesConnection(request: RequestHead, response: ResponseHead): boolean {
  return (
    response.persistent &&
    request.upgrade === undefined &&
    !challengesConnection(response.fields) &&
    !authenticatesConnection(request.fields)
  );
}
