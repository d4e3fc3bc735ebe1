// This file is which rule a request would come to: the matcher of a running connector, asked without one. product.md §2.3.
import type { IngressOptions } from "../config/index.ts";
import { compileExpression } from "../expression.ts";
import { Ingress } from "./ingress.ts";

/**
 * Finds the rule that takes a request.
 *
 * @param authority Host, with or without a port.
 * @param target Path and query as bytes, as a visitor sends them.
 * @returns Its index, from 0; undefined: none. `ambiguous`: a path would decide that services may read otherwise, and the
 *   visitor gets 400 (S-37).
 */
export function whichRule(
  { rules }: IngressOptions,
  authority: string,
  target: Uint8Array,
): number | "ambiguous" | undefined {
  const ingress = new Ingress(
    rules.map(({ hostname, path, allowAmbiguousPaths }, index) => ({
      hostname,
      path: path === undefined ? undefined : compileExpression(path),
      allowAmbiguousPaths,
      service: index,
    })),
  );
  const found = ingress.find(authority, target);
  return typeof found === "object" ? found.service : found;
}
