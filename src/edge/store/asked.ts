// This file is what callers ask of the store, brought into form or refused in words.
import { formatPattern, parsePattern } from "../../address/index.ts";
import { TunlError } from "../../errors.ts";
import type { NameRules } from "../route/index.ts";

/** Patterns of one scope. */
const MAX_SCOPE = 64;

export function assertBetween(what: string, value: number, least: number, most: number): void {
  if (value >= least && value <= most) return;
  throw new TunlError("USAGE", `${what} is ${value}, expected ${least} to ${most}`);
}

export function canonicalPattern(text: string): string {
  const pattern = parsePattern(text);
  if (pattern !== undefined) return formatPattern(pattern);
  throw new TunlError(
    "HOSTNAME_NOT_GRANTED",
    `"${text}" is no hostname, expected a name such as app.example.com or *.x`,
    { hint: wholeName(text) },
  );
}

/** What was meant: most often the name stands in the address that a browser shows. */
function wholeName(text: string): string {
  const within = /^(?:[a-z][a-z0-9+.-]*:\/\/)?([^/:?#@]+)(?::\d+)?(?:[/?#].*)?$/i.exec(text)?.[1];
  const pattern = within === undefined ? undefined : parsePattern(within);
  if (pattern !== undefined) return `Write ${formatPattern(pattern)}`;
  return "Write the name alone: letters, digits and - between dots, no scheme, port or path";
}

export function canonicalScope(scope: readonly string[]): string[] {
  assertBetween("number of patterns", scope.length, 0, MAX_SCOPE);
  return scope.map((text) => {
    const pattern = parsePattern(text);
    if (pattern !== undefined) return formatPattern(pattern);
    throw new TunlError(
      "USAGE",
      `Pattern is "${text}", expected a name such as app.example.com or *.x`,
    );
  });
}

/** Nobody outside of this network reaches a name of one label, which mostly is a name below the domain cut short. @throws TunlError `USAGE`. */
export function assertWhole(host: string, domains: readonly string[]): void {
  if (host.includes(".") || domains.includes(host)) return;
  throw new TunlError("USAGE", `"${host}" is a label alone, expected a whole name`, {
    hint: `Write ${host}.${domains[0] ?? "example.com"}`,
  });
}

/** @param tunnel Its name, where it exists already. */
export function notGranted(host: string, { domains }: NameRules, tunnel = "TUNNEL"): TunlError {
  // A shell reads a star of its own.
  const typed = host.startsWith("*") ? `'${host}'` : host;
  return new TunlError("HOSTNAME_NOT_GRANTED", `${host} is outside of what this key may claim`, {
    hint: host.includes(".")
      ? `Ask the edge's owner to run tunl edge grant ${tunnel} ${typed} there`
      : `Write the whole name, such as ${host}.${domains[0] ?? "example.com"}`,
  });
}

/** The scope of a key leaves no room for a random name. */
export function noRandomName(): TunlError {
  return new TunlError(
    "HOSTNAME_NOT_GRANTED",
    "A random name is outside of what this key may claim",
    { hint: "Choose one with --name or --host" },
  );
}
