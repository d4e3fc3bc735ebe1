// This file is the CA's terms of service: asked for once, before anything is ordered, and remembered in the state. product.md §1.1, §3.1.
import { TunlError } from "../../../errors.ts";
import type { AcmeOptions } from "../../../config/index.ts";
import { AccountFile, type CaAddress, caAddress } from "./account.ts";
import { readDirectory } from "./client.ts";
import { AcmeError } from "./problem.ts";
import { makeTransport } from "./start-acme.ts";

/** What a person agrees to. */
export interface Terms {
  /** "Let's Encrypt", or the host of the CA. */
  readonly title: string;
  /** Where they can be read. */
  readonly url: string;
}

export interface TermsInput {
  readonly stateDirectory: string;
  readonly acme: AcmeOptions;
  readonly version: string;
  /** Asks a person; undefined where nobody can be asked. */
  readonly ask: ((terms: Terms) => Promise<boolean>) | undefined;
}

/**
 * Makes sure that the user agrees to the terms of the CA, if it has any.
 *
 * @throws TunlError `TERMS_NOT_AGREED` with what to do: nothing is ordered behind the user's back; `CA_UNREACHABLE` where
 *   the CA does not say what its terms are.
 */
export async function agreeToTerms({
  stateDirectory,
  acme,
  version,
  ask,
}: TermsInput): Promise<void> {
  if (acme.agreesToTerms) return;
  const ca = caAddress(acme.directory);
  const file = new AccountFile(stateDirectory, ca);
  if ((await file.agreedTo()) !== undefined) return;
  const url = await termsOf(ca, acme, version);
  if (url === undefined) return;
  const terms = { title: ca.title, url };
  if (ask === undefined || !(await ask(terms))) throw notAgreed(terms);
  const { stored } = await file.open();
  await file.save({ ...stored, agreedTo: url });
}

/** The address of the terms; undefined where the CA has none. */
async function termsOf(
  ca: CaAddress,
  acme: AcmeOptions,
  version: string,
): Promise<string | undefined> {
  try {
    const transport = await makeTransport(acme, version, Date.now);
    const directory = await readDirectory(ca.directory, transport, new AbortController().signal);
    return directory.termsOfService;
  } catch (error) {
    if (!(error instanceof AcmeError)) throw error;
    // Whoever cannot read the terms cannot agree to them; a later start, a service manager's too, asks again.
    throw new TunlError(
      "CA_UNREACHABLE",
      `${ca.title} cannot be asked for its terms of service: ${error.message}`,
      {
        cause: error,
        hint: orAgree(error.hint ?? "Start again later"),
      },
    );
  }
}

function orAgree(first: string): string {
  const joint = first.endsWith("?") ? " Or" : ", or";
  return `${first}${joint} start with --agree-tos if you know and accept them`;
}

function notAgreed({ title, url }: Terms): TunlError {
  return new TunlError(
    "TERMS_NOT_AGREED",
    `Certificates come from ${title}, and its terms of service (${url}) are not agreed to`,
    { hint: "Read them, then add --agree-tos, or certificates.agreeToTerms: true to edge.yml" },
  );
}
