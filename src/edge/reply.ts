// This file is the answers tunl itself gives to visitors: one table of codes, rendered as HTML, JSON or text. http.md §13, S-70.
import { type FaultCode, FAULTS } from "../http1/index.ts";
import { PAGE_POLICY, renderPage } from "./reply-page.ts";
import type { CanonicalRequest } from "./request.ts";

interface AnswerRow {
  readonly status: number;
  /** Error type of the Proxy-Status field (RFC 9209 §2.3). */
  readonly proxyStatus: string;
  readonly title: string;
  /** What the visitor can do. Never what stands behind the edge. */
  readonly advice: string;
  /** Default Retry-After in seconds. */
  readonly retryAfter?: number;
}

const GOES_WRONG = "The service behind this address has a problem. Try again in a moment.";
const FOREIGN_REQUEST = "The request was not understood. If you typed the address, check it.";

/** Every answer of http.md §13: status, Proxy-Status error, words for the visitor. */
export const ANSWERS = {
  BAD_REQUEST: row(400, "http_request_error", "Bad request", FOREIGN_REQUEST),
  BAD_HOST: row(400, "http_request_error", "Bad host name", FOREIGN_REQUEST),
  BAD_PATH: row(400, "http_request_error", "Bad path", FOREIGN_REQUEST),
  METHOD_REFUSED: row(
    405,
    "http_request_error",
    "Method not allowed",
    "This method is not accepted here.",
  ),
  EXPECTATION_REFUSED: row(
    417,
    "http_request_error",
    "Expectation failed",
    "Send the request without this expectation.",
  ),
  VERSION_REFUSED: row(505, "http_request_error", "HTTP version not supported", "Use HTTP/1.1."),
  LOGIN_REQUIRED: row(401, "http_request_denied", "Login required", "Log in to open this page."),
  ACCESS_DENIED: row(
    403,
    "http_request_denied",
    "Access denied",
    "You may not open this page. Ask its owner for access.",
  ),
  RATE_LIMITED: row(
    429,
    "http_request_denied",
    "Too many requests",
    "You sent many requests in a short time. Wait a little, then try again.",
    10,
  ),
  NO_ROUTE: row(
    404,
    "destination_not_found",
    "Nothing here",
    "No service is published at this address. Check its spelling.",
  ),
  REQUEST_TIMEOUT: row(
    408,
    "http_request_error",
    "Request timed out",
    "Your request took too long to arrive. Try again.",
  ),
  LENGTH_REQUIRED: row(
    411,
    "http_request_error",
    "Length required",
    "Send the request with its length.",
  ),
  BODY_TOO_LARGE: row(
    413,
    "http_request_error",
    "Too large",
    "What you sent is larger than allowed here.",
  ),
  TARGET_TOO_LONG: row(
    414,
    "http_request_error",
    "Address too long",
    "The address of this page is too long.",
  ),
  HEADERS_TOO_LARGE: row(
    431,
    "http_request_error",
    "Request header too large",
    "Delete the cookies of this site, then try again.",
  ),
  WRONG_CONNECTION: row(421, "http_request_error", "Wrong connection", "Load the page again."),
  ORIGIN_REFUSED: row(
    502,
    "connection_refused",
    "Service not running",
    "The service behind this address is not running at the moment. Try again later.",
  ),
  ORIGIN_UNREACHABLE: row(
    502,
    "destination_unavailable",
    "Service not reachable",
    "The service behind this address cannot be reached at the moment. Try again later.",
  ),
  ORIGIN_TLS: row(502, "tls_certificate_error", "Service not trusted", GOES_WRONG),
  ORIGIN_CLOSED: row(502, "connection_terminated", "Service hung up", GOES_WRONG),
  ORIGIN_INVALID: row(502, "http_protocol_error", "Invalid response", GOES_WRONG),
  ORIGIN_UPGRADE: row(502, "http_upgrade_failed", "Invalid response", GOES_WRONG),
  TUNNEL_LOST: row(
    502,
    "connection_terminated",
    "Connection lost",
    "The connection to the service was lost. Your request may have been carried out: check before you repeat it.",
  ),
  TUNNEL_OFFLINE: row(
    503,
    "destination_unavailable",
    "Service offline",
    "The service at this address is not connected right now. Try again later.",
    30,
  ),
  MAINTENANCE: row(
    503,
    "destination_unavailable",
    "Down for maintenance",
    "The owner of this service is working on it. Try again later.",
    60,
  ),
  TUNNEL_BUSY: row(
    503,
    "connection_limit_reached",
    "Service busy",
    "Too many requests at once. Try again in a moment.",
    1,
  ),
  HOST_BUSY: row(
    503,
    "connection_limit_reached",
    "Service busy",
    "Too many requests at once. Try again in a moment.",
    1,
  ),
  EDGE_BUSY: row(
    503,
    "connection_limit_reached",
    "Server busy",
    "Too many requests at once. Try again in a moment.",
    1,
  ),
  ROUTE_ERROR: row(
    503,
    "proxy_configuration_error",
    "Service not set up",
    "This service is not set up correctly. Its owner finds the reason by the request number below.",
  ),
  ORIGIN_CONNECT_TIMEOUT: row(
    504,
    "connection_timeout",
    "Service not reachable",
    "The service behind this address does not answer. Try again later.",
  ),
  ORIGIN_TIMEOUT: row(
    504,
    "http_response_timeout",
    "Service too slow",
    "The service behind this address took too long to answer. Try again later.",
  ),
  LOOP: row(
    508,
    "proxy_loop_detected",
    "Loop detected",
    "This address leads back to itself. Its owner has to correct that.",
  ),
  INTERNAL: row(
    500,
    "proxy_internal_error",
    "Internal error",
    "Something went wrong here. Try again in a moment.",
  ),
} as const satisfies Readonly<Record<string, AnswerRow>>;

/** Value of `Tunl-Error`; a stable interface. */
export type AnswerCode = keyof typeof ANSWERS;

const REASONS: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  411: "Length Required",
  413: "Content Too Large",
  414: "URI Too Long",
  417: "Expectation Failed",
  421: "Misdirected Request",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
  508: "Loop Detected",
};

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
  const retryAfter = context.retryAfter ?? usual;
  let lines =
    `Content-Type: ${CONTENT_TYPES[form]}\r\n` +
    `Date: ${new Date().toUTCString()}\r\n` +
    `Cache-Control: no-store\r\n` +
    `X-Content-Type-Options: nosniff\r\n` +
    `Content-Security-Policy: ${form === "html" ? PAGE_POLICY : TEXT_POLICY}\r\n` +
    `Proxy-Status: ${PROXY_NAME}; error=${proxyStatus}\r\n` +
    `Tunl-Error: ${code}\r\n` +
    `X-Tunl-Request-Id: ${requestId}\r\n`;
  if (retryAfter !== undefined) lines += `Retry-After: ${Math.max(0, Math.ceil(retryAfter))}\r\n`;
  if (code === "METHOD_REFUSED") lines += "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n";
  let body: string;
  if (form === "html") body = renderPage({ status, title, advice, host, code, requestId });
  else if (form === "json")
    body = `${JSON.stringify({ error: code, message: advice, status, host, requestId })}\n`;
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

function row(
  status: number,
  proxyStatus: string,
  title: string,
  advice: string,
  retryAfter?: number,
): AnswerRow {
  return retryAfter === undefined
    ? { status, proxyStatus, title, advice }
    : { status, proxyStatus, title, advice, retryAfter };
}
