// This file is the table of the answers tunl itself gives to visitors: status, Proxy-Status, and what the visitor can do. http.md §13.

/** One answer. */
export interface AnswerRow {
  readonly status: number;
  /** Error type of the Proxy-Status field (RFC 9209 §2.3). */
  readonly proxyStatus: string;
  readonly title: string;
  /** What the visitor can do. Never what stands behind the edge. */
  readonly advice: string;
  /** Default Retry-After in seconds. */
  readonly retryAfter?: number;
}

const LATER = "Try again in a few minutes.";
const SOON = "Try again in a moment.";
/** For what may have been carried out although no answer came. */
const CHECK_FIRST = "Try again. If you sent or changed something, check first whether it was done.";
const TOO_MANY = `Too many requests are in progress here right now. ${SOON}`;
const NO_ANSWER = `The service behind this address gave no valid answer. ${SOON}`;

/** Every answer of http.md §13. */
export const ANSWERS = {
  BAD_REQUEST: row(
    400,
    "http_request_error",
    "Bad request",
    "What was sent is no valid request. Check the address; if a program sent it, check that program.",
  ),
  BAD_HOST: row(
    400,
    "http_request_error",
    "Bad host name",
    "The request does not say in a valid way which site it is for. Check the address.",
  ),
  BAD_PATH: row(
    400,
    "http_request_error",
    "Bad path",
    "The address is not valid after its host name. Check that part.",
  ),
  METHOD_REFUSED: row(
    405,
    "http_request_error",
    "Method not allowed",
    "Requests of this kind are never accepted here. Use one of the methods that the field Allow lists.",
  ),
  EXPECTATION_REFUSED: row(
    417,
    "http_request_error",
    "Expectation failed",
    "The request expects something that nobody here does. Send it without its field Expect.",
  ),
  VERSION_REFUSED: row(
    505,
    "http_request_error",
    "HTTP version not supported",
    "This version of HTTP is not spoken here. Send the request as HTTP/1.1.",
  ),
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
    "No service is published at this address. Check its spelling, or ask whoever gave it to you.",
  ),
  REQUEST_TIMEOUT: row(
    408,
    "http_request_error",
    "Request timed out",
    "Your request took too long to arrive. Check your connection, then try again.",
  ),
  LENGTH_REQUIRED: row(
    411,
    "http_request_error",
    "Length required",
    "The service has to know beforehand how long this is. Send it with a Content-Length.",
  ),
  BODY_TOO_LARGE: row(
    413,
    "http_request_error",
    "Too large",
    "What you sent is larger than allowed here. Send less at a time.",
  ),
  TARGET_TOO_LONG: row(
    414,
    "http_request_error",
    "Address too long",
    "The address of this page is longer than allowed here. Shorten it, or begin at the start page.",
  ),
  HEADERS_TOO_LARGE: row(
    431,
    "http_request_error",
    "Request header too large",
    "The header fields of this request are too large, most often because of cookies. Delete those of this site, then try again.",
  ),
  WRONG_CONNECTION: row(
    421,
    "http_request_error",
    "Wrong connection",
    "The request came over a connection that was opened for another site. Load the page again.",
  ),
  ORIGIN_REFUSED: row(
    502,
    "connection_refused",
    "Service not running",
    `The service behind this address is not running at the moment. ${LATER}`,
  ),
  ORIGIN_UNREACHABLE: row(
    502,
    "destination_unavailable",
    "Service not reachable",
    `The service behind this address cannot be reached at the moment. ${LATER}`,
  ),
  ORIGIN_TLS: row(
    502,
    "tls_certificate_error",
    "No secure connection",
    "No secure connection to the service behind this address was possible, so your request was not passed on. Its owner has to correct that.",
  ),
  ORIGIN_CLOSED: row(
    502,
    "connection_terminated",
    "Service broke off",
    `The service behind this address broke off before it answered. ${CHECK_FIRST}`,
  ),
  ORIGIN_INVALID: row(502, "http_protocol_error", "No valid answer", NO_ANSWER),
  ORIGIN_UPGRADE: row(502, "http_upgrade_failed", "No valid answer", NO_ANSWER),
  TUNNEL_LOST: row(
    502,
    "connection_terminated",
    "Connection lost",
    `The connection to the service was lost before it answered. ${CHECK_FIRST}`,
  ),
  TUNNEL_OFFLINE: row(
    503,
    "destination_unavailable",
    "Service offline",
    `The service at this address is not connected right now. ${LATER}`,
    30,
  ),
  MAINTENANCE: row(
    503,
    "destination_unavailable",
    "Down for maintenance",
    `The owner of this service is working on it. ${LATER}`,
    60,
  ),
  TUNNEL_BUSY: row(503, "connection_limit_reached", "Service busy", TOO_MANY, 1),
  HOST_BUSY: row(503, "connection_limit_reached", "Service busy", TOO_MANY, 1),
  EDGE_BUSY: row(503, "connection_limit_reached", "Server busy", TOO_MANY, 1),
  ROUTE_ERROR: row(
    503,
    "proxy_configuration_error",
    "Service not set up",
    "This service is not set up correctly. Its owner has to correct that.",
  ),
  ORIGIN_CONNECT_TIMEOUT: row(
    504,
    "connection_timeout",
    "Service not reachable",
    `The service behind this address does not respond at the moment. ${LATER}`,
  ),
  ORIGIN_TIMEOUT: row(
    504,
    "http_response_timeout",
    "Service too slow",
    `The service behind this address took too long to answer. ${CHECK_FIRST}`,
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
    `Something went wrong on this server. ${SOON}`,
  ),
} as const satisfies Readonly<Record<string, AnswerRow>>;

/** Value of `Tunl-Error`; a stable interface. */
export type AnswerCode = keyof typeof ANSWERS;

/** Words of the status line. */
export const REASONS: Readonly<Record<number, string>> = {
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
