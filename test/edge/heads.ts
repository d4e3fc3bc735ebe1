// This file is heads as text, and what becomes of them: the canonical request or the refusal.
import {
  type CanonicalRequest,
  CanonicalRequests,
  type Refusal,
  type VisitorPeer,
} from "../../src/edge/request.ts";
import { REQUEST_LIMITS, requestReader } from "../../src/http1/index.ts";
import { PEER } from "./listen/rig.ts";

/** What the edge makes of a whole head, one character per byte. @throws Http1Error when the head itself is refused. */
export function build(
  text: string,
  peer: VisitorPeer = PEER,
  requests = new CanonicalRequests(peer),
): CanonicalRequest | Refusal {
  const reader = requestReader(REQUEST_LIMITS);
  reader.feed(Buffer.from(text, "latin1"));
  if (reader.next() !== "head") throw new Error(`No head: ${text}`);
  return requests.build(reader.head);
}

/** The same; a refusal is an error. */
export function request(text: string, peer?: VisitorPeer): CanonicalRequest {
  const built = build(text, peer);
  if ("code" in built) throw new Error(`Refused with ${built.code}`);
  return built;
}

export function head(...lines: string[]): string {
  return `${lines.join("\r\n")}\r\n\r\n`;
}

export const simple = (...fields: string[]): string =>
  head("GET / HTTP/1.1", "Host: app.example.com", ...fields);

export const codeOf = (built: CanonicalRequest | Refusal): string | undefined =>
  "code" in built ? built.code : undefined;

/** The field lines that go on. */
export const linesOf = (built: CanonicalRequest): string[] =>
  Buffer.from(built.fields).toString("latin1").split("\r\n").slice(0, -1);

/** Values of the fields of one name among those that go on, any case. */
export const valuesOf = (built: CanonicalRequest, name: string): string[] =>
  linesOf(built)
    .filter((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`))
    .map((line) => line.slice(name.length + 1).trim());
