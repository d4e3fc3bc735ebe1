// This file is what a valid file may ask for and this build does not do: refused before anything starts, or said. product.md §3.3, §3.4.
import type {
  HttpService,
  IngressOptions,
  IngressRule,
  ServiceOptions,
  StaticService,
  UnixService,
} from "../config/index.ts";
import { TunlError } from "../errors.ts";

/** Services this build has. */
export type ServedService = HttpService | UnixService | StaticService;

export function isServed(service: ServiceOptions): service is ServedService {
  return service.kind === "http" || service.kind === "unix" || service.kind === "static";
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

/** Reasons that a message names; the others are counted. */
const MOST_NAMED = 5;

/**
 * @throws TunlError `SERVICE_UNSUPPORTED`: names each rule whose service or access check this build lacks. A rule that
 *   would be skipped in silence leaves a service unreachable, a check that would be skipped leaves it open.
 */
export function refuseUnserved({ rules, file }: IngressOptions): void {
  const reasons = rules.flatMap((rule, index) => {
    const reason = reasonFor(rule);
    return reason === undefined ? [] : [`${nameOf(rule, index)} ${reason}`];
  });
  if (reasons.length === 0) return;
  const named = reasons.slice(0, MOST_NAMED).join("; ");
  const more = reasons.length > MOST_NAMED ? `; and ${reasons.length - MOST_NAMED} more` : "";
  throw new TunlError("SERVICE_UNSUPPORTED", `${named}${more}`, {
    hint:
      file === undefined
        ? "This version serves http://, https://, ws://, wss://, unix:, unix+tls:, http_status: and hello_world"
        : `Take it out of ${file} until a version that has it is installed; the others serve HTTP, unix:, http_status: and hello_world`,
  });
}

function reasonFor({ service, originRequest }: IngressRule): string | undefined {
  if (service.kind === "tcp")
    return `leads to ${service.url}: TCP services are not in this version yet`;
  if (service.kind === "bastion" || service.kind === "socks")
    return `is ${service.url}: services that the visitor chooses are not in this version yet`;
  if (originRequest.bastionMode)
    return "has bastionMode: services that the visitor chooses are not in this version yet";
  if (originRequest.access.required)
    return "has access.required: policies are not in this version yet, and a check is never skipped";
  return undefined;
}

/** What is served otherwise than somebody may think: told at the start, each once (S-63). */
export function warningsFor({ rules }: IngressOptions): readonly string[] {
  const warnings = rules.flatMap(({ service, originRequest }) => {
    if (!(service.kind === "http" || service.kind === "unix") || !service.isTls) return [];
    return [
      ...(originRequest.noTlsVerify ? [`The certificate of ${service.url} is not verified`] : []),
      ...(originRequest.http2Origin
        ? [`HTTP/2 to origins is not in this version yet: ${service.url} is asked by HTTP/1.1`]
        : []),
    ];
  });
  return [...new Set(warnings)];
}

/** "Rule 3 (app.example.com, path ^/api)" as the user counts. */
export function nameOf({ hostname, path }: IngressRule, index: number): string {
  const where = [
    ...(hostname === "" ? [] : [hostname]),
    ...(path === undefined ? [] : [`path ${path}`]),
  ];
  return `Rule ${index + 1}${where.length === 0 ? "" : ` (${where.join(", ")})`}`;
}
