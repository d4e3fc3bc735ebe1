// This file is how an answer of the table in `answers.ts` looks to a visitor: HTML, JSON or text, and its fields. http.md §13, S-70.
import { type FaultCode, FAULTS } from "../http1/index.ts";
import { type AnswerCode, type AnswerRow, ANSWERS, REASONS } from "./answers.ts";
import { PAGE_POLICY, renderPage } from "./reply-page.ts";
import type { CanonicalRequest } from "./request.ts";

export { type AnswerCode, ANSWERS } from "./answers.ts";

/** What an answer needs to know of the request; all of it optional but the id. */
export interface AnswerContext {
  /** Hostname for the page; any text, it is escaped and cut to 253 characters. */
  readonly host?: string | undefined;
  /** Value of `Accept`, "" when absent. */
  readonly accept?: string | undefined;
  /** Value of `Sec-Fetch-Mode`, "" when absent. */
  readonly fetchMode?: string | undefined;
  /** 16 bytes. */
  readonly requestId: Uint8Array;
  /** Seconds; the default of the code where undefined. */
  readonly retryAfter?: number | undefined;
}

/** A complete answer. `fields` are lines without framing; for HEAD send the head alone, with the length of `body`. */
export interface Answer {
  readonly status: number;
  readonly reason: Uint8Array;
  readonly fields: Uint8Array;
  readonly body: Uint8Array;
}

/** Longest hostname shown (S-20). */
const SHOWN_HOST_MAX = 253;
/** Identifies who answered in Proxy-Status; says nothing about product or machine. */
const PROXY_NAME = "edge";
const TEXT_POLICY = "default-src 'none'";

const encoder = new TextEncoder();

/**
 * Renders the answer for one code in the form the visitor asked for.
 *
 * @param context Everything taken from the request; only `host` appears in the answer.
 * @see http.md §13; RFC 9209 for Proxy-Status.
 */
export function answer(code: AnswerCode, context: AnswerContext): Answer {
  const { status, proxyStatus, title, advice, retryAfter: usual }: AnswerRow = ANSWERS[code];
  const requestId = hex(context.requestId);
  const host = shownHost(context.host);
  const form = chooseForm(context.accept ?? "", context.fetchMode ?? "");
  const seconds = context.retryAfter ?? usual;
  const retryAfter = seconds === undefined ? undefined : Math.max(0, Math.ceil(seconds));
  let lines =
    `Content-Type: ${CONTENT_TYPES[form]}\r\n` +
    `Date: ${new Date().toUTCString()}\r\n` +
    `Cache-Control: no-store\r\n` +
    `X-Content-Type-Options: nosniff\r\n` +
    `Content-Security-Policy: ${form === "html" ? PAGE_POLICY : TEXT_POLICY}\r\n` +
    `Proxy-Status: ${PROXY_NAME}; error=${proxyStatus}\r\n` +
    `Tunl-Error: ${code}\r\n` +
    `X-Tunl-Request-Id: ${requestId}\r\n`;
  if (retryAfter !== undefined) lines += `Retry-After: ${retryAfter}\r\n`;
  if (code === "METHOD_REFUSED") lines += "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n";
  let body: string;
  if (form === "html") body = renderPage({ status, title, advice, host, code, requestId });
  else if (form === "json")
    body = `${JSON.stringify({ error: code, message: advice, status, host, requestId, retryAfter })}\n`;
  else body = `${status} ${title}: ${advice} (${code}, request ${requestId})\n`;
  return {
    status,
    reason: encoder.encode(REASONS[status] ?? "Error"),
    fields: encoder.encode(lines),
    body: encoder.encode(body),
  };
}

/** What an answer to this request needs to know. @param retryAfter Seconds */
export function contextOf(request: CanonicalRequest, retryAfter?: number): AnswerContext {
  const { id: requestId, host, accept, fetchMode } = request;
  return { requestId, host, accept, fetchMode, retryAfter };
}

const BY_FAULT: Partial<Record<FaultCode, AnswerCode>> = {
  MISSING_HOST: "BAD_HOST",
  REPEATED_HOST: "BAD_HOST",
  HOST_MISMATCH: "BAD_HOST",
  BAD_TARGET: "BAD_PATH",
};

const BY_STATUS = {
  400: "BAD_REQUEST",
  405: "METHOD_REFUSED",
  414: "TARGET_TOO_LONG",
  417: "EXPECTATION_REFUSED",
  431: "HEADERS_TOO_LARGE",
  505: "VERSION_REFUSED",
} as const satisfies Record<(typeof FAULTS)[FaultCode]["status"], AnswerCode>;

/** The answer to a request that breaks the grammar (http.md §3.1). */
export function answerToFault(code: FaultCode): AnswerCode {
  return BY_FAULT[code] ?? BY_STATUS[FAULTS[code].status];
}

/** Request id as it is shown everywhere: lower-case hex digits, two per byte. */
export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}

const CONTENT_TYPES = {
  html: "text/html; charset=utf-8",
  json: "application/json",
  text: "text/plain; charset=utf-8",
} as const;

/** HTML for navigations that list it (browsers that do not say how they fetch count as navigating), JSON where listed, else text. */
function chooseForm(accept: string, fetchMode: string): keyof typeof CONTENT_TYPES {
  let html = false;
  let json = false;
  for (const member of accept.toLowerCase().split(",")) {
    const [type = "", ...parameters] = member.split(";").map((part) => part.trim());
    // A weight of zero means "not this one" (RFC 9110 §12.4.2).
    if (parameters.some((parameter) => /^q=0(\.0{0,3})?$/.test(parameter))) continue;
    if (type === "text/html") html = true;
    if (type === "application/json" || (type.startsWith("application/") && type.endsWith("+json")))
      json = true;
  }
  if (html && (fetchMode === "" || fetchMode.toLowerCase() === "navigate")) return "html";
  return json ? "json" : "text";
}

/** The hostname in a form that is one short line in every rendering. */
function shownHost(host: string | undefined): string | undefined {
  if (host === undefined || host === "") return undefined;
  return host.slice(0, SHOWN_HOST_MAX).replace(/[^\x20-\x7e]/g, "\u{fffd}");
}
