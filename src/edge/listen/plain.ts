// This file is port 80: a CA gets its proof, plaintext visitors are sent to https, and nothing else is served there. http.md §1 "Port 80"; S-18.
import { answer, contextOf } from "../reply.ts";
import type { CanonicalRequest } from "../request.ts";
import type { Reply, Serve } from "../visit.ts";

export interface PlainOptions {
  /** True when the canonical host is served over https here. */
  isServed(host: string): boolean;
  /** Port visitors use for https; part of the redirect unless it is 443. */
  readonly httpsPort: number;
  /** What a CA finds at `/.well-known/acme-challenge/TOKEN` while an order is under way. */
  challengeAnswer?(token: string): string | undefined;
}

const HTTPS_PORT = 443;
const SLASH = 0x2f;
const OK = new TextEncoder().encode("OK");
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
    const proof = proofFor(request, options);
    if (proof !== undefined) return replyProof(proof, reply);
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

const CHALLENGE_PATH = "/.well-known/acme-challenge/";
/** Tokens are base64url (RFC 8555 §8.3). */
const TOKEN = /^[A-Za-z0-9_-]{1,256}$/;

/** Before the redirect: a CA follows one, but on its other side the name may have no certificate yet. */
function proofFor(
  { method, target }: CanonicalRequest,
  { challengeAnswer }: PlainOptions,
): string | undefined {
  if (method !== "GET" || challengeAnswer === undefined) return undefined;
  const path = Buffer.from(target).toString("latin1");
  const token = path.startsWith(CHALLENGE_PATH) ? path.slice(CHALLENGE_PATH.length) : "";
  return TOKEN.test(token) ? challengeAnswer(token) : undefined;
}

function replyProof(proof: string, reply: Reply): void {
  const body = Buffer.from(proof, "latin1");
  const date = new Date().toUTCString();
  const fields = Buffer.from(
    `Date: ${date}\r\nCache-Control: no-store\r\nContent-Type: application/octet-stream\r\n`,
    "latin1",
  );
  reply.head({ status: 200, reason: OK, fields, length: body.length, hasBody: true });
  reply.body(body);
  reply.end(undefined);
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
