// This file is one try to get a certificate: which challenges, in which order, and when no more may fail. product.md §7; R-19.
import { reached } from "../../../limits.ts";
import type { HasAddress } from "../../dns/index.ts";
import type { Ca, Obtained } from "./ca.ts";
import { waitUnless } from "../source.ts";
import { CHALLENGE_TYPES, type ChallengeAnswers, type ChallengeType } from "./challenges.ts";
import type { Line } from "./coverage.ts";
import { ChallengeError } from "./order.ts";
import { AcmeError } from "./problem.ts";
import type { StoredCertificate } from "./storage.ts";

/** What a CA lets a name do wrong. */
export interface Allowance {
  /** True when one more validation may fail. */
  mayValidate(id: string): boolean;
  failed(id: string): void;
}

export interface AttemptOptions {
  readonly ca: Ca;
  readonly answers: ChallengeAnswers;
  readonly challenge: ChallengeType | "auto";
  /** Whether a name has an address, so that nobody asks the CA to find out. */
  readonly hasAddress: HasAddress;
  readonly allowance: Allowance;
}

/** A certificate that is to be had. */
export interface Wanted extends Line {
  readonly served: StoredCertificate | undefined;
  /** PEM of the certificate of this CA whose place it takes. */
  readonly replaces: string | undefined;
  readonly signal: AbortSignal;
}

/**
 * Tries one challenge after the other until one does, or no more may fail in this hour.
 *
 * @throws AcmeError, TunlError of the account's file; the signal's reason.
 */
export async function attempt(wanted: Wanted, options: AttemptOptions): Promise<Obtained> {
  const { id, names, replaces, signal } = wanted;
  const { ca, allowance } = options;
  // A provider that does not answer ends no later than the order it was asked for.
  let types = await waitUnless(typesFor(wanted, options), signal);
  let last: AcmeError | undefined;
  while (types.length > 0) {
    if (!allowance.mayValidate(id)) {
      reached("failedValidations");
      break;
    }
    // By DNS-01 a name needs no address.
    if (types[0] !== "dns-01") await assertAddresses(wanted, options.hasAddress);
    try {
      return await ca.obtain({ names, types, replaces }, signal);
    } catch (error) {
      signal.throwIfAborted();
      // Whatever else the CA or the way to it does would do the same to the next challenge.
      if (!(error instanceof ChallengeError)) throw error;
      if (error.isValidation) allowance.failed(id);
      const { challenge } = error;
      // No address, or none that can be found: the next challenge would need it too.
      if (error.type === "dns" && challenge !== "dns-01") throw error;
      // That nothing else is offered says less than how the last one failed.
      if (challenge === undefined) throw last ?? error;
      last = error;
      types = types.filter((type) => type !== challenge);
    }
  }
  throw last ?? impossible(names, options.challenge);
}

/** Challenges that could do for all names, the one that did well the last time first. */
async function typesFor(
  { names, served }: Wanted,
  { answers, challenge }: AttemptOptions,
): Promise<ChallengeType[]> {
  const lists = await Promise.all(names.map((name) => answers.possible(name)));
  const possible = CHALLENGE_TYPES.filter((type) => lists.every((list) => list.includes(type)));
  if (challenge !== "auto") return possible.filter((type) => type === challenge);
  const proven = served?.challenge;
  return [...possible].sort((one, other) => Number(other === proven) - Number(one === proven));
}

/** @throws AcmeError for a name that certainly has no address. */
async function assertAddresses({ names, signal }: Wanted, hasAddress: HasAddress): Promise<void> {
  for (const name of names) {
    if ((await hasAddress(name, signal)) !== false) continue;
    throw new AcmeError(`${name} has no address, and a CA would look for one`, {
      ...{ blame: "name", type: "dns" },
      hint: "Make an address record of the name that leads to this edge",
    });
  }
}

function impossible(names: readonly string[], challenge: ChallengeType | "auto"): AcmeError {
  if (names.some((name) => name.startsWith("*."))) {
    const text = "a wildcard is proven by DNS-01, and dns.provider serves no zone of it";
    const hint = "Set dns.provider, or use --tls files";
    return new AcmeError(text, { blame: "name", hint });
  }
  const lacks =
    challenge === "http-01"
      ? "nothing listens on port 80"
      : "dns.provider serves no zone of the name";
  return new AcmeError(`${challenge} cannot be used here: ${lacks}`, {
    blame: "name",
    hint: "Use certificates.challenge: auto",
  });
}
