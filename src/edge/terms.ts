// This file is the question that comes before the first order: does the user agree to the terms of the CA. product.md §1.1, §3.1.
import type { EdgeOptions } from "../config/index.ts";
import type { Terms } from "./certificates/index.ts";

/**
 * Makes sure that the user agrees, once and for all; nothing to do without a CA, or where it has no terms.
 *
 * @param ask Asks a person; undefined where nobody can be asked.
 * @throws TunlError `TERMS_NOT_AGREED`, `CA_UNREACHABLE`, `CONFIG_INVALID`, `STATE_DAMAGED`.
 */
export async function agreeToTerms(
  { certificates, stateDirectory, version }: EdgeOptions,
  ask: ((terms: Terms) => Promise<boolean>) | undefined,
): Promise<void> {
  if (certificates.mode !== "acme" || certificates.acme.agreesToTerms) return;
  const acme = await import("./certificates/acme/index.ts");
  await acme.agreeToTerms({ stateDirectory, acme: certificates.acme, version, ask });
}
