// This file is port 80: plaintext visitors are sent to https, and nothing is served there. http.md §1 "Port 80"; S-18.
import { answer, contextOf } from "../reply.ts";
import type { CanonicalRequest } from "../request.ts";
import type { Reply, Serve } from "../visit.ts";

export interface PlainOptions {
  /** True when the canonical host is served over https here. */
  isServed(host: string): boolean;
  /** Port visitors use for https; part of the redirect unless it is 443. */
  readonly httpsPort: number;
}

const HTTPS_PORT = 443;
const SLASH = 0x2f;
const REASON = new TextEncoder().encode("Permanent Redirect");

/**
 * The `serve` of port 80: 308 to the same target over https for a served host, 404 for every other.
 *
 * To be given to `Visitors` like any other `serve`, so the reader, the limits and the timers are those of port 443.
 * A body is not read: whoever follows the redirect sends it there.
 */
export function redirectToHttps(options: PlainOptions): Serve {
  return (visit) => {
    const { request, reply } = visit;
    // "*" names the server, not a resource: there is nowhere to send it.
    if (request.target[0] === SLASH && options.isServed(request.host)) {
      const fields = redirectFields(request, options.httpsPort);
      reply.head({ status: 308, reason: REASON, fields, length: 0, hasBody: true });
      reply.end(undefined);
    } else {
      replyNoRoute(request, reply);
    }
  };
}

/** Not cached: a host that leaves tunl, or a port that changes, must not stay in browsers for ever. */
function redirectFields(request: CanonicalRequest, port: number): Uint8Array {
  const origin = `https://${request.host}${port === HTTPS_PORT ? "" : `:${port}`}`;
  const date = new Date().toUTCString();
  return Buffer.concat([
    Buffer.from(`Date: ${date}\r\nCache-Control: no-store\r\nLocation: ${origin}`, "latin1"),
    request.target,
    Buffer.from("\r\n", "latin1"),
  ]);
}

function replyNoRoute(request: CanonicalRequest, reply: Reply): void {
  const { body, ...head } = answer("NO_ROUTE", contextOf(request));
  reply.head({ ...head, length: body.length, hasBody: true });
  reply.body(body);
  reply.end(undefined);
}
