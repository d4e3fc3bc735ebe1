// This file is what can go wrong with a CA, in words: problem documents, silence, a clock that is wrong. RFC 8555 §6.7; RFC 7807.
import { messageOf, TunlError } from "../../../errors.ts";
import { knownWords } from "../../../system-words.ts";

/** Whose affair a failure is: the name's (its DNS, its CAA, a firewall), or the CA's and the way to it. */
export type Blame = "name" | "ca";

export interface AcmeErrorDetails {
  readonly blame: Blame;
  /** Last part of the problem type, such as `badNonce`; "" without one. */
  readonly type?: string;
  /** HTTP status; 0 without an answer. */
  readonly status?: number;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
  readonly hint?: string | undefined;
}

/** A failure on the way to a certificate; `ACME_FAILED`. */
export class AcmeError extends TunlError {
  readonly blame: Blame;
  readonly type: string;
  readonly status: number;
  readonly retryAfterMs: number | undefined;

  constructor(message: string, details: AcmeErrorDetails) {
    super("ACME_FAILED", message, {
      cause: details.cause,
      retryable: true,
      ...(details.hint !== undefined && { hint: details.hint }),
    });
    this.blame = details.blame;
    this.type = details.type ?? "";
    this.status = details.status ?? 0;
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** Problem types that say something of the name and nothing of the CA. */
const OF_THE_NAME = new Set([
  "caa",
  "connection",
  "dns",
  "incorrectResponse",
  "rejectedIdentifier",
  "tls",
  "unauthorized",
  "unsupportedIdentifier",
]);

const PREFIX = "urn:ietf:params:acme:error:";
/** A CA's sentence goes into logs and to the connector: as much of it as helps. */
const MAX_DETAIL = 300;

/** A problem document, as far as its fields are of the right kind. */
export interface Problem {
  readonly type: string;
  readonly detail: string;
}

/** Reads a problem out of JSON that somebody sent; an empty one where there is none. */
export function readProblem(value: unknown): Problem {
  const fields: Record<string, unknown> =
    typeof value === "object" && value !== null ? { ...value } : {};
  const { type, detail } = fields;
  const sentences = [typeof detail === "string" ? detail : ""];
  // Where several names are refused, each has its own problem (RFC 8555 §6.7.1).
  const parts: unknown = fields["subproblems"];
  if (Array.isArray(parts))
    for (const part of parts.slice(0, 4)) sentences.push(readProblem(part).detail);
  return {
    type: typeof type === "string" && type.startsWith(PREFIX) ? type.slice(PREFIX.length) : "",
    detail: printable(sentences.filter((text) => text !== "").join("; ")),
  };
}

/** The error of a request that the CA answered with a problem. */
export function refusedBy(
  what: string,
  status: number,
  problem: Problem,
  retryAfterMs: number | undefined,
): AcmeError {
  const words = problem.detail === "" ? `status ${status}` : `"${problem.detail}"`;
  const type = problem.type === "" ? "" : ` (${problem.type})`;
  return new AcmeError(`The CA refused ${what}: ${words}${type}`, {
    blame: OF_THE_NAME.has(problem.type) ? "name" : "ca",
    type: problem.type,
    status,
    retryAfterMs,
    hint: HINTS[problem.type],
  });
}

/** The error of a challenge that the CA tried and did not find answered. */
export function failedValidation(name: string, challenge: string, problem: Problem): AcmeError {
  const words = problem.detail === "" ? "without a reason" : `"${problem.detail}"`;
  return new AcmeError(`The CA could not validate ${name} by ${challenge}: ${words}`, {
    blame: "name",
    type: problem.type,
    hint: HINTS[problem.type] ?? HINTS["connection"],
  });
}

const HINTS: Readonly<Record<string, string>> = {
  caa: "A CAA record of the zone forbids this CA: add one that allows it",
  connection: "The name must lead to this edge, and the ports 443 and 80 must be open to the world",
  dns: "Make an address record of the name that leads to this edge",
  externalAccountRequired: "This CA wants certificates.eab: keyId and keyFile from its web page",
  rateLimited: "Too many certificates for the domain lately: one wildcard needs dns.provider",
  rejectedIdentifier: "This CA does not sign such names: choose another name or another CA",
  userActionRequired: "The CA has new terms of service: start the edge with --agree-tos",
};

/** Control characters of a stranger's text never reach a terminal, and no more of it than helps. */
export function printable(text: string): string {
  const clean = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ").trim();
  return clean.length > MAX_DETAIL ? `${clean.slice(0, MAX_DETAIL)}…` : clean;
}

/** Codes of a TLS failure whose cause is mostly the clock of this machine. */
const CLOCK_CODES = new Set(["CERT_NOT_YET_VALID", "CERT_HAS_EXPIRED"]);
const TRUST_CODES = new Set([
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
]);

/** The error of a request that got no answer. */
export function unreachable(host: string, error: unknown, timeoutMs: number): AcmeError {
  const code = codeOf(error);
  const details = { blame: "ca", cause: error } as const;
  if (code !== undefined && CLOCK_CODES.has(code)) {
    const when = code === "CERT_NOT_YET_VALID" ? "is not valid yet" : "has expired";
    return new AcmeError(
      `The certificate of the CA at ${host} ${when} by the clock of this machine`,
      {
        ...details,
        hint: "Check the clock: timedatectl set-ntp true",
      },
    );
  }
  if (code !== undefined && TRUST_CODES.has(code)) {
    return new AcmeError(`The CA at ${host} shows a certificate that this machine does not trust`, {
      ...details,
      hint: "For a private CA name its root with certificates.caFile",
    });
  }
  if (error instanceof Error && error.name === "TimeoutError")
    return new AcmeError(`The CA at ${host} did not answer within ${timeoutMs / 1_000} s`, details);
  const words = (code === undefined ? undefined : knownWords(code)) ?? messageOf(error);
  return new AcmeError(`The CA at ${host} cannot be reached: ${words}`, {
    ...details,
    hint: "Is the network of this machine up, and may it dial out to port 443?",
  });
}

function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ("code" in error && typeof error.code === "string") return error.code;
  return codeOf(error.cause);
}
