// This file is what rules may ask for and this build does not do, or not as somebody may think. product.md §3.3, §3.4.
import type {
  HttpService,
  IngressOptions,
  IngressRule,
  StaticService,
  UnixService,
} from "../config/index.ts";
import { TunlError } from "../errors.ts";

/** Services this build has. */
export type ServedService = HttpService | UnixService | StaticService;

/**
 * True for a rule this build can serve. Others are refused where the file is read, with their place in it; here they would
 * leave a service unreachable, or open where a check was asked for.
 */
export function isServed(rule: IngressRule): rule is IngressRule & { service: ServedService } {
  const { service, originRequest } = rule;
  const isHttp = service.kind === "http" || service.kind === "unix" || service.kind === "static";
  return isHttp && !originRequest.bastionMode && !originRequest.access.required;
}

/** Names of one tunnel, as the edge counts them. */
const MOST_NAMES = 1_000;

/** @throws TunlError `CONFIG_INVALID`: more names than any tunnel can have; which of them were served would be chance. */
export function refuseTooManyNames(hosts: readonly string[]): void {
  const count = new Set(hosts).size;
  if (count <= MOST_NAMES) return;
  throw new TunlError(
    "CONFIG_INVALID",
    `Rules and flags have ${count} names, allowed ${MOST_NAMES}`,
    {
      hint: 'Use a wildcard such as "*.example.com", or several tunnels',
    },
  );
}

/** What is served otherwise than somebody may think: told at the start, each once (S-63). */
export function warningsFor({ rules }: IngressOptions): readonly string[] {
  const warnings = rules.flatMap(({ service, originRequest }) => {
    if (!(service.kind === "http" || service.kind === "unix") || !service.isTls) return [];
    return originRequest.noTlsVerify ? [`The certificate of ${service.url} is not verified`] : [];
  });
  return [...new Set(warnings)];
}
