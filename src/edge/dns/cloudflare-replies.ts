// This file is what the API of Cloudflare answers: its codes that mean something to us, and what people are told of a refusal.
import { TunlError } from "../../errors.ts";

/** Error codes of the API that mean something to us. */
export const CODE = {
  /** The record is there already, or one that is equal to it. */
  same: [81_057, 81_058],
  /** The record is not there. */
  absent: [81_044],
  /** A, AAAA or CNAME stand where another of them shall be. */
  inTheWay: [81_053, 81_054, 81_056],
  /** There is no such path, or none that takes this method. */
  noSuchCall: [7_000, 7_001, 10_405],
  /** The token is none, or may not do this. */
  forbidden: [6_003, 6_111, 9_103, 9_106, 9_107, 9_109, 10_000, 10_001],
} as const;

export interface Reply {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly isDone: boolean;
}

function errorsOf({ body }: Reply): { code: number; message: string }[] {
  const { errors } = body;
  if (!Array.isArray(errors)) return [];
  return errors.filter(isObject).map((error) => ({
    code: typeof error["code"] === "number" ? error["code"] : 0,
    message: typeof error["message"] === "string" ? error["message"].slice(0, 200) : "",
  }));
}

function firstError(reply: Reply): { code: number; message: string } {
  return errorsOf(reply)[0] ?? { code: reply.status, message: "no reason" };
}

export function has(reply: Reply, codes: readonly number[]): boolean {
  return errorsOf(reply).some(({ code }) => codes.includes(code));
}

/** The API's own words, with what to do about those that have a cure. */
export function refusal(reply: Reply, what: string): TunlError {
  const { code, message } = firstError(reply);
  const text = `${what} was refused by Cloudflare: ${message} (${code})`;
  if (has(reply, CODE.inTheWay))
    return new TunlError("RECORD_IN_THE_WAY", text, { hint: "Repeat with --overwrite" });
  const isForbidden = has(reply, CODE.forbidden) || reply.status === 401 || reply.status === 403;
  return new TunlError("DNS_REFUSED", text, {
    ...(isForbidden && {
      hint: "dns.cloudflare.tokenFile must hold an API token with Zone Read and DNS Edit for that zone",
    }),
  });
}

/** Why several records of a name were not changed in one step: none of them was. */
export function changeRefusal(reply: Reply, name: string): TunlError {
  // Never one by one instead: the name would have no record where the second step fails.
  if (reply.status === 405 || has(reply, CODE.noSuchCall)) {
    const { code, message } = firstError(reply);
    const text = `This API of Cloudflare changes no records in one step (dns_records/batch): ${message} (${code})`;
    return new TunlError("DNS_REFUSED", text, {
      hint: `Change the records of ${name} at Cloudflare yourself, then repeat the command`,
    });
  }
  if (has(reply, [...CODE.same, ...CODE.absent])) {
    const text = `The records of ${name} were changed meanwhile`;
    return new TunlError("RECORD_IN_THE_WAY", text, { hint: "Repeat the command" });
  }
  return refusal(reply, `Changing the records of ${name}`);
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
