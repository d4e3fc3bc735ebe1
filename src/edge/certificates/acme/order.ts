// This file is one order: from names to a signed chain. RFC 8555 §7.4, §7.5; RFC 9773 §5.
import { X509Certificate } from "node:crypto";
import { TunlError } from "../../../errors.ts";
import { reached } from "../../../limits.ts";
import { type AcmeClient, fieldsOf, locationOf } from "./client.ts";
import type { Challenge, ChallengeAnswers, ChallengeType } from "./challenges.ts";
import {
  AcmeError,
  type AcmeErrorDetails,
  failedValidation,
  printable,
  readProblem,
} from "./problem.ts";
import { type CaReply, parseJson } from "./transport.ts";

export interface OrderOptions {
  /** Canonical, `*.x` for wildcards. */
  readonly names: readonly string[];
  /** Kinds of challenges that may be used, the best one first; the CA says which it offers. */
  readonly types: readonly ChallengeType[];
  /** As `requestCertificate` made it. */
  readonly csr: string;
  /** Certificate id of the one that this one takes the place of (RFC 9773 §5). */
  readonly replaces: string | undefined;
}

/** A name could not be proven by one kind of challenge; another kind may do. */
export class ChallengeError extends AcmeError {
  /** Which; undefined where the CA offers none that may be used. */
  readonly challenge: ChallengeType | undefined;
  /** True: the CA tried and found no answer. That counts towards the limits that CAs have. */
  readonly isValidation: boolean;

  constructor(
    message: string,
    details: AcmeErrorDetails & { challenge: ChallengeType | undefined; isValidation: boolean },
  ) {
    super(message, details);
    this.challenge = details.challenge;
    this.isValidation = details.isValidation;
  }
}

/** A chain, and how its names were proven. */
export interface Signed {
  /** PEM, leaf first. */
  readonly chain: string;
  /** The last one used; undefined where the CA remembered all names. */
  readonly challenge: ChallengeType | undefined;
}

/** Names of one order have one each; a CA that asks for many more has something else in mind. */
const MAX_AUTHORIZATIONS = 16;
/** Between two looks at an order, until the CA says otherwise: quick at first, most validations take a second. */
const LOOK_MS = [100, 250, 500, 1_000, 2_000, 4_000, 8_000, 10_000] as const;
const LOOK_MAX_MS = 30_000;
/** Longer than that an order does not stay pending; a CA that takes its time beyond the first ten seconds counts as failing. */
const PENDING_MS = 300_000;
const SLOW_MS = 10_000;

/**
 * Has a certificate made.
 *
 * @throws ChallengeError, AcmeError; the signal's reason.
 */
export async function obtain(
  client: AcmeClient,
  answers: ChallengeAnswers,
  options: OrderOptions,
  signal: AbortSignal,
): Promise<Signed> {
  const created = await newOrder(client, options, signal);
  const url = locationOf(created, "the order");
  let order = readOrder(created);
  let challenge: ChallengeType | undefined;
  for (const authorization of order.authorizations)
    challenge = (await authorize(client, answers, authorization, options, signal)) ?? challenge;
  const proven = await client.fetch(url, "the order", signal);
  order = await settle(client, url, ["ready", "valid"], proven, signal);
  if (order.status === "ready") {
    const reply = await client.post(order.finalize, { csr: options.csr }, "the request", signal);
    order = await settle(client, url, ["valid"], reply, signal);
  }
  if (order.certificate === undefined)
    throw new AcmeError("The CA made the order valid without a certificate", { blame: "ca" });
  const { text } = await client.fetch(order.certificate, "the certificate", signal);
  return { chain: text, challenge };
}

async function newOrder(
  client: AcmeClient,
  { names, replaces }: OrderOptions,
  signal: AbortSignal,
): Promise<CaReply> {
  const { newOrder: url } = await client.directory(signal);
  const identifiers = names.map((value) => ({ type: "dns", value }));
  if (replaces !== undefined) {
    try {
      return await client.post(url, { identifiers, replaces }, "the order", signal);
    } catch (error) {
      // The hint is a courtesy: whatever it does not like about it, the CA still makes an order without it.
      const isAboutIt = error instanceof AcmeError && [400, 404, 409].includes(error.status);
      if (!isAboutIt || error.blame === "name") throw error;
    }
  }
  return await client.post(url, { identifiers }, "the order", signal);
}

interface Order {
  readonly status: string;
  readonly authorizations: readonly string[];
  readonly finalize: string;
  readonly certificate: string | undefined;
  readonly problem: unknown;
}

function readOrder({ text }: CaReply): Order {
  const fields = fieldsOf(parseJson(text));
  const { status, authorizations, finalize, certificate, error } = fields;
  const isOrder =
    typeof status === "string" &&
    typeof finalize === "string" &&
    Array.isArray(authorizations) &&
    authorizations.every((url) => typeof url === "string");
  if (!isOrder) throw new AcmeError("The CA answered with no order", { blame: "ca" });
  if (authorizations.length > MAX_AUTHORIZATIONS) {
    const text = `The CA wants ${authorizations.length} proofs for one order, at most ${MAX_AUTHORIZATIONS}`;
    throw new AcmeError(text, { blame: "ca" });
  }
  return {
    status,
    authorizations,
    finalize,
    certificate: typeof certificate === "string" ? certificate : undefined,
    problem: error,
  };
}

/** Looks at an order until it has one of the states. */
async function settle(
  client: AcmeClient,
  url: string,
  states: readonly string[],
  first: CaReply,
  signal: AbortSignal,
): Promise<Order> {
  const isThere = ({ status }: Order): boolean => states.includes(status);
  return await watch(client, url, first, signal, (reply) => {
    const order = readOrder(reply);
    if (isThere(order)) return order;
    if (order.status !== "invalid") return undefined;
    const { detail, type } = readProblem(order.problem);
    throw new AcmeError(`The CA gave up the order: "${detail}"`, { blame: "ca", type });
  });
}

/** Proves one name. @returns By which challenge; undefined where the CA remembered it. */
async function authorize(
  client: AcmeClient,
  answers: ChallengeAnswers,
  url: string,
  { names, types }: OrderOptions,
  signal: AbortSignal,
): Promise<ChallengeType | undefined> {
  const first = await client.fetch(url, "an authorization", signal);
  const { status, name, challenges } = readAuthorization(first, names);
  if (status === "valid") return undefined;
  const type = types.find((each) => challenges.some((one) => one["type"] === each));
  const challenge = challenges.find((one) => one["type"] === type);
  const { url: challengeUrl, token } = challenge ?? {};
  if (type === undefined || typeof challengeUrl !== "string" || typeof token !== "string") {
    const offered = printable(challenges.map((one) => String(one["type"])).join(", "));
    const text = `The CA offers ${offered} for ${name}, and not ${types.join(" or ")}`;
    throw new ChallengeError(text, { blame: "name", challenge: undefined, isValidation: false });
  }
  const keyAuthorization = client.key.authorize(token);
  await using _answer = await present(answers, { type, name, token, keyAuthorization }, signal);
  await client.post(challengeUrl, {}, `the challenge of ${name}`, signal);
  await watch(client, url, undefined, signal, (reply) => {
    const now = readAuthorization(reply, names);
    if (now.status === "valid") return true;
    if (now.status === "pending" || now.status === "processing") return undefined;
    const failed = now.challenges.find((one) => one["type"] === type);
    const error = failedValidation(name, type, readProblem(failed?.["error"]));
    throw new ChallengeError(error.message, { ...error, challenge: type, isValidation: true });
  });
  return type;
}

/** @throws ChallengeError where the answer cannot be shown: a DNS provider that refuses. */
async function present(
  answers: ChallengeAnswers,
  challenge: Challenge,
  signal: AbortSignal,
): Promise<AsyncDisposable> {
  try {
    return await answers.present(challenge, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof TunlError)) throw error;
    const { type, name } = challenge;
    throw new ChallengeError(`${type} of ${name} cannot be answered: ${error.message}`, {
      ...{ blame: "name", cause: error, hint: error.hint },
      ...{ challenge: type, isValidation: false },
    });
  }
}

interface Authorization {
  readonly status: string;
  readonly name: string;
  readonly challenges: readonly Readonly<Record<string, unknown>>[];
}

/** @param names Those of the order: records and certificates that prove are made for them and for nothing else. */
function readAuthorization({ text }: CaReply, names: readonly string[]): Authorization {
  const fields = fieldsOf(parseJson(text));
  const { status, challenges } = fields;
  const { value } = fieldsOf(fields["identifier"]);
  if (typeof status !== "string" || typeof value !== "string" || !Array.isArray(challenges))
    throw new AcmeError("The CA answered with no authorization", { blame: "ca" });
  if (!names.some((name) => name.replace(/^\*\./, "") === value)) {
    const asked = printable(value);
    throw new AcmeError(`The CA wants a proof for "${asked}", which was not ordered`, {
      blame: "ca",
    });
  }
  return { status, name: value, challenges: challenges.map(fieldsOf) };
}

/** Looks again and again until `judge` has an answer; `first` is an answer that is there already. */
async function watch<T>(
  client: AcmeClient,
  url: string,
  first: CaReply | undefined,
  signal: AbortSignal,
  judge: (reply: CaReply) => T | undefined,
): Promise<T> {
  const { transport } = client;
  let waited = 0;
  let reply = first;
  for (let look = 0; ; look += 1) {
    const verdict = reply === undefined ? undefined : judge(reply);
    if (verdict !== undefined) return verdict;
    if (waited > PENDING_MS) {
      reached("orderTime");
      const minutes = PENDING_MS / 60_000;
      throw new AcmeError(`The CA did not decide within ${minutes} min`, { blame: "ca" });
    }
    if (waited > SLOW_MS) transport.noteSlow();
    const usual = LOOK_MS[Math.min(look, LOOK_MS.length - 1)] as number;
    const pause = Math.min(Math.max(usual, reply?.retryAfterMs ?? 0), LOOK_MAX_MS);
    await transport.pause(pause, signal);
    signal.throwIfAborted();
    waited += pause;
    reply = await client.fetch(url, "a look at the order", signal);
  }
}

/** The certificates of a chain, leaf first. @throws AcmeError when it is none. */
export function readChain(pem: string): readonly X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    if (blocks.length > 0) return blocks.map((block) => new X509Certificate(block));
  } catch (error) {
    throw new AcmeError("The CA sent a chain that cannot be read", { blame: "ca", cause: error });
  }
  throw new AcmeError("The CA sent no certificate", { blame: "ca" });
}
